/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/schema.h"

#include <strings.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/vec.h"
#include "lake/delta/schema_type.h"
#include "lake/delta/stats.h"

/* Names and nodes of one schema. */
#define SCHEMA_MEMORY_MAX (4 * SCHEMA_BYTES_MAX)

#define MODE_PROPERTY "delta.columnMapping.mode"
#define MAPPING_FEATURE "columnMapping"
#define PHYSICAL_NAME "delta.columnMapping.physicalName"
#define COLUMN_ID "delta.columnMapping.id"

/* A field of a struct as the schema has it. */
struct field {
    struct slice name, physical; /* in the arena, or the schema's own text */
    struct slice type;           /* JSON text */
    int64_t id;
    bool nullable, has_id;
};

/* A column on its way into a shape; in preorder. */
struct node {
    struct shape_field field;
    size_t end; /* of its subtree */
    bool empty; /* void, or nothing but void columns in it */
    bool top;   /* no part of another one */
};

struct parse {
    struct arena arena;
    VEC(struct node) nodes;
    enum delta_mapping mapping;
    unsigned depth;
    struct err *err;
};

static void parse_init(struct parse *p, enum delta_mapping mapping, struct err *err)
{
    *p = (struct parse){.mapping = mapping, .nodes.max = PARQUET_NODES_MAX, .err = err};
    arena_init(&p->arena, SCHEMA_MEMORY_MAX);
}

static void parse_done(struct parse *p)
{
    arena_done(&p->arena);
    vec_done(&p->nodes);
}
DEFINE_AUTO_DONE(parse, struct parse, parse_done)

static int damaged(const struct json *j, struct err *err)
{
    (void)json_error(j, err);
    return err_wrap(err, "the schema");
}

/* A string that outlives the reader. */
static int keep_text(struct arena *arena, struct json *j, struct slice *out, struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    buf_init(&scratch, SCHEMA_BYTES_MAX);
    struct slice s;
    if (!json_string(j, &scratch, &s))
        return buf_check(&scratch, err) < 0 ? -err->code : damaged(j, err);
    if (scratch.data && s.p == scratch.data) {
        s = arena_slice(arena, s);
        if (!s.p)
            return arena_failed(arena, "a schema", err);
    }
    *out = s;
    return 0;
}

static int read_field_metadata(struct arena *arena, struct json *j, struct field *f,
                               struct err *err)
{
    struct slice key;
    int rc = 0;
    if (json_peek(j) != JSON_OBJECT)
        return json_skip(j, NULL) ? 0 : damaged(j, err);
    (void)json_enter_object(j);
    while (rc == 0 && json_next_key(j, &key)) {
        if (slice_is(key, PHYSICAL_NAME) && json_peek(j) == JSON_STRING)
            rc = keep_text(arena, j, &f->physical, err);
        else if (slice_is(key, COLUMN_ID) && json_peek(j) == JSON_NUMBER)
            f->has_id = json_int64(j, &f->id);
        else
            (void)json_skip(j, NULL);
    }
    return rc < 0 || !json_failed(j) ? rc : damaged(j, err);
}

static int read_field(struct arena *arena, struct json *j, struct field *f, struct err *err)
{
    struct slice key;
    int rc = 0;
    *f = (struct field){.nullable = true};
    if (!json_enter_object(j))
        return damaged(j, err);
    while (rc == 0 && json_next_key(j, &key)) {
        if (slice_is(key, "name") && json_peek(j) == JSON_STRING)
            rc = keep_text(arena, j, &f->name, err);
        else if (slice_is(key, "type"))
            (void)json_skip(j, &f->type);
        else if (slice_is(key, "nullable") && json_peek(j) == JSON_BOOL)
            (void)json_bool(j, &f->nullable);
        else if (slice_is(key, "metadata"))
            rc = read_field_metadata(arena, j, f, err);
        else
            (void)json_skip(j, NULL);
    }
    return rc < 0 || !json_failed(j) ? rc : damaged(j, err);
}

