/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/objects.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/text.h"
#include "lake/iceberg/make_private.h"

/* More partition columns than that no path has room for. */
#define COLUMNS_MAX 64
/* "Table Properties": how old snapshots are at least that a clean-up expires. */
#define KEPT_PROPERTY "history.expire.max-snapshot-age-ms"
#define KEPT_DEFAULT_MS (INT64_C(5) * 24 * 3600 * 1000)

struct walk {
    const struct iceberg_view *view;
    const struct history *h;
    const struct object_sink *sink;
    struct iceberg_place place;
    size_t position; /* of the version that is told of */
    const struct iceberg_snapshot *snapshot;
    bool gone;      /* the files of the manifest are */
    bool compacted; /* and other files have their rows */
    struct buf key, texts;
    struct object_partition partitions[COLUMNS_MAX];
};

static int locate(struct walk *w, struct slice path, struct object_event *e, struct err *err)
{
    struct err why = ERR_INIT;
    int rc = iceberg_path_locate(&w->view->root, path, &e->store, &w->key, &why);
    if (rc == 0) {
        e->key = buf_slice(&w->key);
        return 0;
    }
    if (rc != -EACCES)
        return err_copy(err, &why);
    rc = iceberg_path_name(path, &w->key, err);
    e->url = buf_slice(&w->key);
    return rc;
}

static int set_partitions(struct walk *w, const struct iceberg_decoded *decoded,
                          const struct iceberg_entry *f, struct object_event *e, struct err *err)
{
    const struct iceberg_value *values;
    size_t at[COLUMNS_MAX + 1] = {0};
    int rc = iceberg_place_values(&w->place, decoded, f, &values, err);
    if (rc < 0)
        return rc;
    const struct iceberg_partition *p = &w->place.spec->partition;
    size_t n = p->n < COLUMNS_MAX ? p->n : COLUMNS_MAX;
    buf_reset(&w->texts);
    for (size_t i = 0; i < n; i++) {
        if (values[i].kind != ICEBERG_NULL)
            iceberg_partition_text(&p->at[i], &values[i], &w->texts);
        at[i + 1] = w->texts.len;
    }
    for (size_t i = 0; i < n; i++)
        w->partitions[i] = (struct object_partition){
            p->at[i].name, slice_make(w->texts.data + at[i], at[i + 1] - at[i])};
    e->partitions = w->partitions;
    e->partitions_n = n;
    return buf_check(&w->texts, err);
}

/* One live file of a manifest that came or is gone. A file of both is held: who counts takes what
 * goes before what comes. */
static int take_file(void *arg, const struct iceberg_decoded *decoded,
                     const struct iceberg_entry *f, struct err *err)
{
    struct walk *w = arg;
    bool data = f->content == ICEBERG_DATA;
    bool added = f->status == ICEBERG_ADDED && f->snapshot == w->snapshot->id;
    struct object_event e = {
        .what = w->gone ? OBJECT_REMOVED
                : added ? OBJECT_ADDED
                        : OBJECT_HELD,
        .kind = data ? OBJECT_DATA : OBJECT_DELETES,
        .position = w->position,
        .holder = hash64((uint64_t)f->offset, f->path),
        .moves_rows = w->gone && w->compacted,
        .size = f->offset >= 0 ? 0 : f->size,
        .mtime_ms = iceberg_place_time(&w->place, f),
    };
    int rc = locate(w, f->path, &e, err);
    if (rc == 0 && data && !w->gone)
        rc = set_partitions(w, decoded, f, &e, err);
    return rc < 0 ? rc : w->sink->event(w->sink->arg, &e, err);
}

/* A file of the table's metadata: a list of manifests, or one of them. */
static int tell_metadata(struct walk *w, struct slice path, struct err *err)
{
    struct object_event e = {.what = w->gone ? OBJECT_REMOVED : OBJECT_ADDED,
                             .kind = OBJECT_LOG,
                             .position = w->position,
                             .holder = hash64(0, path)};
    int rc = path.n ? locate(w, path, &e, err) : 0; /* v1 may have its manifests inline */
    return rc < 0 || !path.n ? rc : w->sink->event(w->sink->arg, &e, err);
}

