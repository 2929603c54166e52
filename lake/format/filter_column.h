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

/* A test of the column, as the file has its values. */
struct filter_column_test {
    const struct filter_test *test;
    struct filter_spans spans;  /* of numbers of 64 bits */
    uint8_t *words;             /* the dictionary's; in those of the reader */
    uint8_t out[PARQUET_BATCH]; /* of the batch: enum filter_truth */
};

struct filter_column_reader {
    struct column_reader column;
    struct filter_column_test *tests;
    size_t tests_n;
    uint8_t *words; /* results of all tests of the dictionary; NULL: they would be too many */
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