/* Moves the reader to the first field of a struct's type; false where it has no fields. */
static bool enter_fields(struct json *j)
{
    struct slice key;
    if (!json_enter_object(j))
        return false;
    while (json_next_key(j, &key)) {
        if (slice_is(key, "fields"))
            return json_enter_array(j);
        (void)json_skip(j, NULL);
    }
    return false;
}

static int add_type(struct parse *p, struct slice type, struct shape_field *field);

static int add_node(struct parse *p, const struct shape_field *field, size_t *at)
{
    *at = p->nodes.n;
    int rc = vec_push(&p->nodes, ((struct node){.field = *field, .top = p->depth == 0}));
    return rc < 0 ? err_set(p->err, -rc, "no room for another column beside %zu", p->nodes.n) : 0;
}

/* Physical name and id of a struct's field. */
static int find_field(const struct parse *p, const struct field *f, struct shape_field *out)
{
    *out = (struct shape_field){.name = f->name, .id = SHAPE_NO_ID, .nullable = f->nullable};
    if (p->mapping == DELTA_MAPPING_NONE)
        return 0;
    const char *lacks = f->physical.n == 0                             ? PHYSICAL_NAME
                        : p->mapping == DELTA_MAPPING_ID && !f->has_id ? COLUMN_ID
                                                                       : NULL;
    if (lacks || (f->has_id && (f->id < 0 || f->id > INT32_MAX)))
        return err_set(p->err, EIO, "the schema: column \"%.*s\" has no valid %s",
                       (int)(f->name.n < 100 ? f->name.n : 100), f->name.p,
                       lacks ? lacks : COLUMN_ID);
    out->stored = f->physical;
    out->id = f->has_id ? (int32_t)f->id : SHAPE_NO_ID;
    return 0;
}

static bool is_partition(const struct delta_list *partitions, struct slice name)
{
    for (size_t i = 0; partitions && i < partitions->n; i++)
        if (slice_eq(partitions->at[i], name))
            return true;
    return false;
}

/* The fields of a struct's type, but for those of partitions (NULL: none). */
static int add_fields(struct parse *p, struct slice type, const struct delta_list *partitions)
{
    struct json j;
    int rc = 0;
    json_init(&j, type);
    if (!enter_fields(&j))
        return json_failed(&j) ? damaged(&j, p->err) : 0;
    while (rc == 0 && json_next_element(&j)) {
        struct field f;
        struct shape_field field;
        rc = read_field(&p->arena, &j, &f, p->err);
        if (rc < 0 || is_partition(partitions, f.name))
            continue;
        if (f.name.n == 0 || f.type.n == 0)
            return err_set(p->err, EIO, "the schema: a field has no %s",
                           f.name.n ? "type" : "name");
        rc = find_field(p, &f, &field);
        if (rc == 0)
            rc = add_type(p, f.type, &field);
    }
    return rc < 0 || !json_failed(&j) ? rc : damaged(&j, p->err);
}

/* What a type that is an object says of itself; values are JSON text. */
struct composite {
    struct slice kind; /* "struct", "array", "map", "udt" */
    struct slice element, key, value, sql;
    bool contains_null, value_contains_null;
};

static int read_composite(struct parse *p, struct slice type, struct composite *c)
{
    struct json j;
    struct slice key;
    int rc = 0;
    *c = (struct composite){.contains_null = true, .value_contains_null = true};
    json_init(&j, type);
    (void)json_enter_object(&j);
    while (rc == 0 && json_next_key(&j, &key)) {
        if (slice_is(key, "type") && json_peek(&j) == JSON_STRING)
            rc = keep_text(&p->arena, &j, &c->kind, p->err);
        else if (slice_is(key, "containsNull") && json_peek(&j) == JSON_BOOL)
            (void)json_bool(&j, &c->contains_null);
        else if (slice_is(key, "valueContainsNull") && json_peek(&j) == JSON_BOOL)
            (void)json_bool(&j, &c->value_contains_null);
        else
            (void)json_skip(&j, slice_is(key, "elementType") ? &c->element
                                : slice_is(key, "keyType")   ? &c->key
                                : slice_is(key, "valueType") ? &c->value
                                : slice_is(key, "sqlType")   ? &c->sql
                                                             : NULL);
    }
    return rc < 0 || !json_failed(&j) ? rc : damaged(&j, p->err);
}

