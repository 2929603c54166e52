/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>

#include "base/hash.h"
#include "base/limits.h"
#include "lake/format/filter_private.h"
#include "lake/format/present_types.h"

/* Changes whenever the same filter would take out other rows of the same file. */
#define FILTER_FORMAT 1

struct binding {
    struct row_filter *rf;
    const struct filter *filter;
    const struct filter_binding *columns;
    const struct shape *shape, *partitions;
    struct err *err;
};

static int no_room(const struct binding *b)
{
    return arena_failed(&b->rf->arena, "a row filter", b->err);
}

static int refuse(const struct binding *b, size_t column, int code, const char *what)
{
    struct slice name = filter_column(b->filter, column);
    return err_set(b->err, code, "column \"%.*s\": %s", (int)(name.n < 200 ? name.n : 200), name.p,
                   what);
}

static const struct shape_field *field_of(const struct binding *b, size_t column)
{
    const struct filter_binding *c = &b->columns[column];
    return &(c->from == FILTER_FIELD ? b->shape : b->partitions)->fields[c->field];
}

/* Literals */

/* What a column is compared with: its own value, or the one below it. */
struct typed {
    bool exact;
    __int128 number;
    struct slice bytes;
};

/* column "a": decimal(9,2) is not compared with 'text' */
static int unfit(const struct binding *b, size_t column, const struct filter_literal *l)
{
    static const char *const kinds[] = {"",    "true or false", "the number",   "the text",
                                        "x''", "the date",      "the timestamp"};
    AUTO(buf) struct buf what = {0};
    buf_init(&what, KIB);
    buf_add_str(&what, "a value of its type, ");
    present_type_name(field_of(b, column), &what);
    buf_addf(&what, ", is not %s", kinds[l->kind]);
    if (l->text.n && l->kind != FILTER_LITERAL_BYTES)
        buf_addf(&what, " %.*s", (int)(l->text.n < 100 ? l->text.n : 100), l->text.p);
    return refuse(b, column, EINVAL, what.data ? what.data : "a value of another type");
}

static bool real_of(const struct filter_literal *l, unsigned bits, struct typed *out)
{
    struct filter_number n;
    double v;
    if (l->kind != FILTER_LITERAL_NUMBER || !filter_number_parse(l->text, &n) ||
        !filter_number_real(&n, bits, &v))
        return false;
    out->number = column_real_key(v);
    return true;
}

static bool number_of(const struct filter_literal *l, unsigned scale, struct typed *out)
{
    struct filter_number n;
    if (l->kind != FILTER_LITERAL_NUMBER || !filter_number_parse(l->text, &n))
        return false;
    out->number = filter_number_floor(&n, scale, &out->exact);
    return true;
}

static bool instant_of(const struct filter_literal *l, bool utc, struct typed *out)
{
    bool zoned;
    return (l->kind == FILTER_LITERAL_INSTANT || l->kind == FILTER_LITERAL_DATE ||
            l->kind == FILTER_LITERAL_TEXT) &&
           filter_instant_parse(l->text, &zoned, &out->number) && (utc || !zoned);
}

static bool uuid_of(const struct binding *b, const struct filter_literal *l, struct typed *out)
{
    uint8_t uuid[16];
    if (l->kind != FILTER_LITERAL_TEXT || !filter_uuid_parse(l->text, uuid))
        return false;
    out->bytes = arena_slice(&b->rf->arena, slice_make(uuid, sizeof uuid));
    return true;
}

static bool value_of(const struct binding *b, const struct filter_bound *c,
                     const struct filter_literal *l, struct typed *out)
{
    *out = (struct typed){.exact = true, .bytes = l->text};
    switch ((enum shape_type)c->type) {
    case SHAPE_BOOLEAN:
        out->number = l->truth;
        return l->kind == FILTER_LITERAL_TRUTH;
    case SHAPE_INT8:
    case SHAPE_INT16:
    case SHAPE_INT32:
    case SHAPE_INT64:
    case SHAPE_DECIMAL:
        return number_of(l, c->scale, out);
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
        return real_of(l, c->type == SHAPE_FLOAT ? 32 : 64, out);
    case SHAPE_DATE:
        return (l->kind == FILTER_LITERAL_DATE || l->kind == FILTER_LITERAL_TEXT) &&
               filter_date_parse(l->text, &out->number);
    case SHAPE_TIMESTAMP:
    case SHAPE_TIMESTAMP_NS:
    case SHAPE_TIMESTAMP_LOCAL:
    case SHAPE_TIMESTAMP_LOCAL_NS:
        return instant_of(l, c->type == SHAPE_TIMESTAMP || c->type == SHAPE_TIMESTAMP_NS, out);
    case SHAPE_STRING:
        return l->kind == FILTER_LITERAL_TEXT;
    case SHAPE_BINARY:
    case SHAPE_FIXED:
        return l->kind == FILTER_LITERAL_BYTES;
    case SHAPE_UUID:
        return uuid_of(b, l, out);
    case SHAPE_TIME:
    case SHAPE_VARIANT:
    case SHAPE_UNKNOWN:
    case SHAPE_STORED:
    case SHAPE_GEOMETRY:
    case SHAPE_GEOGRAPHY:
        break;
    }
    return false;
}

