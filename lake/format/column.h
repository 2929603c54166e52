/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of one column of one file, as a plan presents them (present.h), read in batches of
 * rows: in no list or map, converted, in the units of the table whatever the file's are.
 *
 *   init -> start (a row group) -> page, levels, values; page, ... -> end -> start (the next) ...
 * -> done
 *
 * Numbers are integers; unscaled decimals; booleans as 0 and 1; days; nanoseconds since 1970 and of
 * a day, once multiplied by `unit`; reals by column_real_key. Of a dictionary the words can be had
 * once and then their indices. Pure but for the source; one thread.
 */
#ifndef LAKE_FORMAT_COLUMN_H
#define LAKE_FORMAT_COLUMN_H

#include "lake/format/parquet_convert.h"
#include "lake/format/parquet_page.h"
#include "lake/format/present.h"
#include "lake/format/shape.h"

/* How values are held and compared. */
enum column_class {
    COLUMN_NUMBER, /* as numbers of 128 bits */
    COLUMN_BYTES,  /* as bytes, a prefix first */
    COLUMN_NULL,   /* there is never a value */
};

enum column_class column_class_of(enum shape_type type);

struct column_value {
    bool null;
    __int128 number;
    struct slice bytes;
};

/* Order of reals as integers: -0 is 0, NaNs are one and above all. */
int64_t column_real_key(double v);

struct column_reader {
    const struct present_plan *plan;
    const struct present_leaf *leaf;
    const struct parquet_node *from, *to;
    bool wide;                    /* numbers are in `wides` */
    bool looks;                   /* values matter, not only where there are any */
    int64_t unit;                 /* nanoseconds of an instant's or time's unit; else 1 */
    struct column_value constant; /* of PRESENT_CONSTANT */
    struct parquet_pages pages;
    struct parquet_values values;
    struct parquet_convert convert;
    /* Of the chunk. */
    union parquet_value *dictionary; /* as it is stored */
    uint32_t dictionary_n;
    bool dictionary_is_new; /* since the caller has set it to false */
    /* Of the page. */
    struct parquet_hybrid repetitions, definitions;
    uint32_t cells_left;
    bool indexed; /* its values are indices of the dictionary */
    /* One batch. */
    uint32_t definition[PARQUET_BATCH], indices[PARQUET_BATCH];
    union parquet_value batch[PARQUET_BATCH];
    int64_t numbers[PARQUET_BATCH]; /* not multiplied by `unit` yet */
    __int128 wides[PARQUET_BATCH];
    struct slice bytes[PARQUET_BATCH];
};

/* The value of a leaf that is the same in all rows of the file: true and *out. */
bool column_constant(const struct present_plan *plan, const struct present_leaf *leaf,
                     enum shape_type type, struct column_value *out);

/* What a column is wanted for. */
struct column_use {
    enum shape_type type; /* of the table's column that the leaf of the plan stands for */
    bool looks;           /* its values are wanted, not only where there are any */
};

/* -EOPNOTSUPP, -ENOMEM. To be done in any case. */
int column_init(struct column_reader *r, const struct present_plan *plan,
                const struct present_leaf *leaf, struct column_use use, const struct source *source,
                struct err *err);
void column_done(struct column_reader *r);

int column_start(struct column_reader *r, size_t group, struct err *err);
/* After the last row of the group: -EIO where the chunk has more. */
int column_end(struct column_reader *r, struct err *err);

/* Goes to the next data page where all cells of this one were taken. Sets `dictionary_is_new` where
 * it meets a dictionary. */
int column_page(struct column_reader *r, struct err *err);

/* How many cells may be taken at once of this page, at most n. */
size_t column_batch(const struct column_reader *r, size_t n);

/*
 * The levels of the next n cells of this page into `definition`, all of them one row each; *present
 * of them have a value. To be followed by column_values or column_indices of so many, where
 * `looks`.
 */
int column_levels(struct column_reader *r, size_t n, size_t *present, struct err *err);
/* The next n values into numbers, wides or bytes; bytes stay until the next call. */
int column_values(struct column_reader *r, size_t n, struct err *err);
/* The next n indices, each below dictionary_n. */
int column_indices(struct column_reader *r, size_t n, struct err *err);
/* As column_values, of the words `first` .. `first` + n - 1 of the dictionary. */
int column_words(struct column_reader *r, uint32_t first, size_t n, struct err *err);

/* Of a constant that is there where its parent is (it has a source): whether it is in the next row.
 */
int column_parent(struct column_reader *r, bool *there, struct err *err);

#endif
