/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/schema.h"

#include "base/json.h"
#include "base/limits.h"
#include "lake/iceberg/default.h"
#include "lake/iceberg/name_mapping.h"
#include "lake/iceberg/schema_type.h"

struct parse {
    struct shape_builder b;
    struct iceberg_name_mapping names; /* none where match is not SHAPE_BY_MAPPING */
    enum shape_match match;
    bool own_names; /* the mapping contradicts the schema: a column is called as it is */
    unsigned depth;
    struct err *err;
};

static void parse_done(struct parse *p)
{
    shape_builder_done(&p->b);
    if (p->match == SHAPE_BY_MAPPING)
        iceberg_name_mapping_done(&p->names);
}
DEFINE_AUTO_DONE(parse, struct parse, parse_done)

/* A field of a struct as the schema has it; values are JSON text. */
struct field {
    struct buf name;
    int64_t id;
    bool has_id, required;
    struct slice type, initial;
};

static void field_done(struct field *f)
{
    buf_done(&f->name);
}
DEFINE_AUTO_DONE(field, struct field, field_done)

static int read_text(struct json *j, struct buf *out)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice s;
    buf_init(&scratch, SCHEMA_BYTES_MAX);
    if (json_string(j, &scratch, &s))
        buf_add_slice(out, s);
    return buf_check(&scratch, NULL) < 0 ? buf_check(&scratch, NULL) : buf_check(out, NULL);
}

static int read_field(struct json *j, struct field *f, struct err *err)
{
    struct slice key;
    int rc = 0;
    buf_init(&f->name, SCHEMA_BYTES_MAX);
    (void)json_enter_object(j);
    while (rc == 0 && json_next_key(j, &key)) {
        if (slice_is(key, "name"))
            rc = read_text(j, &f->name);
        else if (slice_is(key, "id"))
            f->has_id = json_int64(j, &f->id);
        else if (slice_is(key, "required"))
            (void)json_bool(j, &f->required);
        else
            (void)json_skip(j, slice_is(key, "type")              ? &f->type
                               : slice_is(key, "initial-default") ? &f->initial
                                                                  : NULL);
    }
    if (rc < 0)
        return err_set(err, -rc, "the schema: no room for a name");
    if (json_failed(j))
        return json_error(j, err);
    if (!f->has_id || f->id < 0 || f->id > INT32_MAX || !f->name.len || !f->type.n)
        return err_set(err, EIO, "the schema: a field has no id, name or type");
    return 0;
}

static int add_type(struct parse *p, struct slice type, struct slice initial,
                    struct shape_field *f);

static int add_fields(struct parse *p, struct json *j)
{
    int rc = 0;
    (void)json_enter_array(j);
    while (rc == 0 && json_next_element(j)) {
        AUTO(field) struct field f = {.has_id = false};
        rc = read_field(j, &f, p->err);
        struct shape_field field = {
            .name = buf_slice(&f.name), .id = (int32_t)f.id, .nullable = !f.required};
        if (rc == 0)
            rc = add_type(p, f.type, f.initial, &field);
        if (rc < 0 && f.name.len)
            rc = err_wrap(p->err, "column \"%.*s\"", f.name.len < 100 ? (int)f.name.len : 100,
                          f.name.data);
    }
    return rc < 0 || !json_failed(j) ? rc : json_error(j, p->err);
}

/* What a type that is an object says of itself. */
struct nested {
    enum shape_kind kind;
    bool known;
    struct slice fields, element, key, value; /* JSON text */
    int64_t element_id, key_id, value_id;
    bool element_required, value_required;
};

static void read_kind(struct json *j, struct nested *n)
{
    static const char *const kinds[] = {
        [SHAPE_STRUCT] = "struct", [SHAPE_LIST] = "list", [SHAPE_MAP] = "map"};
    AUTO(buf) struct buf scratch = {0};
    struct slice s;
    buf_init(&scratch, KIB);
    if (!json_string(j, &scratch, &s))
        return;
    for (size_t i = SHAPE_STRUCT; i < ARRAY_SIZE(kinds); i++)
        if (slice_is(s, kinds[i])) {
            n->kind = (enum shape_kind)i;
            n->known = true;
        }
}

