/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partition specs and what they make of a file's values (Iceberg specification, "Partitioning",
 * "Partition Transforms"; appendix C, "Partition Specs").
 *
 *   spec       day(ts) as ts_day, region, bucket[16](id) as id_bucket
 *   tuple      20513,             "EU",   3                                      of one data file
 *   says       data/ts_day=2026-03-01/region=EU/id_bucket=3/x.parquet            a path is kept
 *   builds     ts_day=2026-03-01/region=EU/id_bucket=3/x.parquet                 or is built
 *   constants  region, where the file does not have that column ("Column Projection")
 *
 * Texts are those that Iceberg's writers put into paths. Fields with the transform `void` are in no
 * path. A value under a transform that is not known is shown as it is stored. Pure.
 */
#ifndef LAKE_ICEBERG_PARTITION_H
#define LAKE_ICEBERG_PARTITION_H

#include "base/buf.h"
#include "lake/format/shape.h"

/* A field of a spec, as table metadata has it. Borrowed. */
struct iceberg_partition_field {
    int32_t source_id; /* SHAPE_NO_ID: there are several */
    int32_t field_id;
    struct slice name, transform;
};

enum iceberg_transform {
    ICEBERG_IDENTITY,
    ICEBERG_BUCKET,
    ICEBERG_TRUNCATE,
    ICEBERG_YEAR,
    ICEBERG_MONTH,
    ICEBERG_DAY,
    ICEBERG_HOUR,
    ICEBERG_VOID,
    ICEBERG_OTHER, /* not known */
};

/* The same, read. */
struct iceberg_partition_column {
    struct slice name;
    int32_t source_id, field_id;
    enum iceberg_transform transform;
    struct shape_field source; /* type of the source column; SHAPE_STORED: not known */
    bool loose;                /* the text of its values is open to debate */
};

/* One spec. Lies in the caller's arena. */
struct iceberg_partition {
    struct iceberg_partition_column *at;
    size_t n; /* 0: unpartitioned */
};

/* JSON texts of schemas, by preference. Borrowed. */
struct iceberg_partition_schemas {
    const struct slice *at;
    size_t n;
};

/*
 * Reads a spec of n fields. A source column's type is taken from the first schema that has it. A
 * source or transform that is not known is no error. -EOVERFLOW, -ENOMEM.
 */
int iceberg_partition_make(struct arena *arena, const struct iceberg_partition_field *fields,
                           size_t n, const struct iceberg_partition_schemas *schemas,
                           struct iceberg_partition *out, struct err *err);

enum iceberg_value_kind {
    ICEBERG_NULL,   /* also: the tuple lacks the field */
    ICEBERG_NUMBER, /* boolean, int, long and what is counted in them: dates, times */
    ICEBERG_REAL,   /* float, double */
    ICEBERG_BYTES,  /* string, binary, fixed, uuid; decimal: two's complement, big-endian */
};

/* One value of a tuple, as the manifest has it. Bytes are borrowed. */
struct iceberg_value {
    enum iceberg_value_kind kind;
    int64_t number;
    double real;
    struct slice bytes;
};

/* Below, values[i] is that of column i: the tuple's field whose id is field_id. */

/*
 * Appends the text of a value as Iceberg's writers put it into paths, before it is escaped:
 * `2026-03-01-09` of an hour, `3.14` of a decimal, base64 of bytes; `null` of null.
 */
void iceberg_partition_text(const struct iceberg_partition_column *c, const struct iceberg_value *v,
                            struct buf *out);

/* May a file keep its path, which lies in the table's root? Its directories say the tuple, in
 * order, and no component begins with `_` or `.`. -ENOMEM, -EOVERFLOW. */
int iceberg_partition_keeps(const struct iceberg_partition *p, const struct iceberg_value *values,
                            struct slice path, bool *keeps, struct err *err);

/* Appends a path that is built: hive directories of the tuple, and the base name of `path` (any
 * path or URI, verbatim). -EIO where it has none. */
int iceberg_partition_build(const struct iceberg_partition *p, const struct iceberg_value *values,
                            struct slice path, struct buf *out, struct err *err);

/*
 * Appends what the tuple says of columns that a file may lack: those of identity fields, as text of
 * digits, letters, `=` and `,` (`5=01000000,7=4555`); nothing where there are none. For the
 * identity part of an entry's extra.
 */
void iceberg_partition_constants(const struct iceberg_partition *p,
                                 const struct iceberg_value *values, struct buf *out);

/*
 * driver_ops.own_shape: the columns of a file with these constants, of its table's or a view's: a
 * reference, perhaps to `shape` itself. -EIO where the text is damaged or a value is none of its
 * column's type; -EOPNOTSUPP where it does not fit that, -ENOMEM.
 */
int iceberg_partition_own_shape(struct slice constants, struct shape *shape, struct shape **out,
                                struct err *err);

/*
 * driver_ops.partitions: the partition columns of all specs, flat, each once, for views: under the
 * name that paths have, with the source column's id. NULL: there are none.
 */
int iceberg_partition_shape(const struct iceberg_partition *specs, size_t n, struct shape **out,
                            struct err *err);

#endif
