/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/retention.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/text.h"
#include "lake/delta/commit.h"
#include "lake/delta/load.h"

#define COMMITS_MAX 1000
#define COMMIT_BYTES_MAX (8 * MIB)
#define PATHS_MAX ((size_t)4 << 20)
#define PATHS_BYTES_MAX ((size_t)1 << 30)
#define PROPERTY "delta.deletedFileRetentionDuration"
#define WEEK_MS (7 * 86400 * INT64_C(1000))

/* One path, as it was met on the way back from the newest version. */
struct path {
    size_t position;      /* of the commit that named it last */
    size_t upto;          /* live: the newest version that holds it */
    int64_t removable_ms; /* from then on */
    int64_t deletion_ms;  /* as the commit at `position` tells */
    bool added, removed;  /* by the commit at `position` */
    bool met;             /* a later commit has named it */
    bool safe;            /* the newest version holds it */
    bool live;            /* the versions below hold it */
};

/* Versions from..to hold a file that may go from then on. */
struct interval {
    size_t from, to;
    int64_t removable_ms;
};

struct walk {
    const struct delta_table *table;
    const struct version *version; /* of the commit that is read */
    size_t position;
    int64_t period_ms, now_ms;
    struct map paths; /* decoded path -> struct path */
    struct arena arena;
    VEC(struct path *) named; /* by the commit that is read */
    VEC(struct interval) intervals;
    struct buf key;
};

/* `interval 1 week`, `interval 30 days 12 hours`. False where it is something else. */
static bool parse_interval(struct slice text, int64_t *out_ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"week", WEEK_MS}, {"day", 86400000},  {"hour", 3600000}, {"minute", 60000},
                 {"second", 1000},  {"millisecond", 1}, {"microsecond", 0}};
    int64_t total = 0;
    unsigned parts = 0;
    bool want_number = true;
    uint64_t number = 0;
    while (text.n) {
        ptrdiff_t blank = slice_find(text, ' ');
        struct slice word = slice_make(text.p, blank < 0 ? text.n : (size_t)blank);
        text = slice_from(text, blank < 0 ? text.n : word.n + 1);
        if (word.n == 0 || (parts == 0 && want_number && slice_is(word, "interval")))
            continue;
        if (want_number) {
            if (!text_parse_u64(word, 1000000000, &number))
                return false;
            want_number = false;
            continue;
        }
        struct slice unit =
            slice_ends(word, SLICE_LIT("s")) ? slice_make(word.p, word.n - 1) : word;
        size_t i = 0;
        while (i < ARRAY_SIZE(units) && !slice_is(unit, units[i].unit))
            i++;
        if (i == ARRAY_SIZE(units))
            return false;
        total += (int64_t)number * units[i].ms; /* 10^9 weeks are below 2^63 ms */
        parts++;
        want_number = true;
    }
    *out_ms = total;
    return parts && want_number;
}

int64_t delta_retention_period(const struct delta_map *configuration)
{
    struct slice text;
    int64_t ms;
    return delta_map_find(configuration, SLICE_LIT(PROPERTY), &text) && parse_interval(text, &ms)
               ? ms
               : WEEK_MS;
}

/* The path's entry, made now where it is new. */
static int find_path(struct walk *w, struct slice key, struct path **out, struct err *err)
{
    struct path *p = map_find(&w->paths, key);
    if (!p) {
        p = arena_calloc(&w->arena, 1, sizeof *p);
        struct slice own = arena_slice(&w->arena, key);
        int rc = p && own.p ? map_put(&w->paths, own, p) : arena_failed(&w->arena, "paths", err);
        if (rc < 0)
            return err_set(err, -rc, "more than %zu files were removed", PATHS_MAX);
        p->position = SIZE_MAX;
    }
    *out = p;
    return 0;
}

static int take(void *arg, const struct delta_action *action, struct err *err)
{
    struct walk *w = arg;
    struct path *p = NULL;
    if (action->kind != DELTA_ADD && action->kind != DELTA_REMOVE)
        return 0;
    int rc = delta_path_key(&action->file, &w->key, err);
    if (rc < 0)
        return rc;
    struct slice key = buf_slice(&w->key); /* a file is one, whatever rows are deleted in it */
    key.n = (size_t)slice_rfind(key, '\0');
    rc = find_path(w, key, &p, err);
    if (rc < 0)
        return rc;
    if (p->position != w->position) {
        p->position = w->position;
        p->added = p->removed = false;
        rc = vec_push(&w->named, p);
    }
    p->added |= action->kind == DELTA_ADD;
    p->removed |= action->kind == DELTA_REMOVE;
    if (action->kind == DELTA_REMOVE)
        p->deletion_ms =
            action->file.deletion_time ? action->file.deletion_time : w->version->timestamp_ms;
    return rc < 0 ? err_set(err, -rc, "too many files in one commit") : 0;
}

