/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/needs.h"

#include "lake/iceberg/find.h"
#include "lake/iceberg/make_private.h"

struct needing {
    const struct iceberg_view *view;
    int (*emit)(void *arg, const char *key);
    void *arg;
    int stopped; /* what emit returned */
    struct buf key;
    struct buf last; /* the path before: vectors lie in one file */
};

/* An object by its path, where it is in the table's own store: of others no archive is kept. */
static int need(struct needing *n, struct slice path, struct err *err)
{
    struct store *store;
    if (slice_eq(path, buf_slice(&n->last)))
        return 0;
    buf_reset(&n->last);
    buf_add_slice(&n->last, path);
    int rc = iceberg_path_locate(&n->view->root, path, &store, &n->key, err);
    if (rc < 0 || store)
        return rc;
    n->stopped = n->emit(n->arg, n->key.data);
    return n->stopped;
}

static int take_delete(void *arg, const struct iceberg_decoded *decoded,
                       const struct iceberg_entry *f, struct err *err)
{
    (void)decoded;
    return need(arg, f->path, err);
}

static int need_metadata(struct needing *n, const struct iceberg_snapshot *s, struct err *err)
{
    const struct iceberg_view *v = n->view;
    buf_reset(&n->key);
    buf_add_str(&n->key, v->table->prefix);
    buf_add_str(&n->key, ICEBERG_METADATA_DIR);
    buf_add_slice(&n->key, s->metadata.n ? s->metadata : v->metadata->name);
    int rc = buf_check(&n->key, err);
    if (rc < 0)
        return rc;
    n->stopped = n->emit(n->arg, n->key.data);
    return n->stopped;
}

static int need_snapshot(struct needing *n, const struct iceberg_snapshot *s, struct err *err)
{
    AUTO(iceberg_manifest_list) struct iceberg_manifest_list list;
    AUTO(iceberg_place) struct iceberg_place place = {0};
    iceberg_manifest_list_init(&list);
    int rc = s->manifest_list.n ? need(n, s->manifest_list, err) : 0;
    if (rc == 0)
        rc = iceberg_manifests_list(n->view, s, &list, err);
    if (rc == 0)
        rc = iceberg_place_init(&place, n->view, iceberg_metadata_schema_of(n->view->metadata, s),
                                err);
    for (size_t i = 0; rc == 0 && i < list.n; i++) {
        rc = need(n, list.at[i].path, err);
        if (rc == 0 && list.at[i].deletes)
            rc = iceberg_walk_manifest(&place, &list.at[i], take_delete, n, err);
    }
    return rc;
}

int iceberg_needs(struct iceberg_table *table, const struct history *h, size_t position,
                  int (*emit)(void *arg, const char *key), void *arg, struct err *err)
{
    AUTO(iceberg_view) struct iceberg_view view = {0};
    struct needing n = {.view = &view, .emit = emit, .arg = arg};
    int64_t id = h->at[position].number;
    int rc = iceberg_view_init(&view, table, err);
    if (rc < 0)
        return rc;
    const struct iceberg_snapshot *s = iceberg_metadata_snapshot(view.metadata, id);
    if (!s)
        return err_set(err, ENOENT, "snapshot %lld has expired", (long long)id);
    buf_init(&n.key, ACTION_BYTES_MAX);
    buf_init(&n.last, ACTION_BYTES_MAX);
    struct err e = ERR_INIT;
    rc = need_metadata(&n, s, &e);
    if (rc == 0)
        rc = need_snapshot(&n, s, &e);
    if (rc < 0 && !n.stopped)
        rc = iceberg_walk_failed(err, &e);
    buf_done(&n.key);
    buf_done(&n.last);
    return n.stopped ? n.stopped : rc;
}
