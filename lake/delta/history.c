/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/history.h"

#include "base/file.h"
#include "base/text.h"
#include "lake/delta/ahead.h"
#include "lake/delta/lines.h"

/* The first line of a commit, commitInfo, is short. */
#define FIRST_BYTES (64 * KIB)

#define TIMES_FILE "times"
/* Of a commit that was read and has no in-commit timestamp. */
#define TIME_NONE INT64_MIN
#define TIMES_BYTES_MAX (64 * VERSIONS_MAX)

/* A commit whose in-commit timestamp was read: fixed size, as it lies in the file. */
struct known {
    int64_t version;
    uint64_t fingerprint;
    int64_t time_ms;
};

/* Those that are known, newest first as they are asked for; of the file, and read by now. */
struct times {
    struct buf old, fresh; /* runs of struct known */
};

static const struct known *known_at(const struct buf *b, size_t i)
{
    return (const struct known *)(const void *)(b->data + i * sizeof(struct known));
}

/* Newest first in the file, so a binary search by version. */
static bool find_known(const struct buf *b, const struct version *version, int64_t *time_ms)
{
    size_t low = 0, high = b->len / sizeof(struct known);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct known *k = known_at(b, middle);
        if (k->version == version->number) {
            *time_ms = k->time_ms;
            return k->fingerprint == version->fingerprint;
        }
        if (k->version > version->number)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* The versions from the newest one back, as far as their commits tell times. */
struct walk {
    const struct delta_table *table;
    const struct history *h;
    const struct delta_files *files; /* of the versions from `first` on */
    size_t first;
    struct times *times;
    bool begun;                /* a commit was read: others are read ahead from now on */
    size_t asked;              /* the commits from here on were asked for, or need not be */
    struct delta_ahead *ahead; /* NULL: not yet */
};

static const struct delta_log_file *file_at(const struct walk *w, size_t position)
{
    return &w->files->at[position - w->first];
}

/* For the reader ahead: the next commit back that has to be read. */
static const struct delta_log_file *ask_back(void *arg)
{
    struct walk *w = arg;
    while (w->asked > w->first) {
        const struct delta_log_file *file = file_at(w, --w->asked);
        int64_t known_ms;
        if (file->name.kind == DELTA_NAME_COMMIT &&
            !find_known(&w->times->old, &w->h->at[w->asked], &known_ms))
            return file;
        if (file->name.kind != DELTA_NAME_COMMIT || known_ms == TIME_NONE)
            w->asked = w->first; /* the walk ends there */
    }
    return NULL;
}

/* The time that a commit's first line tells; a damaged line is told by the load of that version,
 * here it has no time in it. */
static bool time_in(struct slice line, int64_t *time_ms)
{
    AUTO(arena) struct arena arena = {0};
    struct delta_action action;
    arena_init(&arena, 2 * JSON_LINE_BYTES_MAX);
    if (delta_action_parse(line, &arena, &action, NULL) < 0 || action.kind != DELTA_COMMIT_INFO ||
        !action.info.has_in_commit_timestamp)
        return false;
    *time_ms = action.info.in_commit_timestamp;
    return true;
}

/* Reads one commit as far as its first line goes: 1, 0 it tells no time, or -errno. */
static int read_time(const struct delta_table *table, const struct delta_log_file *file,
                     int64_t *time_ms, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    AUTO(delta_lines) struct delta_lines lines;
    struct slice line;
    buf_init(&key, KEY_BYTES_MAX);
    delta_log_key(&key, table->prefix, &file->name);
    delta_lines_init(&lines, table->store, key.data, file->size, FIRST_BYTES);
    int rc = delta_lines_next(&lines, &line, err);
    return rc <= 0 ? rc : time_in(line, time_ms);
}

/* The same of a commit that the reader ahead comes to next. */
static int read_ahead(struct walk *w, size_t position, int64_t *time_ms, struct err *err)
{
    const struct delta_log_file *file = file_at(w, position);
    struct slice line;
    if (!w->ahead) {
        struct delta_ahead_options options = {w->table->store, w->table->prefix, ask_back, w,
                                              FIRST_BYTES};
        w->asked = position + 1;
        w->ahead = delta_ahead_new(&options, err);
        if (!w->ahead)
            return -err->code;
    }
    int rc = delta_ahead_file(w->ahead, &file, err);
    if (rc > 0)
        rc = delta_ahead_line(w->ahead, &line, err);
    if (rc < 0)
        return rc;
    return rc > 0 ? time_in(line, time_ms) : read_time(w->table, file, time_ms, err);
}

/*
 * The time of a version, from what is known where it is: 1, 0 it has none, or -errno. Few tables
 * have such times, so the first commit is read alone.
 */
static int find_time(struct walk *w, size_t position, int64_t *time_ms, struct err *err)
{
    const struct version *version = &w->h->at[position];
    const struct delta_log_file *file = file_at(w, position);
    if (file->name.kind != DELTA_NAME_COMMIT)
        return 0;
    int64_t found_ms;
    int rc = 1;
    if (!find_known(&w->times->old, version, &found_ms)) {
        found_ms = TIME_NONE;
        rc = w->begun ? read_ahead(w, position, &found_ms, err)
                      : read_time(w->table, file, &found_ms, err);
        w->begun = true;
        if (rc < 0)
            return rc;
        struct known k = {version->number, version->fingerprint, found_ms};
        buf_add(&w->times->fresh, &k, sizeof k);
    }
    if (found_ms == TIME_NONE)
        return 0;
    *time_ms = found_ms;
    return 1;
}

static void load_times(const struct delta_table *table, struct times *times)
{
    buf_init(&times->old, TIMES_BYTES_MAX);
    buf_init(&times->fresh, TIMES_BYTES_MAX);
    struct err ignored = ERR_INIT; /* a cache: what is missing is read again */
    if (file_read(table->dirfd, TIMES_FILE, &times->old, &ignored) < 0 ||
        times->old.len % sizeof(struct known) != 0)
        buf_reset(&times->old);
}

/* Keeps the times from `first` on; `none_before`: the version before that has none. */
static void save_times(const struct delta_table *table, const struct history *h,
                       struct times *times, size_t first, bool none_before)
{
    struct err ignored = ERR_INIT; /* likewise */
    AUTO(buf) struct buf all = {0};
    if (times->fresh.len == 0)
        return;
    buf_init(&all, TIMES_BYTES_MAX);
    int64_t oldest = INT64_MAX;
    for (size_t i = h->n; i > first || (i > 0 && i == first && none_before); i--) {
        const struct version *v = &h->at[i - 1];
        struct known k = {v->number, v->fingerprint, i > first ? v->timestamp_ms : TIME_NONE};
        buf_add(&all, &k, sizeof k);
        oldest = v->number;
    }
    for (size_t i = 0; i < times->old.len / sizeof(struct known); i++) /* older ones stay known */
        if (known_at(&times->old, i)->version < oldest)
            buf_add(&all, known_at(&times->old, i), sizeof(struct known));
    if (!all.failed)
        (void)file_replace(table->dirfd, TIMES_FILE, buf_slice(&all), 0600, &ignored);
}

/*
 * Modification times of [first, last), each later than the one before. Of a version whose commit is
 * gone the checkpoint's tells no more than a bound: it was written later, maybe copied much later,
 * so it moves no other version and is never after the next one.
 */
static void set_file_times(struct history *h, const struct delta_files *files, size_t first,
                           size_t last)
{
    size_t skipped = h->n - files->n; /* versions that came from the previous history */
    int64_t latest = first ? h->at[first - 1].timestamp_ms : INT64_MIN;
    for (size_t i = first; i < last; i++) {
        const struct delta_log_file *file = &files->at[i - skipped];
        int64_t t = file->mtime_ms > latest ? file->mtime_ms : latest + 1;
        h->at[i].timestamp_ms = t;
        if (file->name.kind == DELTA_NAME_COMMIT)
            latest = t;
    }
    for (size_t i = last; i > first; i--)
        if (i < h->n && files->at[i - 1 - skipped].name.kind != DELTA_NAME_COMMIT &&
            h->at[i - 1].timestamp_ms > h->at[i].timestamp_ms)
            h->at[i - 1].timestamp_ms = h->at[i].timestamp_ms;
}

/*
 * Times of the versions from `first` on, whose files these are. Walks back from the newest as long
 * as commits carry a timestamp.
 */
static int set_times(const struct delta_table *table, struct history *h,
                     const struct delta_files *files, size_t first, struct err *err)
{
    struct times times;
    struct walk walk = {.table = table, .h = h, .files = files, .first = first, .times = &times};
    size_t from = h->n; /* the first with an in-commit timestamp */
    int rc = 1;
    load_times(table, &times);
    while (from > first && rc == 1) {
        rc = find_time(&walk, from - 1, &h->at[from - 1].timestamp_ms, err);
        from -= rc == 1;
    }
    delta_ahead_free(walk.ahead);
    if (rc >= 0) {
        set_file_times(h, files, first, from);
        save_times(table, h, &times, from, rc == 0);
    }
    buf_done(&times.old);
    buf_done(&times.fresh);
    return rc < 0 ? rc : 0;
}

static void set_versions(struct history *h, const struct delta_files *files, size_t first)
{
    for (size_t i = 0; i < files->n; i++) {
        h->at[first + i].number = files->at[i].name.version;
        h->at[first + i].fingerprint = files->at[i].fingerprint;
    }
}

/* All of it. */
static int whole(const struct delta_table *table, struct history **out, struct err *err)
{
    AUTO(delta_log) struct delta_log log;
    struct delta_files files = {NULL, 0, 0, VERSIONS_MAX};
    delta_log_init(&log);
    int rc = delta_log_read(&log, table->store, table->prefix, NULL, err);
    if (rc == 0)
        rc = delta_log_versions(&log, &files, err);
    AUTO(history) struct history *h = rc == 0 ? history_new(files.n, 0, err) : NULL;
    if (h) {
        h->numbered = h->consecutive = true;
        set_versions(h, &files, 0);
        rc = set_times(table, h, &files, 0, err);
        if (rc == 0)
            *out = STEAL(h);
    } else if (rc == 0) {
        rc = -err->code;
    }
    vec_done(&files);
    return rc;
}

/*
 * Goes on from an older answer: lists what belongs to its last version and later ones. 1 where that
 * cannot tell: the last version is another one, or the commits do not follow on it.
 */
static int go_on(const struct delta_table *table, struct history *previous, struct history **out,
                 struct err *err)
{
    AUTO(delta_log) struct delta_log log;
    const struct version *last = &previous->at[previous->n - 1];
    delta_log_init(&log);
    int rc = delta_log_read(&log, table->store, table->prefix, &last->number, err);
    if (rc < 0)
        return rc;
    const struct delta_files *c = &log.commits;
    if (c->n == 0 || c->at[0].fingerprint != last->fingerprint)
        return 1;
    for (size_t i = 0; i < c->n; i++)
        if (c->at[i].name.version != last->number + (int64_t)i)
            return 1;
    if (log.checkpoints.n &&
        log.checkpoints.at[log.checkpoints.n - 1].name.version > c->at[c->n - 1].name.version)
        return 1;
    if (c->n == 1) {
        *out = history_ref(previous);
        return 0;
    }
    AUTO(history) struct history *h = history_new(previous->n + c->n - 1, 0, err);
    if (!h)
        return -err->code;
    struct delta_files fresh = {c->at + 1, c->n - 1, 0, 0};
    h->numbered = h->consecutive = true;
    memcpy(h->at, previous->at, previous->n * sizeof h->at[0]);
    set_versions(h, &fresh, previous->n);
    rc = set_times(table, h, &fresh, previous->n, err);
    if (rc == 0)
        *out = STEAL(h);
    return rc;
}

int delta_history(const struct delta_table *table, struct history *previous, struct history **out,
                  struct err *err)
{
    int rc = previous && previous->n ? go_on(table, previous, out, err) : 1;
    return rc == 1 ? whole(table, out, err) : rc;
}
