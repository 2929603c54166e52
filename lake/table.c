/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/table.h"

#include <assert.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "lake/kept.h"

#define LOADED_MAX 64 /* versions of one table at hand; more are opened again in milliseconds */
#define WANTED_MAX 64 /* versions that requests wait for at once; further ones ask again */
#define ERROR_KEPT_MS 1000 /* longer than a parked request takes to look again */
#define PAUSE_MS 50
#define RECHECK_MS 1000 /* how often a held version is compared with the store's newest */

struct loaded {
    int64_t number;
    uint64_t fingerprint;
    struct table_version *version; /* NULL: err */
    struct err err;
    int64_t at_ms;
};

struct table {
    struct lake *lake; /* immutable, as are the next ones */
    char *path, *prefix;
    char id[17]; /* hex of the hash of store and prefix: its directory below indexes/ */
    const struct driver_ops *ops;
    struct driver *driver;
    int index_dirfd;

    _Atomic int64_t touched_ms; /* the last request, clock_mono_ms */

    struct lock lock; /* guards all below */
    struct cond idle; /* working became false */
    struct job job;
    bool working;
    struct waitlist waiting;
    bool want_history, want_live;
    bool moving; /* the job refreshes for the live path now */
    int64_t wanted[WANTED_MAX];
    size_t wanted_n;

    struct history *heard;   /* as the driver told it */
    struct history *history; /* the same up to --as-of; NULL: not heard yet */
    struct err history_err;  /* of the last attempt, code 0: it was good */
    int64_t heard_ms;        /* of the last attempt */

    struct table_version *live; /* NULL: live_err tells */
    struct err live_err;
    int64_t live_since_ms, live_checked_ms;
    struct kept kept;

    struct loaded loaded[LOADED_MAX];
    size_t loaded_n;
};

/* versions */

struct table_version *table_version_ref(struct table_version *v)
{
    atomic_fetch_add(&v->refs, 1);
    return v;
}

void table_version_unref(struct table_version *v)
{
    if (!v || atomic_fetch_sub(&v->refs, 1) != 1)
        return;
    if (v->snapshot)
        snapshot_unref(v->snapshot);
    free(v);
}