/* After a commit: what its paths mean for the versions below it. */
static int settle(struct walk *w, struct path *p, struct err *err)
{
    if (!p->met) {
        p->met = true;
        p->safe = p->added;
        p->removable_ms = p->deletion_ms + w->period_ms;
    }
    if (p->safe)
        return 0;
    if (p->removed && !p->added && w->position) {
        p->live = true;
        p->upto = w->position - 1;
    } else if (p->added && !p->removed && p->live) {
        struct interval i = {w->position, p->upto, p->removable_ms};
        p->live = false;
        if (vec_push(&w->intervals, i) < 0)
            return err_set(err, ENOMEM, "out of memory");
    }
    return 0;
}

/* Reads commits back from the newest one; *first is the oldest version that can be told of. */
static int walk_back(struct walk *w, const struct history *h, size_t *first, struct err *err)
{
    AUTO(delta_log) struct delta_log log;
    delta_log_init(&log);
    size_t oldest = h->n > COMMITS_MAX ? h->n - COMMITS_MAX : 0;
    int rc = delta_log_read(&log, w->table->store, w->table->prefix, &h->at[oldest].number, err);
    struct delta_sink sink = {take, w};
    for (size_t i = h->n; rc == 0 && i-- > oldest; *first = i) {
        const struct delta_log_file *file = delta_log_commit(&log, h->at[i].number);
        *first = i;
        if (!file || file->fingerprint != h->at[i].fingerprint || file->size > COMMIT_BYTES_MAX)
            break; /* the version itself can be told of still, those below it not */
        w->position = i;
        w->version = &h->at[i];
        w->named.n = 0;
        rc = delta_commit_read(w->table, file, DELTA_COMMIT_ALL, &sink, err);
        for (size_t n = 0; rc == 0 && n < w->named.n; n++)
            rc = settle(w, w->named.at[n], err);
    }
    return rc;
}

static int by_time(const void *a, const void *b)
{
    const struct interval *x = a, *y = b;
    return (x->removable_ms > y->removable_ms) - (x->removable_ms < y->removable_ms);
}

/* The next version from i on that nothing was told of yet, in near constant time. */
static size_t next_untold(size_t *next, size_t i)
{
    while (next[i] != i) {
        next[i] = next[next[i]];
        i = next[i];
    }
    return i;
}

/* Each version's least moment: the intervals in order of time, each version told of once. */
static int tell(struct walk *w, size_t first, size_t n, struct retention *out, struct err *err)
{
    const struct map_entry *e;
    for (size_t at = 0; (e = map_next(&w->paths, &at));) {
        const struct path *p = e->value;
        struct interval i = {first, p->upto, p->removable_ms};
        if (p->live && p->upto >= first && vec_push(&w->intervals, i) < 0)
            return err_set(err, ENOMEM, "out of memory");
    }
    AUTO_FREE size_t *next = calloc(n + 1, sizeof *next);
    if (!next)
        return err_set(err, ENOMEM, "out of memory");
    for (size_t i = 0; i <= n; i++)
        next[i] = i;
    if (w->intervals.n)
        qsort(w->intervals.at, w->intervals.n, sizeof w->intervals.at[0], by_time);
    for (size_t i = 0; i < w->intervals.n; i++) {
        const struct interval *v = &w->intervals.at[i];
        size_t at = next_untold(next, v->from < first ? first : v->from);
        for (; at <= v->to; at = next_untold(next, at)) {
            out->removable_ms[at] = v->removable_ms;
            next[at] = at + 1;
        }
    }
    return 0;
}

/* The newest version, and how long its properties say that removed files stay. */
static int find_period(const struct delta_table *table, const struct history *h,
                       struct snapshot **newest, int64_t *out_ms, struct err *err)
{
    AUTO(delta_state) struct delta_state state;
    delta_state_init(&state);
    int rc = delta_load(table, h, h->n - 1, newest, err);
    if (rc == 0)
        rc = delta_state_parse(snapshot_meta(*newest), &state, err);
    if (rc == 0)
        *out_ms = delta_retention_period(&state.metadata.configuration);
    return rc;
}

