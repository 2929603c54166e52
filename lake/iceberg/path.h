/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of Iceberg metadata: where the object lies, and where that is below the table. Pure.
 *
 *   metadata    location  s3a://bucket/wh/db/t            (lies in file:///lake at `silver/t/`)
 *               path      s3://bucket/wh/db/t/data/d=1/x.parquet
 *   object      silver/t/data/d=1/x.parquet, or -EACCES
 *   inside      data/d=1/x.parquet
 *
 * A path is a whole name, verbatim: nothing in it is percent-encoded. `s3a` and `s3n` are `s3`,
 * `abfs`, `wasb` and `wasbs` are `abfss`; `/x`, `file:/x` and `file:///x` are one path, and a path
 * without scheme and authority may be below a location that has them, and the other way (Hadoop's
 * default file system). Of paths of file systems (not of buckets) empty and `.` components do not
 * count, and `..` is resolved lexically.
 *
 * A table that was copied or moved names its files by where they were. It is `moved` where its
 * location is not where it lies and its metadata files are not where it says: then what is below
 * the location is below the table's root, and what is below its directory of metadata is below
 * that. Else paths mean what they say.
 */
#ifndef LAKE_ICEBERG_PATH_H
#define LAKE_ICEBERG_PATH_H

#include "base/buf.h"

struct iceberg_metadata;
struct store;

/* Where a table lies, and where it says that it does. Borrowed. */
struct iceberg_root {
    struct slice home;            /* the store's root as struct store tells it; empty: not known */
    struct slice prefix;          /* of the table in the store: empty or ends in `/` */
    struct store *const *outside; /* where files may lie besides, each below its home */
    size_t outside_n;
    /* Set by iceberg_root_set; borrowed from the metadata. */
    struct slice location; /* without final slashes and a leading `./` */
    struct slice beside;   /* the directory in which it says its metadata lies; empty: not told */
    bool moved;
};

/* Completes a root (whose first four members are set) by what the table says of itself. */
void iceberg_root_set(struct iceberg_root *root, const struct iceberg_metadata *m);

/*
 * Key of a path as in the metadata, into out (reset first), in the table's own store (*store NULL)
 * or in one of those outside. -EACCES where it is in none of them; -EIO for a path that names
 * nothing.
 */
int iceberg_path_locate(const struct iceberg_root *root, struct slice path, struct store **store,
                        struct buf *out, struct err *err);

/*
 * The path of a data file relative to the table's root, as it would be shown if it is kept
 * (lake/iceberg/partition.h: whether it is): what follows the location. It points into `path`, or
 * into scratch (reset first). False where it lies elsewhere. -ENOMEM, -EOVERFLOW stick to scratch.
 */
bool iceberg_path_inside(const struct iceberg_root *root, struct slice path, struct buf *scratch,
                         struct slice *out);

/*
 * The whole name of a path in one spelling, `scheme://authority/path`, into out (reset first): of
 * what lies outside. -EIO where it has none.
 */
int iceberg_path_name(struct slice path, struct buf *out, struct err *err);

#endif
