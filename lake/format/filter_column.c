/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/filter_column.h"

#include "base/limits.h"

/* Results that are kept of a dictionary's words. */
#define WORDS_BYTES_MAX (16 * MIB)

/* Tests */

/* The n values that were taken last. */
static void test_values(const struct filter_column_reader *r, const struct filter_column_test *t,
                        size_t n, uint8_t *out)
{
    const struct column_reader *c = &r->column;
    if (t->test->kind != FILTER_TEST_NUMBERS)
        filter_test_bytes(t->test, c->bytes, n, out);
    else if (c->wide)
        filter_test_numbers(t->test, c->wides, n, out);
    else
        filter_test_spans(t->test, &t->spans, c->numbers, n, out);
}

/* The dictionary */

static int test_words(struct filter_column_reader *r, struct err *err)
{
    struct column_reader *c = &r->column;
    r->words = malloc((size_t)c->dictionary_n * r->tests_n + 1);
    if (!r->words)
        return err_set(err, ENOMEM, "out of memory");
    for (size_t i = 0; i < r->tests_n; i++)
        r->tests[i].words = r->words + i * c->dictionary_n;
    for (uint32_t done = 0; done < c->dictionary_n;) {
        uint32_t left = c->dictionary_n - done, n = left < PARQUET_BATCH ? left : PARQUET_BATCH;
        int rc = column_words(c, done, n, err);
        if (rc < 0)
            return rc;
        for (size_t i = 0; i < r->tests_n; i++)
            if (r->tests[i].test->kind != FILTER_TEST_NULL)
                test_values(r, &r->tests[i], n, r->tests[i].words + done);
        done += n;
    }
    return 0;
}

/* Goes to a page that has cells, and tests the dictionary before it. */
static int next_page(struct filter_column_reader *r, struct err *err)
{
    struct column_reader *c = &r->column;
    int rc = column_page(c, err);
    if (rc < 0 || !c->dictionary_is_new)
        return rc;
    c->dictionary_is_new = false;
    free(r->words);
    r->words = NULL;
    bool few = (uint64_t)c->dictionary_n * r->tests_n <= WORDS_BYTES_MAX;
    return c->looks && c->dictionary && few ? test_words(r, err) : 0;
}

/* Rows */

/* Results of the values that there are, to the rows that have them. */
static void spread(const struct filter_column_reader *r, const uint8_t *found, size_t n,
                   uint8_t *out)
{
    uint32_t max = r->column.from->max_definition;
    for (size_t i = 0; i < n; i++) {
        bool present = r->column.definition[i] == max;
        out[i] = present ? *found : (uint8_t)FILTER_NULL;
        found += present;
    }
}

static void tell_nulls(const struct filter_column_reader *r, size_t n, size_t present, uint8_t *out)
{
    uint32_t max = r->column.from->max_definition;
    memset(out, FILTER_FALSE, n);
    for (size_t i = 0; present < n && i < n; i++)
        out[i] = r->column.definition[i] == max ? FILTER_FALSE : FILTER_TRUE;
}

static void test_cells(struct filter_column_reader *r, struct filter_column_test *t, bool indexed,
                       size_t present, uint8_t *out)
{
    if (!indexed) {
        test_values(r, t, present, out);
        return;
    }
    for (size_t i = 0; i < present; i++)
        out[i] = t->words[r->column.indices[i]];
}

/* The next n rows, all of them in this page; their results stand from `at` on. */
static int take_rows(struct filter_column_reader *r, size_t n, size_t at, struct err *err)
{
    struct column_reader *c = &r->column;
    bool indexed = c->indexed && r->words;
    size_t present;
    int rc = column_levels(c, n, &present, err);
    if (rc == 0 && c->looks)
        rc = indexed ? column_indices(c, present, err) : column_values(c, present, err);
    for (size_t i = 0; rc == 0 && i < r->tests_n; i++) {
        struct filter_column_test *t = &r->tests[i];
        bool sparse = present < n;
        if (t->test->kind == FILTER_TEST_NULL)
            tell_nulls(r, n, present, t->out + at);
        else
            test_cells(r, t, indexed, present, sparse ? r->found : t->out + at);
        if (t->test->kind != FILTER_TEST_NULL && sparse)
            spread(r, r->found, n, t->out + at);
    }
    return rc;
}

