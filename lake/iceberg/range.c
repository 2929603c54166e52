/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/range.h"

#include <fcntl.h>

#include "base/hash.h"
#include "lake/iceberg/make_private.h"
#include "lake/iceberg/runs.h"

/* Snapshots of a range, the newest first. */
struct chain {
    VEC(const struct iceberg_snapshot *) at;
};

/* From `upto` back to the one behind `after`, an ancestor (ICEBERG_NONE: the table's beginning). */
static int find_chain(const struct iceberg_metadata *m, int64_t after, int64_t upto,
                      struct chain *out, struct err *err)
{
    out->at.max = m->snapshots_n; /* no ancestor comes twice */
    for (int64_t id = upto; id != after;) {
        const struct iceberg_snapshot *s = iceberg_metadata_snapshot(m, id);
        if (id == ICEBERG_NONE)
            return err_set(err, ENOENT, "snapshot %lld is no ancestor of it", (long long)after);
        if (!s)
            return err_set(err, ENOENT, "snapshot %lld, its ancestor, has expired", (long long)id);
        int rc = vec_push(&out->at, s);
        if (rc == -EOVERFLOW)
            return err_set(err, EIO, "snapshot %lld is its own ancestor", (long long)id);
        if (rc < 0)
            return err_set(err, -rc, "no room for %zu snapshots", out->at.n);
        id = s->parent;
    }
    return 0;
}

static bool appends(const struct iceberg_snapshot *s)
{
    return slice_is(s->operation, "append");
}

struct appending {
    struct iceberg_filling filling;
    const struct iceberg_snapshot *snapshot;
    struct iceberg_elsewhere *elsewhere;
};

static int take_file(void *arg, const struct iceberg_decoded *decoded,
                     const struct iceberg_entry *f, struct err *err)
{
    struct appending *a = arg;
    return f->status == ICEBERG_ADDED && f->snapshot == a->snapshot->id
               ? iceberg_make_add(&a->filling, decoded, f, err)
               : 0;
}

/* The files that one snapshot appended: they are in manifests that it added. */
static int add_snapshot(struct appending *a, const struct iceberg_view *view, struct err *err)
{
    AUTO(iceberg_manifest_list) struct iceberg_manifest_list list;
    VEC(const struct iceberg_manifest *) own = VEC_MAX(ICEBERG_MANIFESTS_MAX);
    iceberg_manifest_list_init(&list);
    int rc = iceberg_manifests_list(view, a->snapshot, &list, err);
    for (size_t i = 0; rc == 0 && i < list.n; i++) {
        const struct iceberg_manifest *m = &list.at[i];
        if (!m->deletes && (m->snapshot == a->snapshot->id || m->snapshot == ICEBERG_NONE) &&
            vec_push(&own, m) < 0)
            rc = err_set(err, ENOMEM, "no room for %zu manifests", list.n);
    }
    if (rc == 0)
        rc = iceberg_elsewhere_add(a->elsewhere, view, a->snapshot, &list, err);
    if (rc == 0)
        rc = iceberg_manifests_decode(view, own.at, own.n, err);
    for (size_t i = 0; rc == 0 && i < own.n; i++)
        rc = iceberg_walk_manifest(a->filling.place, own.at[i], take_file, a, err);
    vec_done(&own);
    return rc < 0 ? err_wrap(err, "snapshot %lld", (long long)a->snapshot->id) : 0;
}

static int fill(struct appending *a, const struct iceberg_view *view, const struct chain *chain,
                struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < chain->at.n; i++) {
        a->snapshot = chain->at.at[i];
        a->filling.seq = chain->at.n - i;
        if (!a->snapshot->operation.n)
            rc = err_set(err, EOPNOTSUPP, "snapshot %lld does not tell whether it added new data",
                         (long long)a->snapshot->id);
        else if (appends(a->snapshot))
            rc = add_snapshot(a, view, err);
    }
    return rc;
}

static int make(struct iceberg_table *table, int64_t after, const struct iceberg_identity *id,
                const char *name, struct run **out, struct err *err)
{
    AUTO(iceberg_view) struct iceberg_view view = {0};
    AUTO(iceberg_place) struct iceberg_place place = {0};
    AUTO(index_build) struct index_build *build = NULL;
    struct chain chain = {.at.n = 0};
    int rc = iceberg_view_init(&view, table, err);
    if (rc == 0)
        rc = find_chain(view.metadata, after, id->snapshot, &chain, err);
    if (rc == 0)
        rc = iceberg_place_init(&place, &view, id->schema, err);
    if (rc == 0 && !(build = index_build_new(table->dirfd, err)))
        rc = -err->code;
    AUTO(iceberg_make) struct iceberg_make m = {.view = &view, .identity = *id};
    iceberg_elsewhere_init(&m.elsewhere);
    struct appending a = {.filling = {.place = &place, .build = build, .any = true},
                          .elsewhere = &m.elsewhere};
    if (rc == 0)
        rc = fill(&a, &view, &chain, err);
    if (rc == 0)
        m.snapshot = iceberg_metadata_snapshot(view.metadata, id->snapshot);
    if (rc == 0 && !m.snapshot)
        rc = err_set(err, ENOENT, "it has expired");
    if (rc == 0)
        rc = iceberg_make_run(&m, &a.filling, NULL, name, out, err);
    vec_done(&chain.at);
    return rc;
}

/* The run that is there already; 0 with *out NULL where there is none, or it is another one's. */
static int open_made(const struct iceberg_table *table, const char *name,
                     const struct iceberg_identity *id, struct run **out, struct err *err)
{
    AUTO(run) struct run *run = NULL;
    struct iceberg_identity is;
    *out = NULL;
    int rc = run_open(table->dirfd, name, &run, err);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0 && rc != -EUCLEAN)
        return rc;
    if (rc == 0 && iceberg_state_identity(run_meta(run), &is, NULL) == 0 &&
        is.fingerprint == id->fingerprint && is.schema == id->schema)
        *out = STEAL(run);
    else
        (void)unlinkat(table->dirfd, name, 0); /* made again below */
    return 0;
}

int iceberg_range(struct iceberg_table *table, const struct history *h,
                  const struct version_range *range, struct snapshot **out, struct err *err)
{
    char name[RUN_NAME_BYTES];
    const struct version *last = &h->at[range->upto];
    const struct version *before = range->after < 0 ? NULL : &h->at[range->after];
    int64_t after = before ? before->number : ICEBERG_NONE;
    uint64_t prints[2] = {before ? before->fingerprint : 0, last->fingerprint};
    struct iceberg_identity id = {last->number, last->schema,
                                  hash64(1, slice_make(prints, sizeof prints))};
    struct run *run;
    if (range->changes)
        return err_set(err, ENOENT, "Iceberg keeps no change data");
    iceberg_range_name(name, after, last->number);
    int rc = open_made(table, name, &id, &run, err);
    if (rc == 0 && !run) {
        struct err e = ERR_INIT;
        rc = make(table, after, &id, name, &run, &e);
        if (rc < 0)
            rc = iceberg_walk_failed(err, &e);
        if (rc == 0)
            iceberg_runs_prune(table->dirfd, 0);
    }
    if (rc < 0)
        return err_wrap(err, "snapshot %lld", (long long)last->number);
    *out = snapshot_new(run, NULL, err);
    return *out ? 0 : -err->code;
}
