/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/schema_shown.h"

#include "base/json.h"
#include "base/limits.h"

struct writing {
    const struct shape *shape;
    const struct delta_columns *partitions;
    struct buf *out, *scratch;
    struct err *err;
};

/* Texts of a type that is an object, or of a field, by their keys: JSON. */
struct members {
    struct slice name, type, fields, element, key, value, sql;
};

static int unfit(const struct writing *w)
{
    return err_set(w->err, EIO, "the columns that are shown are not those of the schema");
}

static int read_members(const struct writing *w, struct slice text, struct members *m)
{
    struct json j;
    *m = (struct members){.name = SLICE_NONE};
    const struct json_member wanted[] = {{"name", &m->name},           {"type", &m->type},
                                         {"fields", &m->fields},       {"keyType", &m->key},
                                         {"elementType", &m->element}, {"valueType", &m->value},
                                         {"sqlType", &m->sql}};
    json_init(&j, text);
    return json_members(&j, wanted, ARRAY_SIZE(wanted)) ? 0 : json_error(&j, w->err);
}

/* A JSON string, decoded: valid until the next one. */
static int read_string(const struct writing *w, struct slice text, struct slice *out)
{
    struct json j;
    json_init(&j, text);
    return json_string(&j, w->scratch, out) ? 0 : json_error(&j, w->err);
}

static int add_type(const struct writing *w, struct slice type, uint32_t at);

static int add_leaf(const struct writing *w, struct slice type)
{
    struct slice name;
    int rc = read_string(w, type, &name);
    if (rc == 0)
        buf_add_json(w->out, name);
    return rc;
}

/* A field whose name is in scratch; at 0: it is a partition column. */
static int add_field(const struct writing *w, struct slice name, struct slice type, uint32_t at)
{
    if (w->out->data[w->out->len - 1] != '[')
        buf_add_char(w->out, ',');
    buf_add_str(w->out, "{\"name\":");
    buf_add_json(w->out, name);
    buf_add_str(w->out, ",\"type\":");
    int rc = at ? add_type(w, type, at) : add_leaf(w, type);
    bool nullable = !at || w->shape->fields[at].nullable;
    buf_addf(w->out, ",\"nullable\":%s,\"metadata\":{}}", nullable ? "true" : "false");
    return rc < 0 ? rc : buf_check(w->out, w->err);
}

static bool is_partition(const struct writing *w, struct slice name)
{
    for (size_t i = 0; i < w->partitions->n; i++)
        if (slice_eq(w->partitions->at[i].name, name))
            return true;
    return false;
}

/* The fields of the struct at `at`: both have them in one order. */
static int add_fields(const struct writing *w, struct slice fields, uint32_t at)
{
    const struct shape_field *all = w->shape->fields;
    uint32_t next = at + 1;
    struct json j;
    int rc = 0;
    buf_add_str(w->out, "[");
    rc = buf_check(w->out, w->err);
    json_init(&j, fields);
    if (rc == 0 && json_enter_array(&j))
        while (rc == 0 && json_next_element(&j)) {
            struct slice text, name = SLICE_NONE;
            struct members m;
            if (!json_skip(&j, &text))
                break;
            rc = read_members(w, text, &m);
            if (rc == 0)
                rc = read_string(w, m.name, &name);
            if (rc < 0)
                break;
            if (at == 0 && is_partition(w, name)) {
                rc = add_field(w, name, m.type, 0);
            } else if (next < all[at].end && slice_eq(all[next].name, name)) {
                rc = add_field(w, name, m.type, next);
                next = all[next].end;
            }
        }
    buf_add_char(w->out, ']');
    if (rc == 0 && json_failed(&j))
        rc = json_error(&j, w->err);
    return rc == 0 && next < all[at].end ? unfit(w) : rc;
}

static int add_struct(const struct writing *w, const struct members *m, uint32_t at)
{
    buf_add_str(w->out, "{\"type\":\"struct\",\"fields\":");
    int rc = add_fields(w, m->fields, at);
    buf_add_char(w->out, '}');
    return rc;
}

static const char *nulls(const struct writing *w, uint32_t at)
{
    return w->shape->fields[at].nullable ? "true" : "false";
}

static int add_list(const struct writing *w, const struct members *m, uint32_t at)
{
    buf_add_str(w->out, "{\"type\":\"array\",\"elementType\":");
    int rc = add_type(w, m->element, at + 1);
    buf_addf(w->out, ",\"containsNull\":%s}", nulls(w, at + 1));
    return rc;
}

static int add_map(const struct writing *w, const struct members *m, uint32_t at)
{
    uint32_t value = w->shape->fields[at + 1].end;
    buf_add_str(w->out, "{\"type\":\"map\",\"keyType\":");
    int rc = add_type(w, m->key, at + 1);
    buf_add_str(w->out, ",\"valueType\":");
    if (rc == 0)
        rc = add_type(w, m->value, value);
    buf_addf(w->out, ",\"valueContainsNull\":%s}", nulls(w, value));
    return rc;
}

/* The shape's depth bounds this. */
static int add_type(const struct writing *w, struct slice type, uint32_t at)
{
    struct members m;
    struct json j;
    json_init(&j, type);
    if (json_peek(&j) == JSON_STRING)
        return w->shape->fields[at].kind == SHAPE_LEAF ? add_leaf(w, type) : unfit(w);
    int rc = read_members(w, type, &m);
    if (rc < 0)
        return rc;
    if (m.sql.n) { /* user-defined: an object is none, so that this ends */
        json_init(&j, m.sql);
        if (json_peek(&j) == JSON_STRING)
            return add_type(w, m.sql, at);
        rc = read_members(w, m.sql, &m);
        if (rc < 0 || m.sql.n)
            return rc < 0 ? rc : unfit(w);
    }
    switch ((enum shape_kind)w->shape->fields[at].kind) {
    case SHAPE_LEAF:
        return unfit(w);
    case SHAPE_STRUCT:
        return add_struct(w, &m, at);
    case SHAPE_LIST:
        return add_list(w, &m, at);
    case SHAPE_MAP:
        break;
    }
    return add_map(w, &m, at);
}

int delta_schema_shown(struct slice schema, const struct delta_columns *partitions,
                       const struct shape *shape, struct buf *out, struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    struct writing w = {
        .shape = shape, .partitions = partitions, .out = out, .scratch = &scratch, .err = err};
    buf_init(&scratch, SCHEMA_BYTES_MAX);
    int rc = add_type(&w, schema, 0);
    return rc < 0 ? rc : buf_check(out, err);
}
