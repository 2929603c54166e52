/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/former.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/limits.h"
#include "lake/format/shape.h"

struct former *former_new(struct err *err)
{
    struct former *f = calloc(1, sizeof *f);
    if (!f) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    f->refs = 1;
    map_init(&f->by_id, PARQUET_NODES_MAX);
    arena_init(&f->arena, FORMER_BYTES_MAX);
    return f;
}

void former_unref(struct former *f)
{
    if (!f || atomic_fetch_sub(&f->refs, 1) != 1)
        return;
    map_done(&f->by_id);
    arena_done(&f->arena);
    free(f);
}

static struct former_name *find(const struct former *f, int32_t id)
{
    return map_find(&f->by_id, slice_make(&id, sizeof id));
}

const struct former_name *former_names(const struct former *f, int32_t id)
{
    return find(f, id);
}

int former_add(struct former *f, int32_t id, struct slice name, struct err *err)
{
    struct former_name *before = find(f, id);
    for (struct former_name *n = before; n; n = n->same_id) {
        if (slice_eq(n->name, name))
            return 0;
        before = n;
    }
    struct former_name *new = arena_calloc(&f->arena, 1, sizeof *new);
    if (new)
        *new = (struct former_name){.id = id, .name = arena_slice(&f->arena, name)};
    if (!new || !new->name.p)
        return arena_failed(&f->arena, "the names that columns once had", err);
    if (!before && map_put(&f->by_id, slice_make(&new->id, sizeof new->id), new) < 0)
        return err_set(err, ENOMEM, "no room for the names that columns once had");
    if (before)
        before->same_id = new;
    *(f->last ? &f->last->next : &f->first) = new;
    f->last = new;
    return 0;
}

int former_add_shape(struct former *f, const struct shape *shape, struct err *err)
{
    int rc = 0;
    for (size_t i = 1; rc == 0 && i < shape->fields_n; i++)
        if (shape->fields[i].id != SHAPE_NO_ID && shape->fields[i].name.n)
            rc = former_add(f, shape->fields[i].id, shape->fields[i].name, err);
    return rc;
}

void former_format(const struct former *f, struct buf *out)
{
    buf_add_char(out, '[');
    for (const struct former_name *n = f->first; n; n = n->next) {
        buf_addf(out, "%s[%d,", n == f->first ? "" : ",", n->id);
        buf_add_json(out, n->name);
        buf_add_char(out, ']');
    }
    buf_add_char(out, ']');
}

int former_parse(struct former *f, struct slice text, struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    struct json j;
    int rc = 0;
    buf_init(&scratch, JSON_LINE_BYTES_MAX);
    json_init(&j, text);
    if (json_enter_array(&j))
        while (rc == 0 && json_next_element(&j)) {
            int64_t id = -1;
            struct slice name = SLICE_NONE;
            if (json_enter_array(&j) && json_next_element(&j) && json_int64(&j, &id) &&
                json_next_element(&j) && json_string(&j, &scratch, &name) && !json_next_element(&j))
                rc = former_add(f, (int32_t)id, name, err);
        }
    return rc == 0 && json_failed(&j) ? json_error(&j, err) : rc;
}
