/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/column.h"

#include <math.h>

#include "base/limits.h"
#include "lake/format/parquet_schema.h"

#define MICROSECOND 1000
#define MILLISECOND 1000000

/* Types */

enum column_class column_class_of(enum shape_type type)
{
    switch (type) {
    case SHAPE_STRING:
    case SHAPE_BINARY:
    case SHAPE_FIXED:
    case SHAPE_UUID:
        return COLUMN_BYTES;
    case SHAPE_UNKNOWN:
        return COLUMN_NULL;
    case SHAPE_BOOLEAN:
    case SHAPE_INT8:
    case SHAPE_INT16:
    case SHAPE_INT32:
    case SHAPE_INT64:
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
    case SHAPE_DECIMAL:
    case SHAPE_DATE:
    case SHAPE_TIME:
    case SHAPE_TIMESTAMP:
    case SHAPE_TIMESTAMP_LOCAL:
    case SHAPE_TIMESTAMP_NS:
    case SHAPE_TIMESTAMP_LOCAL_NS:
    case SHAPE_VARIANT:
    case SHAPE_STORED:
    case SHAPE_GEOMETRY:
    case SHAPE_GEOGRAPHY:
        break;
    }
    return COLUMN_NUMBER;
}

static bool has_unit(const struct parquet_logical *l)
{
    return l->annotation == PARQUET_TIMESTAMP || l->annotation == PARQUET_TIME;
}

/* Nanoseconds of what the column's numbers count. */
static int64_t unit_of(const struct parquet_logical *l)
{
    if (!has_unit(l))
        return 1;
    return l->unit == PARQUET_MILLIS ? MILLISECOND : l->unit == PARQUET_MICROS ? MICROSECOND : 1;
}

static bool is_wide(enum column_class class, enum parquet_type type)
{
    return class == COLUMN_NUMBER && (type == PARQUET_INT96 || type == PARQUET_BYTE_ARRAY ||
                                      type == PARQUET_FIXED_LEN_BYTE_ARRAY);
}

static bool wide_of(enum parquet_type type, const union parquet_value *v, __int128 *out)
{
    return type == PARQUET_INT96 ? parquet_int96(v->bytes, out) : parquet_unscaled(v->bytes, out);
}

static bool is_real(enum parquet_type type)
{
    return type == PARQUET_FLOAT || type == PARQUET_DOUBLE;
}

int64_t column_real_key(double v)
{
    int64_t bits;
    if (v == 0)
        v = 0; /* without a sign */
    else if (isnan(v))
        v = (double)NAN;
    memcpy(&bits, &v, sizeof bits);
    if (isnan(v))
        bits &= INT64_MAX; /* the one above infinity */
    return bits < 0 ? (int64_t)((uint64_t)bits ^ (uint64_t)INT64_MAX) : bits;
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
static struct column_value constant_of(const struct present_plan *plan,
                                       const struct present_leaf *leaf, enum shape_type type)
{
    const struct parquet_node *node = &plan->nodes[leaf->node];
    enum column_class class = column_class_of(type);
    struct column_value value = {.null = true};
    union parquet_value v;
    if (leaf->how != PRESENT_CONSTANT || !read_constant(node, leaf->constant, &v))
        return value;
    value.null = false;
    if (class == COLUMN_BYTES)
        value.bytes = v.bytes;
    else if (is_wide(class, node->type))
        value.null = !wide_of(node->type, &v, &value.number);
    else if (is_real(node->type))
        value.number = column_real_key(v.real);
    else
        value.number = (__int128)v.number * unit_of(present_logical(plan, leaf->node));
    return value;
}

bool column_constant(const struct present_plan *plan, const struct present_leaf *leaf,
                     enum shape_type type, struct column_value *out)
{
    bool constant = leaf->how == PRESENT_NULLS ||
                    (leaf->how == PRESENT_CONSTANT && leaf->source == PARQUET_NO_LEAF);
    if (constant)
        *out = constant_of(plan, leaf, type);
    return constant;
}

/* Values */

/* The n values of the batch, converted, as they are compared. */
static int take_values(struct column_reader *r, size_t n, struct err *err)
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
            r->numbers[i] = column_real_key(r->batch[i].real);
    else if (r->to->type == PARQUET_BYTE_ARRAY || r->to->type == PARQUET_FIXED_LEN_BYTE_ARRAY)
        for (size_t i = 0; i < n; i++)
            r->bytes[i] = r->batch[i].bytes;
    else
        for (size_t i = 0; i < n; i++)
            r->numbers[i] = r->batch[i].number;
    return good ? 0 : err_set(err, EOPNOTSUPP, "a decimal of more than 38 digits");
}