static int add_child(struct parse *p, struct slice type, bool nullable)
{
    struct shape_field field = {.id = SHAPE_NO_ID, .nullable = nullable};
    return type.n ? add_type(p, type, &field)
                  : err_set(p->err, EIO, "the schema: an array or map lacks a type");
}

/* Nothing below has a value: a struct of void columns, an array or map with one of them. */
static bool is_empty(const struct parse *p, size_t at)
{
    const struct node *n = &p->nodes.at[at];
    bool all = true, any = false;
    for (size_t i = at + 1; i < n->end; i = p->nodes.at[i].end) {
        all = all && p->nodes.at[i].empty;
        any = any || p->nodes.at[i].empty;
    }
    return n->field.kind == SHAPE_STRUCT ? all : any;
}

static int add_composite(struct parse *p, struct slice type, struct shape_field *field)
{
    struct composite c;
    size_t at;
    int rc = read_composite(p, type, &c);
    if (rc < 0)
        return rc;
    if (slice_is(c.kind, "udt"))
        return c.sql.n ? add_type(p, c.sql, field)
                       : err_set(p->err, EOPNOTSUPP, "a column of a user-defined type");
    bool list = slice_is(c.kind, "array"), map = slice_is(c.kind, "map");
    if (!list && !map && !slice_is(c.kind, "struct"))
        return err_set(p->err, EOPNOTSUPP, "a column of the type %.*s",
                       (int)(c.kind.n < 100 ? c.kind.n : 100), c.kind.p);
    field->kind = list ? SHAPE_LIST : map ? SHAPE_MAP : SHAPE_STRUCT;
    rc = add_node(p, field, &at);
    if (rc == 0) /* it is a level further down itself */
        p->nodes.at[at].top = p->depth == 1;
    if (rc == 0 && list)
        rc = add_child(p, c.element, c.contains_null);
    if (rc == 0 && map)
        rc = add_child(p, c.key, false);
    if (rc == 0 && map)
        rc = add_child(p, c.value, c.value_contains_null);
    if (rc == 0 && !list && !map)
        rc = add_fields(p, type, NULL);
    if (rc < 0)
        return rc;
    p->nodes.at[at].end = p->nodes.n;
    p->nodes.at[at].empty = is_empty(p, at);
    return 0;
}

static int add_type(struct parse *p, struct slice type, struct shape_field *field)
{
    struct json j;
    struct slice text = SLICE_NONE;
    size_t at;
    int rc;
    json_init(&j, type);
    if (json_peek(&j) == JSON_OBJECT) {
        if (p->depth >= SHAPE_DEPTH_MAX)
            return err_set(p->err, EOVERFLOW, "the schema: columns nest deeper than %d",
                           SHAPE_DEPTH_MAX);
        p->depth++;
        rc = add_composite(p, type, field);
        p->depth--;
        return rc;
    }
    rc = keep_text(&p->arena, &j, &text, p->err);
    if (rc == 0)
        rc = delta_type_leaf(text, field, p->err);
    if (rc < 0)
        return err_wrap(p->err, "column \"%.*s\"", (int)(field->name.n < 100 ? field->name.n : 100),
                        field->name.p);
    rc = add_node(p, field, &at);
    if (rc < 0)
        return rc;
    p->nodes.at[at].end = p->nodes.n;
    p->nodes.at[at].empty = field->type == SHAPE_UNKNOWN;
    return 0;
}

/* What files of change data have beside the table's columns (PROTOCOL.md, "Change Data Files"). */
static void add_change_type(struct shape_builder *b)
{
    struct shape_field field = {.name = SLICE_LIT("_change_type"),
                                .id = SHAPE_NO_ID,
                                .kind = SHAPE_LEAF,
                                .type = SHAPE_STORED,
                                .nullable = true};
    shape_add(b, &field);
}

