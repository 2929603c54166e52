/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/table.h"

#include <assert.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "lake/catalog_layer.h"
#include "lake/cataloged.h"
#include "lake/key_name.h"
#include "lake/table_private.h"

#define RECHECK_MS 1000 /* how often a held version is compared with the store's newest */

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

/* life */

/* The key below which a directory's objects are; the caller's to free, NULL: out of memory. */
static char *prefix_of(struct slice path)
{
    AUTO(buf) struct buf prefix = {0};
    buf_init(&prefix, KEY_BYTES_MAX);
    key_name_add_key(&prefix, path);
    buf_add_str(&prefix, path.n ? "/" : "");
    return buf_steal_str(&prefix);
}

/* The same table has one id in all mounts, from whatever root they show it. */
static int set_id(struct table *t, struct err *err)
{
    AUTO(buf) struct buf url = {0};
    buf_init(&url, URL_BYTES_MAX + KEY_BYTES_MAX);
    store_object_url(t->store, slice_make(t->prefix, strlen(t->prefix) - (*t->prefix != 0)), &url);
    (void)snprintf(t->id, sizeof t->id, "%016llx",
                   (unsigned long long)hash64(1, buf_slice(&url))); /* 16 digits */
    return buf_check(&url, err);
}

/* The table's own directory below dirfd. A descriptor or -errno. */
static int open_index_dir(const struct table *t, int dirfd, struct err *err)
{
    if (mkdirat(dirfd, t->id, 0700) < 0 && errno != EEXIST)
        return err_set(err, errno, "index directory %s: %s", t->id, strerror(errno));
    int fd = openat(dirfd, t->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_set(err, errno, "index directory %s: %s", t->id, strerror(errno)) : fd;
}

static int open_spare_dir(const struct table *t, struct err *err)
{
    int dirfd;
    int rc = spare_get(&t->lake->spare, t->lake->config.indexes_dirfd, &dirfd, err);
    return rc < 0 ? rc : open_index_dir(t, dirfd, err);
}

static int set_index_dir(struct table *t, struct err *err)
{
    t->index_dirfd = open_index_dir(t, t->lake->config.indexes_dirfd, err);
    if (t->index_dirfd < 0) /* the reason why there is no spare one either is the lesser one */
        t->index_dirfd = open_spare_dir(t, NULL);
    return t->index_dirfd < 0 ? -1 : 0;
}

bool table_move_index(struct table *t, bool full)
{
    AUTO_FD int fd = full || spare_is_wanted(t->index_dirfd) ? open_spare_dir(t, NULL) : -1;
    /* The driver has the descriptor's number: it is made to mean the other directory, in one step.
     * Runs that are open stay so. */
    return fd >= 0 && dup3(fd, t->index_dirfd, O_CLOEXEC) >= 0;
}

/* Where it lies in the lake, and in its store. */
static int set_place(struct table *t, struct slice path, struct err *err)
{
    struct slice rest;
    t->layer = layers_place(&t->lake->layers, path, &rest);
    assert(t->layer); /* what is in no layer is no table */
    t->store = t->cataloged ? cataloged_store(t->cataloged) : t->layer->store;
    t->path = strndup(path.p ? path.p : "", path.n);
    t->prefix = t->cataloged ? strdup(cataloged_prefix(t->cataloged)) : prefix_of(rest);
    return t->path && t->prefix ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int open_driver(struct table *t, struct err *err)
{
    struct driver_config config = {.store = t->store,
                                   .prefix = t->prefix,
                                   .index_dirfd = t->index_dirfd,
                                   .drivers = t->lake->config.drivers};
    config.outside = table_others(t, &config.outside_n);
    config.source = t->cataloged ? cataloged_source(t->cataloged) : NULL;
    return t->ops->open(&config, &t->driver, err);
}

struct table *table_new(struct lake *lake, struct slice path, const struct driver_ops *ops,
                        struct cataloged *cataloged, struct err *err)
{
    AUTO(table) struct table *t = calloc(1, sizeof *t);
    if (!t) {
        if (cataloged)
            cataloged_free(cataloged, lake->config.cache);
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    t->lake = lake;
    t->cataloged = cataloged;
    t->ops = ops;
    t->index_dirfd = -1;
    t->touched_ms = clock_mono_ms();
    t->job.run = table_work;
    lock_init(&t->lock);
    cond_init(&t->idle);
    kept_init(&t->kept);
    int rc = set_place(t, path, err);
    if (rc == 0)
        rc = set_id(t, err);
    if (rc == 0)
        rc = set_index_dir(t, err);
    if (rc == 0)
        rc = open_driver(t, err);
    return rc < 0 ? NULL : STEAL(t);
}

void table_free(struct table *t)
{
    WITH_LOCK (&t->lock) {
        while (t->working || t->asking)
            cond_wait(&t->idle, &t->lock);
        while (t->loaded_n)
            table_loaded_drop(t, t->loaded_n - 1);
    }
    table_version_unref(t->live);
    history_unref(t->heard);
    history_unref(t->history);
    tags_unref(t->tags);
    kept_done(&t->kept);
    if (t->driver)
        t->ops->close(t->driver);
    if (t->cataloged)
        cataloged_free(t->cataloged, t->lake->config.cache);
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

struct store *table_store(const struct table *t)
{
    return t->store;
}

struct store *const *table_others(const struct table *t, size_t *n)
{
    if (t->cataloged)
        return cataloged_others(t->cataloged, n);
    *n = t->layer->others.n;
    return t->layer->others.at;
}

struct cataloged *table_cataloged(const struct table *t)
{
    return t->cataloged;
}

struct slice table_prefix(const struct table *t)
{
    return slice_of(t->prefix);
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

/* the live path */

/* Where --hold is shorter: versions that are asked for by number cost no more listings than this.
 */
#define HEAR_MS_MIN 1000

struct workers *table_workers(const struct table *t)
{
    return t->cataloged ? catalog_layer_workers(t->layer->catalog) : t->lake->config.workers;
}

/* The background job looks for what is wanted. */
static void start_work(struct table *t) REQUIRES(&t->lock)
{
    if (t->working)
        return;
    t->working = true;
    workers_submit(table_workers(t), &t->job);
}

int table_park(struct table *t, struct task *task) REQUIRES(&t->lock)
{
    waitlist_add(&t->waiting, &task->job);
    start_work(t);
    return -EINPROGRESS;
}

void table_hear_aside(struct table *t) REQUIRES(&t->lock)
{
    int64_t hold_ms = t->lake->config.hold_ms;
    if (clock_mono_ms() - t->heard_ms <= (hold_ms > HEAR_MS_MIN ? hold_ms : HEAR_MS_MIN))
        return;
    t->want_history = true;
    start_work(t);
}

/* Nobody has touched the table for --refresh: who comes now begins a walk of its own. */
static bool rested(const struct table *t, int64_t now_ms)
{
    return now_ms - atomic_load_explicit(&t->touched_ms, memory_order_relaxed) >=
           t->lake->config.refresh_ms;
}

static bool live_due(const struct table *t, int64_t now_ms)
{
    const struct lake_config *c = &t->lake->config;
    int64_t idle_ms = now_ms - atomic_load_explicit(&t->touched_ms, memory_order_relaxed);
    int64_t age_ms = now_ms - t->held_since_ms;
    int64_t checked_ms = now_ms - t->live_checked_ms;
    if (!t->live)
        return t->live_checked_ms == 0 ||
               checked_ms > (c->refresh_ms > ERROR_KEPT_MS ? c->refresh_ms : ERROR_KEPT_MS);
    if (rested(t, now_ms))
        return checked_ms >= PAUSE_MS;
    bool aged = (age_ms >= c->hold_ms && idle_ms >= PAUSE_MS) || age_ms >= 2 * c->hold_ms;
    return aged && checked_ms >= (c->refresh_ms < RECHECK_MS ? c->refresh_ms : RECHECK_MS);
}

int table_live(struct table *t, struct task *task, struct table_version **out, struct err *err)
{
    int rc = 0;
    WITH_LOCK (&t->lock) {
        int64_t now_ms = clock_mono_ms();
        if (t->moving) {
            rc = table_park(t, task);
        } else if (t->live_checked_ms < task->since_ms && (t->want_live || live_due(t, now_ms))) {
            if (rested(t, now_ms))
                t->held_since_ms = now_ms;
            t->want_live = true;
            rc = table_park(t, task);
        } else if (t->live) {
            *out = table_version_ref(t->live);
            table_touch(t);
        } else {
            rc = err_copy(err, &t->live_err);
        }
    }
    return rc;
}

int table_known_history(struct table *t, struct task *task, int64_t max_age_ms, struct err *err)
    REQUIRES(&t->lock)
{
    int64_t age_ms = clock_mono_ms() - t->heard_ms;
    bool never = t->heard_ms == 0;
    bool before = t->asked_ms <= task->since_ms; /* the task came */
    bool failed = !t->history && age_ms > ERROR_KEPT_MS && before;
    bool old = age_ms > max_age_ms && before;
    if (never || failed || old) {
        t->want_history = true;
        return table_park(t, task);
    }
    return t->history ? 0 : err_copy(err, &t->history_err);
}

int table_history(struct table *t, struct task *task, struct history **out, struct err *err)
{
    int rc;
    WITH_LOCK (&t->lock) {
        rc = table_known_history(t, task, t->lake->config.refresh_ms, err);
        if (rc == 0)
            *out = history_ref(t->history);
    }
    return rc;
}

int table_whole_history(struct table *t, struct task *task, struct history **out, size_t *shown,
                        struct err *err)
{
    int rc;
    WITH_LOCK (&t->lock) {
        rc = table_known_history(t, task, t->lake->config.refresh_ms, err);
        if (rc == 0) {
            *out = history_ref(t->heard);
            *shown = t->history->n;
        }
    }
    return rc;
}

int table_catalog_allows(struct table *t, struct task *task, struct err *err)
{
    int64_t refresh_ms = t->lake->config.refresh_ms;
    int rc = 0;
    if (!t->cataloged)
        return 0;
    WITH_LOCK (&t->lock) {
        rc = table_known_history(t, task, refresh_ms > HEAR_MS_MIN ? refresh_ms : HEAR_MS_MIN, err);
        if (rc == 0 && t->catalog_err.code && t->catalog_err.code != EIO)
            rc = err_copy(err, &t->catalog_err);
    }
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

static bool stands_on(const struct table_version *v, const char *name)
{
    struct run *patch = v && v->snapshot ? snapshot_patch(v->snapshot) : NULL;
    return v && v->snapshot &&
           (strcmp(run_name(snapshot_base(v->snapshot)), name) == 0 ||
            (patch && strcmp(run_name(patch), name) == 0));
}

void table_forget(struct table *t, const char *name)
{
    WITH_LOCK (&t->lock) {
        for (size_t i = t->loaded_n; i-- > 0;)
            if (stands_on(t->loaded[i].version, name))
                table_loaded_drop(t, i);
        if (stands_on(t->live, name)) {
            table_version_unref(t->live);
            t->live = NULL;
            t->live_checked_ms = 0;
        }
    }
}