/* Tests */

/* The values that a comparison is true of, as a range; false: there are none. */
static bool number_range(enum filter_relation relation, const struct typed *v,
                         struct filter_range *out)
{
    const __int128 most = (__int128)(~(unsigned __int128)0 >> 1), least = -most - 1;
    __int128 n = v->number;
    *out = (struct filter_range){least, most};
    switch (relation) {
    case FILTER_EQUAL:
    case FILTER_UNEQUAL:
    case FILTER_IN:
        *out = (struct filter_range){n, n};
        return v->exact;
    case FILTER_LESS:
        if (v->exact && n == least)
            return false;
        out->high = v->exact ? n - 1 : n;
        return true;
    case FILTER_LESS_EQUAL:
        out->high = n;
        return true;
    case FILTER_GREATER:
    case FILTER_GREATER_EQUAL:
        if (v->exact && relation == FILTER_GREATER_EQUAL) {
            out->low = n;
            return true;
        }
        if (n == most)
            return false;
        out->low = n + 1;
        return true;
    case FILTER_LIKE:
    case FILTER_IS_NULL:
        break;
    }
    return false;
}

static struct filter_bytes_range bytes_range(enum filter_relation relation, struct slice v)
{
    bool from = relation == FILTER_GREATER || relation == FILTER_GREATER_EQUAL;
    bool to = relation == FILTER_LESS || relation == FILTER_LESS_EQUAL;
    bool open = relation == FILTER_GREATER || relation == FILTER_LESS;
    return (struct filter_bytes_range){
        .low = v, .high = v, .from = !to, .to = !from, .low_open = open, .high_open = open};
}

