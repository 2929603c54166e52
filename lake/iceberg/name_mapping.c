/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/name_mapping.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/vec.h"
#include "lake/format/shape.h"

#define MAPPING_MEMORY_MAX SHAPE_MEMORY_MAX

struct mapped {
    int32_t id, parent; /* parent: SHAPE_NO_ID at the top */
    struct iceberg_names names;
};

struct parse {
    struct iceberg_name_mapping *m;
    struct json *j;
    int32_t parent; /* of the fields that are read */
    struct err *err;
};

static int read_fields(const struct parse *p, unsigned depth);

static int out_of_memory(const struct parse *p)
{
    return arena_failed(&p->m->arena, "a name mapping", p->err);
}

/* A list of names, in the arena. */
static int read_names(const struct parse *p, struct iceberg_names *out)
{
    AUTO(buf) struct buf scratch = {0};
    VEC(struct slice) names = VEC_MAX(PARQUET_NODES_MAX);
    struct slice name;
    int rc = 0;
    buf_init(&scratch, SCHEMA_BYTES_MAX);
    (void)json_enter_array(p->j);
    while (rc == 0 && json_next_element(p->j) && json_string(p->j, &scratch, &name)) {
        name = name.n ? arena_slice(&p->m->arena, name) : SLICE_LIT("");
        rc = name.p ? vec_push(&names, name) : -ENOMEM;
    }
    struct slice *at = arena_calloc(&p->m->arena, names.n + 1, sizeof *at);
    if (rc == 0 && at && names.n)
        memcpy(at, names.at, names.n * sizeof *at);
    *out = (struct iceberg_names){at, names.n};
    vec_done(&names);
    if (rc == -EOVERFLOW)
        return err_set(p->err, EOVERFLOW, "a column has too many names");
    return rc == 0 && at ? 0 : out_of_memory(p);
}

/* A field may be mapped in two places: files may call it by the names of both. */
static int add_names(const struct parse *p, int64_t id, const struct iceberg_names *names)
{
    int32_t key = (int32_t)id;
    if (id < 0 || id > INT32_MAX)
        return err_set(p->err, EIO, "%lld is no field id", (long long)id);
    const struct mapped *first = map_find(&p->m->by_id, slice_make(&key, sizeof key));
    struct iceberg_names old = iceberg_name_mapping_find(p->m, key);
    struct slice *at = arena_calloc(&p->m->arena, old.n + names->n + 1, sizeof *at);
    struct mapped *all = arena_alloc(&p->m->arena, sizeof *all);
    if (!at || !all)
        return out_of_memory(p);
    if (old.n)
        memcpy(at, old.at, old.n * sizeof *at);
    if (names->n)
        memcpy(at + old.n, names->at, names->n * sizeof *at);
    *all = (struct mapped){key, first ? first->parent : p->parent, {at, old.n + names->n}};
    int rc = map_put(&p->m->by_id, slice_make(&all->id, sizeof all->id), all);
    return rc < 0 ? err_set(p->err, -rc, "no room for another column") : 0;
}

/* The fields of a field, whose id may stand behind them. */
static int read_below(const struct parse *p, struct slice fields, int64_t id, unsigned depth)
{
    struct json j;
    struct parse below = {.m = p->m, .j = &j, .parent = (int32_t)id, .err = p->err};
    json_init(&j, fields);
    if (json_peek(&j) != JSON_ARRAY)
        return 0;
    int rc = read_fields(&below, depth + 1);
    return rc < 0 || !json_failed(&j) ? rc : json_error(&j, p->err);
}

static int read_field(const struct parse *p, unsigned depth)
{
    struct iceberg_names names = {NULL, 0};
    struct slice key, fields = SLICE_NONE;
    int64_t id = 0;
    bool has_id = false;
    int rc = 0;
    (void)json_enter_object(p->j);
    while (rc == 0 && json_next_key(p->j, &key)) {
        if (slice_is(key, "names"))
            rc = read_names(p, &names);
        else if (slice_is(key, "field-id") && json_peek(p->j) == JSON_NUMBER)
            has_id = json_int64(p->j, &id);
        else
            (void)json_skip(p->j, slice_is(key, "fields") ? &fields : NULL);
    }
    if (rc == 0 && has_id && !json_failed(p->j))
        rc = add_names(p, id, &names);
    return rc < 0 || json_failed(p->j) ? rc
                                       : read_below(p, fields, has_id ? id : SHAPE_NO_ID, depth);
}

static int read_fields(const struct parse *p, unsigned depth)
{
    int rc = 0;
    if (depth > SHAPE_DEPTH_MAX)
        return err_set(p->err, EOVERFLOW, "columns nest deeper than %d", SHAPE_DEPTH_MAX);
    (void)json_enter_array(p->j);
    while (rc == 0 && json_next_element(p->j))
        rc = read_field(p, depth);
    return rc;
}

int iceberg_name_mapping_parse(struct iceberg_name_mapping *m, struct slice json, struct err *err)
{
    struct json j;
    struct err e = ERR_INIT;
    struct parse p = {.m = m, .j = &j, .parent = SHAPE_NO_ID, .err = &e};
    arena_init(&m->arena, MAPPING_MEMORY_MAX);
    map_init(&m->by_id, PARQUET_NODES_MAX);
    json_init(&j, json);
    int rc = read_fields(&p, 0);
    if (rc == 0 && json_failed(&j))
        rc = json_error(&j, &e);
    if (rc == 0 && !json_at_end(&j))
        rc = err_set(&e, EIO, "more follows what is a list");
    if (rc == 0)
        return 0;
    (void)err_wrap(&e, "schema.name-mapping.default");
    return err_copy(err, &e);
}

void iceberg_name_mapping_done(struct iceberg_name_mapping *m)
{
    map_done(&m->by_id);
    arena_done(&m->arena);
}

struct iceberg_names iceberg_name_mapping_find(const struct iceberg_name_mapping *m, int32_t id)
{
    const struct mapped *found = map_find(&m->by_id, slice_make(&id, sizeof id));
    return found ? found->names : (struct iceberg_names){NULL, 0};
}

bool iceberg_name_mapping_fits(const struct iceberg_name_mapping *m, const struct shape *shape)
{
    const struct shape_field *fields = shape->fields;
    uint32_t open[SHAPE_DEPTH_MAX + 2], n = 0;
    for (uint32_t i = 0; i < shape->fields_n; i++) {
        while (n && fields[open[n - 1]].end <= i)
            n--;
        int32_t parent = n ? fields[open[n - 1]].id : SHAPE_NO_ID;
        const struct mapped *mapped =
            map_find(&m->by_id, slice_make(&fields[i].id, sizeof fields[i].id));
        if (i && mapped && mapped->parent != parent)
            return false;
        if (fields[i].kind != SHAPE_LEAF)
            open[n++] = i;
    }
    return true;
}
