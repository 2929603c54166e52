/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/objects.h"

#include "base/hash.h"
#include "lake/delta/checkpoint.h"
#include "lake/delta/deletion_vector.h"
#include "lake/delta/protocol.h"
#include "lake/delta/retention.h"

/* More partition columns than that no path has room for. */
#define COLUMNS_MAX 64

struct walk {
    const struct delta_table *table;
    const struct history *h;
    const struct object_sink *sink;
    struct delta_log log;
    struct delta_state state;
    bool state_changed;   /* since it was checked */
    bool whole;           /* a checkpoint is read: what comes is held */
    size_t position;      /* of the version whose actions come */
    size_t next;          /* the next commit to ask for, of the segment that is read */
    size_t segment_end;   /* position behind its last version */
    struct buf key, name; /* of the object; of its holder */
    struct object_partition partitions[COLUMNS_MAX];
};

static const struct delta_log_file *commit_at(const struct walk *w, size_t position)
{
    return delta_log_commit(&w->log, w->h->at[position].number);
}

/*
 * Where an object is, by its path or deletion vector. 1: it is in a file; 0: it is not (an inline
 * deletion vector).
 */
static int locate(struct walk *w, const struct delta_file *file, bool deletes,
                  struct object_event *e, struct err *err)
{
    const struct delta_root *root = &w->table->root;
    struct err why = ERR_INIT;
    int rc = deletes ? delta_dv_locate(root, &file->dv, &e->store, &w->key, &why)
                     : delta_path_locate(root, file->path, &e->store, &w->key, &why);
    if (rc == 0) {
        e->key = buf_slice(&w->key);
        return w->key.len > 0;
    }
    if (rc != -EACCES)
        return err_copy(err, &why);
    rc = delta_path_name(root, deletes ? file->dv.path : file->path, &w->key, err);
    e->url = buf_slice(&w->key);
    return rc < 0 ? rc : 1;
}

static int emit(struct walk *w, const struct delta_file *file, bool deletes, struct object_event *e,
                struct err *err)
{
    int rc = locate(w, file, deletes, e, err);
    return rc <= 0 ? rc : w->sink->event(w->sink->arg, e, err);
}

static void set_partitions(struct walk *w, const struct delta_file *file, struct object_event *e)
{
    const struct delta_map *m = &file->partition_values;
    size_t n = m->n < COLUMNS_MAX ? m->n : COLUMNS_MAX;
    for (size_t i = 0; i < n; i++)
        w->partitions[i] =
            (struct object_partition){m->at[i].key, m->at[i].null ? SLICE_NONE : m->at[i].value};
    e->partitions = w->partitions;
    e->partitions_n = n;
}

/* A logical file comes or goes, and so does its hold on its object and on its deletion vectors. */
static int take_file(struct walk *w, const struct delta_action *action, struct err *err)
{
    const struct delta_file *file = &action->file;
    bool removed = action->kind == DELTA_REMOVE;
    int rc = delta_path_key(file, &w->name, err);
    if (rc < 0)
        return rc;
    struct object_event e = {
        .what = removed    ? OBJECT_REMOVED
                : w->whole ? OBJECT_HELD
                           : OBJECT_ADDED,
        .position = w->position,
        .holder = hash64(0, buf_slice(&w->name)),
        .moves_rows = removed && !file->data_change,
        .size = file->size > 0 ? (uint64_t)file->size : 0,
        .mtime_ms = file->modification_time,
    };
    if (!removed)
        set_partitions(w, file, &e);
    rc = emit(w, file, false, &e, err);
    if (rc < 0 || file->dv.storage.n == 0)
        return rc;
    e = (struct object_event){.what = e.what,
                              .kind = OBJECT_DELETES,
                              .position = e.position,
                              .holder = e.holder,
                              .moves_rows = e.moves_rows};
    return emit(w, file, true, &e, err);
}

