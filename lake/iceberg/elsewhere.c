/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/elsewhere.h"

#include "base/limits.h"
#include "base/text.h"
#include "lake/iceberg/state.h"

void iceberg_elsewhere_init(struct iceberg_elsewhere *e)
{
    *e = (struct iceberg_elsewhere){.n = 0};
    arena_init(&e->arena, ICEBERG_METADATA_BYTES_MAX);
}

void iceberg_elsewhere_done(struct iceberg_elsewhere *e)
{
    arena_done(&e->arena);
}

static bool is_known(const struct iceberg_elsewhere *e, struct slice path)
{
    struct slice dir = text_dirname(path);
    for (size_t i = e->n; i > 0; i--) /* they come one directory after the other */
        if (slice_eq(text_dirname(e->at[i - 1]), dir))
            return true;
    return false;
}

static int add(struct iceberg_elsewhere *e, const struct iceberg_view *v, struct slice path,
               struct err *err)
{
    AUTO(buf) struct buf key = {0};
    struct store *store;
    const char *prefix = v->table->prefix;
    buf_init(&key, ACTION_BYTES_MAX);
    int rc = iceberg_path_locate(&v->root, path, &store, &key, NULL);
    if (rc == 0 && !store && slice_starts(buf_slice(&key), slice_of(prefix)))
        return 0;
    if (is_known(e, path))
        return 0;
    if (!e->at)
        e->at = arena_calloc(&e->arena, ICEBERG_ELSEWHERE_MAX, sizeof e->at[0]);
    if (e->at && e->n == ICEBERG_ELSEWHERE_MAX)
        return err_set(err, EOVERFLOW, "manifests in more than %d directories elsewhere",
                       ICEBERG_ELSEWHERE_MAX);
    struct slice copy = e->at ? arena_slice(&e->arena, path) : SLICE_NONE;
    if (!copy.p)
        return arena_failed(&e->arena, "the places of manifests", err);
    e->at[e->n++] = copy;
    return 0;
}

int iceberg_elsewhere_add(struct iceberg_elsewhere *e, const struct iceberg_view *view,
                          const struct iceberg_snapshot *snapshot,
                          const struct iceberg_manifest_list *list, struct err *err)
{
    int rc = snapshot->manifest_list.n ? add(e, view, snapshot->manifest_list, err) : 0;
    for (size_t i = 0; rc == 0 && i < list->n; i++)
        rc = add(e, view, list->at[i].path, err);
    return rc;
}

/* Where one of them is. */
struct locating {
    struct iceberg_table *table;
    struct iceberg_view view; /* once it is needed */
    int (*emit)(void *arg, const struct object_location *at);
    void *arg;
    struct err *err;
};

static int locate(void *arg, struct slice path)
{
    struct locating *l = arg;
    AUTO(object_location) struct object_location at;
    object_location_init(&at);
    int rc = l->view.metadata ? 0 : iceberg_view_init(&l->view, l->table, l->err);
    if (rc == 0)
        rc = iceberg_path_locate(&l->view.root, path, &at.store, &at.key, l->err);
    return rc < 0 ? rc : l->emit(l->arg, &at);
}

int iceberg_elsewhere_locate(struct iceberg_table *table, struct slice meta,
                             int (*emit)(void *arg, const struct object_location *at), void *arg,
                             struct err *err)
{
    struct locating l = {.table = table, .emit = emit, .arg = arg, .err = err};
    int rc = iceberg_state_elsewhere(meta, locate, &l, err);
    iceberg_view_done(&l.view);
    return rc;
}