int delta_retention(const struct delta_table *table, const struct history *h, struct retention *out,
                    struct err *err)
{
    struct walk w = {.table = table, .named = VEC_MAX(PATHS_MAX), .intervals = VEC_MAX(PATHS_MAX)};
    size_t first = h->n;
    if (h->n == 0)
        return 0;
    map_init(&w.paths, PATHS_MAX);
    arena_init(&w.arena, PATHS_BYTES_MAX);
    buf_init(&w.key, 2 * ACTION_BYTES_MAX);
    AUTO(snapshot) struct snapshot *newest = NULL;
    int rc = find_period(table, h, &newest, &w.period_ms, err);
    if (rc == 0)
        rc = walk_back(&w, h, &first, err);
    if (rc == 0)
        rc = tell(&w, first, h->n, out, err);
    if (rc == 0)
        out->period_ms = w.period_ms;
    map_done(&w.paths);
    arena_done(&w.arena);
    buf_done(&w.key);
    vec_done(&w.named);
    vec_done(&w.intervals);
    return rc;
}

/* one version */

#define COMMITS_AHEAD_MAX 100

/* The newest version holds the file, as it was when no row of it was deleted. */
static bool is_live(const struct snapshot *newest, struct slice path)
{
    AUTO(buf) struct buf key = {0};
    uint32_t first = 0, count = 0;
    struct run *base = snapshot_base(newest), *patch = snapshot_patch(newest);
    buf_init(&key, 2 * ACTION_BYTES_MAX);
    buf_add_slice(&key, path);
    buf_add_char(&key, '\0');
    uint64_t hash = hash64(0, buf_slice(&key));
    if (patch)
        run_find_key(patch, hash, &first, &count);
    if (count == 0)
        run_find_key(base, hash, &first, &count);
    return count > 0;
}

/* What a commit behind the version removed, of what was not added behind it too. */
static int64_t first_removed(struct walk *w, const struct snapshot *newest)
{
    int64_t since_ms = RETENTION_NONE;
    const struct map_entry *e;
    for (size_t at = 0; (e = map_next(&w->paths, &at));) {
        struct path *p = e->value;
        bool here = p->position == w->position;
        bool gone = here && p->removed && !p->added && !p->met;
        int64_t removable_ms = p->deletion_ms + w->period_ms;
        p->met = p->met || (here && p->added); /* not the version's, if it was new then */
        if (gone && removable_ms <= w->now_ms && removable_ms < since_ms &&
            !is_live(newest, e->key))
            since_ms = removable_ms;
    }
    return since_ms;
}

static int look_ahead(struct walk *w, const struct history *h, const struct snapshot *newest,
                      size_t position, int64_t *since_ms, struct err *err)
{
    AUTO(delta_log) struct delta_log log;
    struct delta_sink sink = {take, w};
    delta_log_init(&log);
    int rc = run_check_keys(snapshot_base(newest), err);
    if (rc == 0)
        rc = delta_log_read(&log, w->table->store, w->table->prefix, &h->at[position].number, err);
    for (size_t i = position + 1; rc == 0 && *since_ms == RETENTION_NONE && i < h->n; i++) {
        const struct delta_log_file *file = delta_log_commit(&log, h->at[i].number);
        if (i - position > COMMITS_AHEAD_MAX || h->at[i].timestamp_ms + w->period_ms > w->now_ms ||
            !file || file->size > COMMIT_BYTES_MAX)
            break;
        w->position = i;
        w->version = &h->at[i];
        w->named.n = 0;
        rc = delta_commit_read(w->table, file, DELTA_COMMIT_ALL, &sink, err);
        if (rc == 0)
            *since_ms = first_removed(w, newest);
    }
    return rc;
}

int delta_removable(const struct delta_table *table, const struct history *h, size_t position,
                    int64_t now_ms, int64_t *since_ms, struct err *err)
{
    struct walk w = {
        .table = table, .now_ms = now_ms, .named = VEC_MAX(PATHS_MAX), .intervals = VEC_MAX(1)};
    AUTO(snapshot) struct snapshot *newest = NULL;
    int64_t found_ms = RETENTION_NONE;
    map_init(&w.paths, PATHS_MAX);
    arena_init(&w.arena, PATHS_BYTES_MAX);
    buf_init(&w.key, 2 * ACTION_BYTES_MAX);
    int rc = find_period(table, h, &newest, &w.period_ms, err);
    if (rc == 0)
        rc = look_ahead(&w, h, newest, position, &found_ms, err);
    if (rc == 0)
        *since_ms = found_ms;
    map_done(&w.paths);
    arena_done(&w.arena);
    buf_done(&w.key);
    vec_done(&w.named);
    return rc;
}
