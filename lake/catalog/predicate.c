/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/predicate.h"

#include "base/limits.h"
#include "base/vec.h"
#include "lake/catalog/pairs.h"

#define LITERAL_BYTES_MAX (64 * KIB)
#define NAME_BYTES 32

/* What kind of members a predicate of that name has. */
enum form { FORM_CONSTANT, FORM_NOT, FORM_TWO, FORM_TEST, FORM_COMPARE, FORM_SET };

static const struct word {
    const char *name;
    enum predicate_kind kind;
    enum form form;
    enum predicate_kind flipped; /* of a comparison whose reference stands on the right */
} words[] = {
    {"true", PREDICATE_TRUE, FORM_CONSTANT, 0},
    {"false", PREDICATE_FALSE, FORM_CONSTANT, 0},
    {"not", PREDICATE_NOT, FORM_NOT, 0},
    {"and", PREDICATE_AND, FORM_TWO, 0},
    {"or", PREDICATE_OR, FORM_TWO, 0},
    {"is-null", PREDICATE_IS_NULL, FORM_TEST, 0},
    {"not-null", PREDICATE_NOT_NULL, FORM_TEST, 0},
    {"is-nan", PREDICATE_IS_NAN, FORM_TEST, 0},
    {"not-nan", PREDICATE_NOT_NAN, FORM_TEST, 0},
    {"lt", PREDICATE_LESS, FORM_COMPARE, PREDICATE_GREATER},
    {"lt-eq", PREDICATE_LESS_EQUAL, FORM_COMPARE, PREDICATE_GREATER_EQUAL},
    {"gt", PREDICATE_GREATER, FORM_COMPARE, PREDICATE_LESS},
    {"gt-eq", PREDICATE_GREATER_EQUAL, FORM_COMPARE, PREDICATE_LESS_EQUAL},
    {"eq", PREDICATE_EQUAL, FORM_COMPARE, PREDICATE_EQUAL},
    {"not-eq", PREDICATE_NOT_EQUAL, FORM_COMPARE, PREDICATE_NOT_EQUAL},
    {"starts-with", PREDICATE_STARTS_WITH, FORM_COMPARE, 0},
    {"not-starts-with", PREDICATE_NOT_STARTS_WITH, FORM_COMPARE, 0},
    {"in", PREDICATE_IN, FORM_SET, 0},
    {"not-in", PREDICATE_NOT_IN, FORM_SET, 0},
};

struct reading {
    struct arena *arena;
    size_t nodes, literals;
    struct err *err;
};

static int damaged(struct reading *r, const struct json *j)
{
    return catalog_read_failed(j, r->arena, "a predicate", r->err);
}

static int refuse(struct reading *r, const char *what, struct slice which)
{
    AUTO(buf) struct buf shown = {0};
    buf_init(&shown, 400);
    buf_add_json(&shown, slice_make(which.p, which.n < 60 ? which.n : 60));
    return err_set(r->err, EOPNOTSUPP, "a predicate with %s %s, which is not known here", what,
                   shown.data ? shown.data : "");
}

/* The members of one object, unread: their order is free. */
struct members {
    struct slice type, left, right, child, values;
    struct slice term, value; /* the deprecated form */
    struct slice id, name, data_type;
    struct slice unknown; /* the key of another one */
};

static int read_members(struct reading *r, struct json *j, struct members *m)
{
    const struct {
        const char *name;
        struct slice *to;
    } known[] = {{"type", &m->type},          {"left", &m->left},     {"right", &m->right},
                 {"child", &m->child},        {"values", &m->values}, {"term", &m->term},
                 {"value", &m->value},        {"id", &m->id},         {"name", &m->name},
                 {"data-type", &m->data_type}};
    struct slice key, raw;
    *m = (struct members){0};
    if (!json_enter_object(j))
        return damaged(r, j);
    while (json_next_key(j, &key)) {
        struct slice *to = NULL;
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
            if (slice_is(key, known[i].name))
                to = known[i].to;
        if (!to)
            return refuse(r, "a member", key);
        if (to->p)
            return err_set(r->err, EIO, "a predicate has `%.*s` twice", SLICE_FMT(key));
        if (!json_skip(j, &raw))
            return damaged(r, j);
        *to = raw;
    }
    return json_failed(j) ? damaged(r, j) : 0;
}

/* A short string: a type's name. */
static bool read_name(struct slice raw, char out[NAME_BYTES])
{
    AUTO(buf) struct buf scratch = {0};
    struct json j;
    struct slice s;
    buf_init(&scratch, NAME_BYTES * 4);
    json_init(&j, raw);
    if (!json_string(&j, &scratch, &s) || s.n >= NAME_BYTES || slice_find(s, '\0') >= 0)
        return false;
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}

/* Of an object: its member `type`, or empty. */
static int read_object(struct reading *r, struct slice raw, struct members *m,
                       char type[NAME_BYTES])
{
    struct json j;
    json_init(&j, raw);
    int rc = read_members(r, &j, m);
    type[0] = '\0';
    if (rc == 0 && m->type.p && !read_name(m->type, type))
        rc = refuse(r, "the type", m->type);
    return rc;
}

