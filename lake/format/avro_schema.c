/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/avro_schema.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/map.h"

/* A type that has a name. */
struct named {
    uint32_t node;
    bool whole; /* its definition has ended */
};

struct parser {
    struct avro_schema *schema;
    struct arena *arena;
    struct slice text;
    struct map names;
    struct buf scratch;
    struct err *err;
};

/* What the JSON object of a type says; text that is not there has a p of NULL. */
struct object {
    struct slice type, name, space, logical;
    struct slice type_raw, fields, items, values, symbols; /* as JSON */
    int64_t size, precision, scale;
    bool adjust_to_utc;
};

static const struct {
    const char *name;
    enum avro_type type;
} type_names[] = {
    {"null", AVRO_NULL},   {"boolean", AVRO_BOOLEAN}, {"int", AVRO_INT},
    {"long", AVRO_LONG},   {"float", AVRO_FLOAT},     {"double", AVRO_DOUBLE},
    {"bytes", AVRO_BYTES}, {"string", AVRO_STRING},   {"fixed", AVRO_FIXED},
    {"enum", AVRO_ENUM},   {"record", AVRO_RECORD},   {"error", AVRO_RECORD},
    {"array", AVRO_ARRAY}, {"map", AVRO_MAP},
};

static const struct {
    const char *name;
    enum avro_logical logical;
} logical_names[] = {
    {"decimal", AVRO_DECIMAL},
    {"uuid", AVRO_UUID},
    {"date", AVRO_DATE},
    {"time-millis", AVRO_TIME_MILLIS},
    {"time-micros", AVRO_TIME_MICROS},
    {"timestamp-millis", AVRO_TIMESTAMP_MILLIS},
    {"timestamp-micros", AVRO_TIMESTAMP_MICROS},
    {"timestamp-nanos", AVRO_TIMESTAMP_NANOS},
    {"map", AVRO_LOGICAL_MAP},
};

static int parse_type(struct parser *p, struct json *j, struct slice space, unsigned depth,
                      struct avro_node node);

static int no_memory(const struct parser *p)
{
    return arena_failed(p->arena, "an Avro schema", p->err);
}

static int json_wrong(const struct parser *p, const struct json *j)
{
    (void)json_error(j, p->err); /* its result is the next line's */
    return err_wrap(p->err, "Avro schema");
}

/* A string that stays. */
static bool take_text(struct parser *p, struct json *j, struct slice *out)
{
    struct slice s;
    if (!json_string(j, &p->scratch, &s))
        return false;
    bool in_text = s.p >= p->text.p && s.p <= p->text.p + p->text.n;
    *out = in_text && s.p ? s : arena_slice(p->arena, s.p ? s : SLICE_LIT(""));
    return out->p != NULL;
}

static int push(struct parser *p, const struct avro_node *node, uint32_t *out)
{
    int rc = vec_push(&p->schema->nodes, *node);
    if (rc < 0)
        return err_set(p->err, -rc, "an Avro schema of more than %zu types", p->schema->nodes.max);
    p->schema->has_ids |= node->id != AVRO_NO_ID;
    *out = (uint32_t)p->schema->nodes.n - 1;
    return 0;
}

/* Puts a child behind `last` (0: it is the first one). */
static void append(struct avro_schema *s, uint32_t parent, uint32_t last, uint32_t child)
{
    if (last)
        s->nodes.at[last].next = child;
    else
        s->nodes.at[parent].first = child;
    s->nodes.at[parent].children++;
}

/* Appends what stands below node `from`, as it is there, below node `to`. */
static int copy_children(struct parser *p, uint32_t from, uint32_t to, unsigned depth)
{
    struct avro_schema *s = p->schema;
    uint32_t last = 0, child;
    if (depth > AVRO_DEPTH_MAX)
        return err_set(p->err, EOVERFLOW, "an Avro schema of more than %d levels", AVRO_DEPTH_MAX);
    bool repeated = s->nodes.at[to].repeated || s->nodes.at[to].type != AVRO_RECORD;
    for (uint32_t i = s->nodes.at[from].first; i; i = s->nodes.at[i].next) {
        struct avro_node node = s->nodes.at[i];
        node.first = node.next = node.children = 0;
        node.repeated = repeated;
        int rc = push(p, &node, &child);
        if (rc == 0) {
            append(s, to, last, child);
            rc = copy_children(p, i, child, depth + 1);
        }
        if (rc < 0)
            return rc;
        last = child;
    }
    return 0;
}

static bool has_dot(struct slice name)
{
    return slice_find(name, '.') >= 0;
}

