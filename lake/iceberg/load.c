/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/load.h"

#include <fcntl.h>

#include "lake/iceberg/make.h"
#include "lake/iceberg/runs.h"

/* Bases that a patch is tried on, the last ones that were made. */
#define BASES_TRIED 3

/* One load on its way. */
struct load {
    struct iceberg_table *table;
    struct iceberg_identity id; /* that is asked for */
    struct iceberg_runs found;
};

/*
 * Opens a run. `id`: what it must be; NULL: any. 0 with *out NULL where there is none; one that is
 * damaged, or of another history, is removed.
 */
static int open_run(const struct load *l, const char *name, const struct iceberg_identity *id,
                    struct run **out, struct err *err)
{
    AUTO(run) struct run *run = NULL;
    struct iceberg_identity is;
    *out = NULL;
    int rc = run_open(l->table->dirfd, name, &run, err);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0 && rc != -EUCLEAN)
        return rc;
    if (rc == 0 && iceberg_state_identity(run_meta(run), &is, NULL) == 0 &&
        (!id || (is.snapshot == id->snapshot && is.schema == id->schema &&
                 is.fingerprint == id->fingerprint))) {
        *out = STEAL(run);
        return 0;
    }
    (void)unlinkat(l->table->dirfd, name, 0); /* made again, here or by the next load */
    return 0;
}

/* What is there already: 1 and the snapshot, 0 there is none, or -errno. */
static int open_made(struct load *l, struct snapshot **out, struct err *err)
{
    char name[RUN_NAME_BYTES];
    AUTO(run) struct run *base = NULL;
    iceberg_base_name(name, l->id.snapshot, l->id.schema);
    int rc = open_run(l, name, &l->id, &base, err);
    if (rc == 0 && base) {
        rc = snapshot_take(&base, NULL, out, err);
        return rc < 0 ? rc : 1;
    }
    if (rc == 0)
        rc = iceberg_runs_find(l->table->dirfd, l->id.snapshot, l->id.schema, &l->found, err);
    for (size_t i = 0; rc == 0 && i < l->found.patches_n; i++) {
        AUTO(run) struct run *under = NULL;
        AUTO(run) struct run *patch = NULL;
        iceberg_patch_name(name, l->found.patches[i], l->id.snapshot, l->id.schema);
        rc = open_run(l, name, &l->id, &patch, err);
        if (rc < 0 || !patch)
            continue;
        iceberg_base_name(name, l->found.patches[i], l->id.schema);
        rc = open_run(l, name, NULL, &under, err);
        if (rc < 0 || !under || !run_stands_on(patch, under))
            continue;
        rc = snapshot_take(&under, &patch, out, err);
        return rc < 0 ? rc : 1;
    }
    return rc;
}

/* 1 where some base has a patch to it, 0 where none will do. */
static int make_patch(struct load *l, struct iceberg_make *make, struct snapshot **out,
                      struct err *err)
{
    for (size_t i = 0; i < l->found.bases_n && i < BASES_TRIED; i++) {
        char name[RUN_NAME_BYTES];
        AUTO(run) struct run *base = NULL;
        AUTO(run) struct run *patch = NULL;
        struct err e = ERR_INIT;
        iceberg_base_name(name, l->found.bases[i].snapshot, l->id.schema);
        int rc = open_run(l, name, NULL, &base, err);
        if (rc < 0)
            return rc;
        if (!base)
            continue;
        rc = iceberg_make_patch(make, base, &patch, &e);
        if (rc == 0) {
            rc = snapshot_take(&base, &patch, out, err);
            return rc < 0 ? rc : 1;
        }
        if (rc != -EAGAIN && rc != -ENOENT && rc != -EUCLEAN)
            return err_copy(err, &e);
    }
    return 0;
}

static int make(struct load *l, struct snapshot **out, struct err *err)
{
    AUTO(iceberg_view) struct iceberg_view view = {0};
    AUTO(iceberg_make) struct iceberg_make make = {0};
    AUTO(run) struct run *base = NULL;
    int rc = iceberg_view_init(&view, l->table, err);
    if (rc < 0)
        return rc;
    const struct iceberg_snapshot *s = iceberg_metadata_snapshot(view.metadata, l->id.snapshot);
    if (!s)
        return err_set(err, ENOENT, "it has expired");
    rc = iceberg_make_init(&make, &view, s, &l->id, err);
    if (rc == 0)
        rc = make_patch(l, &make, out, err);
    if (rc == 0) {
        rc = iceberg_make_base(&make, &base, err);
        if (rc == 0)
            rc = snapshot_take(&base, NULL, out, err);
    }
    if (rc >= 0)
        iceberg_runs_prune(l->table->dirfd, make.list.n);
    return rc < 0 ? rc : 0;
}

int iceberg_load(struct iceberg_table *table, const struct history *h, size_t position,
                 struct snapshot **out, struct err *err)
{
    const struct version *version = &h->at[position];
    struct load l = {
        .table = table,
        .id = {.snapshot = version->number,
               .schema = version->schema,
               .fingerprint = version->fingerprint},
    };
    int rc = open_made(&l, out, err);
    if (rc == 0)
        rc = make(&l, out, err);
    return rc < 0 ? err_wrap(err, "snapshot %lld", (long long)version->number) : 0;
}
