/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/partition.h"

#include <strings.h>

#include "base/limits.h"
#include "base/text.h"
#include "lake/iceberg/schema.h"
#include "lake/partition_path.h"

/* Specs */

static enum iceberg_transform transform_of(struct slice text)
{
    static const struct {
        const char *name;
        enum iceberg_transform transform;
    } names[] = {
        {"identity", ICEBERG_IDENTITY},  {"bucket[", ICEBERG_BUCKET},
        {"truncate[", ICEBERG_TRUNCATE}, {"year", ICEBERG_YEAR},
        {"month", ICEBERG_MONTH},        {"day", ICEBERG_DAY},
        {"hour", ICEBERG_HOUR},          {"void", ICEBERG_VOID},
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        size_t n = strlen(names[i].name);
        bool parameter = names[i].name[n - 1] == '[';
        if (text.n >= n && strncasecmp(text.p, names[i].name, n) == 0 &&
            (parameter ? text.n > n + 1 && text.p[text.n - 1] == ']' : text.n == n))
            return names[i].transform;
    }
    return ICEBERG_OTHER;
}

/* Writers put values of these into paths as they like. */
static bool is_loose(const struct iceberg_partition_column *c)
{
    if (c->transform == ICEBERG_OTHER)
        return true;
    if (c->transform != ICEBERG_IDENTITY && c->transform != ICEBERG_TRUNCATE)
        return false;
    return c->source.type != SHAPE_UUID && partition_path_is_loose(&c->source);
}

int iceberg_partition_make(struct arena *arena, const struct iceberg_partition_field *fields,
                           size_t n, const struct iceberg_partition_schemas *schemas,
                           struct iceberg_partition *out, struct err *err)
{
    struct iceberg_partition_column *at = arena_calloc(arena, n + 1, sizeof *at);
    if (!at)
        return arena_failed(arena, "a partition spec", err);
    for (size_t i = 0; i < n; i++) {
        struct iceberg_partition_column *c = &at[i];
        *c = (struct iceberg_partition_column){
            .name = fields[i].name.n ? arena_slice(arena, fields[i].name) : SLICE_LIT(""),
            .source_id = fields[i].source_id,
            .field_id = fields[i].field_id,
            .transform = transform_of(fields[i].transform),
            .source = {.kind = SHAPE_LEAF, .type = SHAPE_STORED}};
        if (!c->name.p)
            return arena_failed(arena, "a partition spec", err);
        bool found = c->source_id == SHAPE_NO_ID;
        for (size_t s = 0; s < schemas->n && !found; s++)
            found = iceberg_schema_type(schemas->at[s], c->source_id, &c->source);
        c->source.name = c->source.stored = c->source.constant = SLICE_LIT("");
        c->loose = is_loose(c);
    }
    *out = (struct iceberg_partition){at, n};
    return 0;
}

/* Paths */

/* The next component and what follows it; false at the end. */
static bool next_component(struct slice *rest, struct slice *component)
{
    while (rest->n && rest->p[0] == '/')
        *rest = slice_from(*rest, 1);
    ptrdiff_t slash = slice_find(*rest, '/');
    *component = slice_make(rest->p, slash < 0 ? rest->n : (size_t)slash);
    *rest = slice_from(*rest, component->n);
    return component->n > 0;
}

/* The text of a value, without a pointer for null. */
static struct slice text_of(const struct iceberg_partition_column *c, const struct iceberg_value *v,
                            struct buf *room)
{
    buf_reset(room);
    if (v->kind == ICEBERG_NULL)
        return SLICE_NONE;
    iceberg_partition_text(c, v, room);
    return room->len ? buf_slice(room) : SLICE_LIT("");
}

static size_t skip_void(const struct iceberg_partition *p, size_t at)
{
    while (at < p->n && p->at[at].transform == ICEBERG_VOID)
        at++;
    return at;
}

int iceberg_partition_keeps(const struct iceberg_partition *p, const struct iceberg_value *values,
                            struct slice path, bool *keeps, struct err *err)
{
    AUTO(buf) struct buf room = {0};
    struct slice component;
    size_t at = skip_void(p, 0);
    bool plain = true;
    buf_init(&room, ACTION_BYTES_MAX);
    while (plain && next_component(&path, &component)) {
        plain = component.p[0] != '_' && component.p[0] != '.';
        if (path.n == 0 || at == p->n || slice_find(component, '=') < 0)
            continue;
        struct slice value = text_of(&p->at[at], &values[at], &room);
        if (partition_path_says(component, p->at[at].name, value, p->at[at].loose))
            at = skip_void(p, at + 1);
    }
    int rc = buf_check(&room, err);
    if (rc == 0)
        *keeps = plain && at == p->n;
    return rc;
}

int iceberg_partition_build(const struct iceberg_partition *p, const struct iceberg_value *values,
                            struct slice path, struct buf *out, struct err *err)
{
    AUTO(buf) struct buf room = {0};
    struct slice name = text_basename(path);
    buf_init(&room, ACTION_BYTES_MAX);
    if (name.n == 0)
        return err_set(err, EIO, "a path that names no file: '%.*s'",
                       (int)(path.n < 200 ? path.n : 200), path.p);
    for (size_t i = skip_void(p, 0); i < p->n; i = skip_void(p, i + 1))
        partition_path_add(out, p->at[i].name, text_of(&p->at[i], &values[i], &room));
    if (name.p[0] == '_' || name.p[0] == '.')
        buf_add_char(out, 'x');
    buf_add_slice(out, name);
    int rc = buf_check(&room, err);
    return rc < 0 ? rc : buf_check(out, err);
}

/* Views */

/* Of identity a path says the value itself, of others something about it. */
static int add_column(struct shape_builder *b, const struct iceberg_partition_column *c,
                      struct err *err)
{
    struct shape_field f = {.name = c->name,
                            .id = c->source_id,
                            .kind = SHAPE_LEAF,
                            .type = SHAPE_STORED,
                            .nullable = true};
    for (size_t i = 1; b->shape && i < b->shape->fields_n; i++) {
        const struct shape_field *other = &b->shape->fields[i];
        if (slice_eq(other->name, c->name) && other->id == c->source_id)
            return 0;
    }
    if (c->transform == ICEBERG_IDENTITY) {
        f.type = c->source.type;
        f.precision = c->source.precision;
        f.scale = c->source.scale;
        f.length = c->source.length;
    }
    shape_add(b, &f);
    return b->err.code ? err_copy(err, &b->err) : 0;
}

int iceberg_partition_shape(const struct iceberg_partition *specs, size_t n, struct shape **out,
                            struct err *err)
{
    AUTO(shape_builder) struct shape_builder b;
    size_t columns = 0;
    int rc = 0;
    shape_builder_init(&b, SHAPE_BY_ID);
    for (size_t i = 0; i < n; i++)
        for (size_t k = skip_void(&specs[i], 0); rc == 0 && k < specs[i].n;
             k = skip_void(&specs[i], k + 1)) {
            rc = add_column(&b, &specs[i].at[k], err);
            columns++;
        }
    if (rc < 0)
        return rc;
    if (columns)
        return shape_finish(&b, out, err);
    *out = NULL;
    return 0;
}