static bool only(const struct members *m, unsigned n)
{
    const struct slice all[] = {m->type,  m->left, m->right, m->child, m->values,
                                m->value, m->term, m->id,    m->name,  m->data_type};
    unsigned found = 0;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        found += all[i].p != NULL;
    return found == n;
}

/* ---- values ---- */

static enum json_type type_of(struct slice raw)
{
    struct json j;
    json_init(&j, raw);
    return json_peek(&j);
}

static bool read_bare(struct reading *r, struct slice raw, struct literal *out)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice s = raw;
    struct json j;
    json_init(&j, raw);
    buf_init(&scratch, LITERAL_BYTES_MAX);
    switch (json_peek(&j)) {
    case JSON_BOOL:
        out->kind = LITERAL_BOOL;
        break;
    case JSON_NUMBER:
        out->kind = LITERAL_NUMBER;
        break;
    case JSON_STRING:
        out->kind = LITERAL_STRING;
        if (!json_string(&j, &scratch, &s))
            return false;
        break;
    case JSON_NONE:
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        return false;
    }
    out->text = arena_slice(r->arena, s);
    return out->text.p;
}

static int count_literal(struct reading *r)
{
    return ++r->literals > PREDICATE_LITERALS_MAX
               ? err_set(r->err, EOVERFLOW, "predicates with more than %zu values",
                         PREDICATE_LITERALS_MAX)
               : 0;
}

static int read_data_type(struct reading *r, struct slice raw, struct slice *out)
{
    struct json j;
    json_init(&j, raw);
    if (json_peek(&j) != JSON_STRING || !catalog_read_text(&j, r->arena, out))
        return refuse(r, "the data type", raw);
    return 0;
}

/* A bare value, or {"type": "literal", "value": ..., "data-type": ...}. */
static int read_literal(struct reading *r, struct slice raw, struct literal *out)
{
    struct members m;
    char type[NAME_BYTES];
    struct slice value = raw;
    int rc = count_literal(r);
    *out = (struct literal){0};
    if (rc == 0 && type_of(raw) == JSON_OBJECT) {
        if ((rc = read_object(r, raw, &m, type)) < 0)
            return rc;
        if (strcmp(type, "literal") != 0 || !m.value.p || !only(&m, m.data_type.p ? 3 : 2))
            return refuse(r, "the value", raw);
        value = m.value;
        if (m.data_type.p)
            rc = read_data_type(r, m.data_type, &out->data_type);
    }
    if (rc == 0 && !read_bare(r, value, out))
        rc = r->arena->full ? arena_failed(r->arena, "a predicate", r->err)
                            : refuse(r, "the value", raw);
    return rc;
}

/* {"type": "reference", "id": ...}: a name would be another column after a rename. */
static int read_reference(struct reading *r, struct slice raw, int32_t *field_id)
{
    struct members m;
    char type[NAME_BYTES];
    struct json j;
    int64_t id = 0;
    if (type_of(raw) != JSON_OBJECT)
        return refuse(r, "the column", raw);
    int rc = read_object(r, raw, &m, type);
    if (rc < 0)
        return rc;
    json_init(&j, m.id);
    if (strcmp(type, "reference") != 0 || !m.id.p || !only(&m, 2) || !json_int64(&j, &id) ||
        id < 0 || id > INT32_MAX)
        return refuse(r, "the column", raw);
    *field_id = (int32_t)id;
    return 0;
}

static bool is_reference(struct slice raw)
{
    struct members m;
    char type[NAME_BYTES];
    struct reading silent = {0};
    return type_of(raw) == JSON_OBJECT && read_object(&silent, raw, &m, type) == 0 &&
           strcmp(type, "reference") == 0;
}

static int keep_literals(struct reading *r, const struct literal *at, size_t n,
                         struct predicate *out)
{
    struct literal *copy = arena_calloc(r->arena, n ? n : 1, sizeof *copy);
    if (!copy)
        return arena_failed(r->arena, "a predicate", r->err);
    if (n)
        memcpy(copy, at, n * sizeof *copy);
    out->literals = copy;
    out->literals_n = n;
    return 0;
}