/* Name and namespace as one; p is NULL when out of memory. */
static struct slice full_name(struct parser *p, struct slice name, struct slice space)
{
    if (has_dot(name) || space.n == 0)
        return name;
    char *to = arena_alloc(p->arena, space.n + 1 + name.n);
    if (!to)
        return SLICE_NONE;
    memcpy(to, space.p, space.n);
    to[space.n] = '.';
    if (name.n)
        memcpy(to + space.n + 1, name.p, name.n);
    return slice_make(to, space.n + 1 + name.n);
}

/* One more use of a type that has been defined. */
static int parse_use(struct parser *p, struct slice name, struct slice space, unsigned depth,
                     struct avro_node node)
{
    struct avro_schema *s = p->schema;
    uint32_t at = 0;
    struct slice full = full_name(p, name, space);
    if (!full.p)
        return no_memory(p);
    const struct named *named = map_find(&p->names, full);
    if (!named)
        return err_set(p->err, EIO, "Avro schema: no type %.*s", SLICE_FMT(full));
    if (!named->whole)
        return err_set(p->err, EOPNOTSUPP, "Avro schema: the type %.*s contains itself",
                       SLICE_FMT(full));
    const struct avro_node *from = &s->nodes.at[named->node];
    node.type = from->type;
    node.logical = from->logical;
    node.size = from->size;
    node.precision = from->precision;
    node.scale = from->scale;
    int rc = push(p, &node, &at);
    return rc < 0 ? rc : copy_children(p, named->node, at, depth);
}

static int parse_name(struct parser *p, struct slice name, struct slice space, unsigned depth,
                      struct avro_node node)
{
    uint32_t at;
    for (size_t i = 0; i < ARRAY_SIZE(type_names) && type_names[i].type < AVRO_FIXED; i++)
        if (slice_is(name, type_names[i].name)) {
            node.type = type_names[i].type;
            return push(p, &node, &at);
        }
    return parse_use(p, name, space, depth, node);
}

/* Whether a union is one of null and something else; which is to be asked before its branches are
 * read. */
static bool is_optional(struct json branches, struct avro_node *node)
{
    struct slice raw = SLICE_NONE;
    size_t n = 0, null_at = 2, nulls = 0;
    if (!json_enter_array(&branches))
        return false;
    for (; json_next_element(&branches) && json_skip(&branches, &raw); n++)
        if (slice_is(raw, "\"null\"")) {
            nulls++;
            null_at = n;
        }
    node->null_second = null_at == 1;
    return !json_failed(&branches) && n == 2 && nulls == 1;
}

static int parse_optional(struct parser *p, struct json *j, struct slice space, unsigned depth,
                          struct avro_node node)
{
    node.optional = true;
    if (!json_enter_array(j) || !json_next_element(j) || (!node.null_second && !json_skip(j, NULL)))
        return json_wrong(p, j);
    if (!node.null_second && !json_next_element(j))
        return json_wrong(p, j);
    int rc = parse_type(p, j, space, depth, node);
    if (rc == 0 && node.null_second && (!json_next_element(j) || !json_skip(j, NULL)))
        return json_wrong(p, j);
    if (rc == 0 && (json_next_element(j) || json_failed(j)))
        return json_wrong(p, j);
    return rc;
}

static int parse_union(struct parser *p, struct json *j, struct slice space, unsigned depth,
                       struct avro_node node)
{
    uint32_t at, last = 0;
    if (node.type == AVRO_UNION || node.optional)
        return err_set(p->err, EIO, "Avro schema: a union in a union");
    if (is_optional(*j, &node))
        return parse_optional(p, j, space, depth, node);
    node.type = AVRO_UNION;
    node.null_second = false;
    int rc = push(p, &node, &at);
    if (rc == 0 && !json_enter_array(j))
        return json_wrong(p, j);
    while (rc == 0 && json_next_element(j)) {
        uint32_t child = (uint32_t)p->schema->nodes.n;
        struct avro_node branch = {.id = AVRO_NO_ID, .type = AVRO_UNION, .repeated = true};
        rc = parse_type(p, j, space, depth + 1, branch);
        if (rc == 0)
            append(p->schema, at, last, child);
        last = child;
    }
    return rc == 0 && json_failed(j) ? json_wrong(p, j) : rc;
}

