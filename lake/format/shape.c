/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/shape.h"

#include <stdatomic.h>

#include "base/hash.h"
#include "base/limits.h"

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

void shape_builder_init(struct shape_builder *b, bool by_id)
{
    *b = (struct shape_builder){.shape = calloc(1, sizeof *b->shape)};
    if (!b->shape) {
        out_of_memory(b);
        return;
    }
    atomic_init(&b->shape->refs, 1);
    b->shape->by_id = by_id;
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

static bool check_type(struct shape_builder *b, const struct shape_field *f)
{
    if (f->kind != SHAPE_LEAF && f->has_constant)
        contradiction(b, f, "only leaves have constants");
    else if (f->kind == SHAPE_LEAF && f->type == SHAPE_DECIMAL &&
             (f->precision < 1 || f->precision > 38 || f->scale > f->precision))
        contradiction(b, f, "a decimal has up to 38 digits, its scale is not over its precision");
    else if (f->kind == SHAPE_LEAF && f->type == SHAPE_FIXED && f->length == 0)
        contradiction(b, f, "values have a fixed size of 0 bytes");
    return !failed(b);
}

void shape_add(struct shape_builder *b, const struct shape_field *field)
{
    if (failed(b) || !check_type(b, field))
        return;
    if (b->open_n == 0) {
        contradiction(b, field, "comes after the root's end");
        return;
    }
    struct shape_field *f = grow(b);
    if (!f)
        return;
    *f = *field;
    if (!copy(b, &f->name) || !copy(b, &f->stored) || !copy(b, &f->constant))
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

/* Hash */

struct hashed {
    int32_t id;
    uint32_t end, length;
    uint8_t kind, type, nullable, precision, scale, has_constant, unused[2];
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
    };
    seed = hash64(seed, slice_make(&h, sizeof h));
    seed = hash64(seed, f->name);
    seed = hash64(seed, f->stored);
    return hash64(seed, f->constant);
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
    s->hash = s->by_id;
    for (size_t i = 0; i < s->fields_n; i++)
        s->hash = hash_field(s->hash, &s->fields[i]);
    *out = s;
    return 0;
}
