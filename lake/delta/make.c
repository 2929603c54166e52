/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/make.h"

#include <fcntl.h>

#include "base/log.h"
#include "lake/delta/checkpoint.h"
#include "lake/delta/checksum.h"
#include "lake/delta/protocol.h"
#include "lake/delta/runs.h"

/* Actions on one base: this, or a quarter of its files. */
#define PATCH_ACTIONS_MAX 10000

/* Starts that are tried where what comes out is not what the version's checksums say. */
#define WRONG_STARTS_MAX 3

/* A version whose run is to be made, and its checksums, asked for meanwhile. */
struct target {
    const struct version *version;
    struct delta_checksum_get sums;
};

void delta_make_init(struct delta_make *m, const struct delta_table *table, const struct history *h)
{
    *m = (struct delta_make){.table = table, .h = h};
    delta_log_init(&m->log);
}

void delta_make_done(struct delta_make *m)
{
    delta_log_done(&m->log);
}

int delta_make_log(struct delta_make *m, int64_t from, struct err *err)
{
    if (m->has_log && m->log_from <= from)
        return 0;
    delta_log_done(&m->log);
    delta_log_init(&m->log);
    int rc =
        delta_log_read(&m->log, m->table->store, m->table->prefix, from > 0 ? &from : NULL, err);
    m->has_log = rc == 0;
    m->log_from = from;
    return rc;
}

static void target_done(struct target *t)
{
    delta_checksum_done(&t->sums);
}
DEFINE_AUTO_DONE(target, struct target, target_done)

static void target_init(struct target *t, const struct delta_make *m, const struct version *version)
{
    *t = (struct target){.version = version};
    delta_checksum_start(&t->sums, m->table->store, m->table->prefix,
                         delta_log_checksum(&m->log, version->number));
}

