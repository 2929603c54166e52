/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/load.h"

#include <fcntl.h>

#include "lake/delta/make.h"
#include "lake/delta/runs.h"

/* A base without a checkpoint stands at a multiple of this. */
#define BASE_STEP 16
/* The newest version has a base of its own where the commits behind the shared one are larger: the
 * next commits are patches on it, and read what is behind it. */
#define SHARED_BYTES_MAX MIB
/* Commits on one base; fewer where making a new base is cheap. */
#define PATCH_COMMITS_MAX 200
#define PATCH_COMMITS_SMALL_MAX 32
#define SMALL_FILES 10000
/* One load on its way. */
struct load {
    const struct delta_table *table;
    const struct history *h;
    const struct version *version; /* that is asked for */
    struct delta_make make;
};

/*
 * Opens a run that says the version of this history. 0 with *out NULL where there is none; one that
 * is damaged, or of another history, is removed.
 */
static int open_run(const struct load *l, const char *name, const struct version *version,
                    struct run **out, struct err *err)
{
    AUTO(run) struct run *run = NULL;
    int64_t number;
    uint64_t fingerprint;
    *out = NULL;
    int rc = run_open(l->table->dirfd, name, &run, err);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0 && rc != -EUCLEAN)
        return rc;
    if (rc == 0 && delta_state_identity(run_meta(run), &number, &fingerprint, NULL) == 0 &&
        number == version->number && fingerprint == version->fingerprint) {
        *out = STEAL(run);
        return 0;
    }
    (void)unlinkat(l->table->dirfd, name, 0); /* made again, here or by the next load */
    return 0;
}
/* Opens the base of a version where it counts; *out NULL where it does not. */
static int open_base(const struct load *l, int64_t number, struct run **out,
                     const struct version **version, struct err *err)
{
    char name[RUN_NAME_BYTES];
    ptrdiff_t position = history_find(l->h, number);
    *out = NULL;
    if (position < 0)
        return 0;
    delta_base_name(name, number);
    *version = &l->h->at[position];
    return open_run(l, name, *version, out, err);
}

/* What is there already: 1 and the snapshot, 0 there is none, or -errno. */
static int open_made(const struct load *l, const struct delta_runs *found, struct snapshot **out,
                     struct err *err)
{
    const struct version *version;
    AUTO(run) struct run *base = NULL;
    int rc = found->bases.n && found->bases.at[0] == l->version->number
                 ? open_base(l, l->version->number, &base, &version, err)
                 : 0;
    if (rc < 0)
        return rc;
    if (base) {
        rc = snapshot_take(&base, NULL, out, err);
        return rc < 0 ? rc : 1;
    }
    for (size_t i = 0; i < found->patches.n; i++) {
        char name[RUN_NAME_BYTES];
        AUTO(run) struct run *under = NULL;
        AUTO(run) struct run *patch = NULL;
        delta_patch_name(name, found->patches.at[i], l->version->number);
        rc = open_base(l, found->patches.at[i], &under, &version, err);
        if (rc == 0 && under)
            rc = open_run(l, name, l->version, &patch, err);
        if (rc < 0)
            return rc;
        if (patch) {
            rc = snapshot_take(&under, &patch, out, err);
            return rc < 0 ? rc : 1;
        }
    }
    return 0;
}

/* The newest base that is there and near enough; *out NULL where there is none. */
static int find_base(const struct load *l, const struct delta_runs *found, struct run **out,
                     int64_t *number, struct err *err)
{
    const struct version *version;
    for (size_t i = 0; i < found->bases.n; i++) {
        AUTO(run) struct run *base = NULL;
        int rc = open_base(l, found->bases.at[i], &base, &version, err);
        if (rc < 0)
            return rc;
        if (!base)
            continue;
        int64_t most = run_files(base) < SMALL_FILES ? PATCH_COMMITS_SMALL_MAX : PATCH_COMMITS_MAX;
        if (l->version->number - found->bases.at[i] <= most) {
            *number = found->bases.at[i];
            *out = STEAL(base);
        }
        return 0;
    }
    return 0;
}

/* Does another base than the shared one at that version serve those better who follow the table? */
static bool has_own_base(const struct load *l, int64_t at)
{
    uint64_t bytes = 0;
    if (l->version != &l->h->at[l->h->n - 1])
        return false;
    for (int64_t v = at + 1; v <= l->version->number; v++) {
        const struct delta_log_file *file = delta_log_commit(&l->make.log, v);
        bytes += file ? file->size : 0;
    }
    return bytes > SHARED_BYTES_MAX;
}

/* Makes a base below the version, to be shared; *out NULL where it is no use. */
static void make_shared_base(struct load *l, struct run **out, int64_t *number)
{
    const struct delta_log_file *checkpoint =
        delta_log_checkpoint(&l->make.log, l->version->number);
    int64_t at = l->version->number - l->version->number % BASE_STEP;
    if (checkpoint && checkpoint->name.version > at)
        at = checkpoint->name.version;
    ptrdiff_t position = history_find(l->h, at);
    struct err ignored = ERR_INIT; /* the version itself is tried next, and tells */
    if (at == l->version->number || position < 0 || has_own_base(l, at) ||
        delta_make_check(&l->make, &l->h->at[position], &ignored) < 0 ||
        delta_make_base(&l->make, &l->h->at[position], out, &ignored) < 0)
        return;
    *number = at;
}

static int make(struct load *l, const struct delta_runs *found, struct snapshot **out,
                struct err *err)
{
    AUTO(run) struct run *base = NULL;
    AUTO(run) struct run *patch = NULL;
    int64_t number = 0;
    int rc = find_base(l, found, &base, &number, err);
    if (rc == 0)
        rc = delta_make_log(&l->make, base ? number : 0, err);
    if (rc == 0)
        rc = delta_make_check(&l->make, l->version, err);
    if (rc < 0)
        return rc;
    if (!base)
        make_shared_base(l, &base, &number);
    if (base) {
        struct err e = ERR_INIT;
        rc = delta_make_patch(&l->make, l->version, base, &patch, &e);
        if (rc == 0)
            return snapshot_take(&base, &patch, out, err);
        if (rc != -EAGAIN && rc != -ENOENT && rc != -EUCLEAN)
            return err_copy(err, &e);
        run_unref(STEAL(base));
    }
    rc = delta_make_log(&l->make, 0, err);
    if (rc == 0)
        rc = delta_make_base(&l->make, l->version, &base, err);
    return rc < 0 ? rc : snapshot_take(&base, NULL, out, err);
}

int delta_load(const struct delta_table *table, const struct history *h, size_t position,
               struct snapshot **out, struct err *err)
{
    struct load l = {.table = table, .h = h, .version = &h->at[position]};
    struct delta_runs found;
    delta_make_init(&l.make, table, h);
    int rc = delta_runs_find(table->dirfd, l.version->number, &found, err);
    if (rc == 0)
        rc = open_made(&l, &found, out, err);
    if (rc == 0) {
        rc = make(&l, &found, out, err);
        if (rc == 0)
            delta_runs_prune(table->dirfd);
    }
    delta_runs_done(&found);
    delta_make_done(&l.make);
    return rc < 0 ? err_wrap(err, "version %lld", (long long)h->at[position].number) : 0;
}
