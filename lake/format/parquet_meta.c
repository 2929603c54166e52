/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second pass over bytes that parquet_footer_parse has taken: there is one schema and then one
 * list of row groups, and their counts are right.
 */
#include "lake/format/parquet_meta.h"

#include "base/limits.h"

static int no_room(struct parquet_meta *m, struct err *err)
{
    return arena_failed(&m->arena, "a Parquet footer", err);
}

/*
 * What may be missing is not there where it is of another type: some writers use ids for fields of
 * their own.
 */
static bool is_other(struct thrift *t, const struct thrift_field *f, enum thrift_type type)
{
    if (f->type == type)
        return false;
    thrift_skip(t, f);
    return true;
}

/* Offsets and counts are signed in the format; below 0 is damage. */
static uint64_t read_count(struct thrift *t, const struct thrift_field *f, enum thrift_type type)
{
    if (is_other(t, f, type))
        return 0;
    int64_t v = type == THRIFT_I32 ? thrift_i32(t, f) : thrift_int(t, f);
    if (v < 0)
        t->in.bad = true;
    return v < 0 ? 0 : (uint64_t)v;
}

static struct slice read_raw(struct thrift *t, const struct thrift_field *f, enum thrift_type type)
{
    return is_other(t, f, type) ? SLICE_NONE : thrift_raw(t, f);
}

/* Row groups */

static void read_column(struct thrift *t, const struct thrift_field *field,
                        struct parquet_detail *d)
{
    struct thrift_field f = THRIFT_STRUCT;
    if (!thrift_struct(t, field))
        return;
    while (thrift_next(t, &f))
        switch (f.id) {
        case 2:
            d->encodings = read_raw(t, &f, THRIFT_LIST);
            break;
        case 6:
            d->plain_bytes = read_count(t, &f, THRIFT_I64);
            break;
        case 9:
            d->data_offset = read_count(t, &f, THRIFT_I64);
            break;
        case 11:
            d->dictionary_offset = read_count(t, &f, THRIFT_I64);
            break;
        case 12:
            d->statistics = read_raw(t, &f, THRIFT_STRUCT_TYPE);
            break;
        case 13:
            d->encoding_stats = read_raw(t, &f, THRIFT_LIST);
            break;
        case 14:
            d->bloom.offset = read_count(t, &f, THRIFT_I64);
            break;
        case 15:
            d->bloom.bytes = read_count(t, &f, THRIFT_I32);
            break;
        case 16:
            d->size_statistics = read_raw(t, &f, THRIFT_STRUCT_TYPE);
            break;
        case 17:
            d->geospatial = read_raw(t, &f, THRIFT_STRUCT_TYPE);
            break;
        default:
            thrift_skip(t, &f);
        }
}

static void read_chunk(struct parquet_meta *m, struct thrift *t, struct parquet_detail *d)
{
    struct thrift_field f = THRIFT_STRUCT;
    while (thrift_next(t, &f))
        switch (f.id) {
        case 1:
            m->external |= thrift_binary(t, &f).n > 0;
            break;
        case 3:
            read_column(t, &f, d);
            break;
        case 4:
            d->offset_index.offset = read_count(t, &f, THRIFT_I64);
            break;
        case 5:
            d->offset_index.bytes = read_count(t, &f, THRIFT_I32);
            break;
        case 6:
            d->column_index.offset = read_count(t, &f, THRIFT_I64);
            break;
        case 7:
            d->column_index.bytes = read_count(t, &f, THRIFT_I32);
            break;
        case 8:
        case 9:
            m->encrypted = true;
            thrift_skip(t, &f);
            break;
        default:
            thrift_skip(t, &f);
        }
}

static void read_sorting(struct parquet_meta *m, struct thrift *t, struct parquet_sorting *s)
{
    struct thrift_field f = THRIFT_STRUCT;
    while (thrift_next(t, &f))
        switch (f.id) {
        case 1:
            s->leaf = (uint32_t)thrift_i32(t, &f);
            break;
        case 2:
            s->descending = thrift_bool(t, &f);
            break;
        case 3:
            s->nulls_first = thrift_bool(t, &f);
            break;
        default:
            thrift_skip(t, &f);
        }
    t->in.bad |= s->leaf >= m->footer.leaves_n;
}