/* Change data belongs to its version, and to no other. */
static int take_changes(struct walk *w, const struct delta_file *file, struct err *err)
{
    if (!file->path.n || w->whole)
        return 0;
    struct object_event e = {.what = OBJECT_ADDED,
                             .kind = OBJECT_CHANGES,
                             .position = w->position,
                             .size = file->size > 0 ? (uint64_t)file->size : 0};
    set_partitions(w, file, &e);
    int rc = emit(w, file, false, &e, err);
    if (rc < 0 || w->position + 1 >= w->h->n)
        return rc;
    e.what = OBJECT_REMOVED;
    e.position++;
    return emit(w, file, false, &e, err);
}

static int take(void *arg, const struct delta_action *action, struct err *err)
{
    struct walk *w = arg;
    switch (action->kind) {
    case DELTA_ADD:
    case DELTA_REMOVE:
        return w->whole && action->kind == DELTA_REMOVE ? 0 : take_file(w, action, err);
    case DELTA_CDC:
        return take_changes(w, &action->file, err);
    case DELTA_METADATA:
        w->state_changed = true;
        return delta_state_metadata(&w->state, &action->metadata, err);
    case DELTA_PROTOCOL:
        w->state_changed = true;
        return delta_state_protocol(&w->state, &action->protocol, err);
    case DELTA_COMMIT_INFO:
    case DELTA_SIDECAR:
    case DELTA_OTHER:
        break;
    }
    return 0;
}

/* After a version: is all that it says known? */
static int check_state(struct walk *w, struct err *err)
{
    const struct delta_state *s = &w->state;
    if (!w->state_changed)
        return 0;
    w->state_changed = false;
    int rc = delta_protocol_check(s->has_protocol ? &s->protocol : NULL,
                                  s->has_metadata ? &s->metadata : NULL, err);
    return rc < 0 ? err_wrap(err, "version %lld", (long long)w->h->at[w->position].number) : 0;
}

/* The version's state by its checkpoint, or by another one of it where that is damaged. */
static int read_state(struct walk *w, struct err *err)
{
    const struct delta_table *t = w->table;
    struct delta_sink sink = {take, w};
    int64_t number = w->h->at[w->position].number;
    const struct object_event begin = {.what = OBJECT_STATE, .position = w->position};
    const struct delta_log_file *file = delta_log_checkpoint(&w->log, number);
    int rc = w->sink->event(w->sink->arg, &begin, err);
    bool tried = false;
    w->whole = true;
    for (; rc == 0 && file && file->name.version == number;
         file = delta_log_checkpoint_after(&w->log, file)) {
        AUTO(delta_checkpoint) struct delta_checkpoint c;
        delta_checkpoint_init(&c, t->store, t->prefix, file);
        rc = delta_checkpoint_read(&c, DELTA_CHECKPOINT_STATE, &sink, err);
        if (rc == 0)
            rc = delta_checkpoint_read(&c, DELTA_CHECKPOINT_FILES, &sink, err);
        tried = true;
        if (rc != -EBADMSG && rc != -EOPNOTSUPP)
            break;
        /* What it told is told again by the other one: a version's checkpoints say the same. */
        if (delta_log_checkpoint_after(&w->log, file))
            rc = 0;
    }
    w->whole = false;
    if (rc == 0 && !tried)
        rc = err_set(err, ESTALE, "the checkpoint of version %lld is gone", (long long)number);
    return rc == 0 ? check_state(w, err) : rc;
}

static const struct delta_log_file *next_commit(void *arg)
{
    struct walk *w = arg;
    return w->next < w->segment_end ? commit_at(w, w->next++) : NULL;
}

static int read_commit(struct walk *w, struct delta_ahead *ahead, struct arena *arena,
                       struct err *err)
{
    struct slice line;
    struct delta_action action;
    int rc;
    while ((rc = delta_ahead_line(ahead, &line, err)) > 0) {
        arena_reset(arena);
        rc = delta_action_parse(line, arena, &action, err);
        if (rc == 0)
            rc = take(w, &action, err);
        if (rc < 0)
            return err_wrap(err, "%s: line %llu", delta_ahead_key(ahead),
                            (unsigned long long)delta_ahead_number(ahead));
    }
    return rc < 0 ? rc : check_state(w, err);
}

