/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/replay.h"

#include "base/hash.h"
#include "lake/delta/checkpoint.h"
#include "lake/delta/deletion_vector.h"
#include "lake/delta/stats.h"

/* Time of the version, or of the first one after it that is there. */
static int64_t time_of(const struct history *h, int64_t version)
{
    size_t low = 0, high = h->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (h->at[middle].number < version)
            low = middle + 1;
        else
            high = middle;
    }
    return low < h->n ? h->at[low].timestamp_ms : INT64_MIN;
}

/* All is known now: is the file presented as it is stored? As index_judge. */
static void judge(void *arg, struct entry *e)
{
    const struct delta_replay *r = arg;
    const struct delta_state *s = r->state;
    bool deletes = e->flags & ENTRY_DELETES;
    if (r->takes == DELTA_REPLAY_CHANGES) /* whose writers know the table's columns */
        e->flags |= ENTRY_AS_STORED;
    if (!deletes && s->mapping == DELTA_MAPPING_NONE && e->flags & ENTRY_AS_STORED &&
        e->version >= s->columns_since)
        return;
    e->flags &= ~ENTRY_AS_STORED;
    int64_t since = deletes && e->version > s->columns_since ? e->version : s->columns_since;
    int64_t time_ms = r->history ? time_of(r->history, since) : INT64_MIN;
    if (time_ms > e->mtime_ms)
        e->mtime_ms = time_ms;
}

int delta_replay_init(struct delta_replay *r, const struct delta_table *table,
                      const struct delta_columns *fixed, struct delta_state *state, struct err *err)
{
    *r = (struct delta_replay){.table = table, .fixed = fixed, .state = state};
    arena_init(&r->arena, 2 * JSON_LINE_BYTES_MAX);
    buf_init(&r->key, 2 * ACTION_BYTES_MAX);
    buf_init(&r->path, 2 * ACTION_BYTES_MAX);
    buf_init(&r->extra, 2 * ACTION_BYTES_MAX);
    r->build = index_build_new(table->dirfd, err);
    if (!r->build)
        return -err->code;
    index_build_judge(r->build, judge, r);
    return 0;
}

void delta_replay_done(struct delta_replay *r)
{
    index_build_free(r->build);
    arena_done(&r->arena);
    buf_done(&r->key);
    buf_done(&r->path);
    buf_done(&r->extra);
    key_set_done(&r->keys);
}

/*
 * Are the files that a commit of this operation adds new ones? Restoring, cloning and converting
 * name files that were written before, under whatever columns there were then.
 */
