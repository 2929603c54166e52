/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/facts.h"

#include "base/limits.h"
#include "base/vec.h"

#define FACTS_MAX ((size_t)1 << 20)
#define DEPTH_MAX 64 /* of columns in columns, and of objects in objects */

struct taking {
    struct facts *facts;
    struct json j;
    struct buf name; /* of what is read */
    struct buf scratch;
    unsigned depth;
};

void facts_init(struct facts *f)
{
    *f = (struct facts){.max = FACTS_MAX};
    arena_init(&f->arena, 4 * SCHEMA_BYTES_MAX);
}

void facts_done(struct facts *f)
{
    vec_done(f);
    arena_done(&f->arena);
}

static bool add(struct facts *f, struct slice name, struct slice value)
{
    struct fact fact = {arena_slice(&f->arena, name), arena_slice(&f->arena, value)};
    return fact.name.p && fact.value.p && vec_push(f, fact) == 0;
}

static int by_name(const void *a, const void *b)
{
    return slice_cmp(((const struct fact *)a)->name, ((const struct fact *)b)->name);
}

static int begin(struct taking *t, struct facts *f, struct slice json)
{
    *t = (struct taking){.facts = f};
    json_init(&t->j, json);
    buf_init(&t->name, SCHEMA_BYTES_MAX);
    buf_init(&t->scratch, SCHEMA_BYTES_MAX);
    return 0;
}

static int end(struct taking *t, bool ok, struct err *err)
{
    struct facts *f = t->facts;
    buf_done(&t->name);
    buf_done(&t->scratch);
    if (json_failed(&t->j))
        return json_error(&t->j, err);
    if (!ok)
        return err_set(err, EIO, "a document of the table cannot be read");
    if (f->n)
        qsort(f->at, f->n, sizeof f->at[0], by_name);
    return 0;
}

/* Lengthens the name by a part; its length before is the caller's to restore. */
static size_t push_name(struct taking *t, struct slice part)
{
    size_t before = t->name.len;
    if (before)
        buf_add_char(&t->name, '.');
    buf_add_slice(&t->name, part);
    return before;
}

static void pop_name(struct taking *t, size_t before)
{
    t->name.len = before;
    if (t->name.data)
        t->name.data[before] = '\0';
}

/* A string's text, or the JSON of anything else. */
static bool take_value(struct taking *t, struct slice *out)
{
    return json_peek(&t->j) == JSON_STRING ? json_string(&t->j, &t->scratch, out)
                                           : json_skip(&t->j, out);
}

static bool take_members(struct taking *t) /* NOLINT(misc-no-recursion): bounded by DEPTH_MAX */
{
    struct slice key, value;
    if (++t->depth > DEPTH_MAX || !json_enter_object(&t->j))
        return false;
    while (json_next_key(&t->j, &key)) {
        size_t before = push_name(t, key);
        bool ok = json_peek(&t->j) == JSON_OBJECT
                      ? take_members(t)
                      : take_value(t, &value) && add(t->facts, buf_slice(&t->name), value);
        pop_name(t, before);
        if (!ok)
            return false;
    }
    t->depth--;
    return !json_failed(&t->j);
}

int facts_of_object(struct facts *f, struct slice json, struct err *err)
{
    struct taking t;
    (void)begin(&t, f, json);
    return end(&t, take_members(&t), err);
}

/* A type of a Delta schema: a name, or an object with its parts. */
static bool take_type(struct taking *t, struct slice type, bool nullable);

/* The members of a type or a field that matter. */
struct parts {
    struct slice type, fields, element, key, value, name;
    bool nullable;
};

static bool take_parts(struct slice text, struct buf *scratch, struct parts *out)
{
    struct json j;
    struct slice key;
    *out = (struct parts){.nullable = true};
    json_init(&j, text);
    bool ok = json_enter_object(&j);
    while (ok && json_next_key(&j, &key)) {
        struct slice *raw = slice_is(key, "type")          ? &out->type
                            : slice_is(key, "fields")      ? &out->fields
                            : slice_is(key, "elementType") ? &out->element
                            : slice_is(key, "keyType")     ? &out->key
                            : slice_is(key, "valueType")   ? &out->value
                                                           : NULL;
        if (slice_is(key, "name") && json_peek(&j) == JSON_STRING)
            ok = json_string(&j, scratch, &out->name);
        else if ((slice_is(key, "nullable") || slice_is(key, "containsNull") ||
                  slice_is(key, "valueContainsNull")) &&
                 json_peek(&j) == JSON_BOOL)
            ok = json_bool(&j, &out->nullable);
        else
            ok = json_skip(&j, raw);
    }
    return ok && !json_failed(&j);
}

