/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of a Delta log: what they name, where they are shown, where the object lies. Pure.
 *
 *   log          part=a%20b/x.parquet         s3a://bucket/elsewhere/y.parquet
 *   key          part=a b/x.parquet           s3://bucket/elsewhere/y.parquet     (reconciliation)
 *   presented    part=a b/x.parquet (kept)    part=c/y.parquet (built)
 *   object       <prefix>part=a b/x.parquet   elsewhere/y.parquet, or -EACCES
 *
 * A path in the log is a URI reference, percent-encoded: it is decoded once. `s3a` and `s3n` are
 * `s3`; `abfs`, `wasb` and `wasbs` are `abfss`; `/x`, `file:/x` and `file:///x` are one path. `..`
 * is resolved lexically.
 */
#ifndef LAKE_DELTA_PATH_H
#define LAKE_DELTA_PATH_H

#include "base/buf.h"
#include "lake/delta/schema.h"

struct store;

/* Where a table lies. Borrowed. */
struct delta_root {
    struct slice home;            /* the store's root as struct store tells it; empty: not known */
    struct slice prefix;          /* of the table in the store: empty or ends in `/` */
    struct store *const *outside; /* where files may lie besides, each below its home */
    size_t outside_n;
};

/*
 * What the log's actions are reconciled by: the decoded path, a zero, the deletion vector's id (in
 * out, reset first). -EIO for a path that names nothing.
 */
int delta_path_key(const struct delta_file *file, struct buf *out, struct err *err);

/*
 * The path at which a file is shown, into out (reset first), and whether it is *built from
 * partition values. -EIO for a path that has no name in it.
 */
int delta_path_present(const struct delta_root *root, const struct delta_columns *columns,
                       const struct delta_file *file, struct buf *out, bool *built,
                       struct err *err);

/*
 * Key of a path as in the log, into out (reset first), in the table's own store (*store NULL) or in
 * one of those outside. -EACCES where it is in none of them.
 */
int delta_path_locate(const struct delta_root *root, struct slice raw, struct store **store,
                      struct buf *out, struct err *err);

/*
 * The whole name of a path as in the log, `scheme://authority/path` in its one spelling, decoded,
 * into out (reset first): of what lies outside. -EIO where there is none.
 */
int delta_path_name(const struct delta_root *root, struct slice raw, struct buf *out,
                    struct err *err);

#endif
