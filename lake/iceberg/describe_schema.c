/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/describe_schema.h"

#include "base/json.h"
#include "base/limits.h"

struct writing {
    const struct shape *shape;
    struct buf *out, *scratch;
    struct err *err;
};

/* JSON of a field, or of a type that is an object, by their keys. */
struct members {
    struct slice id, name, type, fields, element, key, value, element_id, key_id, value_id;
};

static int unfit(const struct writing *w)
{
    return err_set(w->err, EIO, "the columns that are shown are not those of the schema");
}

static int read_members(const struct writing *w, struct slice text, struct members *m)
{
    struct json j;
    *m = (struct members){.name = SLICE_NONE};
    const struct json_member wanted[] = {{"id", &m->id},           {"name", &m->name},
                                         {"type", &m->type},       {"fields", &m->fields},
                                         {"element", &m->element}, {"element-id", &m->element_id},
                                         {"key", &m->key},         {"key-id", &m->key_id},
                                         {"value", &m->value},     {"value-id", &m->value_id}};
    json_init(&j, text);
    return json_members(&j, wanted, ARRAY_SIZE(wanted)) ? 0 : json_error(&j, w->err);
}

static int read_id(const struct writing *w, struct slice text, int32_t *out)
{
    struct json j;
    int64_t id = 0;
    json_init(&j, text);
    if (!json_int64(&j, &id) || id < INT32_MIN || id > INT32_MAX)
        return err_set(w->err, EIO, "the schema has a field without an id");
    *out = (int32_t)id;
    return 0;
}

static int add_string(const struct writing *w, struct slice text)
{
    struct json j;
    struct slice s;
    json_init(&j, text);
    if (!json_string(&j, w->scratch, &s))
        return json_error(&j, w->err);
    buf_add_json(w->out, s);
    return 0;
}

static const char *required(const struct writing *w, uint32_t at)
{
    return w->shape->fields[at].nullable ? "false" : "true";
}

static int add_type(const struct writing *w, struct slice type, uint32_t at);

static int add_field(const struct writing *w, const struct members *m, int32_t id, uint32_t at)
{
    if (w->out->len && w->out->data[w->out->len - 1] != '[')
        buf_add_char(w->out, ',');
    buf_addf(w->out, "{\"id\":%d,\"name\":", id);
    int rc = add_string(w, m->name);
    buf_addf(w->out, ",\"required\":%s,\"type\":", required(w, at));
    if (rc == 0)
        rc = add_type(w, m->type, at);
    buf_add_char(w->out, '}');
    return rc < 0 ? rc : buf_check(w->out, w->err);
}

/* The fields of the struct at `at`: both have them in one order. */
static int add_fields(const struct writing *w, struct slice fields, uint32_t at)
{
    const struct shape_field *all = w->shape->fields;
    uint32_t next = at + 1;
    struct json j;
    int rc = 0;
    buf_add_char(w->out, '[');
    json_init(&j, fields);
    if (json_enter_array(&j))
        while (rc == 0 && json_next_element(&j)) {
            struct slice text;
            struct members m;
            int32_t id = 0;
            if (!json_skip(&j, &text))
                break;
            rc = read_members(w, text, &m);
            if (rc == 0)
                rc = read_id(w, m.id, &id);
            if (rc == 0 && next < all[at].end && all[next].id == id) {
                rc = add_field(w, &m, id, next);
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

static int add_list(const struct writing *w, const struct members *m, uint32_t at)
{
    int32_t id = 0;
    int rc = read_id(w, m->element_id, &id);
    if (rc < 0)
        return rc;
    buf_addf(w->out,
             "{\"type\":\"list\",\"element-id\":%d,\"element-required\":%s,\"element\":", id,
             required(w, at + 1));
    rc = add_type(w, m->element, at + 1);
    buf_add_char(w->out, '}');
    return rc;
}

static int add_map(const struct writing *w, const struct members *m, uint32_t at)
{
    uint32_t value = w->shape->fields[at + 1].end;
    int32_t key_id = 0, value_id = 0;
    int rc = read_id(w, m->key_id, &key_id);
    if (rc == 0)
        rc = read_id(w, m->value_id, &value_id);
    if (rc < 0)
        return rc;
    buf_addf(w->out, "{\"type\":\"map\",\"key-id\":%d,\"key\":", key_id);
    rc = add_type(w, m->key, at + 1);
    buf_addf(w->out, ",\"value-id\":%d,\"value-required\":%s,\"value\":", value_id,
             required(w, value));
    if (rc == 0)
        rc = add_type(w, m->value, value);
    buf_add_char(w->out, '}');
    return rc;
}

/* The shape's depth bounds this. */
static int add_type(const struct writing *w, struct slice type, uint32_t at)
{
    struct members m;
    struct json j;
    json_init(&j, type);
    if (json_peek(&j) == JSON_STRING)
        return w->shape->fields[at].kind == SHAPE_LEAF ? add_string(w, type) : unfit(w);
    int rc = read_members(w, type, &m);
    if (rc < 0)
        return rc;
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

int iceberg_schema_shown(const struct iceberg_schema_text *schema, const struct shape *shape,
                         struct buf *out, struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    struct writing w = {.shape = shape, .out = out, .scratch = &scratch, .err = err};
    struct members m;
    buf_init(&scratch, SCHEMA_BYTES_MAX);
    int rc = read_members(&w, schema->json, &m);
    if (rc < 0)
        return rc;
    buf_addf(out, "{\"type\":\"struct\",\"schema-id\":%d,\"fields\":", schema->id);
    rc = add_fields(&w, m.fields, 0);
    buf_add_char(out, '}');
    return rc < 0 ? rc : buf_check(out, err);
}

bool iceberg_schema_shows(const struct shape *shape, int32_t id)
{
    for (size_t i = 1; i < shape->fields_n; i++)
        if (shape->fields[i].id == id)
            return true;
    return false;
}
