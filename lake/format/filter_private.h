/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the parts of filter.h:
 *
 *   filter_parse.c      text to a tree of terms; a term is about one column
 *   filter_literal.c    words to values: numbers, dates, instants, hex
 *   filter_bind.c       terms to tests by the columns' types; the shape that finds them in files
 *   filter_test.c       is a value in a test's ranges, or like its pattern
 *   filter_partition.c  what is decided before a file is read
 *   filter_column.c     the values of one column of one file, test by test
 *   filter_rows.c       the tree over batches of rows
 */
#ifndef LAKE_FORMAT_FILTER_PRIVATE_H
#define LAKE_FORMAT_FILTER_PRIVATE_H

#include "base/arena.h"
#include "lake/format/column.h"
#include "lake/format/filter.h"
#include "lake/format/filter_literal.h"

#define FILTER_NONE_AT UINT32_MAX

/* Three values, in the order in which `and` is the least and `or` the greatest of them. */
enum filter_truth {
    FILTER_FALSE,
    FILTER_NULL,
    FILTER_TRUE,
};

/* Parsed */

enum filter_kind {
    FILTER_AND,
    FILTER_OR,
    FILTER_NOT,
    FILTER_TERM,
    FILTER_CONSTANT,
};

/* In filter.nodes; the root is filter.root. */
struct filter_node {
    uint8_t kind;
    uint8_t truth;        /* of FILTER_CONSTANT */
    uint32_t first, next; /* child, sibling: indexes, or FILTER_NONE_AT; a child's is smaller */
    uint32_t term;        /* of FILTER_TERM */
};

enum filter_literal_kind {
    FILTER_LITERAL_NULL,
    FILTER_LITERAL_TRUTH,
    FILTER_LITERAL_NUMBER,
    FILTER_LITERAL_TEXT,
    FILTER_LITERAL_BYTES, /* x'..' */
    FILTER_LITERAL_DATE,
    FILTER_LITERAL_INSTANT,
};

struct filter_literal {
    uint8_t kind;
    bool truth;
    struct slice text; /* quotes and escapes taken away */
};

/* Of a pattern: a byte of text, or */
#define FILTER_LIKE_ONE 256 /* _ */
#define FILTER_LIKE_ANY 257 /* % */
#define FILTER_LIKE_END 258

enum filter_relation {
    FILTER_EQUAL,
    FILTER_UNEQUAL,
    FILTER_LESS,
    FILTER_LESS_EQUAL,
    FILTER_GREATER,
    FILTER_GREATER_EQUAL,
    FILTER_IN,
    FILTER_LIKE,
    FILTER_IS_NULL,
};

struct filter_term {
    uint8_t relation; /* enum filter_relation */
    bool escapes;     /* of FILTER_LIKE: there is an escape character, */
    char escape;      /* this one */
    uint32_t column;
    const uint16_t *pattern; /* of FILTER_LIKE; ends with FILTER_LIKE_END */
    uint32_t first, n;       /* of filter.literals */
};

struct filter {
    _Atomic unsigned refs;
    struct arena arena; /* everything below */
    struct slice text;
    struct filter_node *nodes;
    size_t nodes_n;
    struct filter_term *terms;
    size_t terms_n;
    struct filter_literal *literals;
    size_t literals_n;
    struct filter_column {
        struct filter_path path;
        struct slice dotted;
    } * columns;
    size_t columns_n;
    uint32_t root;
};

/* Bound */

/* Numbers: integers; unscaled decimals; booleans as 0 and 1; days; nanoseconds since 1970; reals
 * by column_real_key. */
struct filter_value {
    bool null;
    __int128 number;
    struct slice bytes;
    uint8_t uuid[16]; /* where bytes may lie */
};

/* Both ends belong to it. */
struct filter_range {
    __int128 low, high;
};

struct filter_bytes_range {
    struct slice low, high;
    bool from, to;            /* it has that end, */
    bool low_open, high_open; /* which does not belong to it */
};

enum filter_test_kind {
    FILTER_TEST_NUMBERS,
    FILTER_TEST_BYTES,
    FILTER_TEST_LIKE,
    FILTER_TEST_NULL,
};

/*
 * A function of one column's value. NULL gives NULL (of FILTER_TEST_NULL: TRUE); a value that is in
 * one of the ranges gives `match`, others `other`.
 */
struct filter_test {
    uint8_t kind;
    uint8_t match, other; /* enum filter_truth */
    uint32_t column;
    size_t n; /* of ranges, ascending and apart */
    struct filter_range *numbers;
    struct filter_bytes_range *bytes;
    const uint16_t *pattern;
};

/* What a column of the filter is. */
struct filter_bound {
    uint8_t from;  /* enum filter_from */
    uint8_t class; /* enum column_class */
    uint8_t type;  /* enum shape_type */
    uint8_t scale; /* of a decimal */
    uint8_t precision;
    uint32_t at; /* of FILTER_FIELD: which of the leaves; of FILTER_PARTITION: which value */
};

struct row_filter {
    _Atomic unsigned refs;
    struct filter *filter;        /* the tree; tests are as its terms */
    struct row_filter *base;      /* a reference: what is below lies there; or NULL: */
    struct arena arena;           /* everything below */
    struct filter_bound *columns; /* as the filter's */
    struct filter_test *tests;
    size_t partitions; /* values that are given */
    size_t leaves;     /* that are read */
    /* What of the table's columns is needed to find them in a file: in each struct those on the way
     * first, the others as whatever is stored, so that no name means another column than in the
     * whole shape. NULL: no leaf is needed. */
    struct shape *shape;
    uint64_t hash;
};

/* filter_test.c */

/* `out` has room for text.n + 1. False where the escape character escapes nothing. */
bool filter_like_parse(struct slice text, const struct filter_term *t, uint16_t *out);

enum filter_truth filter_test_value(const struct filter_test *t, const struct filter_value *v);
void filter_test_numbers(const struct filter_test *t, const __int128 *v, size_t n, uint8_t *out);
void filter_test_bytes(const struct filter_test *t, const struct slice *v, size_t n, uint8_t *out);

/* A test's ranges in a file's own units, as far as numbers of 64 bits go. */
struct filter_spans {
    struct filter_span {
        int64_t low, high; /* both belong to it */
    } * at;
    size_t n;
};

/* unit: how much of the filter's one of the file's is. The caller frees `at`. False: no memory. */
bool filter_spans_make(const struct filter_test *t, int64_t unit, struct filter_spans *out);
void filter_test_spans(const struct filter_test *t, const struct filter_spans *s, const int64_t *v,
                       size_t n, uint8_t *out);

/* filter_partition.c */

/* A bit (1 << enum filter_truth) for each value that the node may have. known[column]: its value,
 * or NULL where any may come. */
unsigned filter_outcomes(const struct row_filter *rf, uint32_t node,
                         const struct filter_value *const *known);

/* Parses the values of all partition columns; false where one is none of its type. known[column]
 * as above; `room`: one for each column. */
bool filter_known(const struct row_filter *rf, const struct slice *values, const bool *given,
                  struct filter_value *room, const struct filter_value **known);

#endif