/* The commits of the versions [position, segment_end). */
static int read_commits(struct walk *w, struct err *err)
{
    const struct delta_table *t = w->table;
    const struct delta_log_file *file;
    AUTO(arena) struct arena arena = {0};
    w->next = w->position;
    struct delta_ahead_options options = {t->store, t->prefix, next_commit, w, 0};
    AUTO(delta_ahead) struct delta_ahead *ahead = delta_ahead_new(&options, err);
    if (!ahead)
        return -err->code;
    arena_init(&arena, 2 * JSON_LINE_BYTES_MAX);
    for (; w->position < w->segment_end; w->position++) {
        int rc = delta_ahead_file(ahead, &file, err);
        if (rc == 0)
            return err_set(err, ESTALE, "the commit of version %lld is gone",
                           (long long)w->h->at[w->position].number);
        if (rc < 0 || (rc = read_commit(w, ahead, &arena, err)) < 0)
            return rc;
    }
    return 0;
}

/* Can the version be told by its commit alone, the one before it being known? */
static bool follows(const struct walk *w, size_t position)
{
    int64_t number = w->h->at[position].number;
    int64_t before = position ? w->h->at[position - 1].number : -1;
    const struct delta_log_file *file = commit_at(w, position);
    return number == before + 1 && file && file->fingerprint == w->h->at[position].fingerprint;
}

/* The commits are those that the history was made of. */
static int check_log(const struct walk *w, struct err *err)
{
    for (size_t i = 0; i < w->h->n; i++) {
        const struct delta_log_file *file = commit_at(w, i);
        if (file && file->fingerprint != w->h->at[i].fingerprint)
            return err_set(err, ESTALE, "the commit of version %lld was replaced",
                           (long long)w->h->at[i].number);
    }
    return 0;
}

static int tell_facts(struct walk *w, struct err *err)
{
    struct object_column columns[COLUMNS_MAX];
    const struct delta_columns *c = &w->state.columns;
    struct object_facts facts = {.retention_ms =
                                     delta_retention_period(&w->state.metadata.configuration),
                                 .columns = columns,
                                 .columns_n = c->n < COLUMNS_MAX ? c->n : COLUMNS_MAX};
    for (size_t i = 0; i < facts.columns_n; i++)
        columns[i] = (struct object_column){c->at[i].name, c->at[i].physical.n ? c->at[i].physical
                                                                               : c->at[i].name};
    return w->sink->facts(w->sink->arg, &facts, err);
}

static int walk(struct walk *w, struct err *err)
{
    int rc = delta_log_read(&w->log, w->table->store, w->table->prefix, NULL, err);
    if (rc == 0)
        rc = check_log(w, err);
    while (rc == 0 && w->position < w->h->n) {
        if (!follows(w, w->position)) {
            rc = read_state(w, err);
            w->position++;
        }
        w->segment_end = w->position;
        while (w->segment_end < w->h->n && follows(w, w->segment_end))
            w->segment_end++;
        if (rc == 0)
            rc = read_commits(w, err);
    }
    return rc == 0 ? tell_facts(w, err) : rc;
}

int delta_objects(const struct delta_table *table, const struct history *h,
                  const struct object_sink *sink, struct err *err)
{
    struct walk w = {.table = table, .h = h, .sink = sink};
    delta_log_init(&w.log);
    delta_state_init(&w.state);
    buf_init(&w.key, ACTION_BYTES_MAX);
    buf_init(&w.name, 2 * ACTION_BYTES_MAX);
    int rc = h->n ? walk(&w, err) : 0;
    delta_log_done(&w.log);
    delta_state_done(&w.state);
    buf_done(&w.key);
    buf_done(&w.name);
    return rc;
}
