/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/shape.h"

#include <stdatomic.h>

#include "base/hash.h"
#include "base/limits.h"
#include "lake/format/present_types.h"

struct shape *shape_ref(struct shape *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void shape_unref(struct shape *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_done(&s->arena);
    free(s);
}

/* Masks */

static const char *const mask_names[] = {
    [SHAPE_MASK_NULL] = "replace-with-null",
    [SHAPE_MASK_FIXED] = "mask-to-fixed-value",
    [SHAPE_MASK_ALPHANUM] = "mask-alphanum",
    [SHAPE_MASK_FIRST_4] = "show-first-4",
    [SHAPE_MASK_LAST_4] = "show-last-4",
    [SHAPE_MASK_YEAR] = "truncate-to-year",
    [SHAPE_MASK_MONTH] = "truncate-to-month",
    [SHAPE_MASK_SHA256] = "sha-256-global",
    [SHAPE_MASK_SHA256_LOCAL] = "sha-256-query-local",
};

enum shape_mask shape_mask_parse(struct slice name)
{
    for (size_t i = SHAPE_MASK_NONE + 1; i < ARRAY_SIZE(mask_names); i++)
        if (slice_is(name, mask_names[i]))
            return (enum shape_mask)i;
    return SHAPE_MASK_NONE;
}

const char *shape_mask_name(enum shape_mask mask)
{
    return mask < ARRAY_SIZE(mask_names) ? mask_names[mask] : NULL;
}

/* 999999999 is no number of 8 or 16 bits; of a variant, and of what is as stored, no value is
 * known that is one of its type. */
static bool has_fixed_value(enum shape_type type)
{
    return type != SHAPE_INT8 && type != SHAPE_INT16 && type != SHAPE_VARIANT &&
           type != SHAPE_UNKNOWN && type != SHAPE_STORED && type != SHAPE_GEOMETRY &&
           type != SHAPE_GEOGRAPHY;
}

static bool is_dated(enum shape_type type)
{
    return type == SHAPE_DATE || type == SHAPE_TIMESTAMP || type == SHAPE_TIMESTAMP_LOCAL ||
           type == SHAPE_TIMESTAMP_NS || type == SHAPE_TIMESTAMP_LOCAL_NS;
}

bool shape_is_mapped(const struct shape_field *f, struct slice name)
{
    for (uint32_t i = 0; i < f->names_n; i++)
        if (slice_eq(f->names[i], name))
            return true;
    return false;
}

bool shape_mask_fits(const struct shape_field *f, enum shape_mask mask)
{
    bool leaf = f->kind == SHAPE_LEAF;
    enum shape_type type = f->type;
    switch (mask) {
    case SHAPE_MASK_NONE:
        return true;
    case SHAPE_MASK_NULL:
        return !leaf || type != SHAPE_STORED;
    case SHAPE_MASK_FIXED:
        return leaf && has_fixed_value(type);
    case SHAPE_MASK_ALPHANUM:
    case SHAPE_MASK_FIRST_4:
    case SHAPE_MASK_LAST_4:
        return leaf && type == SHAPE_STRING;
    case SHAPE_MASK_YEAR:
    case SHAPE_MASK_MONTH:
        return leaf && is_dated(type);
    case SHAPE_MASK_SHA256:
    case SHAPE_MASK_SHA256_LOCAL:
        return leaf && (type == SHAPE_STRING || type == SHAPE_INT32 || type == SHAPE_INT64 ||
                        type == SHAPE_BINARY);
    }
    return false;
}

/* Compressed, a hash takes half of its 64 digits; a string whose share of the file is less than a
 * third of that is rare. */
#define HASHED_ROOM 2

uint64_t shape_mask_room(const struct shape *s, uint64_t object_bytes)
{
    for (size_t i = 0; i < s->fields_n; i++) {
        const struct shape_field *f = &s->fields[i];
        bool hashed = f->mask == SHAPE_MASK_SHA256 || f->mask == SHAPE_MASK_SHA256_LOCAL;
        if (hashed && (f->type == SHAPE_STRING || f->type == SHAPE_BINARY))
            return object_bytes < UINT64_MAX / HASHED_ROOM ? HASHED_ROOM * object_bytes : 0;
    }
    return 0;
}

/* Builder */

static bool failed(const struct shape_builder *b)
{
    return b->err.code != 0;
}

static void out_of_memory(struct shape_builder *b)
{
    if (b->shape)
        (void)arena_failed(&b->shape->arena, "a table's columns", &b->err);
    else
        (void)err_set(&b->err, ENOMEM, "out of memory");
}

/* Room for one field more: the array moves within the arena, which forgets nothing. */
static struct shape_field *grow(struct shape_builder *b)
{
    struct shape *s = b->shape;
    if (s->fields_n == PARQUET_NODES_MAX) {
        (void)err_set(&b->err, EOVERFLOW, "a table has more than %zu columns", PARQUET_NODES_MAX);
        return NULL;
    }
    if (s->fields_n == b->capacity) {
        size_t capacity = b->capacity ? 2 * b->capacity : 16;
        struct shape_field *more = arena_calloc(&s->arena, capacity, sizeof *more);
        if (!more) {
            out_of_memory(b);
            return NULL;
        }
        if (s->fields_n)
            memcpy(more, s->fields, s->fields_n * sizeof *more);
        s->fields = more;
        b->capacity = capacity;
    }
    return &s->fields[s->fields_n++];
}

static bool copy(struct shape_builder *b, struct slice *s)
{
    *s = s->n ? arena_slice(&b->shape->arena, *s) : SLICE_LIT("");
    if (!s->p)
        out_of_memory(b);
    return s->p != NULL;
}

/* The names and their bytes. */
static bool copy_names(struct shape_builder *b, struct shape_field *f)
{
    if (f->names_n == 0) {
        f->names = NULL;
        return true;
    }
    struct slice *names = arena_calloc(&b->shape->arena, f->names_n, sizeof *names);
    if (!names) {
        out_of_memory(b);
        return false;
    }
    for (uint32_t i = 0; i < f->names_n; i++) {
        names[i] = f->names[i];
        if (!copy(b, &names[i]))
            return false;
    }
    f->names = names;
    return true;
}

void shape_builder_init(struct shape_builder *b, enum shape_match match)
{
    *b = (struct shape_builder){.shape = calloc(1, sizeof *b->shape)};
    if (!b->shape) {
        out_of_memory(b);
        return;
    }
    atomic_init(&b->shape->refs, 1);
    b->shape->match = (uint8_t)match;
    arena_init(&b->shape->arena, SHAPE_MEMORY_MAX);
    struct shape_field *root = grow(b);
    if (root) {
        *root = (struct shape_field){.id = SHAPE_NO_ID, .kind = SHAPE_STRUCT};
        root->name = root->stored = root->constant = SLICE_LIT("");
        b->open_n = 1;
    }
}

void shape_builder_done(struct shape_builder *b)
{
    shape_unref(STEAL(b->shape));
}

static void contradiction(struct shape_builder *b, const struct shape_field *f, const char *what)
{
    (void)err_set(&b->err, EINVAL, "column \"%.*s\": %s", (int)(f->name.n < 100 ? f->name.n : 100),
                  f->name.p, what);
}

static bool check_mask(struct shape_builder *b, const struct shape_field *f)
{
    if (shape_mask_fits(f, f->mask))
        return true;
    AUTO(buf) struct buf type = {0};
    const char *mask = shape_mask_name(f->mask);
    buf_init(&type, KIB);
    present_type_name(f, &type);
    (void)err_set(&b->err, EOPNOTSUPP, "column \"%.*s\": the mask %s does not fit the type %s",
                  (int)(f->name.n < 100 ? f->name.n : 100), f->name.p, mask ? mask : "(unknown)",
                  type.data ? type.data : "");
    return false;
}

static bool check_type(struct shape_builder *b, const struct shape_field *f)
{
    if (f->kind != SHAPE_LEAF && f->kind != SHAPE_STRUCT && f->has_constant)
        contradiction(b, f, "lists and maps have no constants");
    else if (f->kind == SHAPE_LEAF && f->type == SHAPE_DECIMAL &&
             (f->precision < 1 || f->precision > 38 || f->scale > f->precision))
        contradiction(b, f, "a decimal has up to 38 digits, its scale is not over its precision");
    else if (f->kind == SHAPE_LEAF && f->type == SHAPE_FIXED && f->length == 0)
        contradiction(b, f, "values have a fixed size of 0 bytes");
    return !failed(b);
}

void shape_add(struct shape_builder *b, const struct shape_field *field)
{
    if (failed(b) || !check_type(b, field) || !check_mask(b, field))
        return;
    if (b->open_n == 0) {
        contradiction(b, field, "comes after the root's end");
        return;
    }
    struct shape_field *f = grow(b);
    if (!f)
        return;
    *f = *field;
    b->shape->confined |= f->mask != SHAPE_MASK_NONE;
    if (!copy(b, &f->name) || !copy(b, &f->stored) || !copy(b, &f->constant) || !copy_names(b, f))
        return;
    if (f->stored.n == 0)
        f->stored = f->name;
    f->end = (uint32_t)b->shape->fields_n;
    if (f->kind == SHAPE_LEAF)
        return;
    if (b->open_n > SHAPE_DEPTH_MAX) {
        (void)err_set(&b->err, EOVERFLOW, "columns nest deeper than %d", SHAPE_DEPTH_MAX);
        return;
    }
    b->open[b->open_n++] = f->end - 1;
}

static size_t children(const struct shape *s, uint32_t parent)
{
    size_t n = 0;
    for (uint32_t i = parent + 1; i < s->fields[parent].end; i = s->fields[i].end)
        n++;
    return n;
}

/* The innermost open field is complete. */
static void end_innermost(struct shape_builder *b)
{
    struct shape *s = b->shape;
    uint32_t at = b->open[--b->open_n];
    struct shape_field *f = &s->fields[at];
    f->end = (uint32_t)s->fields_n;
    size_t n = children(s, at);
    if (f->kind == SHAPE_LIST && n != 1)
        contradiction(b, f, "a list has one element");
    else if (f->kind == SHAPE_MAP && n != 2)
        contradiction(b, f, "a map has a key and a value");
    else if (f->kind == SHAPE_STRUCT && n == 0 && at == 0)
        (void)err_set(&b->err, EOPNOTSUPP,
                      "the table has no columns in its files (but its partitions' perhaps)");
    else if (f->kind == SHAPE_STRUCT && n == 0)
        contradiction(b, f, "a struct has no fields");
}

void shape_end(struct shape_builder *b)
{
    if (failed(b))
        return;
    if (b->open_n <= 1)
        (void)err_set(&b->err, EINVAL, "no struct, list or map is open");
    else
        end_innermost(b);
}

void shape_confine(struct shape_builder *b, const uint8_t *salt)
{
    if (failed(b))
        return;
    b->shape->confined = true;
    if (salt)
        memcpy(b->shape->salt, salt, SHAPE_SALT_BYTES);
}

/* Hash */

struct hashed {
    int32_t id;
    uint32_t end, length;
    uint8_t kind, type, nullable, precision, scale, has_constant, mask, unused;
};
_Static_assert(sizeof(struct hashed) == 20, "no bytes that nobody sets are hashed");

static uint64_t hash_field(uint64_t seed, const struct shape_field *f)
{
    struct hashed h = {
        .id = f->id,
        .end = f->end,
        .length = f->length,
        .kind = f->kind,
        .type = f->type,
        .nullable = f->nullable,
        .precision = f->precision,
        .scale = f->scale,
        .has_constant = f->has_constant,
        .mask = f->mask,
    };
    seed = hash64(seed, slice_make(&h, sizeof h));
    seed = hash64(seed, f->name);
    seed = hash64(seed, f->stored);
    seed = hash64(seed, f->constant);
    for (uint32_t i = 0; i < f->names_n; i++) {
        seed = hash64(seed, slice_make(&f->names[i].n, sizeof f->names[i].n));
        seed = hash64(seed, f->names[i]);
    }
    return seed;
}

int shape_finish(struct shape_builder *b, struct shape **out, struct err *err)
{
    if (!failed(b) && b->open_n != 1)
        (void)err_set(&b->err, EINVAL, "a struct, list or map was not ended");
    if (!failed(b))
        end_innermost(b);
    if (failed(b)) {
        shape_builder_done(b);
        return err_copy(err, &b->err);
    }
    struct shape *s = STEAL(b->shape);
    bool salted = false;
    s->hash = (s->match & 1U) | (uint64_t)s->confined << 1 | (uint64_t)(s->match >> 1) << 2;
    for (size_t i = 0; i < s->fields_n; i++) {
        s->hash = hash_field(s->hash, &s->fields[i]);
        salted |= s->fields[i].mask == SHAPE_MASK_SHA256_LOCAL;
    }
    if (salted)
        s->hash = hash64(s->hash, slice_make(s->salt, sizeof s->salt));
    *out = s;
    return 0;
}