/* Takes the snapshot (NULL: an empty table). */
static struct table_version *version_new(struct table *t, const struct version *version,
                                         struct snapshot *snapshot, struct err *err)
{
    AUTO(table_version) struct table_version *v = calloc(1, sizeof *v);
    if (!v) {
        if (snapshot)
            snapshot_unref(snapshot);
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    v->refs = 1;
    v->version = *version;
    v->snapshot = snapshot;
    if (snapshot) {
        struct run *patch = snapshot_patch(snapshot);
        if (lake_run_number(t->lake, t, snapshot_base(snapshot), &v->base_number, err) < 0)
            return NULL;
        if (patch && lake_run_number(t->lake, t, patch, &v->patch_number, err) < 0)
            return NULL;
    }
    return STEAL(v);
}

/* what is loaded */

static void loaded_drop(struct table *t, size_t i)
{
    table_version_unref(t->loaded[i].version);
    t->loaded[i] = t->loaded[--t->loaded_n];
}

static struct loaded *loaded_find(struct table *t, const struct version *v, int64_t now_ms)
{
    for (size_t i = 0; i < t->loaded_n; i++) {
        struct loaded *l = &t->loaded[i];
        if (l->number != v->number)
            continue;
        bool stale = !l->version && l->err.code != EOPNOTSUPP && now_ms - l->at_ms > ERROR_KEPT_MS;
        if (l->fingerprint == v->fingerprint && !stale) {
            if (l->version)
                l->at_ms = now_ms;
            return l;
        }
        loaded_drop(t, i);
        return NULL;
    }
    return NULL;
}

/* Takes the version's reference. */
static void loaded_add(struct table *t, const struct version *v, struct table_version *version,
                       const struct err *err)
{
    int64_t now_ms = clock_mono_ms();
    struct loaded *old = loaded_find(t, v, now_ms);
    if (old)
        loaded_drop(t, (size_t)(old - t->loaded));
    if (t->loaded_n == LOADED_MAX) {
        size_t oldest = 0;
        for (size_t i = 1; i < t->loaded_n; i++)
            if (t->loaded[i].at_ms < t->loaded[oldest].at_ms)
                oldest = i;
        loaded_drop(t, oldest);
    }
    t->loaded[t->loaded_n++] = (struct loaded){.number = v->number,
                                               .fingerprint = v->fingerprint,
                                               .version = version,
                                               .err = *err,
                                               .at_ms = now_ms};
}

/* the background job */

/* Loads a version, or takes it from what is loaded. NULL and err. Blocks. */
static struct table_version *load(struct table *t, const struct history *h, size_t position,
                                  struct err *err)
{
    const struct version *v = &h->at[position];
    struct table_version *version = NULL;
    struct err failed = ERR_INIT;
    bool known = false;
    WITH_LOCK (&t->lock) {
        struct loaded *l = loaded_find(t, v, clock_mono_ms());
        known = l != NULL;
        if (l && l->version)
            version = table_version_ref(l->version);
        else if (l)
            failed = l->err;
    }
    if (!known) {
        struct snapshot *snapshot = NULL;
        if (t->ops->load(t->driver, h, position, &snapshot, &failed) == 0)
            version = version_new(t, v, snapshot, &failed);
        if (!version)
            (void)err_wrap(&failed, "table %s", t->path);
        WITH_LOCK (&t->lock)
            loaded_add(t, v, version ? table_version_ref(version) : NULL, &failed);
    }
    if (!version)
        (void)err_copy(err, &failed);
    return version;
}

/* What --as-of leaves of a history: the same one, or a shorter copy. A new reference. */
static struct history *cut_history(const struct table *t, struct history *heard, struct err *err)
{
    int64_t as_of_ms = t->lake->config.as_of_ms;
    size_t n = as_of_ms ? (size_t)(history_at(heard, as_of_ms) + 1) : heard->n;
    if (n == heard->n)
        return history_ref(heard);
    struct history *h = history_new(n, err);
    if (h) {
        h->numbered = heard->numbered;
        memcpy(h->at, heard->at, n * sizeof h->at[0]);
    }
    return h;
}

struct keeping {
    struct table *table;
    const struct table_version *from, *to;
    int64_t until_ms;
    struct err *err;
};

static int keep_file(struct keeping *k, uint32_t number, uint32_t ordinal, struct slice path)
{
    struct snapshot_node node;
    int rc = snapshot_walk(k->to->snapshot, path, &node, k->err);
    if (rc != -ENOENT)
        return rc;
    WITH_LOCK (&k->table->lock)
        rc = kept_add(&k->table->kept, path,
                      (struct kept_file){.run_number = number, .ordinal = ordinal}, k->until_ms);
    return rc;
}

/* Keeps the names of one run of `from` that are gone in `to`. */
static int keep_run(struct keeping *k, struct run *run, uint32_t number, const struct run *patch)
{
    AUTO(run_cursor) struct run_cursor c = {0};
    int rc = run_cursor_init(&c, run, 0, k->err);
    while (rc == 0) {
        struct entry e;
        uint32_t ordinal = c.ordinal;
        rc = run_cursor_next(&c, &e, k->err);
        if (rc <= 0)
            break;
        rc = patch && run_removed(patch, ordinal) ? 0 : keep_file(k, number, ordinal, e.path);
    }
    return rc;
}

/* The same for two versions on one base: only what the newer patch took away can be gone. */
static int keep_removed(struct keeping *k, struct run *base, const struct run *before,
                        const struct run *after)
{
    AUTO(buf) struct buf scratch = {0};
    buf_init(&scratch, ACTION_BYTES_MAX);
    int rc = 0;
    uint32_t ordinal = run_removed_next(after, 0);
    for (; rc == 0 && ordinal != RUN_NONE; ordinal = run_removed_next(after, ordinal + 1)) {
        struct entry e;
        if (before && run_removed(before, ordinal))
            continue;
        rc = run_file(base, ordinal, &scratch, &e, NULL, k->err);
        if (rc == 0)
            rc = keep_file(k, k->from->base_number, ordinal, e.path);
    }
    return rc;
}

/* Before the live path moves: the names that only the old version has are kept. Blocks. */
static int keep_names(struct table *t, const struct table_version *from,
                      const struct table_version *to, struct err *err)
{
    if (!from->snapshot || !to->snapshot || t->lake->config.keep_ms == 0)
        return 0;
    int64_t now_ms = clock_mono_ms();
    struct keeping k = {t, from, to, now_ms + t->lake->config.keep_ms, err};
    struct run *base = snapshot_base(from->snapshot), *patch = snapshot_patch(from->snapshot);
    WITH_LOCK (&t->lock)
        kept_expire(&t->kept, now_ms);
    int rc = 0;
    if (from->base_number != to->base_number)
        rc = keep_run(&k, base, from->base_number, patch);
    else if (snapshot_patch(to->snapshot))
        rc = keep_removed(&k, base, patch, snapshot_patch(to->snapshot));
    if (rc == 0 && patch)
        rc = keep_run(&k, patch, from->patch_number, NULL);
    return rc;
}

/* Moves the live path to what the history says. Blocks. */
static void move_live(struct table *t, const struct history *h)
{
    static const struct version none = {.number = -1};
    struct err err = ERR_INIT;
    AUTO(table_version) struct table_version *before = NULL;
    AUTO(table_version) struct table_version *next = NULL;
    WITH_LOCK (&t->lock)
        before = t->live ? table_version_ref(t->live) : NULL;
    if (h->n)
        next = load(t, h, h->n - 1, &err);
    else if (!t->lake->config.as_of_ms)
        next = version_new(t, &none, NULL, &err);
    else
        (void)err_set(&err, ENOENT, "table %s has no version at that time", t->path);
    bool moved = next && before && next != before;
    if (moved && keep_names(t, before, next, &err) < 0)
        log_warn("table %s: names of version %lld are not kept: %s", t->path,
                 (long long)before->version.number, err.msg);
    WITH_LOCK (&t->lock) {
        int64_t now_ms = clock_mono_ms();
        t->live_checked_ms = now_ms;
        if (next && next != t->live) {
            table_version_unref(t->live);
            t->live = STEAL(next);
            t->live_since_ms = now_ms;
        } else if (!next && !(t->live && err.code == EIO)) {
            table_version_unref(t->live); /* refused: no older version stands in for it */
            t->live = NULL;
        }
        t->live_err = err;
    }
}

static void refresh(struct table *t, bool live)
{
    struct err err = ERR_INIT;
    AUTO(history) struct history *previous = NULL;
    AUTO(history) struct history *heard = NULL;
    AUTO(history) struct history *next = NULL;
    WITH_LOCK (&t->lock)
        previous = t->heard ? history_ref(t->heard) : NULL;
    int rc = t->ops->history(t->driver, previous, &heard, &err);
    if (rc == 0 && !(next = cut_history(t, heard, &err)))
        rc = -err.code;
    if (rc < 0)
        (void)err_wrap(&err, "table %s", t->path);
    WITH_LOCK (&t->lock) {
        t->heard_ms = clock_mono_ms();
        t->history_err = err;
        if (rc == 0) {
            history_unref(t->heard);
            history_unref(t->history);
            t->heard = history_ref(heard);
            t->history = history_ref(next);
        } else {
            t->live_err = err;
            t->live_checked_ms = t->heard_ms;
            if (t->live && err.code != EIO) {
                table_version_unref(t->live);
                t->live = NULL;
            }
        }
    }
    if (rc == 0 && live)
        move_live(t, next);
}

static void load_wanted(struct table *t, int64_t number)
{
    struct err err = ERR_INIT;
    AUTO(history) struct history *h = NULL;
    WITH_LOCK (&t->lock)
        h = t->history ? history_ref(t->history) : NULL;
    ptrdiff_t position = h ? history_find(h, number) : -1;
    if (position >= 0)
        table_version_unref(
            load(t, h, (size_t)position, &err)); /* what matters is kept in loaded */
}

static void work(struct job *job)
{
    struct table *t = CONTAINER_OF(job, struct table, job);
    bool history, live, any;
    int64_t number = 0;
    WITH_LOCK (&t->lock) {
        history = t->want_history || t->want_live;
        live = t->want_live;
        any = !history && t->wanted_n > 0;
        t->moving = live;
        if (history)
            t->want_history = t->want_live = false;
        else if (any)
            number = t->wanted[--t->wanted_n];
    }
    if (history)
        refresh(t, live);
    else if (any)
        load_wanted(t, number);
    if (history && live)
        table_touch(t); /* the wait was no pause of the one who walks */
    WITH_LOCK (&t->lock) {
        t->moving = false;
        waitlist_wake(&t->waiting, t->lake->config.workers);
        t->working = t->want_history || t->want_live || t->wanted_n > 0;
        if (t->working)
            workers_submit(t->lake->config.workers, &t->job);
        else
            cond_broadcast(&t->idle);
    }
}

/* Parks the task until the background job has done something. */
static int park_locked(struct table *t, struct task *task) REQUIRES(&t->lock)
{
    waitlist_add(&t->waiting, &task->job);
    if (!t->working) {
        t->working = true;
        workers_submit(t->lake->config.workers, &t->job);
    }
    return -EINPROGRESS;
}

/* life */

static int open_index_dir(struct table *t, struct err *err)
{
    int dirfd = t->lake->config.indexes_dirfd;
    if (mkdirat(dirfd, t->id, 0700) < 0 && errno != EEXIST)
        return err_set(err, errno, "index directory %s: %s", t->id, strerror(errno));
    t->index_dirfd = openat(dirfd, t->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->index_dirfd < 0)
        return err_set(err, errno, "index directory %s: %s", t->id, strerror(errno));
    return 0;
}

struct table *table_new(struct lake *lake, struct slice path, const struct driver_ops *ops,
                        struct err *err)
{
    AUTO(table) struct table *t = calloc(1, sizeof *t);
    if (!t) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    t->lake = lake;
    t->ops = ops;
    t->index_dirfd = -1;
    t->touched_ms = clock_mono_ms();
    t->job.run = work;
    lock_init(&t->lock);
    cond_init(&t->idle);
    kept_init(&t->kept);
    t->path = strndup(path.p ? path.p : "", path.n);
    if (!t->path || asprintf(&t->prefix, "%s%s", t->path, path.n ? "/" : "") < 0) {
        t->prefix = NULL;
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    uint64_t hash = hash64(hash64(1, slice_of(lake->store->url)), path);
    (void)snprintf(t->id, sizeof t->id, "%016llx", (unsigned long long)hash);
    if (open_index_dir(t, err) < 0)
        return NULL;
    struct driver_config config = {
        .store = lake->store, .prefix = t->prefix, .index_dirfd = t->index_dirfd};
    if (ops->open(&config, &t->driver, err) < 0)
        return NULL;
    return STEAL(t);
}

void table_free(struct table *t)
{
    WITH_LOCK (&t->lock)
        while (t->working)
            cond_wait(&t->idle, &t->lock);
    while (t->loaded_n)
        loaded_drop(t, t->loaded_n - 1);
    table_version_unref(t->live);
    history_unref(t->heard);
    history_unref(t->history);
    kept_done(&t->kept);
    if (t->driver)
        t->ops->close(t->driver);
    if (t->index_dirfd >= 0)
        (void)close(t->index_dirfd); /* a directory: nothing to lose */
    cond_done(&t->idle);
    lock_done(&t->lock);
    free(t->path);
    free(t->prefix);
    free(t);
}

struct lake *table_lake(const struct table *t)
{
    return t->lake;
}

struct slice table_path(const struct table *t)
{
    return slice_of(t->path);
}

const struct driver_ops *table_ops(const struct table *t)
{
    return t->ops;
}

struct driver *table_driver(const struct table *t)
{
    return t->driver;
}

int table_index_dirfd(const struct table *t)
{
    return t->index_dirfd;
}

struct slice table_id(const struct table *t)
{
    return slice_of(t->id);
}

void table_touch(struct table *t)
{
    atomic_store_explicit(&t->touched_ms, clock_mono_ms(), memory_order_relaxed);
}

/* questions */

static bool live_due(const struct table *t, int64_t now_ms)
{
    const struct lake_config *c = &t->lake->config;
    int64_t idle_ms = now_ms - atomic_load_explicit(&t->touched_ms, memory_order_relaxed);
    int64_t age_ms = now_ms - t->live_since_ms;
    int64_t checked_ms = now_ms - t->live_checked_ms;
    if (!t->live)
        return t->live_checked_ms == 0 ||
               checked_ms > (c->refresh_ms > ERROR_KEPT_MS ? c->refresh_ms : ERROR_KEPT_MS);
    if (idle_ms >= c->refresh_ms)
        return checked_ms >= PAUSE_MS;
    bool aged = (age_ms >= c->hold_ms && idle_ms >= PAUSE_MS) || age_ms >= 2 * c->hold_ms;
    return aged && checked_ms >= (c->refresh_ms < RECHECK_MS ? c->refresh_ms : RECHECK_MS);
}

int table_live(struct table *t, struct task *task, struct table_version **out, struct err *err)
{
    int rc = 0;
    WITH_LOCK (&t->lock) {
        if (t->moving) {
            rc = park_locked(t, task);
        } else if (t->want_live || live_due(t, clock_mono_ms())) {
            t->want_live = true;
            rc = park_locked(t, task);
        } else if (t->live) {
            *out = table_version_ref(t->live);
            table_touch(t);
        } else {
            rc = err_copy(err, &t->live_err);
        }
    }
    return rc;
}

/* The history as it is known, once it is: */
static int known_history_locked(struct table *t, struct task *task, bool want_fresh,
                                struct err *err) REQUIRES(&t->lock)
{
    int64_t age_ms = clock_mono_ms() - t->heard_ms;
    bool never = t->heard_ms == 0;
    bool failed = !t->history && age_ms > ERROR_KEPT_MS;
    bool old = want_fresh && age_ms > t->lake->config.refresh_ms && age_ms > PAUSE_MS;
    if (never || failed || old) {
        t->want_history = true;
        return park_locked(t, task);
    }
    return t->history ? 0 : err_copy(err, &t->history_err);
}

int table_history(struct table *t, struct task *task, struct history **out, struct err *err)
{
    int rc;
    WITH_LOCK (&t->lock) {
        rc = known_history_locked(t, task, true, err);
        if (rc == 0)
            *out = history_ref(t->history);
    }
    return rc;
}

static int unknown_ref(struct err *err, const struct table *t, struct slice ref)
{
    return err_set(err, ENOENT, "table %s has no version %.*s", t->path, SLICE_FMT(ref));
}

/* The position of a ref in the history, or -1. */
static int position_locked(struct table *t, const struct ref *ref, struct task *task,
                           ptrdiff_t *position, struct err *err) REQUIRES(&t->lock)
{
    int rc = known_history_locked(t, task, false, err);
    if (rc < 0)
        return rc;
    if (ref->kind == REF_TIME) {
        *position = history_at(t->history, ref->time_ms);
        return 0;
    }
    *position = history_find(t->history, ref->version);
    if (*position >= 0)
        return 0;
    rc = known_history_locked(t, task, true, err); /* it may have been committed since */
    return rc;
}

static int loaded_at_locked(struct table *t, ptrdiff_t position, struct task *task,
                            struct table_version **out, struct err *err) REQUIRES(&t->lock)
{
    const struct version *v = &t->history->at[position];
    struct loaded *l = loaded_find(t, v, clock_mono_ms());
    if (l && !l->version)
        return err_copy(err, &l->err);
    if (l) {
        *out = table_version_ref(l->version);
        return 0;
    }
    bool queued = false;
    for (size_t i = 0; i < t->wanted_n; i++)
        queued |= t->wanted[i] == v->number;
    if (!queued && t->wanted_n < WANTED_MAX)
        t->wanted[t->wanted_n++] = v->number;
    return park_locked(t, task);
}

int table_at(struct table *t, struct slice text, struct task *task, struct table_version **out,
             bool *moving, struct err *err)
{
    struct ref ref;
    int64_t as_of_ms = t->lake->config.as_of_ms;
    if (!ref_parse(text, t->ops->digits17_is_time, &ref) || ref.kind == REF_NAME ||
        ref.kind == REF_RANGE)
        return unknown_ref(err, t, text);
    if (ref.kind == REF_TIME && ref.time_ms > (as_of_ms ? as_of_ms : clock_real_ms()))
        return unknown_ref(err, t, text);
    int rc;
    bool last = false;
    WITH_LOCK (&t->lock) {
        ptrdiff_t position = -1;
        rc = position_locked(t, &ref, task, &position, err);
        if (rc == 0 && (position < 0 || !t->history->numbered))
            rc = unknown_ref(err, t, text);
        last = rc == 0 && ref.kind == REF_TIME && !as_of_ms &&
               (size_t)position == t->history->n - 1 &&
               ref.time_ms > t->history->at[position].timestamp_ms;
        if (rc == 0 && !last)
            rc = loaded_at_locked(t, position, task, out, err);
    }
    if (rc == 0 && last)
        rc = table_live(t, task, out, err);
    if (rc == 0)
        *moving = last;
    return rc;
}

bool table_kept(struct table *t, struct slice path, uint32_t *number, uint32_t *ordinal)
{
    struct kept_file file;
    bool found;
    WITH_LOCK (&t->lock) {
        kept_expire(&t->kept, clock_mono_ms());
        found = kept_find(&t->kept, path, &file);
    }
    if (found) {
        *number = file.run_number;
        *ordinal = file.ordinal;
    }
    return found;
}
