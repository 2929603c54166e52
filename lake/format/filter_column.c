/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/filter_column.h"

#include "base/limits.h"

#define MICROSECOND 1000
#define MILLISECOND 1000000
#define DAY INT64_C(86400000000000)
/* Of 1970-01-01, as INT96 counts days. */
#define JULIAN_EPOCH 2440588
/* Results that are kept of a dictionary's words. */
#define WORDS_BYTES_MAX (16 * MIB)

/* Values */

static bool is_instant(enum shape_type type)
{
    return type == SHAPE_TIMESTAMP || type == SHAPE_TIMESTAMP_LOCAL || type == SHAPE_TIMESTAMP_NS ||
           type == SHAPE_TIMESTAMP_LOCAL_NS;
}

/* Nanoseconds of what the column's numbers count. */
static int64_t unit_of(const struct filter_bound *c, const struct parquet_logical *l)
{
    if (!is_instant(c->type) || l->annotation != PARQUET_TIMESTAMP)
        return 1;
    return l->unit == PARQUET_MILLIS ? MILLISECOND : l->unit == PARQUET_MICROS ? MICROSECOND : 1;
}

static bool is_wide(enum filter_class class, enum parquet_type type)
{
    return class == FILTER_CLASS_NUMBER && (type == PARQUET_INT96 || type == PARQUET_BYTE_ARRAY ||
                                            type == PARQUET_FIXED_LEN_BYTE_ARRAY);
}

/* Nanoseconds of a day, then the day. */
static __int128 int96(struct slice s)
{
    int64_t ns;
    int32_t day;
    memcpy(&ns, s.p, sizeof ns);
    memcpy(&day, s.p + sizeof ns, sizeof day);
    return (__int128)((int64_t)day - JULIAN_EPOCH) * DAY + ns;
}

static bool wide_of(enum parquet_type type, const union parquet_value *v, __int128 *out)
{
    if (type != PARQUET_INT96)
        return parquet_unscaled(v->bytes, out);
    *out = int96(v->bytes);
    return true;
}

static bool is_real(enum parquet_type type)
{
    return type == PARQUET_FLOAT || type == PARQUET_DOUBLE;
}

/* A constant, PLAIN encoded but for strings, which stand bare. */
static bool read_constant(const struct parquet_node *node, struct slice plain,
                          union parquet_value *out)
{
    AUTO(parquet_values) struct parquet_values values;
    parquet_values_init(&values, node->type, node->type_length);
    if (node->type == PARQUET_BYTE_ARRAY)
        out->bytes = plain;
    else if (parquet_values_start(&values, PARQUET_PLAIN, plain, NULL) < 0 ||
             parquet_values_get(&values, out, 1, NULL) < 0)
        return false;
    return true;
}

/* What is no value of its type is none. */
static struct filter_value constant_of(const struct present_plan *plan,
                                       const struct present_leaf *leaf,
                                       const struct filter_bound *bound)
{
    const struct parquet_node *node = &plan->nodes[leaf->node];
    struct filter_value value = {.null = true};
    union parquet_value v;
    if (leaf->how != PRESENT_CONSTANT || !read_constant(node, leaf->constant, &v))
        return value;
    value.null = false;
    if (bound->class == FILTER_CLASS_BYTES)
        value.bytes = v.bytes;
    else if (is_wide(bound->class, node->type))
        value.null = !wide_of(node->type, &v, &value.number);
    else if (is_real(node->type))
        value.number = filter_real_key(v.real);
    else
        value.number = (__int128)v.number * unit_of(bound, present_logical(plan, leaf->node));
    return value;
}

bool filter_column_constant(const struct present_plan *plan, const struct present_leaf *leaf,
                            const struct filter_bound *bound, struct filter_value *out)
{
    bool constant = leaf->how == PRESENT_NULLS ||
                    (leaf->how == PRESENT_CONSTANT && leaf->source == PARQUET_NO_LEAF);
    if (constant)
        *out = constant_of(plan, leaf, bound);
    return constant;
}

/* Tests */