static int compare_numbers(const void *a, const void *b)
{
    const struct filter_range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

static int compare_bytes(const void *a, const void *b)
{
    const struct filter_bytes_range *x = a, *y = b;
    return slice_cmp(x->low, y->low);
}

/* Points of a list may be the same; for searching them that is no harm. */
static void add_range(struct filter_test *t, enum filter_relation relation, const struct typed *v)
{
    if (t->kind == FILTER_TEST_BYTES)
        t->bytes[t->n++] = bytes_range(relation, v->bytes);
    else
        t->n += number_range(relation, v, &t->numbers[t->n]);
}

static int make_ranges(const struct binding *b, const struct filter_term *term,
                       struct filter_test *t)
{
    const struct filter_bound *c = &b->rf->columns[term->column];
    bool has_null = false;
    t->kind = c->class == COLUMN_NUMBER ? FILTER_TEST_NUMBERS : FILTER_TEST_BYTES;
    if (t->kind == FILTER_TEST_NUMBERS)
        t->numbers = arena_calloc(&b->rf->arena, term->n, sizeof *t->numbers);
    else
        t->bytes = arena_calloc(&b->rf->arena, term->n, sizeof *t->bytes);
    if (!t->numbers && !t->bytes)
        return no_room(b);
    for (uint32_t i = 0; i < term->n; i++) {
        const struct filter_literal *l = &b->filter->literals[term->first + i];
        struct typed v;
        if (l->kind == FILTER_LITERAL_NULL) {
            has_null = true;
            continue;
        }
        if (c->class == COLUMN_NULL)
            continue; /* its type is not known here, and no value comes */
        if (!value_of(b, c, l, &v))
            return unfit(b, term->column, l);
        if (c->class == COLUMN_BYTES && !v.bytes.p)
            return no_room(b);
        add_range(t, term->relation, &v);
    }
    if (has_null) /* where nothing else decides it is not known */
        t->other = FILTER_NULL;
    if (t->kind == FILTER_TEST_NUMBERS)
        qsort(t->numbers, t->n, sizeof *t->numbers, compare_numbers);
    else
        qsort(t->bytes, t->n, sizeof *t->bytes, compare_bytes);
    return 0;
}

static int make_test(const struct binding *b, const struct filter_term *term, struct filter_test *t)
{
    const struct filter_bound *c = &b->rf->columns[term->column];
    bool unequal = term->relation == FILTER_UNEQUAL;
    *t = (struct filter_test){.column = term->column,
                              .match = unequal ? FILTER_FALSE : FILTER_TRUE,
                              .other = unequal ? FILTER_TRUE : FILTER_FALSE};
    if (term->relation == FILTER_IS_NULL) {
        t->kind = FILTER_TEST_NULL;
        return 0;
    }
    if (c->class != COLUMN_NULL && c->type == SHAPE_TIME)
        return refuse(b, term->column, EOPNOTSUPP, "times of day are not compared");
    bool like = term->relation == FILTER_LIKE;
    if (!like || b->filter->literals[term->first].kind == FILTER_LITERAL_NULL)
        return make_ranges(b, term, t);
    if (c->class != COLUMN_NULL && c->type != SHAPE_STRING)
        return refuse(b, term->column, EINVAL, "LIKE is of text only");
    t->kind = FILTER_TEST_LIKE;
    t->pattern = term->pattern;
    return 0;
}

/* Columns */

/* Marks the structs around a field; -EOPNOTSUPP where one of them is a list or map. */
static int mark_field(const struct binding *b, size_t column, bool *needed)
{
    const struct shape_field *fields = b->shape->fields;
    uint32_t to = b->columns[column].field;
    for (uint32_t at = 0; at < to;) {
        if (fields[at].end <= to) {
            at = fields[at].end;
            continue;
        }
        if (fields[at].kind != SHAPE_STRUCT)
            return refuse(b, column, EOPNOTSUPP,
                          "rows are not filtered by what lists or maps have");
        needed[at++] = true;
    }
    needed[to] = true;
    return 0;
}

static int bind_column(const struct binding *b, size_t column, bool *needed)
{
    const struct filter_binding *from = &b->columns[column];
    struct filter_bound *to = &b->rf->columns[column];
    *to = (struct filter_bound){.from = (uint8_t)from->from, .class = COLUMN_NULL};
    if (from->from == FILTER_ABSENT)
        return 0;
    const struct shape *shape = from->from == FILTER_FIELD ? b->shape : b->partitions;
    if (!shape || from->field == 0 || from->field >= shape->fields_n)
        return refuse(b, column, EINVAL, "is bound to no field");
    const struct shape_field *f = &shape->fields[from->field];
    if (f->kind != SHAPE_LEAF || f->type == SHAPE_VARIANT || f->type >= SHAPE_STORED)
        return refuse(b, column, EOPNOTSUPP,
                      "rows are not filtered by whole structs, lists, maps, variants and shapes");
    to->type = f->type;
    to->scale = f->type == SHAPE_DECIMAL ? f->scale : 0;
    to->precision = f->precision;
    to->class = (uint8_t)column_class_of(f->type);
    to->at = from->field - 1;
    return from->from == FILTER_FIELD ? mark_field(b, column, needed) : 0;
}

/* The fields of a struct: those that are needed first. leaf[field]: which of the leaves it is. */
static void put_fields(const struct binding *b, struct shape_builder *to, uint32_t parent,
                       const bool *needed, uint32_t *leaf)
{
    const struct shape_field *fields = b->shape->fields;
    for (int others = 0; others < 2; others++)
        for (uint32_t i = parent + 1; i < fields[parent].end; i = fields[i].end) {
            struct shape_field f = fields[i];
            f.mask = SHAPE_MASK_NONE;
            if (needed[i] == (others != 0))
                continue;
            if (others) {
                f.kind = SHAPE_LEAF;
                f.type = SHAPE_STORED;
                f.has_constant = false;
                f.constant = SLICE_NONE;
            }
            shape_add(to, &f);
            if (others)
                continue;
            if (f.kind == SHAPE_LEAF) {
                leaf[i] = (uint32_t)b->rf->leaves++;
            } else {
                put_fields(b, to, i, needed, leaf);
                shape_end(to);
            }
        }
}

/* Makes the shape, and says of columns which leaf of it they are. */
static int narrow(const struct binding *b, const bool *needed)
{
    AUTO(shape_builder) struct shape_builder to;
    AUTO_FREE uint32_t *leaf = calloc(b->shape->fields_n, sizeof *leaf);
    if (!leaf)
        return no_room(b);
    shape_builder_init(&to, b->shape->match);
    put_fields(b, &to, 0, needed, leaf);
    int rc = shape_finish(&to, &b->rf->shape, b->err);
    for (size_t i = 0; rc == 0 && i < b->filter->columns_n; i++)
        if (b->columns[i].from == FILTER_FIELD)
            b->rf->columns[i].at = leaf[b->columns[i].field];
    return rc;
}

static int bind_columns(const struct binding *b)
{
    AUTO_FREE bool *needed = calloc(b->shape ? b->shape->fields_n : 1, sizeof *needed);
    if (!needed)
        return no_room(b);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < b->filter->columns_n; i++)
        rc = bind_column(b, i, needed);
    return rc == 0 && needed[0] ? narrow(b, needed) : rc;
}

