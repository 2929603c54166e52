/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a checkpoint: one or its parts, or a first one and the sidecars that it names. */
#include "lake/delta/checkpoint.h"

#include "base/text.h"
#include "lake/delta/checkpoint_rows.h"
#include "lake/delta/lines.h"

/* Names of the sidecars of one checkpoint. */
#define SIDECARS_MAX 100000
#define SIDECARS_BYTES_MAX (64 * MIB)
#define JSON_FETCH_BYTES (256 * KIB)

struct sidecars {
    struct sidecar {
        struct slice name;
        uint64_t size;
    } * at;
    size_t n, capacity, max;
    struct arena arena;
};

/* Where the actions of a first file go: sidecars are kept for later. */
struct first_file {
    const struct delta_sink *sink;
    struct sidecars *sidecars;
    enum delta_checkpoint_part part;
};

/* A file of `_sidecars/`, whatever directory its path names: there is no other place for them
 * (PROTOCOL.md, "Sidecar File Information"). */
static int keep_sidecar(struct sidecars *all, const struct delta_sidecar *s, struct err *err)
{
    AUTO(buf) struct buf name = {0};
    buf_init(&name, KEY_BYTES_MAX);
    text_percent_decode(&name, text_basename(s->path));
    int rc = buf_check(&name, err);
    if (rc < 0)
        return rc;
    if (name.len == 0 || slice_find(buf_slice(&name), '/') >= 0)
        return err_set(err, EIO, "sidecar.path %.*s names no file", SLICE_FMT(s->path));
    struct sidecar one = {arena_slice(&all->arena, buf_slice(&name)), (uint64_t)s->size};
    if (!one.name.p)
        return arena_failed(&all->arena, "the names of sidecars", err);
    rc = vec_push(all, one);
    return rc < 0 ? err_set(err, -rc, "more than %d sidecars", SIDECARS_MAX) : 0;
}

static int take_first(void *arg, const struct delta_action *action, struct err *err)
{
    struct first_file *f = arg;
    bool state = action->kind == DELTA_METADATA || action->kind == DELTA_PROTOCOL;
    bool files = action->kind == DELTA_ADD || action->kind == DELTA_SIDECAR;
    if (f->part == DELTA_CHECKPOINT_STATE ? !state : !files)
        return 0;
    return action->kind == DELTA_SIDECAR ? keep_sidecar(f->sidecars, &action->sidecar, err)
                                         : f->sink->emit(f->sink->arg, action, err);
}

/* A sidecar has adds and tombstones. */
static int take_sidecar(void *arg, const struct delta_action *action, struct err *err)
{
    const struct delta_sink *sink = arg;
    if (action->kind != DELTA_ADD)
        return err_set(err, EIO, "a sidecar has something else than adds");
    return sink->emit(sink->arg, action, err);
}

static int read_json(struct store *store, const char *key, uint64_t size,
                     const struct delta_sink *sink, struct err *err)
{
    AUTO(delta_lines) struct delta_lines lines;
    AUTO(arena) struct arena arena = {0};
    struct slice line;
    struct delta_action action;
    bool stopped = false;
    int rc;
    arena_init(&arena, JSON_LINE_BYTES_MAX);
    delta_lines_init(&lines, store, key, size, JSON_FETCH_BYTES);
    while ((rc = delta_lines_next(&lines, &line, err)) > 0) {
        arena_reset(&arena);
        rc = delta_action_parse(line, &arena, &action, err);
        if (rc == 0) {
            rc = sink->emit(sink->arg, &action, err);
            stopped = rc != 0;
        }
        if (rc != 0)
            break;
    }
    return rc < 0 ? delta_rows_refuse(key, !lines.object.failed && !stopped, err) : rc;
}

static int read_rows(struct store *store, const char *key, uint64_t size,
                     enum delta_checkpoint_part part, const struct delta_sink *sink,
                     struct err *err)
{
    AUTO(object_reader) struct object_reader object;
    object_reader_init(&object, store, key, size);
    return delta_rows_read(&object, part, sink, err);
}

static int read_sidecars(struct store *store, const char *prefix, const struct sidecars *all,
                         const struct delta_sink *sink, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    struct delta_sink adds = {take_sidecar, (void *)(uintptr_t)sink};
    int rc = 0;
    buf_init(&key, KEY_BYTES_MAX);
    for (size_t i = 0; rc == 0 && i < all->n; i++) {
        buf_reset(&key);
        buf_addf(&key, "%s_delta_log/_sidecars/%.*s", prefix, SLICE_FMT(all->at[i].name));
        rc = buf_check(&key, err);
        if (rc == 0)
            rc = read_rows(store, key.data, all->at[i].size, DELTA_CHECKPOINT_FILES, &adds, err);
        /* the checkpoint is not whole: an older start may do */
        if (rc == -ENOENT)
            rc = err_set(err, EBADMSG, "%s is missing", key.data);
        if (rc == -ESTALE)
            rc = -(err->code = EBADMSG);
    }
    return rc;
}