/* The n values of the batch, converted, as the tests take them. */
static int take_values(struct filter_column_reader *r, size_t n, struct err *err)
{
    int rc = parquet_convert_batch(&r->convert, r->batch, n, err);
    bool good = true;
    if (rc < 0)
        return rc;
    if (r->wide)
        for (size_t i = 0; i < n; i++)
            good &= wide_of(r->to->type, &r->batch[i], &r->wides[i]);
    else if (is_real(r->to->type))
        for (size_t i = 0; i < n; i++)
            r->numbers[i] = filter_real_key(r->batch[i].real);
    else if (r->to->type == PARQUET_BYTE_ARRAY || r->to->type == PARQUET_FIXED_LEN_BYTE_ARRAY)
        for (size_t i = 0; i < n; i++)
            r->bytes[i] = r->batch[i].bytes;
    else
        for (size_t i = 0; i < n; i++)
            r->numbers[i] = r->batch[i].number;
    return good ? 0 : err_set(err, EOPNOTSUPP, "a decimal of more than 38 digits");
}

/* The n values that were taken last. */
static void test_values(const struct filter_column_reader *r, const struct filter_column_test *t,
                        size_t n, uint8_t *out)
{
    if (t->test->kind != FILTER_TEST_NUMBERS)
        filter_test_bytes(t->test, r->bytes, n, out);
    else if (r->wide)
        filter_test_numbers(t->test, r->wides, n, out);
    else
        filter_test_spans(t->test, &t->spans, r->numbers, n, out);
}

/* The dictionary */

static void forget_dictionary(struct filter_column_reader *r)
{
    free(r->dictionary);
    free(r->words);
    r->dictionary = NULL;
    r->words = NULL;
    r->dictionary_n = 0;
    parquet_values_dictionary(&r->values, NULL, 0);
}

static int test_words(struct filter_column_reader *r, struct err *err)
{
    r->words = malloc((size_t)r->dictionary_n * r->tests_n + 1);
    if (!r->words)
        return err_set(err, ENOMEM, "out of memory");
    for (size_t i = 0; i < r->tests_n; i++)
        r->tests[i].words = r->words + i * r->dictionary_n;
    for (uint32_t done = 0; done < r->dictionary_n;) {
        uint32_t left = r->dictionary_n - done, n = left < PARQUET_BATCH ? left : PARQUET_BATCH;
        memcpy(r->batch, r->dictionary + done, n * sizeof *r->batch);
        int rc = take_values(r, n, err);
        if (rc < 0)
            return rc;
        for (size_t i = 0; i < r->tests_n; i++)
            if (r->tests[i].test->kind != FILTER_TEST_NULL)
                test_values(r, &r->tests[i], n, r->tests[i].words + done);
        done += n;
    }
    return 0;
}

static int load_dictionary(struct filter_column_reader *r, const struct parquet_page *page,
                           struct err *err)
{
    uint32_t n = page->values;
    if (page->encoding != PARQUET_PLAIN && page->encoding != PARQUET_PLAIN_DICTIONARY)
        return err_set(err, EOPNOTSUPP, "a dictionary in encoding %u is not supported",
                       page->encoding);
    if (n > PARQUET_DICTIONARY_MAX || n > (uint64_t)page->data.n * 8)
        return err_set(err, n > PARQUET_DICTIONARY_MAX ? EOVERFLOW : EIO,
                       "a dictionary of %u values in %zu bytes", n, page->data.n);
    forget_dictionary(r);
    r->dictionary = calloc((size_t)n + 1, sizeof *r->dictionary);
    if (!r->dictionary)
        return err_set(err, ENOMEM, "out of memory");
    int rc = parquet_values_start(&r->values, PARQUET_PLAIN, page->data, err);
    for (uint32_t done = 0; rc == 0 && done < n;) {
        uint32_t some = n - done < PARQUET_BATCH ? n - done : PARQUET_BATCH;
        rc = parquet_values_get(&r->values, r->dictionary + done, some, err);
        done += some;
    }
    if (rc < 0)
        return rc;
    r->dictionary_n = n;
    parquet_values_dictionary(&r->values, r->dictionary, n);
    return (uint64_t)n * r->tests_n <= WORDS_BYTES_MAX ? test_words(r, err) : 0;
}

/* Pages */

static bool is_indexed(uint32_t encoding)
{
    return encoding == PARQUET_PLAIN_DICTIONARY || encoding == PARQUET_RLE_DICTIONARY;
}