int delta_make_check(const struct delta_make *m, const struct version *version, struct err *err)
{
    const struct delta_log_file *file = delta_log_commit(&m->log, version->number);
    if (!file) {
        file = delta_log_checkpoint(&m->log, version->number);
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

/* A plan on its way through the reader. */
struct way {
    struct delta_plan plan;
    size_t at;
};

static const struct delta_log_file *next_of_way(void *arg)
{
    struct way *way = arg;
    return way->at < way->plan.n ? way->plan.at[way->at++] : NULL;
}

static int replay_way(struct delta_make *m, struct delta_replay *r, struct way *way,
                      struct err *err)
{
    const struct delta_table *t = m->table;
    struct delta_ahead_options options = {t->store, t->prefix, next_of_way, way, 0};
    const struct delta_log_file *file = NULL;
    AUTO(delta_ahead) struct delta_ahead *ahead = delta_ahead_new(&options, err);
    if (!ahead)
        return -err->code;
    int rc;
    while ((rc = delta_ahead_file(ahead, &file, err)) > 0)
        if ((rc = delta_replay_commit(r, ahead, file, err)) < 0)
            break;
    m->compacted_unread = rc < 0 && file && file->name.kind == DELTA_NAME_COMPACTED;
    return rc;
}

static int replay_commits(struct delta_make *m, struct delta_replay *r, int64_t first, int64_t last,
                          struct err *err)
{
    struct way way = {.plan.max = VERSIONS_MAX};
    int rc = delta_log_plan(&m->log, first, last, m->commits_only, &way.plan, err);
    m->compacted_used = (int64_t)way.plan.n < last - first + 1;
    if (rc == 0)
        rc = replay_way(m, r, &way, err);
    vec_done(&way.plan);
    return rc;
}

/* The name of a version's run: a base where `base` is NULL, else a patch on it. */
static int name_run(char name[RUN_NAME_BYTES], const struct run *base, int64_t version,
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
 * Is the state that was made the one that the version's checksums tell of? They are no part of the
 * commit: those of another table, which stood here before, say nothing.
 */
static int check_sums(struct delta_make *m, struct target *t, const struct delta_state *state,
                      const struct run *base, const struct run *run, struct err *err)
{
    struct delta_checksum sums;
    if (run_shares_keys(run) || (base && run_shares_keys(base)) ||
        !delta_checksum_wait(&t->sums, &sums) || !slice_is(state->metadata.id, sums.table_id))
        return 0;
    uint64_t files = run_files(run), bytes = run_bytes(run);
    if (base) {
        files += run_files(base) - run_removed_files(run);
        bytes += run_bytes(base) - run_removed_bytes(run);
    }
    m->wrong_sums = files != (uint64_t)sums.files || bytes != (uint64_t)sums.bytes;
    if (!m->wrong_sums)
        return 0;
    int rc = err_set(err, EIO,
                     "%s tells of %lld files with %lld bytes, the log of %llu with %llu: one of "
                     "them is damaged",
                     t->sums.key.data, (long long)sums.files, (long long)sums.bytes,
                     (unsigned long long)files, (unsigned long long)bytes);
    if (base || !m->whole || m->compacted_used)
        return rc;
    log_info("%s; the commits count, which are all there", err->msg);
    *err = (struct err)ERR_INIT;
    return 0;
}

/*
 * Writes the run of what was replayed and opens it. It is written under a name of its own, so that
 * loads side by side never write one file, and gets its name after it was seen that it is whole
 * and that it is what the checksums say.
 */
static int write_run(struct delta_make *m, struct delta_replay *r, struct run *base,
                     struct target *t, struct run **out, struct err *err)
{
    const struct version *version = t->version;
    char name[RUN_NAME_BYTES], aside[RUN_NAME_BYTES];
    AUTO(buf) struct buf meta = {0};
    AUTO(run) struct run *run = NULL;
    buf_init(&meta, 2 * JSON_LINE_BYTES_MAX);
    delta_state_format(r->state, version->number, version->fingerprint, &meta);
    int rc = buf_check(&meta, err);
    if (rc == 0)
        rc = name_run(name, base, version->number, err);
    if (rc < 0)
        return rc;
    run_unchecked_name(aside);
    rc = base ? index_build_patch(r->build, base, aside, buf_slice(&meta), err)
              : index_build_base(r->build, aside, buf_slice(&meta), err);
    if (rc < 0)
        return rc;
    rc = run_open(m->table->dirfd, aside, &run, err);
    if (rc == 0)
        rc = check_sums(m, t, r->state, base, run, err);
    if (rc == 0 && renameat(m->table->dirfd, aside, m->table->dirfd, name) < 0)
        rc = err_set(err, errno, "%s: %s", name, strerror(errno));
    if (rc < 0) {
        (void)unlinkat(m->table->dirfd, aside, 0); /* a leftover is never opened */
        return rc;
    }
    return run_open(m->table->dirfd, name, out, err); /* again: a run knows its name */
}

static int check_gate(const struct delta_state *s, struct err *err)
{
    return delta_protocol_check(s->has_protocol ? &s->protocol : NULL,
                                s->has_metadata ? &s->metadata : NULL, err);
}

/* Replays checkpoint (may be NULL) and commits up to a version. */
static int replay_from(struct delta_make *m, const struct delta_log_file *checkpoint,
                       int64_t version, struct delta_replay *r, struct err *err)
{
    int rc = checkpoint ? delta_replay_checkpoint(r, checkpoint, err) : 0;
    int64_t first = checkpoint ? checkpoint->name.version + 1 : 0;
    r->history = m->h;
    m->whole = !checkpoint;
    m->checkpoint_unread = checkpoint && (rc == -EOPNOTSUPP || rc == -EBADMSG);
    if (rc == 0 && checkpoint)
        rc = delta_replay_evidence(r, &m->log, err);
    return rc < 0 ? rc : replay_commits(m, r, first, version, err);
}

/* Makes the base of a version from one start. */
static int make_base_from(struct delta_make *m, const struct delta_log_file *checkpoint,
                          struct target *target, struct run **out, struct err *err)
{
    int64_t version = target->version->number;
    AUTO(delta_state) struct delta_state state, again;
    AUTO(delta_replay) struct delta_replay r = {0}, second = {0};
    delta_state_init(&state);
    delta_state_init(&again);
    int rc = delta_replay_init(&r, m->table, NULL, &state, err);
    if (rc == 0)
        rc = replay_from(m, checkpoint, version, &r, err);
    if (rc == 0)
        rc = check_gate(&state, err);
    if (rc < 0)
        return rc;
    if (!r.moved)
        return write_run(m, &r, NULL, target, out, err);
    rc = delta_replay_init(&second, m->table, &state.columns, &again, err);
    if (rc == 0)
        rc = replay_from(m, checkpoint, version, &second, err);
    return rc < 0 ? rc : write_run(m, &second, NULL, target, out, err);
}

/* The next start to try after one that failed; false where its error stands. */
static bool next_start(struct delta_make *m, const struct delta_log_file **checkpoint, int *wrong)
{
    if (m->compacted_unread || (m->wrong_sums && m->compacted_used)) {
        m->commits_only = true; /* the same again, without them */
        return true;
    }
    if (!*checkpoint || !(m->checkpoint_unread || (m->wrong_sums && ++*wrong < WRONG_STARTS_MAX)))
        return false;
    *checkpoint = delta_log_checkpoint_after(&m->log, *checkpoint);
    return true;
}

static void forget_failure(struct delta_make *m)
{
    m->checkpoint_unread = m->compacted_unread = m->compacted_used = m->wrong_sums = false;
}

int delta_make_base(struct delta_make *m, const struct version *version, struct run **out,
                    struct err *err)
{
    AUTO(target) struct target target;
    struct err first = ERR_INIT;
    int wrong = 0;
    const struct delta_log_file *checkpoint = delta_log_checkpoint(&m->log, version->number);
    target_init(&target, m, version);
    for (;;) {
        struct err e = ERR_INIT;
        forget_failure(m);
        if (make_base_from(m, checkpoint, &target, out, &e) == 0)
            return 0;
        if (!first.code)
            first = e;
        if (!next_start(m, &checkpoint, &wrong)) /* what an older start is missing is no reason */
            return err_copy(err, e.code == ENOENT ? &first : &e);
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
static int check_passed(struct delta_make *m, int64_t base, int64_t version, struct err *err)
{
    const struct delta_table *t = m->table;
    const struct delta_log_file *file = delta_log_checkpoint(&m->log, version);
    bool seen[2] = {false, false};
    struct delta_sink sink = {note_state, seen};
    if (!file || file->name.version <= base)
        return 0;
    AUTO(delta_checkpoint) struct delta_checkpoint checkpoint;
    delta_checkpoint_init(&checkpoint, t->store, t->prefix, file);
    int rc = delta_checkpoint_read(&checkpoint, DELTA_CHECKPOINT_STATE, &sink, err);
    if (rc == -EOPNOTSUPP) /* is passed over by a load without the base as well */
        return 0;
    return rc == 0 && seen[0] && seen[1] ? 0 : -EAGAIN;
}

static int try_patch(struct delta_make *m, const struct version *version, struct run *base,
                     struct run **out, struct err *err)
{
    AUTO(target) struct target target = {0};
    AUTO(delta_state) struct delta_state before, state;
    AUTO(delta_replay) struct delta_replay r = {0};
    const struct delta_state *s = &state;
    int64_t base_version;
    uint64_t ignored;
    target_init(&target, m, version);
    delta_state_init(&before);
    delta_state_init(&state);
    int rc = delta_state_identity(run_meta(base), &base_version, &ignored, err);
    if (rc == 0)
        rc = delta_state_parse(run_meta(base), &before, err);
    if (rc == 0)
        rc = delta_state_parse(run_meta(base), &state, err);
    if (rc == 0)
        rc = check_passed(m, base_version, version->number, err);
    if (rc == 0)
        rc = delta_replay_init(&r, m->table, &before.columns, &state, err);
    r.history = m->h;
    if (rc == 0)
        rc = replay_commits(m, &r, base_version + 1, version->number, err);
    if (rc == 0)
        rc = check_gate(s, err);
    if (rc < 0)
        return rc;
    uint64_t most = run_files(base) / 4;
    if (r.actions > (most > PATCH_ACTIONS_MAX ? most : PATCH_ACTIONS_MAX) ||
        !delta_state_same_columns(&before, s) || /* base and patch present the same columns */
        before.columns_since != s->columns_since || !slice_eq(before.metadata.id, s->metadata.id))
        return -EAGAIN;
    return write_run(m, &r, base, &target, out, err);
}

int delta_make_patch(struct delta_make *m, const struct version *version, struct run *base,
                     struct run **out, struct err *err)
{
    forget_failure(m);
    int rc = try_patch(m, version, base, out, err);
    if (rc < 0 && m->compacted_unread) {
        forget_failure(m);
        m->commits_only = true;
        rc = try_patch(m, version, base, out, err);
    }
    return rc < 0 && m->wrong_sums ? -EAGAIN : rc;
}
