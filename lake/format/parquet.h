/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Parquet reader for metadata files (checkpoints): pure, bounded, row by row.
 *
 * https://parquet.apache.org/docs/file-format/ and parquet.thrift of format 2.11. The file is given
 * as a source of bytes; nothing else is read. The reader walks one row group at a time and holds
 * only the pages that it is in. Of the schema the caller chooses leaves by path; others are not
 * read at all. Pages that carry a checksum are checked against it.
 *
 *   parquet_open -> parquet_choose ... -> parquet_next_row -> parquet_cells of each chosen leaf
 *
 * A row is given as each chosen leaf's run of cells in Dremel form: repetition and definition
 * levels with values, so that maps, lists and nulls inside structs come out as they were stored.
 *
 * Errors: -EIO damaged (says where), -EOPNOTSUPP encrypted, or a codec or encoding that is not
 * known, -EOVERFLOW over a limit, -ENOMEM. Not thread-safe: one reader, one thread.
 */
#ifndef LAKE_FORMAT_PARQUET_H
#define LAKE_FORMAT_PARQUET_H

#include "base/buf.h"
#include "lake/format/source.h"

struct parquet;

/* parquet.thrift: enum Type. */
enum parquet_type {
    PARQUET_BOOLEAN,
    PARQUET_INT32,
    PARQUET_INT64,
    PARQUET_INT96,
    PARQUET_FLOAT,
    PARQUET_DOUBLE,
    PARQUET_BYTE_ARRAY,
    PARQUET_FIXED_LEN_BYTE_ARRAY,
};

/* Reads and checks the footer. The source must outlive the reader. */
struct parquet *parquet_open(const struct source *source, struct err *err);
void parquet_close(struct parquet *p);
DEFINE_AUTO(parquet, struct parquet *, parquet_close)

/* The leaves of the schema, and the path of leaf i of them, as parquet_choose takes it, appended
 * to out. */
size_t parquet_leaves(const struct parquet *p);
void parquet_leaf_path(const struct parquet *p, size_t i, struct buf *out);

/*
 * Chooses a leaf to be read, by its path in the schema joined with dots (`add.path`,
 * `add.partitionValues.key_value.key`). Where a group is a list or map, its repeated group and
 * element may be named anything: `*` in the path matches one component. Returns a handle >= 0 (the
 * same one for the same leaf), -ENOENT where the schema has no such leaf. Before the first
 * parquet_next_row only.
 *
 * The type is what the file says, whoever wrote it: check it (parquet_leaf) before the cells are
 * read, or read only that member of a cell which you expect: the others are zero.
 */
int parquet_choose(struct parquet *p, const char *path, struct err *err);

struct parquet_leaf {
    enum parquet_type type;
    unsigned max_definition, max_repetition;
    /*
     * Of a list or map (0: repeats nowhere): from this definition on there is an item, one below
     * it the list is there and empty, and less is a list that is null.
     */
    unsigned item_definition;
};
void parquet_leaf(const struct parquet *p, int handle, struct parquet_leaf *out);

/* The group of that path exists in the schema (`sidecar`, `add.deletionVector`). */
bool parquet_has_group(const struct parquet *p, const char *path);

/* One cell of the current row. */
struct parquet_cell {
    unsigned repetition, definition;
    bool present;       /* definition is the leaf's maximum: there is a value */
    int64_t number;     /* BOOLEAN, INT32, INT64 */
    double real;        /* FLOAT, DOUBLE */
    struct slice bytes; /* BYTE_ARRAY, FIXED_LEN_BYTE_ARRAY, INT96; until the next row */
};

/* Moves on to the next row: 1 there is one, 0 the end, or -errno (and the same one from then on).
 */
int parquet_next_row(struct parquet *p, struct err *err);

/* The cells of a chosen leaf in the current row; *n is at least 1. Until the next row. */
const struct parquet_cell *parquet_cells(const struct parquet *p, int handle, size_t *n);

#endif
