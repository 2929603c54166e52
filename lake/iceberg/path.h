/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of Iceberg metadata: where the object lies, where a data file is shown. Pure.
 *
 *   metadata    location  s3a://bucket/wh/db/t            (lies in file:///lake at `silver/t/`)
 *               path      s3://bucket/wh/db/t/data/d=1/x.parquet
 *   object      silver/t/data/d=1/x.parquet, or -EACCES
 *   presented   data/d=1/x.parquet (kept)                 d=1/x.parquet (built)
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

/* A partition value of one file, as a directory says it (lake/iceberg/partition.h makes them). */
struct iceberg_part {
    struct slice name;  /* of the partition field */
    struct slice value; /* not escaped; nothing where it is null */
    bool null;
    bool loose; /* its text is open to debate: a directory that has the name says it */
};

/*
 * The path at which a data file is shown, into out (reset first), and whether it is *built from its
 * partition values, which come in the order of its spec without void ones. Kept are paths below the
 * location without a component that begins with `_` or `.`, in which a directory says each value in
 * that order. -EIO for a path that has no name in it.
 */
int iceberg_path_present(const struct iceberg_root *root, struct slice path,
                         const struct iceberg_part *parts, size_t parts_n, struct buf *out,
                         bool *built, struct err *err);

/*
 * The whole name of a path in one spelling, `scheme://authority/path`, into out (reset first): of
 * what lies outside. -EIO where it has none.
 */
int iceberg_path_name(const struct iceberg_root *root, struct slice path, struct buf *out,
                      struct err *err);

#endif