/* One attribute of a type's object. */
static bool take_attribute(struct parser *p, struct json *j, struct slice key, struct object *o)
{
    struct {
        const char *key;
        struct slice *raw;
    } raws[] = {{"fields", &o->fields},
                {"items", &o->items},
                {"values", &o->values},
                {"symbols", &o->symbols}};
    struct {
        const char *key;
        int64_t *number;
    } numbers[] = {{"size", &o->size}, {"precision", &o->precision}, {"scale", &o->scale}};
    for (size_t i = 0; i < ARRAY_SIZE(raws); i++)
        if (slice_is(key, raws[i].key))
            return json_skip(j, raws[i].raw);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (slice_is(key, numbers[i].key))
            return json_int64(j, numbers[i].number);
    if (slice_is(key, "type"))
        return json_peek(j) == JSON_STRING ? take_text(p, j, &o->type) : json_skip(j, &o->type_raw);
    if (slice_is(key, "name"))
        return take_text(p, j, &o->name);
    if (slice_is(key, "namespace") && json_peek(j) == JSON_STRING)
        return take_text(p, j, &o->space);
    if (slice_is(key, "logicalType") && json_peek(j) == JSON_STRING)
        return take_text(p, j, &o->logical);
    if (slice_is(key, "adjust-to-utc") && json_peek(j) == JSON_BOOL)
        return json_bool(j, &o->adjust_to_utc);
    return json_skip(j, NULL);
}

static int take_object(struct parser *p, struct json *j, struct object *o)
{
    struct slice key;
    bool good = json_enter_object(j);
    while (good && json_next_key(j, &key))
        good = take_attribute(p, j, key, o);
    if (json_failed(j))
        return json_wrong(p, j);
    return good ? 0 : no_memory(p);
}

/* What a field's object says. */
static int take_field(struct parser *p, struct json *j, struct avro_node *field, struct slice *type)
{
    struct slice key;
    int64_t id = AVRO_NO_ID;
    bool good = json_enter_object(j);
    *type = SLICE_NONE;
    while (good && json_next_key(j, &key))
        if (slice_is(key, "name"))
            good = take_text(p, j, &field->name);
        else if (slice_is(key, "field-id"))
            good = json_int64(j, &id);
        else
            good = json_skip(j, slice_is(key, "type") ? type : NULL);
    if (json_failed(j))
        return json_wrong(p, j);
    if (!good)
        return no_memory(p);
    if (!type->p || !field->name.p)
        return err_set(p->err, EIO, "Avro schema: a field without a %s", type->p ? "name" : "type");
    if (id < AVRO_NO_ID || id > INT32_MAX)
        return err_set(p->err, EIO, "Avro schema: field id %lld", (long long)id);
    field->id = (int32_t)id;
    return 0;
}

static int parse_fields(struct parser *p, struct slice fields, struct slice space, unsigned depth,
                        uint32_t at)
{
    struct json j;
    uint32_t last = 0;
    json_init(&j, fields);
    if (!json_enter_array(&j))
        return json_wrong(p, &j);
    bool repeated = p->schema->nodes.at[at].repeated;
    while (json_next_element(&j)) {
        struct avro_node field = {.repeated = repeated};
        struct slice type;
        struct json t;
        int rc = take_field(p, &j, &field, &type);
        if (rc < 0)
            return rc;
        uint32_t child = (uint32_t)p->schema->nodes.n;
        json_init(&t, type);
        rc = parse_type(p, &t, space, depth + 1, field);
        if (rc < 0)
            return rc;
        append(p->schema, at, last, child);
        last = child;
    }
    return json_failed(&j) ? json_wrong(p, &j) : 0;
}

/* The items of an array, the values of a map. */
static int parse_item(struct parser *p, struct slice item, struct slice space, unsigned depth,
                      uint32_t at)
{
    struct json j;
    struct avro_node node = {.id = AVRO_NO_ID, .repeated = true};
    uint32_t child = (uint32_t)p->schema->nodes.n;
    json_init(&j, item);
    int rc = parse_type(p, &j, space, depth + 1, node);
    if (rc == 0)
        append(p->schema, at, 0, child);
    return rc;
}

static int count_symbols(struct parser *p, struct slice symbols, uint32_t *out)
{
    struct json j;
    uint32_t n = 0;
    json_init(&j, symbols);
    if (json_enter_array(&j))
        while (json_next_element(&j) && json_skip(&j, NULL))
            n++;
    *out = n;
    return json_failed(&j) ? json_wrong(p, &j) : 0;
}

/* The type gets its name; it is not whole before its fields are. */
static int define(struct parser *p, const struct object *o, struct slice *space, uint32_t at,
                  struct named **out)
{
    if (!o->name.p)
        return err_set(p->err, EIO, "Avro schema: a %.*s without a name", SLICE_FMT(o->type));
    if (o->space.p)
        *space = o->space;
    struct named *named = arena_alloc(p->arena, sizeof *named);
    struct slice full = full_name(p, o->name, *space);
    if (!named || !full.p)
        return no_memory(p);
    *named = (struct named){.node = at};
    if (has_dot(o->name))
        *space = slice_make(o->name.p, (size_t)slice_rfind(o->name, '.'));
    int rc = map_put(&p->names, full, named);
    if (rc < 0)
        return err_set(p->err, -rc, "Avro schema: too many names");
    *out = named;
    return 0;
}

