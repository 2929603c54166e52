/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an entry says of its file beside name and size (struct entry's `extra`): in which format it
 * is, which deletes apply to it, and the values of partition columns that it may lack. All of it is
 * the file's identity: caches know a file by object and extra, so nothing in it points elsewhere.
 *
 *   text   records with a tab behind each:
 *            f<format>                                 of the data file; none: Parquet
 *            c<id>=<hex>,...                           partition values: lake/iceberg/partition.h
 *            e<format>,<size>,<rows>,<ids>:<path>      an equality delete file; ids joined by `+`
 *            p<format>,<size>,<rows>:<path>            a position delete file
 *            v<offset>,<length>,<rows>:<path>          a deletion vector: a blob of a Puffin file
 *   path   <shared>:<rest>    shared: bytes that are those of the path in the record before;
 *                             control characters and `%` of the rest are `%XX`
 *
 * Deletes come in one order, so that the same set is the same text. Pure; any thread.
 */
#ifndef LAKE_ICEBERG_EXTRA_H
#define LAKE_ICEBERG_EXTRA_H

#include "base/arena.h"
#include "base/buf.h"

enum iceberg_format {
    ICEBERG_PARQUET,
    ICEBERG_ORC,
    ICEBERG_AVRO,
    ICEBERG_PUFFIN, /* of deletion vectors alone */
};

enum iceberg_delete_kind {
    ICEBERG_DELETE_POSITION, /* a file of (path, row) */
    ICEBERG_DELETE_EQUALITY, /* a file of tuples of the columns `ids` */
    ICEBERG_DELETE_VECTOR,   /* a roaring bitmap: `length` bytes from `offset` on, as framed */
};

/* One delete file, or blob of one, that applies to a data file. Slices are borrowed. */
struct iceberg_delete {
    enum iceberg_delete_kind kind;
    enum iceberg_format format;
    struct slice path;       /* as the manifest has it: iceberg_path_locate */
    uint64_t size;           /* of the file; 0 of vectors */
    uint64_t offset, length; /* of vectors */
    uint64_t rows;           /* of the file; of a vector its rows */
    const int32_t *ids;      /* of equality deletes, ascending */
    size_t ids_n;
};

struct iceberg_extra {
    enum iceberg_format format;
    /* Values of partition columns that the file itself may lack (Iceberg specification, "Column
     * Projection"), as iceberg_partition_constants writes them; empty: none. */
    struct slice constants;
    const struct iceberg_delete *deletes;
    size_t deletes_n;
};

/* Of a data file: appends the text. Deletes are in order of iceberg_delete_compare. -EOVERFLOW
 * where they are too many for an index: the file cannot be shown. */
int iceberg_extra_format(const struct iceberg_extra *extra, struct buf *out, struct err *err);
int iceberg_delete_compare(const struct iceberg_delete *a, const struct iceberg_delete *b);

/* The format alone. */
enum iceberg_format iceberg_extra_format_of(struct slice text);

/* What the text says, in `arena`. -EIO where it is no such text. */
int iceberg_extra_parse(struct slice text, struct arena *arena, struct iceberg_extra *out,
                        struct err *err);

#endif