void delta_checkpoint_init(struct delta_checkpoint *c, struct store *store, const char *prefix,
                           const struct delta_log_file *file)
{
    *c = (struct delta_checkpoint){.store = store, .prefix = prefix, .file = file};
    buf_init(&c->key, KEY_BYTES_MAX);
    delta_log_key(&c->key, prefix, &file->name);
    object_reader_init(&c->first, store, c->key.data, file->size);
}

void delta_checkpoint_done(struct delta_checkpoint *c)
{
    object_reader_done(&c->first);
    buf_done(&c->key);
}

/* The first file, or one of the parts behind it. */
static int read_file(struct delta_checkpoint *c, uint32_t i, enum delta_checkpoint_part part,
                     const struct delta_sink *sink, struct err *err)
{
    const struct delta_log_file *file = &c->file[i];
    AUTO(buf) struct buf key = {0};
    if (i == 0 && !delta_name_is_json(&file->name))
        return delta_rows_read(&c->first, part, sink, err);
    buf_init(&key, KEY_BYTES_MAX);
    delta_log_key(&key, c->prefix, &file->name);
    int rc = buf_check(&key, err);
    if (rc < 0)
        return rc;
    return delta_name_is_json(&file->name)
               ? read_json(c->store, key.data, file->size, sink, err)
               : read_rows(c->store, key.data, file->size, part, sink, err);
}

int delta_checkpoint_read(struct delta_checkpoint *c, enum delta_checkpoint_part part,
                          const struct delta_sink *sink, struct err *err)
{
    struct sidecars sidecars = {.max = SIDECARS_MAX};
    struct first_file first = {sink, &sidecars, part};
    struct delta_sink to = {take_first, &first};
    uint32_t files = c->file->name.parts ? c->file->name.parts : 1;
    int rc = buf_check(&c->key, err);
    arena_init(&sidecars.arena, SIDECARS_BYTES_MAX);
    for (uint32_t i = 0; rc == 0 && i < files; i++)
        rc = read_file(c, i, part, &to, err);
    if (rc == 0)
        rc = read_sidecars(c->store, c->prefix, &sidecars, sink, err);
    vec_done(&sidecars);
    arena_done(&sidecars.arena);
    return rc;
}

static int ignore(void *arg, const struct delta_action *action, struct err *err)
{
    (void)arg;
    (void)action;
    (void)err;
    return 0;
}

/* The names of the sidecars stand between the adds, where there are any. */
static int find_sidecars(struct delta_checkpoint *c, uint32_t files, struct sidecars *out,
                         struct err *err)
{
    struct delta_sink nothing = {ignore, NULL};
    struct first_file first = {&nothing, out, DELTA_CHECKPOINT_FILES};
    struct delta_sink to = {take_first, &first};
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < files; i++)
        rc = read_file(c, i, DELTA_CHECKPOINT_FILES, &to, err);
    return rc;
}

int delta_checkpoint_files(struct delta_checkpoint *c, int (*emit)(void *arg, const char *key),
                           void *arg, struct err *err)
{
    struct sidecars sidecars = {.max = SIDECARS_MAX};
    AUTO(buf) struct buf key = {0};
    uint32_t files = c->file->name.parts ? c->file->name.parts : 1;
    buf_init(&key, KEY_BYTES_MAX);
    arena_init(&sidecars.arena, SIDECARS_BYTES_MAX);
    int rc = find_sidecars(c, files, &sidecars, err);
    for (uint32_t i = 0; rc == 0 && i < files; i++) {
        delta_log_key(&key, c->prefix, &c->file[i].name);
        rc = buf_check(&key, err);
        if (rc == 0)
            rc = emit(arg, key.data);
    }
    for (size_t i = 0; rc == 0 && i < sidecars.n; i++) {
        buf_reset(&key);
        buf_addf(&key, "%s_delta_log/_sidecars/%.*s", c->prefix, SLICE_FMT(sidecars.at[i].name));
        rc = buf_check(&key, err);
        if (rc == 0)
            rc = emit(arg, key.data);
    }
    vec_done(&sidecars);
    arena_done(&sidecars.arena);
    return rc;
}
