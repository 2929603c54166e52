/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/load.h"

#include <fcntl.h>

#include "lake/delta/checkpoint.h"
#include "lake/delta/protocol.h"
#include "lake/delta/runs.h"

/* A base without a checkpoint stands at a multiple of this. */
#define BASE_STEP 16
/* Commits on one base; fewer where making a new base is cheap. */
#define PATCH_COMMITS_MAX 200
#define PATCH_COMMITS_SMALL_MAX 32
#define SMALL_FILES 10000
/* Actions on one base: this, or a quarter of its files. */
#define PATCH_ACTIONS_MAX 10000

/* One load on its way. */
struct load {
    const struct delta_table *table;
    const struct history *h;
    const struct version *version; /* that is asked for */
    struct delta_log log;          /* read when something has to be made */
    bool has_log;
    bool checkpoint_unread; /* the last one that was tried is damaged, or of an unread kind */
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

static int need_log(struct load *l, struct err *err)
{
    if (l->has_log)
        return 0;
    int rc = delta_log_read(&l->log, l->table->store, l->table->prefix, NULL, err);
    l->has_log = rc == 0;
    return rc;
}

/* Is the version in the log still the one that the history has? */
static int check_version(const struct load *l, const struct version *version, struct err *err)
{
    const struct delta_log_file *file = delta_log_commit(&l->log, version->number);
    if (!file) {
        file = delta_log_checkpoint(&l->log, version->number);
        if (file && file->name.version != version->number)
            file = NULL;
        /* The commit was cleaned up since; its checkpoint says the same. */
        return file ? 0
                    : err_set(err, ENOENT, "version %lld is not there any more",
                              (long long)version->number);
    }
    if (file->fingerprint != version->fingerprint)
        return err_set(err, ESTALE, "the commit of version %lld was replaced",
                       (long long)version->number);
    return 0;
}

static int replay_commits(const struct load *l, struct delta_replay *r, int64_t first, int64_t last,
                          struct err *err)
{
    for (int64_t v = first; v <= last; v++)
        if (!delta_log_commit(&l->log, v))
            return err_set(err, ENOENT, "the commit of version %lld is missing", (long long)v);
    for (int64_t v = first; v <= last; v++) {
        int rc = delta_replay_commit(r, delta_log_commit(&l->log, v), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The name of a version's run: a base where `base` is NULL, else a patch on it. */
static int name_run(char name[DELTA_RUN_NAME_BYTES], const struct run *base, int64_t version,
                    struct err *err)
{
    int64_t under;
    uint64_t ignored;
    if (!base) {
        delta_base_name(name, version);
        return 0;
    }
    int rc = delta_state_identity(run_meta(base), &under, &ignored, err);
    if (rc == 0)
        delta_patch_name(name, under, version);
    return rc;
}

/*
 * Writes the run of what was replayed and opens it. It is written under a name of its own, so that
 * loads side by side never write one file, and gets its name after it was seen that it is whole.
 */
static int write_run(const struct load *l, struct delta_replay *r, struct run *base,
                     const struct version *version, struct run **out, struct err *err)
{
    char name[DELTA_RUN_NAME_BYTES], aside[DELTA_RUN_NAME_BYTES];
    AUTO(buf) struct buf meta = {0};
    AUTO(run) struct run *run = NULL;
    buf_init(&meta, 2 * JSON_LINE_BYTES_MAX);
    delta_state_format(r->state, version->number, version->fingerprint, &meta);
    int rc = buf_check(&meta, err);
    if (rc == 0)
        rc = name_run(name, base, version->number, err);
    if (rc < 0)
        return rc;
    delta_unchecked_name(aside);
    rc = base ? index_build_patch(r->build, base, aside, buf_slice(&meta), err)
              : index_build_base(r->build, aside, buf_slice(&meta), err);
    if (rc < 0)
        return rc;
    rc = run_open(l->table->dirfd, aside, &run, err);
    if (rc == 0 && renameat(l->table->dirfd, aside, l->table->dirfd, name) < 0)
        rc = err_set(err, errno, "%s: %s", name, strerror(errno));
    if (rc < 0) {
        (void)unlinkat(l->table->dirfd, aside, 0); /* a leftover is never opened */
        return rc;
    }
    return run_open(l->table->dirfd, name, out, err); /* again: a run knows its name */
}

static int check_gate(const struct delta_state *s, struct err *err)
{
    return delta_protocol_check(s->has_protocol ? &s->protocol : NULL,
                                s->has_metadata ? &s->metadata : NULL, err);
}

/* Replays checkpoint (may be NULL) and commits up to a version. */
static int replay_from(struct load *l, const struct delta_log_file *checkpoint, int64_t version,
                       struct delta_replay *r, struct err *err)
{
    int rc = checkpoint ? delta_replay_checkpoint(r, checkpoint, err) : 0;
    int64_t first = checkpoint ? checkpoint->name.version + 1 : 0;
    r->history = l->h;
    l->checkpoint_unread = checkpoint && (rc == -EOPNOTSUPP || rc == -EBADMSG);
    if (rc == 0 && checkpoint)
        rc = delta_replay_evidence(r, &l->log, err);
    return rc < 0 ? rc : replay_commits(l, r, first, version, err);
}

/* Makes the base of a version from one start. */
static int make_base_from(struct load *l, const struct delta_log_file *checkpoint,
                          const struct version *version, struct run **out, struct err *err)
{
    AUTO(delta_state) struct delta_state state, again;
    AUTO(delta_replay) struct delta_replay r = {0}, second = {0};
    delta_state_init(&state);
    delta_state_init(&again);
    int rc = delta_replay_init(&r, l->table, NULL, &state, err);
    if (rc == 0)
        rc = replay_from(l, checkpoint, version->number, &r, err);
    if (rc == 0)
        rc = check_gate(&state, err);
    if (rc < 0)
        return rc;
    if (!r.moved)
        return write_run(l, &r, NULL, version, out, err);
    rc = delta_replay_init(&second, l->table, &state.columns, &again, err);
    if (rc == 0)
        rc = replay_from(l, checkpoint, version->number, &second, err);
    return rc < 0 ? rc : write_run(l, &second, NULL, version, out, err);
}

/*
 * Makes the base of a version. From the newest checkpoint, or, where that is damaged or of a kind
 * that is not read, from an older one or the first commit, as long as the log reaches.
 */
static int make_base(struct load *l, const struct version *version, struct run **out,
                     struct err *err)
{
    int64_t ceiling = version->number;
    struct err first = ERR_INIT;
    for (;;) {
        const struct delta_log_file *checkpoint = delta_log_checkpoint(&l->log, ceiling);
        struct err e = ERR_INIT;
        l->checkpoint_unread = false;
        if (make_base_from(l, checkpoint, version, out, &e) == 0)
            return 0;
        if (!first.code)
            first = e;
        if (!l->checkpoint_unread) /* what an older start is missing is not the reason */
            return err_copy(err, e.code == ENOENT ? &first : &e);
        ceiling = checkpoint->name.version - 1;
    }
}

/* Which of the two the state half of a checkpoint tells. */
static int note_state(void *arg, const struct delta_action *action, struct err *err)
{
    bool *seen = arg;
    (void)err;
    seen[0] |= action->kind == DELTA_METADATA;
    seen[1] |= action->kind == DELTA_PROTOCOL;
    return 0;
}

/*
 * A patch may pass over a checkpoint without reading its files, but not over one that a load
 * without the base would refuse: what a version is must not hang on which runs are there.
 */
static int check_passed(const struct load *l, int64_t base_version, struct err *err)
{
    const struct delta_table *t = l->table;
    const struct delta_log_file *file = delta_log_checkpoint(&l->log, l->version->number);
    bool seen[2] = {false, false};
    struct delta_sink sink = {note_state, seen};
    if (!file || file->name.version <= base_version)
        return 0;
    int rc = delta_checkpoint_read(t->store, t->prefix, file, DELTA_CHECKPOINT_STATE, &sink, err);
    if (rc == -EOPNOTSUPP) /* is passed over by a load without the base as well */
        return 0;
    return rc == 0 && seen[0] && seen[1] ? 0 : -EAGAIN;
}

/* -EAGAIN where a patch on that base is not the way: a base is made then. */
static int make_patch(const struct load *l, struct run *base, int64_t base_version,
                      struct run **out, struct err *err)
{
    AUTO(delta_state) struct delta_state before, state;
    AUTO(delta_replay) struct delta_replay r = {0};
    const struct delta_state *s = &state;
    delta_state_init(&before);
    delta_state_init(&state);
    int rc = delta_state_parse(run_meta(base), &before, err);
    if (rc == 0)
        rc = delta_state_parse(run_meta(base), &state, err);
    if (rc == 0)
        rc = check_passed(l, base_version, err);
    if (rc == 0)
        rc = delta_replay_init(&r, l->table, &before.columns, &state, err);
    r.history = l->h;
    if (rc == 0)
        rc = replay_commits(l, &r, base_version + 1, l->version->number, err);
    if (rc == 0)
        rc = check_gate(s, err);
    if (rc < 0)
        return rc;
    uint64_t most = run_files(base) / 4;
    if (r.actions > (most > PATCH_ACTIONS_MAX ? most : PATCH_ACTIONS_MAX) ||
        !delta_state_same_columns(&before, s) || /* base and patch present the same columns */
        !slice_eq(before.metadata.id, s->metadata.id))
        return -EAGAIN;
    return write_run(l, &r, base, l->version, out, err);
}

/* Opens the base of a version where it counts; *out NULL where it does not. */
static int open_base(const struct load *l, int64_t number, struct run **out,
                     const struct version **version, struct err *err)
{
    char name[DELTA_RUN_NAME_BYTES];
    ptrdiff_t position = history_find(l->h, number);
    *out = NULL;
    if (position < 0)
        return 0;
    delta_base_name(name, number);
    *version = &l->h->at[position];
    return open_run(l, name, *version, out, err);
}

static int take_snapshot(struct run **base, struct run **patch, struct snapshot **out,
                         struct err *err)
{
    struct snapshot *s = snapshot_new(STEAL(*base), patch ? STEAL(*patch) : NULL, err);
    if (!s)
        return -err->code;
    *out = s;
    return 0;
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
        rc = take_snapshot(&base, NULL, out, err);
        return rc < 0 ? rc : 1;
    }
    for (size_t i = 0; i < found->patches.n; i++) {
        char name[DELTA_RUN_NAME_BYTES];
        AUTO(run) struct run *under = NULL;
        AUTO(run) struct run *patch = NULL;
        delta_patch_name(name, found->patches.at[i], l->version->number);
        rc = open_base(l, found->patches.at[i], &under, &version, err);
        if (rc == 0 && under)
            rc = open_run(l, name, l->version, &patch, err);
        if (rc < 0)
            return rc;
        if (patch) {
            rc = take_snapshot(&under, &patch, out, err);
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

/* Makes a base below the version, to be shared; *out NULL where it is no use. */
static void make_shared_base(struct load *l, struct run **out, int64_t *number)
{
    const struct delta_log_file *checkpoint = delta_log_checkpoint(&l->log, l->version->number);
    int64_t at = l->version->number - l->version->number % BASE_STEP;
    if (checkpoint && checkpoint->name.version > at)
        at = checkpoint->name.version;
    ptrdiff_t position = history_find(l->h, at);
    struct err ignored = ERR_INIT; /* the version itself is tried next, and tells */
    if (at == l->version->number || position < 0 ||
        check_version(l, &l->h->at[position], &ignored) < 0 ||
        make_base(l, &l->h->at[position], out, &ignored) < 0)
        return;
    *number = at;
}

static int make(struct load *l, const struct delta_runs *found, struct snapshot **out,
                struct err *err)
{
    AUTO(run) struct run *base = NULL;
    AUTO(run) struct run *patch = NULL;
    int64_t number = 0;
    int rc = need_log(l, err);
    if (rc == 0)
        rc = check_version(l, l->version, err);
    if (rc == 0)
        rc = find_base(l, found, &base, &number, err);
    if (rc < 0)
        return rc;
    if (!base)
        make_shared_base(l, &base, &number);
    if (base) {
        struct err e = ERR_INIT;
        rc = make_patch(l, base, number, &patch, &e);
        if (rc == 0)
            return take_snapshot(&base, &patch, out, err);
        if (rc != -EAGAIN && rc != -ENOENT && rc != -EUCLEAN)
            return err_copy(err, &e);
        run_unref(STEAL(base));
    }
    rc = make_base(l, l->version, &base, err);
    return rc < 0 ? rc : take_snapshot(&base, NULL, out, err);
}

int delta_load(const struct delta_table *table, const struct history *h, size_t position,
               struct snapshot **out, struct err *err)
{
    struct load l = {.table = table, .h = h, .version = &h->at[position]};
    struct delta_runs found;
    delta_log_init(&l.log);
    int rc = delta_runs_find(table->dirfd, l.version->number, &found, err);
    if (rc == 0)
        rc = open_made(&l, &found, out, err);
    if (rc == 0) {
        rc = make(&l, &found, out, err);
        if (rc == 0)
            delta_runs_prune(table->dirfd);
    }
    delta_runs_done(&found);
    delta_log_done(&l.log);
    return rc < 0 ? err_wrap(err, "version %lld", (long long)h->at[position].number) : 0;
}