static int parse_body(struct parser *p, const struct object *o, struct slice space, unsigned depth,
                      uint32_t at)
{
    enum avro_type type = p->schema->nodes.at[at].type;
    struct named *named = NULL;
    int rc = 0;
    if (type == AVRO_RECORD || type == AVRO_ENUM || type == AVRO_FIXED)
        rc = define(p, o, &space, at, &named);
    if (rc == 0 && type == AVRO_RECORD)
        rc = parse_fields(p, o->fields, space, depth, at);
    else if (rc == 0 && type == AVRO_ENUM)
        rc = count_symbols(p, o->symbols, &p->schema->nodes.at[at].size);
    else if (rc == 0 && (type == AVRO_ARRAY || type == AVRO_MAP))
        rc = parse_item(p, type == AVRO_ARRAY ? o->items : o->values, space, depth, at);
    if (rc == 0 && named)
        named->whole = true;
    return rc;
}

static enum avro_logical logical_of(struct slice name)
{
    for (size_t i = 0; i < ARRAY_SIZE(logical_names); i++)
        if (slice_is(name, logical_names[i].name))
            return logical_names[i].logical;
    return AVRO_NO_LOGICAL;
}

static int parse_object(struct parser *p, struct json *j, struct slice space, unsigned depth,
                        struct avro_node node)
{
    struct object o = {.adjust_to_utc = true};
    int rc = take_object(p, j, &o);
    if (rc < 0)
        return rc;
    if (o.type_raw.p) { /* {"type": {...}}: what stands there */
        struct json t;
        json_init(&t, o.type_raw);
        return parse_type(p, &t, space, depth + 1, node);
    }
    if (!o.type.p)
        return err_set(p->err, EIO, "Avro schema: an object without a type");
    if (o.size < 0 || o.size > (int64_t)AVRO_BLOCK_BYTES_MAX || o.precision < 0 ||
        o.precision > INT32_MAX || o.scale < 0 || o.scale > INT32_MAX)
        return err_set(p->err, EIO, "Avro schema: a size out of range");
    for (size_t i = 0; i < ARRAY_SIZE(type_names); i++)
        if (slice_is(o.type, type_names[i].name)) {
            uint32_t at;
            node.type = type_names[i].type;
            node.logical = logical_of(o.logical);
            node.size = node.type == AVRO_FIXED ? (uint32_t)o.size : 0;
            node.precision = (uint32_t)o.precision;
            node.scale = (uint32_t)o.scale;
            node.adjust_to_utc = o.adjust_to_utc;
            rc = push(p, &node, &at);
            return rc < 0 ? rc : parse_body(p, &o, space, depth, at);
        }
    return parse_use(p, o.type, space, depth, node);
}

/* A type, as the node that comes next; `node` has what it is as a field. */
static int parse_type(struct parser *p, struct json *j, struct slice space, unsigned depth,
                      struct avro_node node)
{
    struct slice name;
    if (depth > AVRO_DEPTH_MAX)
        return err_set(p->err, EOVERFLOW, "an Avro schema of more than %d levels", AVRO_DEPTH_MAX);
    switch (json_peek(j)) {
    case JSON_ARRAY:
        return parse_union(p, j, space, depth, node);
    case JSON_OBJECT:
        return parse_object(p, j, space, depth, node);
    case JSON_STRING:
        if (take_text(p, j, &name))
            return parse_name(p, name, space, depth, node);
        return json_failed(j) ? json_wrong(p, j) : no_memory(p);
    case JSON_NONE:
        if (json_failed(j))
            return json_wrong(p, j);
        break;
    case JSON_NULL:
    case JSON_BOOL:
    case JSON_NUMBER:
        break;
    }
    return err_set(p->err, EIO, "Avro schema: a type that is none");
}

int avro_schema_parse(struct avro_schema *s, struct arena *arena, struct slice text,
                      struct err *err)
{
    struct err own = ERR_INIT;
    struct parser p = {.schema = s, .arena = arena, .text = text, .err = &own};
    struct avro_node root = {.id = AVRO_NO_ID};
    struct json j;
    s->nodes.max = AVRO_NODES_MAX;
    map_init(&p.names, AVRO_NODES_MAX);
    buf_init(&p.scratch, SCHEMA_BYTES_MAX);
    json_init(&j, text);
    int rc = parse_type(&p, &j, SLICE_NONE, 0, root);
    if (rc == 0 && !json_at_end(&j))
        rc = err_set(&own, EIO, "Avro schema: text behind the schema");
    map_done(&p.names);
    buf_done(&p.scratch);
    return rc < 0 ? err_copy(err, &own) : 0;
}

void avro_schema_done(struct avro_schema *s)
{
    vec_done(&s->nodes);
}
