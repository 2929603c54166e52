/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Parquet footer (parquet.thrift: FileMetaData) as structs: the schema tree in preorder, the row
 * groups, and where each leaf's column chunk lies. Pure; immutable once parsed.
 *
 *   nodes   root, add, path, partitionValues, key_value, key, value, ...   a subtree is a run
 *   leaves  the nodes that hold values, in order: column chunk i of a row group is leaf i
 *
 * Ranges of chunks are not checked against the file here: the pages' reader does it.
 */
#ifndef LAKE_FORMAT_PARQUET_FOOTER_H
#define LAKE_FORMAT_PARQUET_FOOTER_H

#include "base/arena.h"
#include "base/buf.h"
#include "lake/format/parquet.h"

#define PARQUET_NO_LEAF UINT32_MAX

/* parquet.thrift: enum FieldRepetitionType. */
enum parquet_repetition {
    PARQUET_REQUIRED,
    PARQUET_OPTIONAL,
    PARQUET_REPEATED,
};

struct parquet_node {
    struct slice name;
    uint32_t end;             /* of its subtree: the index after its last node */
    uint32_t leaf;            /* ordinal among the leaves, or PARQUET_NO_LEAF: a group */
    uint32_t type_length;     /* of FIXED_LEN_BYTE_ARRAY */
    uint8_t depth;            /* 0: the root */
    uint8_t type, repetition; /* enum parquet_type (leaves), enum parquet_repetition */
    uint8_t max_definition, max_repetition;
};

struct parquet_chunk {
    uint64_t offset, size_bytes; /* pages, the dictionary's first */
    uint64_t cells;
    uint32_t codec; /* enum codec, or a number that is not known */
    bool encrypted, external;
};

struct parquet_footer {
    struct arena arena; /* everything below */
    struct parquet_node *nodes;
    size_t nodes_n;
    uint32_t *leaves; /* their nodes */
    size_t leaves_n;
    uint64_t *group_rows; /* rows of each row group */
    size_t groups_n;
    struct parquet_chunk **chunks; /* of each row group, leaves_n of them */
    uint64_t rows;
};

/* Parses the Thrift bytes (without length and magic). Errors as parquet.h says. */
int parquet_footer_parse(struct parquet_footer *f, struct slice bytes, struct err *err);
void parquet_footer_done(struct parquet_footer *f);
DEFINE_AUTO_DONE(parquet_footer, struct parquet_footer, parquet_footer_done)

/* The leaf (or the group) of that path, as parquet_choose describes it, or NULL. */
const struct parquet_node *parquet_footer_find(const struct parquet_footer *f, struct slice path,
                                               bool leaf);

/* Definition level of the innermost repeated node at or above a leaf; 0: there is none. */
unsigned parquet_footer_item(const struct parquet_footer *f, const struct parquet_node *leaf);

/* Appends the names from the root's child down to the leaf, joined with dots. */
void parquet_footer_path(const struct parquet_footer *f, size_t leaf, struct buf *out);

#endif