static struct filter_value value_of(const struct column_value *v)
{
    return (struct filter_value){.null = v->null, .number = v->number, .bytes = v->bytes};
}

bool filter_column_constant(const struct present_plan *plan, const struct present_leaf *leaf,
                            const struct filter_bound *bound, struct filter_value *out)
{
    struct column_value v;
    if (!column_constant(plan, leaf, bound->type, &v))
        return false;
    *out = value_of(&v);
    return true;
}

/* A field that the file does not have: there where the struct around it is. */
static int take_constants(struct filter_column_reader *r, size_t n, struct err *err)
{
    const struct filter_value null = {.null = true}, constant = value_of(&r->column.constant);
    bool there;
    for (size_t i = 0; i < n; i++) {
        int rc = column_parent(&r->column, &there, err);
        if (rc < 0)
            return rc;
        for (size_t t = 0; t < r->tests_n; t++)
            r->tests[t].out[i] =
                (uint8_t)filter_test_value(r->tests[t].test, there ? &constant : &null);
    }
    return 0;
}

int filter_column_next(struct filter_column_reader *r, size_t n, struct err *err)
{
    if (r->column.leaf->how == PRESENT_CONSTANT)
        return take_constants(r, n, err);
    for (size_t done = 0; done < n;) {
        int rc = next_page(r, err);
        if (rc < 0)
            return rc;
        size_t some = column_batch(&r->column, n - done);
        rc = take_rows(r, some, done, err);
        if (rc < 0)
            return rc;
        done += some;
    }
    return 0;
}

/* Row groups */

int filter_column_start(struct filter_column_reader *r, size_t group, struct err *err)
{
    return column_start(&r->column, group, err);
}

int filter_column_end(struct filter_column_reader *r, struct err *err)
{
    return column_end(&r->column, err);
}

/* The tests of the leaf, and what they look at. */
static int add_tests(struct filter_column_reader *r, const struct row_filter *rf, uint32_t at,
                     struct column_use *use)
{
    r->tests = calloc(rf->filter->terms_n + 1, sizeof *r->tests);
    for (size_t i = 0; r->tests && i < rf->filter->terms_n; i++) {
        const struct filter_test *t = &rf->tests[i];
        const struct filter_bound *c = &rf->columns[t->column];
        if (c->from != FILTER_FIELD || c->class == COLUMN_NULL || c->at != at)
            continue;
        r->tests[r->tests_n++].test = t;
        use->looks |= t->kind != FILTER_TEST_NULL;
        use->type = c->type;
    }
    return r->tests ? 0 : -ENOMEM;
}

static int make_spans(struct filter_column_reader *r)
{
    for (size_t i = 0; i < r->tests_n; i++) {
        struct filter_column_test *t = &r->tests[i];
        if (t->test->kind == FILTER_TEST_NUMBERS &&
            !filter_spans_make(t->test, r->column.unit, &t->spans))
            return -ENOMEM;
    }
    return 0;
}

struct filter_column_reader *filter_column_new(const struct row_filter *rf, uint32_t at,
                                               const struct present_plan *plan,
                                               const struct present_leaf *leaf,
                                               const struct source *source, struct err *err)
{
    AUTO(filter_column_reader) struct filter_column_reader *r = calloc(1, sizeof *r);
    struct column_use use = {SHAPE_BOOLEAN, false};
    int rc = r ? add_tests(r, rf, at, &use) : -ENOMEM;
    if (rc == 0)
        rc = column_init(&r->column, plan, leaf, use, source, err);
    if (rc < 0 && rc != -ENOMEM)
        return NULL;
    if (rc == 0)
        rc = make_spans(r);
    if (rc < 0) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    return STEAL(r);
}

void filter_column_free(struct filter_column_reader *r)
{
    if (!r)
        return;
    for (size_t i = 0; r->tests && i < r->tests_n; i++)
        free(r->tests[i].spans.at);
    free(r->tests);
    free(r->words);
    column_done(&r->column);
    free(r);
}