static int read_group(struct parquet_meta *m, struct thrift *t, size_t g, struct err *err)
{
    struct thrift_field f = THRIFT_STRUCT;
    while (thrift_next(t, &f)) {
        if (f.id != 1 && f.id != 4) {
            thrift_skip(t, &f);
            continue;
        }
        size_t n = thrift_structs(t, &f);
        if (f.id == 1 && !m->details[g]) {
            m->details[g] = arena_calloc(&m->arena, n, sizeof **m->details);
            if (!m->details[g])
                return no_room(m, err);
            for (size_t i = 0; i < n && !t->in.bad; i++)
                read_chunk(m, t, &m->details[g][i]);
        } else if (f.id == 4 && !m->sortings[g].at) {
            m->sortings[g].at = arena_calloc(&m->arena, n, sizeof *m->sortings[g].at);
            if (!m->sortings[g].at)
                return no_room(m, err);
            m->sortings[g].n = n;
            for (size_t i = 0; i < n && !t->in.bad; i++)
                read_sorting(m, t, &m->sortings[g].at[i]);
        } else {
            t->in.bad = true;
        }
    }
    return 0;
}

static int read_groups(struct parquet_meta *m, struct thrift *t, size_t n, struct err *err)
{
    m->details = arena_calloc(&m->arena, n, sizeof *m->details);
    m->sortings = arena_calloc(&m->arena, n, sizeof *m->sortings);
    if (!m->details || !m->sortings)
        return no_room(m, err);
    for (size_t g = 0; g < n && !t->in.bad; g++) {
        int rc = read_group(m, t, g, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The rest */

static int read_schema(struct parquet_meta *m, struct thrift *t, size_t n, struct err *err)
{
    m->elements = arena_calloc(&m->arena, n, sizeof *m->elements);
    if (!m->elements)
        return no_room(m, err);
    for (size_t i = 0; i < n && !t->in.bad; i++) {
        parquet_element_read(t, &m->elements[i]);
        m->has_ids |= m->elements[i].has_id && i > 0;
    }
    return 0;
}

static int read_pairs(struct parquet_meta *m, struct thrift *t, size_t n, struct err *err)
{
    m->pairs = arena_calloc(&m->arena, n, sizeof *m->pairs);
    if (!m->pairs)
        return no_room(m, err);
    m->pairs_n = n;
    for (size_t i = 0; i < n && !t->in.bad; i++) {
        struct thrift_field f = THRIFT_STRUCT;
        while (thrift_next(t, &f))
            if (f.id == 1) {
                m->pairs[i].key = thrift_binary(t, &f);
            } else if (f.id == 2) {
                m->pairs[i].value = thrift_binary(t, &f);
                m->pairs[i].has_value = true;
            } else {
                thrift_skip(t, &f);
            }
    }
    return 0;
}

static int read_orders(struct parquet_meta *m, struct thrift *t, size_t n, struct err *err)
{
    /* A list that is not one of the leaves says nothing. */
    struct slice *orders = arena_calloc(&m->arena, n, sizeof *orders);
    if (!orders)
        return no_room(m, err);
    for (size_t i = 0; i < n && !t->in.bad; i++) {
        struct thrift_field element = {.type = THRIFT_STRUCT_TYPE};
        orders[i] = thrift_raw(t, &element);
    }
    m->orders = n == m->footer.leaves_n ? orders : NULL;
    return 0;
}

static int read_file(struct parquet_meta *m, struct thrift *t, struct err *err)
{
    struct thrift_field f = THRIFT_STRUCT;
    int rc = 0;
    while (rc == 0 && thrift_next(t, &f))
        switch (f.id) {
        case 1:
            m->version = thrift_i32(t, &f);
            break;
        case 2:
            rc = read_schema(m, t, thrift_structs(t, &f), err);
            break;
        case 4:
            rc = read_groups(m, t, thrift_structs(t, &f), err);
            break;
        case 5:
            rc = read_pairs(m, t, thrift_structs(t, &f), err);
            break;
        case 6:
            m->created_by = thrift_binary(t, &f);
            break;
        case 7:
            rc = read_orders(m, t, thrift_structs(t, &f), err);
            break;
        case 8:
            m->encrypted = true;
            thrift_skip(t, &f);
            break;
        default:
            thrift_skip(t, &f);
        }
    return rc;
}

int parquet_meta_parse(struct parquet_meta *m, struct slice bytes, struct err *err)
{
    AUTO(parquet_meta) struct parquet_meta new = {0};
    arena_init(&new.arena, FOOTER_MEMORY_MAX);
    int rc = parquet_footer_parse(&new.footer, bytes, err);
    if (rc < 0)
        return rc;
    struct thrift t = thrift_make(bytes);
    rc = read_file(&new, &t, err);
    if (t.in.bad)
        return err_set(err, EIO, "damaged Parquet footer at byte %td of %zu",
                       (const char *)t.in.p - bytes.p, bytes.n);
    if (rc < 0)
        return rc;
    *m = new;
    new = (struct parquet_meta){0};
    return 0;
}

void parquet_meta_done(struct parquet_meta *m)
{
    parquet_footer_done(&m->footer);
    arena_done(&m->arena);
    *m = (struct parquet_meta){0};
}
