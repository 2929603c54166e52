/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One column of a filter in one file: its pages go through in batches, and each test of the column
 * tells of every row whether it is TRUE, FALSE or NULL. Of a dictionary each word is tested once.
 *
 *   init -> start (a row group) -> next, next, ... -> end -> start (the next one) ... -> done
 *
 * Pure but for the source; one thread.
 */
#ifndef LAKE_FORMAT_FILTER_COLUMN_H
#define LAKE_FORMAT_FILTER_COLUMN_H

#include "lake/format/filter_private.h"
#include "lake/format/parquet_convert.h"
#include "lake/format/parquet_page.h"
#include "lake/format/parquet_schema.h"

/* A test of the column, as the file has its values. */
struct filter_column_test {
    const struct filter_test *test;
    struct filter_spans spans;  /* of numbers of 64 bits */
    uint8_t *words;             /* the dictionary's; in those of the reader */
    uint8_t out[PARQUET_BATCH]; /* of the batch: enum filter_truth */
};

struct filter_column_reader {
    const struct present_plan *plan;
    const struct present_leaf *leaf;
    const struct parquet_node *from, *to;
    bool wide;                    /* numbers of 128 bits */
    bool looks;                   /* values matter, not only where there are any */
    int64_t unit;                 /* nanoseconds of an instant's unit; else 1 */
    struct filter_value constant; /* of PRESENT_CONSTANT */
    struct filter_column_test *tests;
    size_t tests_n;
    struct parquet_pages pages;
    struct parquet_values values;
    struct parquet_convert convert;
    /* Of the chunk. */
    union parquet_value *dictionary; /* as it is stored */
    uint32_t dictionary_n;
    uint8_t *words; /* results of all tests; NULL: they would be too many */
    /* Of the page. */
    struct parquet_hybrid repetitions, definitions;
    uint32_t cells_left;
    bool indexed;
    /* One batch. */
    uint32_t definition[PARQUET_BATCH], indices[PARQUET_BATCH];
    union parquet_value batch[PARQUET_BATCH];
    int64_t numbers[PARQUET_BATCH];
    __int128 wides[PARQUET_BATCH];
    struct slice bytes[PARQUET_BATCH];
    uint8_t found[PARQUET_BATCH];
};

/* The value of a leaf that is the same in all rows of the file: true and *out. */
bool filter_column_constant(const struct present_plan *plan, const struct present_leaf *leaf,
                            const struct filter_bound *bound, struct filter_value *out);

/* For the tests of `rf` whose column is bound to leaf number `at`; `leaf`: of the plan. NULL and
 * err: -EOPNOTSUPP, -ENOMEM. */
struct filter_column_reader *filter_column_new(const struct row_filter *rf, uint32_t at,
                                               const struct present_plan *plan,
                                               const struct present_leaf *leaf,
                                               const struct source *source, struct err *err);
void filter_column_free(struct filter_column_reader *r);
DEFINE_AUTO(filter_column_reader, struct filter_column_reader *, filter_column_free)

int filter_column_start(struct filter_column_reader *r, size_t group, struct err *err);
/* The next n (at most PARQUET_BATCH) rows: their results are in the tests' `out`. */
int filter_column_next(struct filter_column_reader *r, size_t n, struct err *err);
/* After the last row of the group: -EIO where the chunk has more. */
int filter_column_end(struct filter_column_reader *r, struct err *err);

#endif
