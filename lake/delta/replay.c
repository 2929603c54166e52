/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/replay.h"

#include "lake/delta/checkpoint.h"
#include "lake/delta/object.h"

int delta_replay_init(struct delta_replay *r, const struct delta_table *table,
                      const struct delta_columns *fixed, struct delta_state *state, struct err *err)
{
    *r = (struct delta_replay){.table = table, .fixed = fixed, .state = state};
    arena_init(&r->arena, 2 * JSON_LINE_BYTES_MAX);
    buf_init(&r->key, 2 * ACTION_BYTES_MAX);
    buf_init(&r->path, 2 * ACTION_BYTES_MAX);
    r->build = index_build_new(table->dirfd, err);
    return r->build ? 0 : -err->code;
}

void delta_replay_done(struct delta_replay *r)
{
    index_build_free(r->build);
    arena_done(&r->arena);
    buf_done(&r->key);
    buf_done(&r->path);
}

/* The deletion vector's id, which is the end of the key; empty: none. */
static struct slice dv_of_key(const struct buf *key)
{
    ptrdiff_t zero = slice_rfind(buf_slice(key), '\0');
    return slice_from(buf_slice(key), (size_t)zero + 1);
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
    int rc = delta_path_present(&r->table->root, columns, file, &r->path, &built, err);
    action->entry = (struct entry){.path = buf_slice(&r->path),
                                   .raw = file->path,
                                   .extra = dv_of_key(&r->key),
                                   .size = (uint64_t)file->size,
                                   .mtime_ms = file->modification_time,
                                   .version = r->version,
                                   .flags = built ? ENTRY_BUILT : 0};
    return rc;
}

/* The decoded path without the deletion vector. */
static struct slice path_of_key(const struct buf *key)
{
    return slice_make(key->data, (size_t)slice_rfind(buf_slice(key), '\0'));
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
    if (!out.removed) {
        r->has_dvs = r->has_dvs || file->dv.storage.n;
        rc = place(r, file, &out, err);
    }
    r->actions++;
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

static int apply_metadata(struct delta_replay *r, const struct delta_metadata *metadata,
                          struct err *err)
{
    struct delta_state *s = r->state;
    AUTO(arena) struct arena arena = {0};
    struct delta_columns columns;
    arena_init(&arena, JSON_LINE_BYTES_MAX);
    int rc = delta_columns_of(&arena, metadata, &columns, err);
    if (rc < 0)
        return rc;
    if (r->placed && !r->fixed && !delta_columns_equal(&columns, &s->columns))
        r->moved = true;
    return delta_state_metadata(s, metadata, err);
}

static int apply(void *arg, const struct delta_action *action, struct err *err)
{
    struct delta_replay *r = arg;
    switch (action->kind) {
    case DELTA_ADD:
    case DELTA_REMOVE:
        return apply_file(r, action, err);
    case DELTA_METADATA:
        return apply_metadata(r, &action->metadata, err);
    case DELTA_PROTOCOL:
        return delta_state_protocol(r->state, &action->protocol, err);
    case DELTA_CDC:
        return apply_changes(r, action, err);
    case DELTA_COMMIT_INFO:
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
    struct delta_sink sink = {apply, r};
    int rc = delta_checkpoint_read(t->store, t->prefix, file, DELTA_CHECKPOINT_STATE, &sink, err);
    if (rc == 0 && !(r->state->has_metadata && r->state->has_protocol))
        rc = err_set(err, EIO, "the checkpoint of version %lld has no %s action",
                     (long long)r->version, r->state->has_protocol ? "metaData" : "protocol");
    return rc < 0 ? rc
                  : delta_checkpoint_read(t->store, t->prefix, file, DELTA_CHECKPOINT_FILES, &sink,
                                          err);
}

/* Versions go up to 10^18 and lines to 10^10: commits are counted from the first that is read. */
static void next_commit(struct delta_replay *r)
{
    r->seq = ((r->seq >> 32) + 1) << 32;
}

int delta_replay_commit(struct delta_replay *r, const struct delta_log_file *file, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    AUTO(delta_lines) struct delta_lines lines;
    struct slice line;
    struct delta_action action;
    int rc;
    buf_init(&key, KEY_BYTES_MAX);
    delta_log_key(&key, r->table->prefix, &file->name);
    delta_lines_init(&lines, r->table->store, key.data, file->size, DELTA_WINDOW_BYTES);
    r->version = file->name.version;
    next_commit(r);
    while ((rc = delta_lines_next(&lines, &line, err)) > 0) {
        arena_reset(&r->arena);
        r->seq++;
        rc = delta_action_parse(line, &r->arena, &action, err);
        if (rc == 0)
            rc = apply(r, &action, err);
        if (rc < 0)
            return err_wrap(err, "%s: line %llu", key.data, (unsigned long long)lines.number);
    }
    return rc;
}