/* [LITERAL...], or {"type": "literals", "values": [...], "data-type": ...}. */
static int read_literals(struct reading *r, struct slice raw, struct predicate *out)
{
    VEC(struct literal) all = VEC_MAX(PREDICATE_LITERALS_MAX);
    struct slice data_type = SLICE_NONE, element;
    struct members m;
    char type[NAME_BYTES];
    struct json j;
    int rc = 0;
    if (type_of(raw) == JSON_OBJECT) {
        if ((rc = read_object(r, raw, &m, type)) < 0)
            return rc;
        if (strcmp(type, "literals") != 0 || !m.values.p || !m.data_type.p || !only(&m, 3))
            return refuse(r, "the values", raw);
        rc = read_data_type(r, m.data_type, &data_type);
        raw = m.values;
    }
    json_init(&j, raw);
    if (rc == 0 && !json_enter_array(&j))
        rc = refuse(r, "the values", raw);
    while (rc == 0 && json_next_element(&j)) {
        struct literal one;
        if (!json_skip(&j, &element))
            rc = damaged(r, &j);
        else if ((rc = read_literal(r, element, &one)) == 0 && data_type.p)
            one.data_type = data_type;
        if (rc == 0 && vec_push(&all, one) < 0)
            rc = err_set(r->err, ENOMEM, "out of memory");
    }
    if (rc == 0 && json_failed(&j))
        rc = damaged(r, &j);
    if (rc == 0)
        rc = keep_literals(r, all.at, all.n, out);
    vec_done(&all);
    return rc;
}

/* ---- predicates ---- */

static int read_node(struct reading *r, struct slice raw, unsigned depth,
                     const struct predicate **out);

static int read_comparison(struct reading *r, const struct word *word, const struct members *m,
                           struct predicate *out)
{
    bool flip = !is_reference(m->left) && is_reference(m->right);
    struct literal literal;
    if (flip && !word->flipped)
        return refuse(r, "the comparison of a value", m->type);
    int rc = read_reference(r, flip ? m->right : m->left, &out->field_id);
    if (rc == 0)
        rc = read_literal(r, flip ? m->left : m->right, &literal);
    if (rc == 0)
        rc = keep_literals(r, &literal, 1, out);
    out->kind = flip ? word->flipped : word->kind;
    return rc;
}

/* Which members a predicate of this form has, beside its type. */
static bool has_members(const struct members *m, enum form form)
{
    switch (form) {
    case FORM_CONSTANT:
        return only(m, 1);
    case FORM_NOT:
    case FORM_TEST:
        return m->child.p && only(m, 2);
    case FORM_TWO:
    case FORM_COMPARE:
        return m->left.p && m->right.p && only(m, 3);
    case FORM_SET:
        return m->child.p && m->values.p && only(m, 3);
    }
    return false;
}

static int read_form(struct reading *r, const struct word *word, const struct members *m,
                     unsigned depth, struct predicate *out)
{
    int rc = 0;
    out->kind = word->kind;
    switch (word->form) {
    case FORM_CONSTANT:
        return 0;
    case FORM_NOT:
        return read_node(r, m->child, depth + 1, &out->left);
    case FORM_TWO:
        rc = read_node(r, m->left, depth + 1, &out->left);
        return rc < 0 ? rc : read_node(r, m->right, depth + 1, &out->right);
    case FORM_TEST:
        return read_reference(r, m->child, &out->field_id);
    case FORM_COMPARE:
        return read_comparison(r, word, m, out);
    case FORM_SET:
        rc = read_reference(r, m->child, &out->field_id);
        return rc < 0 ? rc : read_literals(r, m->values, out);
    }
    return rc;
}

static int read_object_node(struct reading *r, struct slice raw, unsigned depth,
                            struct predicate *out)
{
    struct members m;
    char type[NAME_BYTES];
    int rc = read_object(r, raw, &m, type);
    if (rc < 0)
        return rc;
    /* the deprecated form names columns, which a rename makes another's */
    if (m.term.p)
        return refuse(r, "a column by its name:", m.term);
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp(type, words[i].name) == 0)
            return has_members(&m, words[i].form) ? read_form(r, &words[i], &m, depth, out)
                                                  : refuse(r, "other members than", m.type);
    return refuse(r, "the type", m.type);
}

static int read_node(struct reading *r, struct slice raw, unsigned depth,
                     const struct predicate **out)
{
    struct json j;
    bool constant = false;
    if (depth > PREDICATE_DEPTH_MAX || ++r->nodes > PREDICATE_NODES_MAX)
        return err_set(r->err, EOVERFLOW, "a predicate of more than %zu parts, or %d levels",
                       PREDICATE_NODES_MAX, PREDICATE_DEPTH_MAX);
    struct predicate *node = arena_calloc(r->arena, 1, sizeof *node);
    if (!node)
        return arena_failed(r->arena, "a predicate", r->err);
    json_init(&j, raw);
    int rc = 0;
    if (json_peek(&j) == JSON_OBJECT)
        rc = read_object_node(r, raw, depth, node);
    else if (json_peek(&j) == JSON_BOOL && json_bool(&j, &constant))
        node->kind = constant ? PREDICATE_TRUE : PREDICATE_FALSE;
    else
        rc = refuse(r, "the part", raw);
    if (rc == 0)
        *out = node;
    return rc;
}

int predicate_read(struct json *j, struct arena *arena, const struct predicate **out,
                   struct err *err)
{
    struct reading r = {.arena = arena, .err = err};
    struct slice raw;
    if (!json_skip(j, &raw))
        return damaged(&r, j);
    return read_node(&r, raw, 1, out);
}