static int read_nested(struct slice type, struct nested *n, struct err *err)
{
    struct json j;
    struct slice key;
    *n = (struct nested){.element_id = -1, .key_id = -1, .value_id = -1};
    json_init(&j, type);
    (void)json_enter_object(&j);
    while (json_next_key(&j, &key)) {
        if (slice_is(key, "type"))
            read_kind(&j, n);
        else if (slice_is(key, "element-id"))
            (void)json_int64(&j, &n->element_id);
        else if (slice_is(key, "key-id"))
            (void)json_int64(&j, &n->key_id);
        else if (slice_is(key, "value-id"))
            (void)json_int64(&j, &n->value_id);
        else if (slice_is(key, "element-required"))
            (void)json_bool(&j, &n->element_required);
        else if (slice_is(key, "value-required"))
            (void)json_bool(&j, &n->value_required);
        else
            (void)json_skip(&j, slice_is(key, "fields")    ? &n->fields
                                : slice_is(key, "element") ? &n->element
                                : slice_is(key, "key")     ? &n->key
                                : slice_is(key, "value")   ? &n->value
                                                           : NULL);
    }
    return json_failed(&j) ? json_error(&j, err) : 0;
}

static int add_child(struct parse *p, struct slice type, int64_t id, bool required)
{
    if (!type.n || id < 0 || id > INT32_MAX)
        return err_set(p->err, EIO, "the schema: a list or map lacks a type or an id");
    struct shape_field field = {.name = SLICE_LIT(""), .id = (int32_t)id, .nullable = !required};
    return add_type(p, type, SLICE_NONE, &field);
}

/* A default of a struct is null, or an object without values: fields have their own. */
static int struct_default(struct parse *p, struct slice initial, struct shape_field *f)
{
    struct json j;
    struct slice key;
    json_init(&j, initial);
    if (f->kind != SHAPE_STRUCT)
        return err_set(p->err, EOPNOTSUPP, "the default of a list or map");
    if (!json_enter_object(&j))
        return json_error(&j, p->err);
    if (json_next_key(&j, &key))
        return err_set(p->err, EOPNOTSUPP, "the default of a struct has values for its fields");
    f->has_constant = true;
    return 0;
}

static bool is_null(struct slice initial)
{
    struct json j;
    json_init(&j, initial);
    return initial.n == 0 || json_peek(&j) == JSON_NULL;
}

static int add_nested(struct parse *p, const struct nested *n, struct shape_field *f)
{
    struct json fields;
    int rc = 0;
    shape_add(&p->b, f);
    if (n->kind == SHAPE_STRUCT) {
        json_init(&fields, n->fields);
        rc = add_fields(p, &fields);
    } else if (n->kind == SHAPE_LIST) {
        rc = add_child(p, n->element, n->element_id, n->element_required);
    } else {
        rc = add_child(p, n->key, n->key_id, true);
        if (rc == 0)
            rc = add_child(p, n->value, n->value_id, n->value_required);
    }
    if (rc == 0)
        shape_end(&p->b);
    return rc;
}

static int add_leaf(struct parse *p, struct slice name, struct slice initial, struct shape_field *f)
{
    AUTO(buf) struct buf constant = {0};
    buf_init(&constant, SCHEMA_BYTES_MAX);
    if (!iceberg_type_leaf(name, f))
        return err_set(p->err, EOPNOTSUPP, "a column of the type %.*s",
                       (int)(name.n < 100 ? name.n : 100), name.p);
    int rc = is_null(initial) ? 0 : iceberg_default_read(f, initial, &constant, p->err);
    if (rc < 0)
        return rc;
    f->has_constant = !is_null(initial);
    f->constant = buf_slice(&constant);
    shape_add(&p->b, f);
    return 0;
}

/* A field, and what is in it. Names are all of the file's that may be meant. */
static int add_type(struct parse *p, struct slice type, struct slice initial, struct shape_field *f)
{
    AUTO(buf) struct buf name = {0};
    struct nested n;
    struct json j;
    if (p->match == SHAPE_BY_MAPPING) {
        struct iceberg_names names = iceberg_name_mapping_find(&p->names, f->id);
        f->names = p->own_names ? &f->name : names.at;
        f->names_n = p->own_names ? names.at != NULL : (uint32_t)names.n;
    }
    json_init(&j, type);
    if (json_peek(&j) != JSON_OBJECT) {
        buf_init(&name, KIB);
        int rc = read_text(&j, &name);
        if (json_failed(&j))
            return json_error(&j, p->err);
        return rc < 0 ? err_set(p->err, EIO, "the schema: a type of more than %zu bytes", KIB)
                      : add_leaf(p, buf_slice(&name), initial, f);
    }
    int rc = read_nested(type, &n, p->err);
    if (rc < 0)
        return rc;
    if (!n.known)
        return err_set(p->err, EOPNOTSUPP, "a column of a type that is not known");
    if (p->depth >= SHAPE_DEPTH_MAX)
        return err_set(p->err, EOVERFLOW, "columns nest deeper than %d", SHAPE_DEPTH_MAX);
    f->kind = (uint8_t)n.kind;
    if (!is_null(initial))
        rc = struct_default(p, initial, f);
    p->depth++;
    if (rc == 0)
        rc = add_nested(p, &n, f);
    p->depth--;
    return rc;
}