static void build_shape(const struct parse *p, struct shape_builder *b)
{
    size_t ends[SHAPE_DEPTH_MAX + 1], open = 0;
    for (size_t i = 0; i <= p->nodes.n;) {
        while (open && ends[open - 1] <= i) {
            shape_end(b);
            open--;
        }
        if (i == p->nodes.n)
            return;
        const struct node *n = &p->nodes.at[i];
        i = n->empty ? n->end : i + 1;
        if (n->empty)
            continue;
        shape_add(b, &n->field);
        if (n->field.kind != SHAPE_LEAF)
            ends[open++] = n->end;
    }
}

static int make_shape(const struct delta_metadata *metadata, enum delta_mapping mapping,
                      bool changes, struct shape **out, struct err *err)
{
    struct err e = ERR_INIT;
    AUTO(parse) struct parse p = {.err = &e};
    if (metadata->schema.n == 0) {
        *out = NULL;
        return 0;
    }
    parse_init(&p, mapping, &e);
    int rc = add_fields(&p, metadata->schema, &metadata->partition_columns);
    if (rc < 0)
        return err_copy(err, &e);
    AUTO(shape_builder) struct shape_builder b;
    shape_builder_init(&b, mapping == DELTA_MAPPING_ID ? SHAPE_BY_ID : SHAPE_BY_NAME);
    build_shape(&p, &b);
    if (changes)
        add_change_type(&b);
    rc = shape_finish(&b, out, &e);
    if (rc == -EINVAL) /* no columns beside partitions, a decimal of 0 digits, ... */
        e.code = EOPNOTSUPP;
    return rc < 0 ? err_copy(err, &e) : 0;
}

int delta_schema_shape(const struct delta_metadata *metadata, enum delta_mapping mapping,
                       struct shape **out, struct err *err)
{
    return make_shape(metadata, mapping, false, out, err);
}

int delta_schema_shape_of_changes(const struct delta_metadata *metadata, enum delta_mapping mapping,
                                  struct shape **out, struct err *err)
{
    return make_shape(metadata, mapping, true, out, err);
}

/* Partition columns */

static int describe_columns(struct arena *arena, struct slice schema, enum delta_mapping mapping,
                            struct delta_columns *columns, struct err *err)
{
    struct json j;
    int rc = 0;
    json_init(&j, schema);
    if (!enter_fields(&j))
        return json_failed(&j) ? damaged(&j, err) : 0;
    while (rc == 0 && json_next_element(&j)) {
        struct field f;
        rc = read_field(arena, &j, &f, err);
        for (size_t i = 0; rc == 0 && i < columns->n; i++) {
            if (!slice_eq(columns->at[i].name, f.name))
                continue;
            columns->at[i].loose = delta_type_is_loose(f.type);
            columns->at[i].physical = mapping == DELTA_MAPPING_NONE ? SLICE_NONE : f.physical;
        }
    }
    return rc < 0 || !json_failed(&j) ? rc : damaged(&j, err);
}

int delta_schema_columns(struct arena *arena, const struct delta_metadata *metadata,
                         enum delta_mapping mapping, struct delta_columns *out, struct err *err)
{
    const struct delta_list *names = &metadata->partition_columns;
    struct delta_columns columns = {NULL, names->n};
    struct err e = ERR_INIT;
    if (names->n) {
        columns.at = arena_calloc(arena, names->n, sizeof columns.at[0]);
        if (!columns.at)
            return arena_failed(arena, "a list of partition columns", err);
    }
    for (size_t i = 0; i < names->n; i++)
        columns.at[i].name = names->at[i];
    int rc = names->n && metadata->schema.n
                 ? describe_columns(arena, metadata->schema, mapping, &columns, &e)
                 : 0;
    if (rc < 0)
        return err_copy(err, &e);
    *out = columns;
    return 0;
}

bool delta_columns_equal(const struct delta_columns *a, const struct delta_columns *b)
{
    bool equal = a->n == b->n;
    for (size_t i = 0; equal && i < a->n; i++)
        equal = slice_eq(a->at[i].name, b->at[i].name) && a->at[i].loose == b->at[i].loose &&
                slice_eq(a->at[i].physical, b->at[i].physical);
    return equal;
}