static int start_page(struct filter_column_reader *r, const struct parquet_page *page,
                      struct err *err)
{
    parquet_hybrid_init(&r->repetitions, page->repetition,
                        parquet_bit_width(r->from->max_repetition));
    parquet_hybrid_init(&r->definitions, page->definition,
                        parquet_bit_width(r->from->max_definition));
    r->cells_left = page->values;
    r->indexed = is_indexed(page->encoding) && r->words;
    return r->looks ? parquet_values_start(&r->values, page->encoding, page->data, err) : 0;
}

/* The next data page that has cells. */
static int next_page(struct filter_column_reader *r, struct err *err)
{
    struct parquet_page page;
    while (r->cells_left == 0) {
        int rc = parquet_pages_next(&r->pages, &page, err);
        if (rc == 0)
            return err_set(err, EIO, "fewer rows than the row group has");
        if (rc == 1)
            rc = !page.dictionary ? start_page(r, &page, err)
                 : r->looks       ? load_dictionary(r, &page, err)
                                  : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Rows */

/* n definition levels; *present of them with a value. */
static int take_definitions(struct filter_column_reader *r, size_t n, size_t *present,
                            struct err *err)
{
    uint32_t max = r->from->max_definition, highest = 0;
    size_t found = 0;
    *present = n;
    if (max == 0)
        return 0;
    if (!parquet_hybrid_get(&r->definitions, r->definition, n))
        return err_set(err, EIO, "fewer levels than values");
    for (size_t i = 0; i < n; i++) {
        highest = r->definition[i] > highest ? r->definition[i] : highest;
        found += r->definition[i] == max;
    }
    *present = found;
    return highest > max ? err_set(err, EIO, "level %u, the schema has %u", highest, max) : 0;
}

/* Results of the values that there are, to the rows that have them. */
static void spread(const struct filter_column_reader *r, const uint8_t *found, size_t n,
                   uint8_t *out)
{
    uint32_t max = r->from->max_definition;
    for (size_t i = 0; i < n; i++) {
        bool present = r->definition[i] == max;
        out[i] = present ? *found : (uint8_t)FILTER_NULL;
        found += present;
    }
}

static void tell_nulls(const struct filter_column_reader *r, size_t n, size_t present, uint8_t *out)
{
    memset(out, FILTER_FALSE, n);
    for (size_t i = 0; present < n && i < n; i++)
        out[i] = r->definition[i] == r->from->max_definition ? FILTER_FALSE : FILTER_TRUE;
}

static int take_indices(struct filter_column_reader *r, size_t n, struct err *err)
{
    bool good = parquet_hybrid_get(&r->values.hybrid, r->indices, n);
    for (size_t i = 0; i < n; i++)
        good &= r->indices[i] < r->dictionary_n;
    return good ? 0 : err_set(err, EIO, "damaged dictionary indices");
}

static void test_cells(struct filter_column_reader *r, struct filter_column_test *t, size_t present,
                       uint8_t *out)
{
    if (!r->indexed) {
        test_values(r, t, present, out);
        return;
    }
    for (size_t i = 0; i < present; i++)
        out[i] = t->words[r->indices[i]];
}

/* The next n rows, all of them in this page; their results stand from `at` on. */
static int take_rows(struct filter_column_reader *r, size_t n, size_t at, struct err *err)
{
    size_t present;
    int rc = take_definitions(r, n, &present, err);
    if (rc == 0 && r->looks)
        rc = r->indexed ? take_indices(r, present, err)
                        : parquet_values_get(&r->values, r->batch, present, err);
    if (rc == 0 && r->looks && !r->indexed)
        rc = take_values(r, present, err);
    for (size_t i = 0; rc == 0 && i < r->tests_n; i++) {
        struct filter_column_test *t = &r->tests[i];
        bool sparse = present < n;
        if (t->test->kind == FILTER_TEST_NULL)
            tell_nulls(r, n, present, t->out + at);
        else
            test_cells(r, t, present, sparse ? r->found : t->out + at);
        if (t->test->kind != FILTER_TEST_NULL && sparse)
            spread(r, r->found, n, t->out + at);
    }
    r->cells_left -= (uint32_t)n;
    return rc;
}

/* The levels of one cell. */
static int take_cell(struct filter_column_reader *r, uint32_t *repetition, uint32_t *definition,
                     struct err *err)
{
    int rc = next_page(r, err);
    *repetition = *definition = 0;
    if (rc < 0)
        return rc;
    if ((r->from->max_repetition && !parquet_hybrid_get(&r->repetitions, repetition, 1)) ||
        (r->from->max_definition && !parquet_hybrid_get(&r->definitions, definition, 1)))
        return err_set(err, EIO, "fewer levels than values");
    r->cells_left--;
    return 0;
}

/* A field that the file does not have: there where the struct around it is, as a sibling tells,
 * which may be a list. */
static int take_constants(struct filter_column_reader *r, size_t n, struct err *err)
{
    const struct filter_value null = {.null = true};
    uint32_t repetition, definition;
    for (size_t i = 0; i < n; i++) {
        do {
            int rc = take_cell(r, &repetition, &definition, err);
            if (rc < 0)
                return rc;
        } while (repetition > r->leaf->repetition);
        const struct filter_value *v = definition >= r->leaf->parent ? &r->constant : &null;
        for (size_t t = 0; t < r->tests_n; t++)
            r->tests[t].out[i] = (uint8_t)filter_test_value(r->tests[t].test, v);
    }
    return 0;
}

int filter_column_next(struct filter_column_reader *r, size_t n, struct err *err)
{
    if (r->leaf->how == PRESENT_CONSTANT)
        return take_constants(r, n, err);
    for (size_t done = 0; done < n;) {
        int rc = next_page(r, err);
        if (rc < 0)
            return rc;
        size_t some = n - done < r->cells_left ? n - done : r->cells_left;
        size_t batch = r->looks ? parquet_values_batch(&r->values) : PARQUET_BATCH;
        some = some < batch ? some : batch;
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
    forget_dictionary(r);
    r->cells_left = 0;
    return parquet_pages_start(&r->pages, &r->plan->stored->chunks[group][r->leaf->source],
                               r->plan->object_bytes, err);
}

int filter_column_end(struct filter_column_reader *r, struct err *err)
{
    uint32_t repetition, definition;
    /* What is left of a list in the last row. */
    while (r->cells_left || r->pages.cells_left) {
        int rc = take_cell(r, &repetition, &definition, err);
        if (rc < 0)
            return rc;
        if (repetition == 0)
            return err_set(err, EIO, "more rows than the row group has");
    }
    return 0;
}

static bool add_tests(struct filter_column_reader *r, const struct row_filter *rf, uint32_t at)
{
    r->tests = calloc(rf->filter->terms_n + 1, sizeof *r->tests);
    for (size_t i = 0; r->tests && i < rf->filter->terms_n; i++) {
        const struct filter_test *t = &rf->tests[i];
        const struct filter_bound *c = &rf->columns[t->column];
        if (c->from != FILTER_FIELD || c->class == FILTER_CLASS_NULL || c->at != at)
            continue;
        struct filter_column_test *own = &r->tests[r->tests_n++];
        own->test = t;
        r->looks |= t->kind != FILTER_TEST_NULL && r->leaf->how != PRESENT_CONSTANT;
        r->unit = unit_of(c, present_logical(r->plan, r->leaf->node));
        r->wide = is_wide(c->class, r->to->type);
        r->constant = constant_of(r->plan, r->leaf, c);
        if (t->kind == FILTER_TEST_NUMBERS && !filter_spans_make(t, r->unit, &own->spans))
            return false;
    }
    return r->tests != NULL;
}

struct filter_column_reader *filter_column_new(const struct row_filter *rf, uint32_t at,
                                               const struct present_plan *plan,
                                               const struct present_leaf *leaf,
                                               const struct source *source, struct err *err)
{
    AUTO(filter_column_reader) struct filter_column_reader *r = calloc(1, sizeof *r);
    if (!r) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    r->plan = plan;
    r->leaf = leaf;
    r->from = &plan->stored->nodes[plan->stored->leaves[leaf->source]];
    r->to = &plan->nodes[leaf->node];
    parquet_pages_init(&r->pages, source, r->from);
    parquet_values_init(&r->values, r->from->type, r->from->type_length);
    if (!add_tests(r, rf, at)) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    if (r->looks && parquet_convert_init(&r->convert, leaf, r->from, r->to, err) < 0)
        return NULL;
    return STEAL(r);
}

void filter_column_free(struct filter_column_reader *r)
{
    if (!r)
        return;
    for (size_t i = 0; r->tests && i < r->tests_n; i++)
        free(r->tests[i].spans.at);
    free(r->tests);
    forget_dictionary(r);
    parquet_pages_done(&r->pages);
    parquet_values_done(&r->values);
    parquet_convert_done(&r->convert);
    free(r);
}