static bool writes_files(const struct delta_commit_info *info)
{
    static const char *const known[] = {
        "\"WRITE\"",
        "\"DELETE\"",
        "\"UPDATE\"",
        "\"MERGE\"",
        "\"OPTIMIZE\"",
        "\"REORG\"",
        "\"COPY INTO\"",
        "\"STREAMING UPDATE\"",
        "\"CREATE TABLE AS SELECT\"",
        "\"REPLACE TABLE AS SELECT\"",
        "\"CREATE OR REPLACE TABLE AS SELECT\"",
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (slice_is(info->operation, known[i]))
            return true;
    return info->operation.n == 0; /* nobody says that it is anything else */
}

/* The protocol asks writers for it. */
static bool must_store_partitions(const struct delta_protocol *p)
{
    for (size_t i = 0; i < p->writer_features.n; i++)
        if (slice_is(p->writer_features.at[i], "materializePartitionColumns"))
            return true;
    return false;
}

/* The engine names itself so, and its version behind it. */
static bool engine_is(const struct delta_commit_info *info, struct slice name,
                      struct slice *version)
{
    struct slice s = info->engine_info;
    const char *at = s.n ? memmem(s.p, s.n, name.p, name.n) : NULL;
    *version = at ? slice_from(s, (size_t)(at - s.p) + name.n) : SLICE_NONE;
    return at != NULL;
}

/*
 * May this engine store partition columns in the files of any table, as well? Delta Lake 4 for
 * Spark does, and neither protocol nor statistics tell.
 */
static bool stores_partitions(const struct delta_commit_info *info)
{
    struct slice version;
    bool delta = engine_is(info, SLICE_LIT("Delta-Lake/"), &version);
    bool old = version.n > 1 && version.p[0] >= '0' && version.p[0] <= '3' && version.p[1] == '.';
    return delta && !old;
}

/* Spark's engines leave columns out of files, and count nulls of columns of every type. */
static bool counts_all(const struct delta_commit_info *info)
{
    struct slice version;
    return engine_is(info, SLICE_LIT("Delta-Lake/"), &version) ||
           engine_is(info, SLICE_LIT("Databricks-Runtime/"), &version);
}

/* Others of Spark's operations write the table's own columns. */
static bool writes_frames(const struct delta_commit_info *info)
{
    return slice_is(info->operation, "\"WRITE\"") ||
           slice_is(info->operation, "\"STREAMING UPDATE\"") ||
           slice_is(info->operation, "\"COPY INTO\"");
}

/* What was taken for proven would not have been, had this been known. */
static bool contradicts(const struct delta_replay *r, const struct delta_state *s)
{
    return r->proved &&
           (r->adds_old_files || (r->adds_frames && s->hides_gaps) ||
            (r->stores_partitions && s->columns.n) || (r->counts_all && r->proved_flat));
}

/* since: as change_state sets it; what the commit has proven wrongly is proven no more. */
static void note_commit(struct delta_replay *r, const struct delta_state *s,
                        const struct delta_commit_info *info, int64_t *since)
{
    r->adds_old_files = !writes_files(info);
    r->stores_partitions = stores_partitions(info);
    r->counts_all = counts_all(info);
    r->adds_frames = r->counts_all && writes_frames(info);
    r->informed = true;
    if (contradicts(r, s))
        *since = r->version + 1;
}

/* An add that comes now shows that its file has the columns of the state, and no others. */
static bool is_proof(struct delta_replay *r, const struct delta_state *s,
                     const struct delta_file *file)
{
    if (r->in_checkpoint || r->in_compacted) /* they do not say who wrote it */
        return false;
    bool proof = !r->adds_old_files && !s->own_columns && !(r->adds_frames && s->hides_gaps) &&
                 !((r->stores_partitions || must_store_partitions(&s->protocol)) && s->columns.n) &&
                 !delta_stats_lack(file->stats, r->counts_all ? &s->counted_by_spark : &s->counted);
    if (proof && !r->informed) {
        r->proved = true;
        r->proved_flat = r->proved_flat || delta_stats_lack(file->stats, &s->counted_by_spark);
    }
    return proof;
}

static int place(struct delta_replay *r, const struct delta_file *file, struct index_action *action,
                 struct err *err)
{
    bool built = false;
    const struct delta_columns *columns = r->fixed ? r->fixed : &r->state->columns;
    if (!r->fixed && !r->state->has_metadata) {
        r->moved = true; /* comes later, or never: then the version is refused */
        return 0;
    }
    r->placed = true;
    buf_reset(&r->extra);
    int rc = delta_dv_format(&file->dv, &r->extra, err);
    if (rc == 0)
        rc = delta_path_present(&r->table->root, columns, file, &r->path, &built, err);
    action->entry =
        (struct entry){.path = buf_slice(&r->path),
                       .raw = file->path,
                       .extra = buf_slice(&r->extra),
                       .size = (uint64_t)file->size,
                       .mtime_ms = file->modification_time,
                       .version = r->version,
                       .flags = (built ? ENTRY_BUILT : 0) | (r->extra.len ? ENTRY_DELETES : 0) |
                                (is_proof(r, r->state, file) ? ENTRY_AS_STORED : 0)};
    r->commit_adds = true;
    return rc;
}

/* The decoded path without the deletion vector. */
static struct slice path_of_key(const struct buf *key)
{
    return slice_make(key->data, (size_t)slice_rfind(buf_slice(key), '\0'));
}

/* Compacted commits name each file once: of two actions nothing says which one was the later. */
static int note_key(struct delta_replay *r, struct err *err)
{
    int rc = key_set_add(&r->keys, buf_slice(&r->key));
    if (rc == -EEXIST)
        return err_set(err, EIO, "compacted commits name %s twice", r->key.data);
    return rc < 0 ? err_set(err, ENOMEM, "out of memory for compacted commits") : 0;
}

static int apply_file(struct delta_replay *r, const struct delta_action *action, struct err *err)
{
    const struct delta_file *file = &action->file;
    struct index_action out = {.seq = r->seq, .removed = action->kind == DELTA_REMOVE};
    if (r->takes == DELTA_REPLAY_CHANGES ||
        (r->takes == DELTA_REPLAY_NEW && (out.removed || !file->data_change)))
        return 0;
    int rc = delta_path_key(file, &r->key, err);
    if (rc < 0)
        return rc;
    out.key = r->takes == DELTA_REPLAY_NEW ? path_of_key(&r->key) : buf_slice(&r->key);
    if (!out.removed)
        rc = place(r, file, &out, err);
    r->actions++;
    if (rc == 0 && r->in_compacted)
        rc = note_key(r, err);
    if (rc < 0 || r->moved)
        return rc;
    return index_build_add(r->build, &out, err);
}

static int apply_changes(struct delta_replay *r, const struct delta_action *action, struct err *err)
{
    struct delta_file file = action->file;
    struct index_action out = {.seq = r->seq};
    if (r->takes != DELTA_REPLAY_CHANGES)
        return 0;
    if (!file.path.n || !file.has_size || file.size < 0)
        return err_set(err, EIO, "a cdc action without %s", file.path.n ? "size" : "path");
    file.modification_time = r->time_ms;
    int rc = delta_path_key(&file, &r->key, err);
    if (rc == 0)
        rc = place(r, &file, &out, err);
    out.key = path_of_key(&r->key);
    return rc < 0 ? rc : index_build_add(r->build, &out, err);
}

/* Of what decides where files are shown. */
static uint64_t hash_columns(const struct delta_columns *columns)
{
    uint64_t hash = columns->n;
    for (size_t i = 0; i < columns->n; i++) {
        const struct delta_column *c = &columns->at[i];
        hash = hash64(hash64(hash + c->loose, c->name), c->physical);
    }
    return hash;
}

/* Takes metaData or protocol, and notes since when the columns are what they are then. */
static int change_state(const struct delta_replay *r, struct delta_state *s,
                        const struct delta_action *action, int64_t *since, struct err *err)
{
    bool had = s->has_metadata, own = s->own_columns;
    uint64_t before = s->columns_hash;
    int rc = action->kind == DELTA_METADATA ? delta_state_metadata(s, &action->metadata, err)
                                            : delta_state_protocol(s, &action->protocol, err);
    if (rc < 0 || !s->has_metadata)
        return rc;
    if (r->in_compacted && (!had || s->columns_hash != before || s->own_columns != own))
        return err_set(err, EIO, "compacted commits change the columns");
    if (!had || s->columns_hash != before) {
        *since = r->version;
        rc = delta_state_note_names(r->state, s, err);
    }
    if (s->own_columns && !own && r->commit_adds) /* those before it in its commit are no proof */
        *since = r->version + 1;
    return rc;
}

/* Takes metaData or protocol of a version. */
static int apply_state(struct delta_replay *r, const struct delta_action *action, struct err *err)
{
    struct delta_state *s = r->state;
    int rc = change_state(r, s, action, &s->columns_since, err);
    if (rc < 0 || !s->has_metadata)
        return rc;
    uint64_t placing = hash_columns(&s->columns);
    if (r->placed && !r->fixed && placing != r->placing)
        r->moved = true;
    r->placing = placing;
    return 0;
}

static int apply(void *arg, const struct delta_action *action, struct err *err)
{
    struct delta_replay *r = arg;
    switch (action->kind) {
    case DELTA_ADD:
    case DELTA_REMOVE:
        return apply_file(r, action, err);
    case DELTA_METADATA:
    case DELTA_PROTOCOL:
        return apply_state(r, action, err);
    case DELTA_CDC:
        return apply_changes(r, action, err);
    case DELTA_COMMIT_INFO:
        note_commit(r, r->state, &action->info, &r->state->columns_since);
        break;
    case DELTA_SIDECAR: /* in a commit: of no meaning */
    case DELTA_OTHER:
        break;
    }
    return 0;
}

int delta_replay_checkpoint(struct delta_replay *r, const struct delta_log_file *file,
                            struct err *err)
{
    const struct delta_table *t = r->table;
    r->version = file->name.version;
    r->seq = 0; /* before every commit; a checkpoint names each file once */
    r->in_checkpoint = true;
    struct delta_sink sink = {apply, r};
    AUTO(delta_checkpoint) struct delta_checkpoint checkpoint;
    delta_checkpoint_init(&checkpoint, t->store, t->prefix, file);
    int rc = delta_checkpoint_read(&checkpoint, DELTA_CHECKPOINT_STATE, &sink, err);
    if (rc == 0 && !(r->state->has_metadata && r->state->has_protocol))
        rc = err_set(err, EIO, "the checkpoint of version %lld has no %s action",
                     (long long)r->version, r->state->has_protocol ? "metaData" : "protocol");
    if (rc == 0)
        rc = delta_checkpoint_read(&checkpoint, DELTA_CHECKPOINT_FILES, &sink, err);
    r->in_checkpoint = false;
    return rc;
}

/* Versions go up to 10^18 and lines to 10^10: commits are counted from the first that is read. */
static void next_commit(struct delta_replay *r)
{
    r->seq = ((r->seq >> 32) + 1) << 32;
    r->commit_adds = r->adds_old_files = r->stores_partitions = false;
    r->counts_all = r->adds_frames = false;
    r->informed = r->proved = r->proved_flat = false;
}

/* Gives the actions of a commit, or of compacted ones, to the sink. */
static int read_commit(struct delta_replay *r, struct delta_ahead *ahead,
                       const struct delta_log_file *file, const struct delta_sink *sink,
                       struct err *err)
{
    struct slice line;
    struct delta_action action;
    int rc;
    r->version = file->name.last;
    next_commit(r);
    while ((rc = delta_ahead_line(ahead, &line, err)) > 0) {
        arena_reset(&r->arena);
        r->seq++;
        rc = delta_action_parse(line, &r->arena, &action, err);
        if (rc == 0)
            rc = sink->emit(sink->arg, &action, err);
        if (rc < 0)
            return err_wrap(err, "%s: line %llu", delta_ahead_key(ahead),
                            (unsigned long long)delta_ahead_number(ahead));
    }
    return rc;
}

int delta_replay_commit(struct delta_replay *r, struct delta_ahead *ahead,
                        const struct delta_log_file *file, struct err *err)
{
    struct delta_sink sink = {apply, r};
    r->in_compacted = file->name.kind == DELTA_NAME_COMPACTED;
    key_set_clear(&r->keys);
    int rc = read_commit(r, ahead, file, &sink, err);
    r->in_compacted = false;
    return rc;
}

/* Evidence */

struct evidence {
    struct delta_replay *replay;
    struct delta_state past; /* as of the commit that is read */
    int64_t since;           /* likewise, as columns_since */
    bool broken;             /* it is our disk or memory that failed, not the commit */
};

/* Before the first metaData that is seen there are the checkpoint's, or nothing is proven. */
static const struct delta_state *evidence_state(const struct evidence *e)
{
    return e->past.has_metadata ? &e->past : e->replay->state;
}

static int take_file_evidence(struct evidence *e, const struct delta_action *action,
                              struct err *err)
{
    struct delta_replay *r = e->replay;
    struct index_action out = {
        .seq = r->seq, .removed = action->kind == DELTA_REMOVE, .evidence = true};
    int rc = delta_path_key(&action->file, &r->key, err);
    if (rc < 0)
        return rc;
    out.key = buf_slice(&r->key);
    out.entry.version = r->version;
    if (is_proof(r, evidence_state(e), &action->file))
        out.entry.flags = ENTRY_AS_STORED;
    r->commit_adds = r->commit_adds || !out.removed;
    rc = index_build_add(r->build, &out, err);
    e->broken = rc < 0;
    return rc;
}

static int take_evidence(void *arg, const struct delta_action *action, struct err *err)
{
    struct evidence *e = arg;
    switch (action->kind) {
    case DELTA_ADD:
    case DELTA_REMOVE:
        return take_file_evidence(e, action, err);
    case DELTA_METADATA:
    case DELTA_PROTOCOL:
        return change_state(e->replay, &e->past, action, &e->since, err);
    case DELTA_COMMIT_INFO:
        note_commit(e->replay, evidence_state(e), &action->info, &e->since);
        break;
    case DELTA_CDC:
    case DELTA_SIDECAR:
    case DELTA_OTHER:
        break;
    }
    return 0;
}

int64_t delta_replay_first_evidence(const struct delta_log *log, int64_t last)
{
    uint64_t bytes = 0;
    int64_t first = last + 1;
    while (first > 0 && last - first + 1 < EVIDENCE_COMMITS_MAX) {
        const struct delta_log_file *file = delta_log_commit(log, first - 1);
        if (!file || file->size > EVIDENCE_BYTES_MAX - bytes)
            break;
        bytes += file->size;
        first--;
    }
    return first;
}

/* Commits one behind the other. */
struct walk {
    const struct delta_log *log;
    int64_t next, last;
};

static const struct delta_log_file *next_commit_of(void *arg)
{
    struct walk *w = arg;
    return w->next > w->last ? NULL : delta_log_commit(w->log, w->next++);
}

int delta_replay_evidence(struct delta_replay *r, const struct delta_log *log, struct err *err)
{
    int64_t last = r->version, first = delta_replay_first_evidence(log, last);
    struct evidence e = {.replay = r, .since = first};
    struct delta_sink sink = {take_evidence, &e};
    struct walk walk = {log, first, last};
    struct delta_ahead_options options = {r->table->store, r->table->prefix, next_commit_of, &walk,
                                          0};
    const struct delta_log_file *file;
    AUTO(delta_ahead) struct delta_ahead *ahead = delta_ahead_new(&options, err);
    if (!ahead)
        return -err->code;
    delta_state_init(&e.past);
    int rc = delta_state_protocol(&e.past, &r->state->protocol, err);
    int more = rc == 0 ? delta_ahead_file(ahead, &file, err) : 0;
    for (; rc == 0 && more > 0; more = rc == 0 ? delta_ahead_file(ahead, &file, err) : 0)
        rc = read_commit(r, ahead, file, &sink, err);
    rc = more < 0 ? more : rc;
    /* What the checkpoint says otherwise is not explained by these commits. */
    bool explained = e.past.has_metadata ? delta_state_same_columns(&e.past, r->state) : first > 0;
    if (rc == 0 && explained)
        r->state->columns_since = first > last ? last : e.since;
    delta_state_done(&e.past);
    return rc == -ENOENT || (rc < 0 && !delta_ahead_failed(ahead) && !e.broken) ? 0 : rc;
}
