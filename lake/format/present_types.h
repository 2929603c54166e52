/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Types of tables and types of files: which leaf stands for which column, how its values become
 * the column's, and what a leaf is like that no file has. Part of present.h; pure.
 */
#ifndef LAKE_FORMAT_PRESENT_TYPES_H
#define LAKE_FORMAT_PRESENT_TYPES_H

#include "lake/format/parquet_schema.h"
#include "lake/format/present.h"

/* A leaf as it is written. */
struct present_type {
    enum parquet_type type;
    uint32_t length;                /* of FIXED_LEN_BYTE_ARRAY */
    struct parquet_logical logical; /* what it is called */
    bool relabelled;                /* `logical` is not what the file says */
    enum present_conversion how;
    uint8_t digits;
};

/* The leaf that is made for a column (no variant, not SHAPE_STORED). */
struct present_type present_type_new(const struct shape_field *f);

/* A stored leaf becomes the column's; false: its values are not those of that type, nor of one that
 * tables widen to it. */
bool present_type_match(const struct shape_field *f, const struct parquet_node *node,
                        const struct parquet_logical *l, struct present_type *out);

/* Of a leaf that matches: values that readers do not take for what they are (INT96, as which they
 * are nanoseconds without a zone, and which end in 2262) become the column's. */
void present_type_plain(const struct shape_field *f, struct present_type *type);

/* Appends the column's type in a person's words: `decimal(9,2)`. */
void present_type_name(const struct shape_field *f, struct buf *out);

#endif