static bool has_feature(const struct delta_protocol *protocol, const char *name)
{
    for (size_t i = 0; i < protocol->reader_features.n; i++)
        if (slice_is(protocol->reader_features.at[i], name))
            return true;
    return false;
}

int delta_schema_mapping(const struct delta_metadata *metadata,
                         const struct delta_protocol *protocol, enum delta_mapping *out,
                         struct err *err)
{
    static const struct {
        const char *name;
        enum delta_mapping mode;
    } modes[] = {
        {"none", DELTA_MAPPING_NONE}, {"name", DELTA_MAPPING_NAME}, {"id", DELTA_MAPPING_ID}};
    struct slice mode;
    *out = DELTA_MAPPING_NONE;
    if (!delta_map_find(&metadata->configuration, SLICE_LIT(MODE_PROPERTY), &mode) || !protocol ||
        !(protocol->reader == 2 || has_feature(protocol, MAPPING_FEATURE)))
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
        if (mode.n == strlen(modes[i].name) && strncasecmp(mode.p, modes[i].name, mode.n) == 0) {
            *out = modes[i].mode;
            return 0;
        }
    return err_set(err, EOPNOTSUPP, "the column mapping mode %.*s is not known",
                   (int)(mode.n < 100 ? mode.n : 100), mode.p);
}

/* Every writer counts nulls of these; Spark of all that files have. */
static bool is_counted(const struct node *n, bool all)
{
    const struct shape_field *f = &n->field;
    return n->top && !n->empty &&
           (all || (f->kind == SHAPE_LEAF && f->type != SHAPE_BINARY && f->type != SHAPE_VARIANT));
}

void delta_schema_counted(struct arena *arena, const struct delta_metadata *metadata, bool all,
                          struct delta_list *out)
{
    struct err ignored = ERR_INIT;
    AUTO(parse) struct parse p = {.err = &ignored};
    struct slice chosen;
    size_t leaves = 0;
    *out = (struct delta_list){0};
    if (delta_map_find(&metadata->configuration, SLICE_LIT(DELTA_COUNTED_NUMBER), &chosen) ||
        delta_map_find(&metadata->configuration, SLICE_LIT(DELTA_COUNTED_NAMES), &chosen))
        return;
    parse_init(&p, DELTA_MAPPING_NONE, &ignored);
    out->at = arena_calloc(arena, DELTA_COUNTED_MAX, sizeof out->at[0]);
    if (!out->at || add_fields(&p, metadata->schema, &metadata->partition_columns) < 0)
        return;
    for (size_t i = 0; i < p.nodes.n && leaves < DELTA_COUNTED_MAX; i++) {
        const struct node *n = &p.nodes.at[i];
        leaves += n->field.kind == SHAPE_LEAF;
        if (is_counted(n, all)) {
            out->at[out->n] = arena_slice(arena, n->field.name);
            if (!out->at[out->n].p)
                return;
            out->n++;
        }
    }
}

uint64_t delta_schema_hash(const struct delta_metadata *metadata, enum delta_mapping mapping)
{
    AUTO(shape) struct shape *shape = NULL;
    AUTO(arena) struct arena arena = {0};
    struct delta_columns columns = {NULL, 0};
    arena_init(&arena, SCHEMA_MEMORY_MAX);
    uint64_t hash = hash64((uint64_t)mapping, SLICE_NONE);
    /* A schema that makes no shape is compared as the text that it is. */
    if (delta_schema_shape(metadata, mapping, &shape, NULL) < 0 || !shape ||
        delta_schema_columns(&arena, metadata, mapping, &columns, NULL) < 0)
        return hash64(hash, metadata->schema);
    hash = hash64(hash, slice_make(&shape->hash, sizeof shape->hash));
    for (size_t i = 0; i < columns.n; i++) {
        hash = hash64(hash, columns.at[i].name);
        hash = hash64(hash, columns.at[i].physical);
        hash = hash64(hash, SLICE_LIT("\0"));
    }
    return hash;
}