int column_values(struct column_reader *r, size_t n, struct err *err)
{
    int rc = parquet_values_get(&r->values, r->batch, n, err);
    return rc < 0 ? rc : take_values(r, n, err);
}

int column_words(struct column_reader *r, uint32_t first, size_t n, struct err *err)
{
    memcpy(r->batch, r->dictionary + first, n * sizeof *r->batch);
    return take_values(r, n, err);
}

int column_indices(struct column_reader *r, size_t n, struct err *err)
{
    bool good = parquet_hybrid_get(&r->values.hybrid, r->indices, n);
    for (size_t i = 0; i < n; i++)
        good &= r->indices[i] < r->dictionary_n;
    return good ? 0 : err_set(err, EIO, "damaged dictionary indices");
}

/* The dictionary */

static void forget_dictionary(struct column_reader *r)
{
    free(r->dictionary);
    r->dictionary = NULL;
    r->dictionary_n = 0;
    r->dictionary_is_new = true;
    parquet_values_dictionary(&r->values, NULL, 0);
}

static int load_dictionary(struct column_reader *r, const struct parquet_page *page,
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
    return 0;
}

/* Pages */

static bool is_indexed(uint32_t encoding)
{
    return encoding == PARQUET_PLAIN_DICTIONARY || encoding == PARQUET_RLE_DICTIONARY;
}

static int start_page(struct column_reader *r, const struct parquet_page *page, struct err *err)
{
    parquet_hybrid_init(&r->repetitions, page->repetition,
                        parquet_bit_width(r->from->max_repetition));
    parquet_hybrid_init(&r->definitions, page->definition,
                        parquet_bit_width(r->from->max_definition));
    r->cells_left = page->values;
    r->indexed = is_indexed(page->encoding);
    return r->looks ? parquet_values_start(&r->values, page->encoding, page->data, err) : 0;
}

int column_page(struct column_reader *r, struct err *err)
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

size_t column_batch(const struct column_reader *r, size_t n)
{
    size_t most = r->looks ? parquet_values_batch(&r->values) : PARQUET_BATCH;
    n = n < r->cells_left ? n : r->cells_left;
    return n < most ? n : most;
}

/* Levels */

int column_levels(struct column_reader *r, size_t n, size_t *present, struct err *err)
{
    uint32_t max = r->from->max_definition, highest = 0;
    size_t found = 0;
    r->cells_left -= (uint32_t)n;
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

/* The levels of one cell. */
static int take_cell(struct column_reader *r, uint32_t *repetition, uint32_t *definition,
                     struct err *err)
{
    int rc = column_page(r, err);
    *repetition = *definition = 0;
    if (rc < 0)
        return rc;
    if ((r->from->max_repetition && !parquet_hybrid_get(&r->repetitions, repetition, 1)) ||
        (r->from->max_definition && !parquet_hybrid_get(&r->definitions, definition, 1)))
        return err_set(err, EIO, "fewer levels than values");
    r->cells_left--;
    return 0;
}

int column_parent(struct column_reader *r, bool *there, struct err *err)
{
    uint32_t repetition, definition;
    do { /* a sibling tells, which may be a list */
        int rc = take_cell(r, &repetition, &definition, err);
        if (rc < 0)
            return rc;
    } while (repetition > r->leaf->repetition);
    *there = definition >= r->leaf->parent;
    return 0;
}

/* Row groups */

int column_start(struct column_reader *r, size_t group, struct err *err)
{
    forget_dictionary(r);
    r->cells_left = 0;
    return parquet_pages_start(&r->pages, &r->plan->stored->chunks[group][r->leaf->source],
                               r->plan->object_bytes, err);
}

int column_end(struct column_reader *r, struct err *err)
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

int column_init(struct column_reader *r, const struct present_plan *plan,
                const struct present_leaf *leaf, struct column_use use, const struct source *source,
                struct err *err)
{
    r->plan = plan;
    r->leaf = leaf;
    r->from = &plan->stored->nodes[plan->stored->leaves[leaf->source]];
    r->to = &plan->nodes[leaf->node];
    r->looks = use.looks && leaf->how != PRESENT_CONSTANT && leaf->how != PRESENT_NULLS;
    r->wide = is_wide(column_class_of(use.type), r->to->type);
    r->unit = unit_of(present_logical(plan, leaf->node));
    r->constant = constant_of(plan, leaf, use.type);
    parquet_pages_init(&r->pages, source, r->from);
    parquet_values_init(&r->values, r->from->type, r->from->type_length);
    return r->looks ? parquet_convert_init(&r->convert, leaf, r->from, r->to, err) : 0;
}

void column_done(struct column_reader *r)
{
    forget_dictionary(r);
    parquet_pages_done(&r->pages);
    parquet_values_done(&r->values);
    parquet_convert_done(&r->convert);
}