/* The filter */

static void set_hash(struct row_filter *rf)
{
    uint64_t numbers[] = {FILTER_FORMAT, rf->shape ? rf->shape->hash : 0, rf->shape != NULL,
                          rf->partitions};
    uint64_t hash = hash64(0, slice_make(numbers, sizeof numbers));
    for (size_t i = 0; i < rf->filter->columns_n; i++) {
        const struct filter_bound *c = &rf->columns[i];
        uint32_t of[] = {c->from, c->class, c->type, c->scale, c->precision, c->at};
        hash = hash64(hash, slice_make(of, sizeof of));
    }
    rf->hash = hash64(hash, rf->filter->text);
}

struct row_filter *row_filter_ref(struct row_filter *rf)
{
    atomic_fetch_add_explicit(&rf->refs, 1, memory_order_relaxed);
    return rf;
}

void row_filter_unref(struct row_filter *rf)
{
    if (!rf || atomic_fetch_sub_explicit(&rf->refs, 1, memory_order_acq_rel) != 1)
        return;
    filter_unref(rf->filter);
    shape_unref(rf->shape);
    arena_done(&rf->arena);
    row_filter_unref(rf->base);
    free(rf);
}

struct shape *row_filter_shape(const struct row_filter *rf)
{
    return rf->shape;
}

int row_filter_own(struct row_filter *rf, struct shape *shape, struct row_filter **out,
                   struct err *err)
{
    struct row_filter *own = malloc(sizeof *own);
    if (!own)
        return err_set(err, ENOMEM, "out of memory");
    *own = (struct row_filter){.filter = filter_ref(rf->filter),
                               .base = row_filter_ref(rf),
                               .columns = rf->columns,
                               .tests = rf->tests,
                               .partitions = rf->partitions,
                               .leaves = rf->leaves,
                               .shape = shape_ref(shape)};
    atomic_init(&own->refs, 1);
    set_hash(own);
    *out = own;
    return 0;
}

uint64_t row_filter_hash(const struct row_filter *rf)
{
    return rf->hash;
}

bool row_filter_needs(const struct row_filter *rf, size_t i)
{
    for (size_t k = 0; k < rf->filter->columns_n; k++)
        if (rf->columns[k].from == FILTER_PARTITION && rf->columns[k].at == i)
            return true;
    return false;
}

size_t row_filter_values(const struct row_filter *rf)
{
    return rf->partitions;
}

int filter_bind(struct filter *f, const struct filter_binding *columns, const struct shape *shape,
                const struct shape *partitions, struct row_filter **out, struct err *err)
{
    AUTO(row_filter) struct row_filter *rf = calloc(1, sizeof *rf);
    if (!rf)
        return err_set(err, ENOMEM, "out of memory");
    struct binding b = {rf, f, columns, shape, partitions, err};
    atomic_init(&rf->refs, 1);
    arena_init(&rf->arena, FILTER_MEMORY_MAX);
    rf->filter = filter_ref(f);
    rf->partitions = partitions ? partitions->fields_n - 1 : 0;
    rf->columns = arena_calloc(&rf->arena, f->columns_n + 1, sizeof *rf->columns);
    rf->tests = arena_calloc(&rf->arena, f->terms_n + 1, sizeof *rf->tests);
    if (!rf->columns || !rf->tests)
        return no_room(&b);
    int rc = bind_columns(&b);
    for (size_t i = 0; rc == 0 && i < f->terms_n; i++)
        rc = make_test(&b, &f->terms[i], &rf->tests[i]);
    if (rc < 0)
        return rc;
    set_hash(rf);
    *out = STEAL(rf);
    return 0;
}
