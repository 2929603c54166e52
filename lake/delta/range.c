/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/range.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/hash.h"
#include "lake/delta/load.h"
#include "lake/delta/runs.h"

/* What a run of a range is made of: all commits of it. */
static uint64_t fingerprint_of(const struct history *h, const struct version_range *range)
{
    uint64_t hash = range->changes ? 2 : 0; /* 1: of runs whose meta does not say what they are */
    for (size_t i = (size_t)(range->after + 1); i <= range->upto; i++)
        hash = hash64(hash, slice_make(&h->at[i].fingerprint, sizeof h->at[i].fingerprint));
    return hash;
}

/* The run that is there already; 0 with *out NULL where there is none, or it is another one's. */
static int open_made(const struct delta_table *table, const char *name, uint64_t fingerprint,
                     struct run **out, struct err *err)
{
    AUTO(run) struct run *run = NULL;
    int64_t number;
    uint64_t found;
    *out = NULL;
    int rc = run_open(table->dirfd, name, &run, err);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0 && rc != -EUCLEAN)
        return rc;
    if (rc == 0 && delta_state_identity(run_meta(run), &number, &found, NULL) == 0 &&
        found == fingerprint)
        *out = STEAL(run);
    else
        (void)unlinkat(table->dirfd, name, 0); /* made again below */
    return 0;
}

/* The state of a version, as its run's meta says. */
static int state_at(const struct delta_table *table, const struct history *h, size_t position,
                    struct delta_state *out, struct err *err)
{
    AUTO(snapshot) struct snapshot *s = NULL;
    int rc = delta_load(table, h, position, &s, err);
    return rc < 0 ? rc : delta_state_parse(snapshot_meta(s), out, err);
}

/* The commits of a range on their way through the reader. */
struct way {
    const struct delta_log *log;
    const struct version *at, *end;
};

static const struct delta_log_file *next_of_way(void *arg)
{
    struct way *way = arg;
    return way->at < way->end ? delta_log_commit(way->log, way->at++->number) : NULL;
}

/* All commits are there, and those that the history has. */
static int check_commits(const struct way *way, struct err *err)
{
    for (const struct version *v = way->at; v < way->end; v++) {
        const struct delta_log_file *file = delta_log_commit(way->log, v->number);
        if (!file)
            return err_set(err, ENOENT, "the commit of version %lld is gone", (long long)v->number);
        if (file->fingerprint != v->fingerprint)
            return err_set(err, ESTALE, "the commit of version %lld was replaced",
                           (long long)v->number);
    }
    return 0;
}

static int replay_way(struct delta_replay *r, struct way *way, struct err *err)
{
    const struct delta_table *t = r->table;
    struct delta_ahead_options options = {t->store, t->prefix, next_of_way, way, 0};
    const struct delta_log_file *file;
    const struct version *v = way->at;
    AUTO(delta_ahead) struct delta_ahead *ahead = delta_ahead_new(&options, err);
    if (!ahead)
        return -err->code;
    int rc;
    while ((rc = delta_ahead_file(ahead, &file, err)) > 0) {
        r->time_ms = v++->timestamp_ms;
        rc = delta_replay_commit(r, ahead, file, err);
        if (rc < 0)
            break;
    }
    return rc;
}

static int replay_commits(struct delta_replay *r, const struct history *h,
                          const struct version_range *range, struct err *err)
{
    AUTO(delta_log) struct delta_log log;
    size_t first = (size_t)(range->after + 1);
    struct way way = {&log, &h->at[first], &h->at[range->upto + 1]};
    delta_log_init(&log);
    if (way.at == way.end)
        return 0;
    int rc = delta_log_read(&log, r->table->store, r->table->prefix, &way.at->number, err);
    if (rc == 0)
        rc = check_commits(&way, err);
    return rc < 0 ? rc : replay_way(r, &way, err);
}

/* Writes the run under a name of its own and renames it: two loads side by side do no harm. */
static int write_run(const struct delta_replay *r, const char *name,
                     const struct delta_state *state, const struct version *version,
                     uint64_t fingerprint, struct err *err)
{
    char aside[RUN_NAME_BYTES];
    AUTO(buf) struct buf meta = {0};
    int dirfd = r->table->dirfd;
    buf_init(&meta, 2 * JSON_LINE_BYTES_MAX);
    delta_state_format(state, version->number, fingerprint, &meta);
    int rc = buf_check(&meta, err);
    if (rc < 0)
        return rc;
    run_unchecked_name(aside);
    rc = index_build_base(r->build, aside, buf_slice(&meta), err);
    if (rc == 0 && renameat(dirfd, aside, dirfd, name) < 0)
        rc = err_set(err, errno, "%s: %s", name, strerror(errno));
    if (rc < 0)
        (void)unlinkat(dirfd, aside, 0); /* a leftover is never opened */
    return rc;
}

static int make(const struct delta_table *table, const struct history *h,
                const struct version_range *range, const char *name, struct err *err)
{
    AUTO(delta_state) struct delta_state last, state;
    AUTO(delta_replay) struct delta_replay r = {0};
    delta_state_init(&last);
    delta_state_init(&state);
    int rc = state_at(table, h, range->upto, &last, err);
    if (rc == 0 && range->after >= 0) /* as it was when the first of the files were added */
        rc = state_at(table, h, (size_t)range->after, &state, err);
    if (rc == 0)
        rc = delta_replay_init(&r, table, &last.columns, &state, err);
    last.changes = range->changes;
    r.history = h;
    r.takes = range->changes ? DELTA_REPLAY_CHANGES : DELTA_REPLAY_NEW;
    if (rc == 0)
        rc = replay_commits(&r, h, range, err);
    return rc < 0 ? rc
                  : write_run(&r, name, &last, &h->at[range->upto], fingerprint_of(h, range), err);
}

int delta_range(const struct delta_table *table, const struct history *h,
                const struct version_range *range, struct snapshot **out, struct err *err)
{
    char name[RUN_NAME_BYTES];
    struct run *run;
    delta_range_name(name, range->changes, range->after < 0 ? -1 : h->at[range->after].number,
                     h->at[range->upto].number);
    int rc = open_made(table, name, fingerprint_of(h, range), &run, err);
    if (rc == 0 && !run) {
        rc = make(table, h, range, name, err);
        if (rc == 0)
            rc = run_open(table->dirfd, name, &run, err);
        if (rc == 0)
            delta_runs_prune(table->dirfd);
    }
    if (rc < 0)
        return err_wrap(err, "version %lld", (long long)h->at[range->upto].number);
    *out = snapshot_new(run, NULL, err);
    return *out ? 0 : -err->code;
}