static bool take_fields(struct taking *t, struct slice fields) /* NOLINT(misc-no-recursion) */
{
    struct json j;
    json_init(&j, fields);
    bool ok = json_enter_array(&j);
    while (ok && json_next_element(&j)) {
        AUTO(buf) struct buf scratch = {0};
        struct parts p;
        struct slice field;
        buf_init(&scratch, SCHEMA_BYTES_MAX);
        ok = json_skip(&j, &field) && take_parts(field, &scratch, &p);
        if (!ok)
            break;
        size_t before = push_name(t, p.name);
        ok = take_type(t, p.type, p.nullable);
        pop_name(t, before);
    }
    return ok && !json_failed(&j);
}

static bool take_inner(struct taking *t, const char *name, struct slice type, bool nullable)
/* NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX */
{
    size_t before = push_name(t, slice_of(name));
    bool ok = take_type(t, type, nullable);
    pop_name(t, before);
    return ok;
}

static bool add_type(struct taking *t, struct slice type, bool nullable)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, SCHEMA_BYTES_MAX);
    buf_add_slice(&text, type);
    buf_add_str(&text, nullable ? "" : " not null");
    return !text.failed && (!t->name.len || add(t->facts, buf_slice(&t->name), buf_slice(&text)));
}

static bool take_type(struct taking *t, struct slice type, bool nullable)
/* NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX */
{
    AUTO(buf) struct buf scratch = {0};
    struct parts p;
    struct slice name = SLICE_NONE;
    struct json j;
    buf_init(&scratch, SCHEMA_BYTES_MAX);
    json_init(&j, type);
    if (json_peek(&j) == JSON_STRING)
        return json_string(&j, &scratch, &name) && add_type(t, name, nullable);
    if (++t->depth > DEPTH_MAX || !take_parts(type, &scratch, &p))
        return false;
    if (p.type.n > 2) /* in its quotes */
        name = slice_make(p.type.p + 1, p.type.n - 2);
    bool ok = add_type(t, name, nullable);
    if (p.fields.n)
        ok = ok && take_fields(t, p.fields);
    if (p.element.n)
        ok = ok && take_inner(t, "element", p.element, p.nullable);
    if (p.key.n)
        ok = ok && take_inner(t, "key", p.key, false);
    if (p.value.n)
        ok = ok && take_inner(t, "value", p.value, p.nullable);
    t->depth--;
    return ok;
}

int facts_of_schema(struct facts *f, struct slice json, struct err *err)
{
    struct taking t;
    struct slice key, raw;
    (void)begin(&t, f, json);
    bool ok = json_enter_object(&t.j);
    while (ok && json_next_key(&t.j, &key)) {
        ok = json_skip(&t.j, &raw);
        if (ok && slice_is(key, "schema"))
            ok = take_type(&t, raw, true);
        else if (ok && slice_is(key, "partitionColumns"))
            ok = add(f, SLICE_LIT("(partition columns)"), raw);
    }
    return end(&t, ok, err);
}

void facts_differ(const struct facts *before, const struct facts *after,
                  void (*emit)(void *arg, struct slice name, struct slice before,
                               struct slice after),
                  void *arg)
{
    size_t i = 0, k = 0;
    while (i < before->n || k < after->n) {
        const struct fact *a = i < before->n ? &before->at[i] : NULL;
        const struct fact *b = k < after->n ? &after->at[k] : NULL;
        int c = !a ? 1 : !b ? -1 : slice_cmp(a->name, b->name);
        if (c < 0)
            emit(arg, a->name, a->value, SLICE_NONE);
        else if (c > 0)
            emit(arg, b->name, SLICE_NONE, b->value);
        else if (!slice_eq(a->value, b->value))
            emit(arg, a->name, a->value, b->value);
        i += c <= 0;
        k += c >= 0;
    }
}