/* Moves the reader to the array of a schema's fields. */
static int find_fields(struct slice json, struct json *j, struct err *err)
{
    struct nested n;
    int rc = read_nested(json, &n, err);
    if (rc == 0 && !n.fields.n)
        rc = err_set(err, EIO, "the schema: it has no fields");
    if (rc == 0)
        json_init(j, n.fields);
    return rc;
}

static int build(struct parse *p, struct slice json, struct shape **out)
{
    struct json fields;
    shape_builder_done(&p->b);
    shape_builder_init(&p->b, p->match);
    int rc = find_fields(json, &fields, p->err);
    if (rc == 0)
        rc = add_fields(p, &fields);
    return rc < 0 ? rc : shape_finish(&p->b, out, p->err);
}

static int make_shape(struct parse *p, struct slice json, struct slice mapping, struct shape **out)
{
    AUTO(shape) struct shape *shape = NULL;
    int rc = 0;
    if (mapping.n) {
        p->match = SHAPE_BY_MAPPING;
        rc = iceberg_name_mapping_parse(&p->names, mapping, p->err);
    }
    if (rc == 0)
        rc = build(p, json, &shape);
    if (rc == 0 && mapping.n && !iceberg_name_mapping_fits(&p->names, shape)) {
        p->own_names = true;
        shape_unref(STEAL(shape));
        rc = build(p, json, &shape);
    }
    if (rc == 0)
        *out = STEAL(shape);
    return rc;
}

int iceberg_schema_shape(struct slice json, struct slice mapping, struct shape **out,
                         struct err *err)
{
    struct err e = ERR_INIT;
    AUTO(parse) struct parse p = {.match = SHAPE_BY_ID_ALONE, .err = &e};
    int rc = make_shape(&p, json, mapping, out);
    if (rc == -EINVAL) /* no columns, a decimal of 0 digits, ... */
        e.code = EOPNOTSUPP;
    return rc < 0 ? err_copy(err, &e) : 0;
}

/* What is told of a shape */

bool iceberg_schema_same(const struct shape *a, const struct shape *b)
{
    for (size_t i = 1; a->fields_n == b->fields_n && i < a->fields_n; i++) {
        const struct shape_field *x = &a->fields[i], *y = &b->fields[i];
        if (x->id != y->id || x->kind != y->kind || x->end != y->end || !slice_eq(x->name, y->name))
            return false;
        if (x->kind == SHAPE_LEAF && (x->type != y->type || x->precision != y->precision ||
                                      x->scale != y->scale || x->length != y->length))
            return false;
    }
    return a->fields_n == b->fields_n;
}

static int compare_ids(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

int iceberg_leaf_ids(const struct shape *shape, int32_t **ids, size_t *n, struct err *err)
{
    int32_t *all = reallocarray(NULL, shape->fields_n, sizeof *all);
    size_t count = 0;
    if (!all)
        return err_set(err, ENOMEM, "out of memory");
    for (size_t i = 1; i < shape->fields_n; i++)
        if (shape->fields[i].kind == SHAPE_LEAF)
            all[count++] = shape->fields[i].id;
    qsort(all, count, sizeof *all, compare_ids);
    *ids = all;
    *n = count;
    return 0;
}

/* Avro specification, "Names". */
static bool is_avro_name(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i && c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

bool iceberg_schema_as_written(const struct shape *shape)
{
    for (size_t i = 1; i < shape->fields_n; i++) {
        const struct shape_field *f = &shape->fields[i];
        if (!is_avro_name(f->name) || (f->kind == SHAPE_LEAF && f->type == SHAPE_UNKNOWN))
            return false;
    }
    return true;
}

/* One field of one schema */

static bool find_type(struct json *fields, int32_t id, unsigned depth, struct shape_field *out)
{
    bool found = false;
    (void)json_enter_array(fields);
    while (!found && json_next_element(fields)) {
        AUTO(field) struct field f = {.has_id = false};
        AUTO(buf) struct buf name = {0};
        struct json j;
        if (read_field(fields, &f, NULL) < 0)
            return false;
        json_init(&j, f.type);
        if (json_peek(&j) == JSON_OBJECT) {
            found = depth < SHAPE_DEPTH_MAX && find_fields(f.type, &j, NULL) == 0 &&
                    find_type(&j, id, depth + 1, out);
        } else if (f.id == id) {
            buf_init(&name, KIB);
            found = read_text(&j, &name) == 0 && !json_failed(&j);
            return found && iceberg_type_leaf(buf_slice(&name), out);
        }
    }
    return found;
}

bool iceberg_schema_type(struct slice json, int32_t id, struct shape_field *out)
{
    struct json fields;
    struct shape_field f = {.id = id};
    if (find_fields(json, &fields, NULL) < 0 || !find_type(&fields, id, 0, &f))
        return false;
    *out = f;
    return true;
}