/* Manifests of a list that the other one has not. */
static int tell_list(struct walk *w, const struct iceberg_manifest_list *list,
                     const struct iceberg_manifest_list *other, struct err *err)
{
    AUTO(map) struct map others = {0};
    VEC(const struct iceberg_manifest *) alone = VEC_MAX(ICEBERG_MANIFESTS_MAX);
    int rc = 0;
    map_init(&others, ICEBERG_MANIFESTS_MAX);
    for (size_t i = 0; rc == 0 && i < other->n; i++)
        rc = map_put(&others, other->at[i].path, &other->at[i]);
    for (size_t i = 0; rc == 0 && i < list->n; i++)
        if (!map_find(&others, list->at[i].path))
            rc = vec_push(&alone, (const struct iceberg_manifest *)&list->at[i]);
    if (rc < 0)
        rc = err_set(err, -rc, "no room for %zu manifests", list->n);
    if (rc == 0)
        rc = iceberg_manifests_decode(w->view, alone.at, alone.n, err);
    for (size_t i = 0; rc == 0 && i < alone.n; i++) {
        rc = tell_metadata(w, alone.at[i]->path, err);
        if (rc == 0)
            rc = iceberg_walk_manifest(&w->place, alone.at[i], take_file, w, err);
    }
    vec_done(&alone);
    return rc;
}

/* The next version, whose manifests become those `before` the next one. */
static int tell_version(struct walk *w, struct iceberg_manifest_list *before, struct err *err)
{
    struct iceberg_manifest_list now;
    const struct iceberg_snapshot *was = w->snapshot;
    int64_t id = w->h->at[w->position].number;
    w->snapshot = iceberg_metadata_snapshot(w->view->metadata, id);
    if (!w->snapshot)
        return err_set(err, ESTALE, "snapshot %lld has expired", (long long)id);
    iceberg_manifest_list_init(&now);
    int rc = iceberg_manifests_list(w->view, w->snapshot, &now, err);
    /* What another branch does not hold was not compacted by it. */
    w->compacted =
        slice_is(w->snapshot->operation, "replace") && was && w->snapshot->parent == was->id;
    w->gone = true;
    if (rc == 0 && was)
        rc = tell_metadata(w, was->manifest_list, err);
    if (rc == 0)
        rc = tell_list(w, before, &now, err);
    w->gone = false;
    if (rc == 0)
        rc = tell_metadata(w, w->snapshot->manifest_list, err);
    if (rc == 0)
        rc = tell_list(w, &now, before, err);
    iceberg_manifest_list_done(before);
    *before = now;
    return rc < 0 ? err_wrap(err, "snapshot %lld", (long long)id) : 0;
}

static int tell_facts(const struct walk *w, struct err *err)
{
    const struct iceberg_metadata *m = w->view->metadata;
    const struct iceberg_spec *spec = iceberg_metadata_spec(m, m->default_spec_id);
    struct slice kept = iceberg_metadata_property(m, KEPT_PROPERTY);
    struct object_column columns[COLUMNS_MAX];
    uint64_t kept_ms = KEPT_DEFAULT_MS;
    if (kept.n && !text_parse_u64(kept, INT64_MAX, &kept_ms))
        kept_ms = KEPT_DEFAULT_MS;
    struct object_facts facts = {.retention_ms = (int64_t)kept_ms, .columns = columns};
    for (size_t i = 0; spec && i < spec->n && i < COLUMNS_MAX; i++)
        columns[facts.columns_n++] =
            (struct object_column){spec->fields[i].name, spec->fields[i].name};
    return w->sink->facts(w->sink->arg, &facts, err);
}

static int walk(struct walk *w, struct err *err)
{
    AUTO(iceberg_manifest_list) struct iceberg_manifest_list before;
    iceberg_manifest_list_init(&before);
    int rc = 0;
    for (; rc == 0 && w->position < w->h->n; w->position++)
        rc = tell_version(w, &before, err);
    return rc == 0 ? tell_facts(w, err) : rc;
}

int iceberg_objects(struct iceberg_table *table, const struct history *h,
                    const struct object_sink *sink, struct err *err)
{
    AUTO(iceberg_view) struct iceberg_view view = {0};
    struct walk w = {.view = &view, .h = h, .sink = sink};
    if (!h->n)
        return 0;
    int rc = iceberg_view_init(&view, table, err);
    if (rc < 0)
        return rc;
    buf_init(&w.key, ACTION_BYTES_MAX);
    buf_init(&w.texts, ACTION_BYTES_MAX);
    struct err e = ERR_INIT;
    rc = iceberg_place_init(&w.place, &view, view.metadata->current_schema_id, &e);
    if (rc == 0)
        rc = walk(&w, &e);
    if (rc < 0 && e.code) /* else it is the sink's own */
        rc = iceberg_walk_failed(err, &e);
    iceberg_place_done(&w.place);
    buf_done(&w.key);
    buf_done(&w.texts);
    return rc;
}
