/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/dir.h"

#include <stdatomic.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/vec.h"
#include "lake/left_out.h"
#include "lake/table.h"

#define ERROR_KEPT_MS 1000 /* longer than a parked request takes to look again */
#define LISTING_BYTES_MAX ((size_t)512 << 20)

struct listing {
    _Atomic unsigned refs;
    struct arena arena;
    VEC(struct listing_entry) entries;
    struct left_out left_out;
    _Atomic bool told; /* of what is left out; a later listing of the directory inherits it */
};

struct dir {
    struct lake *lake; /* immutable, as is path */
    char *path;

    struct lock lock; /* guards all below */
    struct cond idle;
    struct job job;
    bool working;
    struct waitlist waiting;
    struct table *table; /* NULL: plain, or not known yet */
    struct listing *listing;
    struct err err; /* of the last attempt */
    int64_t heard_ms;
};

/* listings */

static struct listing *listing_ref(struct listing *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void listing_unref(struct listing *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
        return;
    vec_done(&l->entries);
    arena_done(&l->arena);
    left_out_done(&l->left_out);
    free(l);
}

size_t listing_count(const struct listing *l)
{
    return l->entries.n;
}

const struct left_out *listing_left_out(const struct listing *l)
{
    return &l->left_out;
}

bool listing_tell_left_out(struct listing *l)
{
    return l->left_out.count && !atomic_exchange(&l->told, true);
}

const struct listing_entry *listing_at(const struct listing *l, size_t i)
{
    return &l->entries.at[i];
}

static int compare_names(const void *a, const void *b)
{
    const struct listing_entry *x = a, *y = b;
    return slice_cmp(x->name, y->name);
}

const struct listing_entry *listing_find(const struct listing *l, struct slice name)
{
    struct listing_entry wanted = {.name = name};
    if (l->entries.n == 0)
        return NULL;
    return bsearch(&wanted, l->entries.at, l->entries.n, sizeof wanted, compare_names);
}

struct collecting {
    struct listing *listing;
    size_t prefix_length;
    struct err *err;
};

/* The name of a component in the listing's arena; empty where it is left out. */
static int name_of(struct collecting *c, struct slice component, bool beside_dir, struct slice *out)
{
    AUTO(buf) struct buf name = {0};
    struct listing *l = c->listing;
    buf_init(&name, 4 * KEY_BYTES_MAX);
    enum key_flaw flaw = key_name_add(&name, component, beside_dir);
    *out = SLICE_NONE;
    if (flaw != KEY_FLAW_NONE) {
        left_out_add(&l->left_out, component, flaw);
        return 0;
    }
    struct slice text = slice_eq(buf_slice(&name), component) ? component : buf_slice(&name);
    *out = arena_slice(&l->arena, text);
    if (name.failed || !out->p)
        return err_set(c->err, EOVERFLOW, "directory: its listing takes more than %zu bytes",
                       LISTING_BYTES_MAX);
    return 0;
}

static int collect(void *arg, const struct store_entry *e)
{
    struct collecting *c = arg;
    struct slice component = slice_from(e->key, c->prefix_length), name;
    if (e->is_prefix && component.n)
        component.n--; /* its final slash */
    int rc = name_of(c, component, false, &name);
    if (rc < 0 || name.n == 0)
        return rc;
    struct listing_entry entry = {.name = name,
                                  .is_dir = e->is_prefix,
                                  .size = e->size,
                                  .mtime_ms = e->mtime_ms,
                                  .etag = arena_slice(&c->listing->arena, e->etag),
                                  .readable = e->readable};
    if (!entry.etag.p)
        return err_set(c->err, EOVERFLOW, "directory: its listing takes more than %zu bytes",
                       LISTING_BYTES_MAX);
    rc = vec_push(&c->listing->entries, entry);
    return rc < 0 ? err_set(c->err, -rc, "directory of more than %zu entries", DIR_ENTRIES_MAX) : 0;
}

/* An object that has a directory's name gets one of its own. */
static int rename_twin(struct collecting *c, struct listing_entry *e)
{
    AUTO(buf) struct buf component = {0};
    buf_init(&component, KEY_BYTES_MAX);
    key_name_add_key(&component, e->name);
    int rc = buf_check(&component, c->err);
    return rc < 0 ? rc : name_of(c, buf_slice(&component), true, &e->name);
}

static int compare_entries(const void *a, const void *b)
{
    const struct listing_entry *x = a, *y = b;
    int c = slice_cmp(x->name, y->name);
    return c ? c : x->is_dir - y->is_dir;
}

static void sort_entries(struct listing *l)
{
    if (l->entries.n)
        qsort(l->entries.at, l->entries.n, sizeof *l->entries.at, compare_entries);
}

/* Where an object and a directory have one name (S3 can), both are shown; repetitions go. */
static int part_twins(struct collecting *c)
{
    struct listing *l = c->listing;
    size_t kept = 0;
    sort_entries(l);
    for (size_t i = 0; i < l->entries.n; i++) {
        struct listing_entry e = l->entries.at[i];
        struct listing_entry *last = kept ? &l->entries.at[kept - 1] : NULL;
        bool same = last && slice_eq(last->name, e.name);
        if (same && last->is_dir == e.is_dir)
            continue;
        if (same) { /* the object comes first */
            int rc = rename_twin(c, last);
            if (rc < 0)
                return rc;
            kept -= last->name.n == 0; /* left out */
        }
        l->entries.at[kept++] = e;
    }
    l->entries.n = kept;
    sort_entries(l);
    return 0;
}

static struct listing *listing_new(struct err *err)
{
    struct listing *l = calloc(1, sizeof *l);
    if (!l) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    l->refs = 1;
    l->entries.max = DIR_ENTRIES_MAX;
    arena_init(&l->arena, LISTING_BYTES_MAX);
    left_out_init(&l->left_out);
    return l;
}

/* Lists one level below prefix ("" or ending in a slash). Blocks. */
static int list_level(struct store *store, const char *prefix, struct listing **out,
                      struct err *err)
{
    AUTO(listing) struct listing *l = listing_new(err);
    if (!l)
        return -ENOMEM;
    struct collecting c = {l, strlen(prefix), err};
    struct store_list req = {.prefix = prefix, .emit = collect, .arg = &c};
    int rc = store->ops->list(store, &req, err);
    if (rc == 0)
        rc = part_twins(&c);
    if (rc < 0)
        return rc;
    *out = STEAL(l);
    return 0;
}

/* The root of several layers, which no store has; nothing is below what is no layer's name. */
static int list_layers(const struct dir *d, struct listing **out, struct err *err)
{
    const struct layers *layers = &d->lake->layers;
    AUTO(listing) struct listing *l = listing_new(err);
    int rc = l ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && !*d->path && i < layers->at.n; i++) {
        struct listing_entry e = {.name = slice_of(layers->at.at[i].name), .is_dir = true};
        rc = vec_push(&l->entries, e);
        rc = rc < 0 ? err_set(err, -rc, "out of memory") : 0;
    }
    if (rc < 0)
        return rc;
    sort_entries(l);
    *out = STEAL(l);
    return 0;
}

/* discovery */

static bool has_dir(const struct listing *l, const char *name)
{
    const struct listing_entry *e = listing_find(l, slice_of(name));
    return e && e->is_dir;
}

/* 1 where the marker's directory holds what it must, 0 where not. */
static int marker_holds(struct store *store, const char *prefix, const struct driver_ops *ops,
                        struct err *err)
{
    AUTO(buf) struct buf inside = {0};
    AUTO(listing) struct listing *l = NULL;
    if (!ops->marks)
        return 1;
    buf_init(&inside, KEY_BYTES_MAX);
    buf_addf(&inside, "%s%s/", prefix, ops->marker);
    int rc = buf_check(&inside, err);
    if (rc == 0)
        rc = list_level(store, inside.data, &l, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < listing_count(l); i++)
        if (!listing_at(l, i)->is_dir && ops->marks(listing_at(l, i)->name))
            return 1;
    return 0;
}

/* The driver of the table whose root this is, or NULL in *out. */
static int recognise(struct lake *lake, struct store *store, const char *prefix,
                     const struct listing *l, const struct driver_ops **out, struct err *err)
{
    *out = NULL;
    for (size_t i = 0; lake->config.drivers[i]; i++) {
        const struct driver_ops *ops = lake->config.drivers[i];
        if (!has_dir(l, ops->marker))
            continue;
        int rc = marker_holds(store, prefix, ops, err);
        if (rc < 0)
            return rc;
        if (rc == 1) {
            *out = ops;
            return 0;
        }
    }
    return 0;
}

struct searching {
    const struct driver_ops *const *drivers;
    size_t prefix_length;
};

/* A key that shows that there is a table ends the search. */
static int look_for_marker(void *arg, const struct store_entry *e)
{
    const struct searching *s = arg;
    return driver_marks(s->drivers, slice_from(e->key, s->prefix_length));
}

/* 1 where a table is somewhere below the prefix, 0 where there is none. */
static int holds_table(struct lake *lake, struct store *store, const char *prefix, struct err *err)
{
    struct searching s = {lake->config.drivers, strlen(prefix)};
    struct store_list req = {
        .prefix = prefix, .recursive = true, .emit = look_for_marker, .arg = &s};
    return store->ops->list(store, &req, err);
}

/* A top-level entry of a layer: one slash in its path. */
static bool is_layer_entry(const char *path)
{
    const char *slash = strchr(path, '/');
    return slash && !strchr(slash + 1, '/');
}

static int discover(struct dir *d, struct table **table, struct listing **listing, struct err *err)
{
    AUTO(buf) struct buf prefix = {0};
    AUTO(listing) struct listing *l = NULL;
    const struct driver_ops *ops = NULL;
    struct slice rest;
    const struct layer *layer = layers_place(&d->lake->layers, slice_of(d->path), &rest);
    if (!layer)
        return list_layers(d, listing, err);
    buf_init(&prefix, KEY_BYTES_MAX);
    key_name_add_key(&prefix, rest);
    buf_add_str(&prefix, rest.n ? "/" : "");
    int rc = buf_check(&prefix, err);
    if (rc == 0)
        rc = list_level(layer->store, prefix.data, &l, err);
    if (rc == 0)
        rc = recognise(d->lake, layer->store, prefix.data, l, &ops, err);
    if (rc == 0 && !ops && is_layer_entry(d->path)) {
        rc = holds_table(d->lake, layer->store, prefix.data, err);
        ops = rc == 0 ? d->lake->config.files : NULL;
    }
    if (rc < 0)
        return rc;
    if (ops)
        return lake_table(d->lake, slice_of(d->path), ops, table, err);
    *listing = STEAL(l);
    return 0;
}

static void work(struct job *job)
{
    struct dir *d = CONTAINER_OF(job, struct dir, job);
    struct err err = ERR_INIT;
    struct table *table = NULL;
    struct listing *listing = NULL;
    int rc = discover(d, &table, &listing, &err);
    WITH_LOCK (&d->lock) {
        d->heard_ms = clock_mono_ms();
        d->err = err;
        if (rc == 0) {
            if (listing && d->listing) /* once a directory and number, not once a refresh */
                listing->told =
                    d->listing->told && d->listing->left_out.count == listing->left_out.count;
            listing_unref(d->listing);
            d->listing = listing;
            d->table = table;
        }
        d->working = false;
        waitlist_wake(&d->waiting, d->lake->config.workers);
        cond_broadcast(&d->idle);
    }
}

static struct dir *dir_new(struct lake *lake, struct slice path)
{
    struct dir *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->path = strndup(path.p ? path.p : "", path.n);
    if (!d->path) {
        free(d);
        return NULL;
    }
    d->lake = lake;
    d->job.run = work;
    lock_init(&d->lock);
    cond_init(&d->idle);
    return d;
}

void dir_free(struct dir *d)
{
    WITH_LOCK (&d->lock)
        while (d->working)
            cond_wait(&d->idle, &d->lock);
    listing_unref(d->listing);
    cond_done(&d->idle);
    lock_done(&d->lock);
    free(d->path);
    free(d);
}

static int find_dir(struct lake *lake, struct slice path, struct dir **out, struct err *err)
{
    int rc = 0;
    WITH_LOCK (&lake->lock) {
        struct dir *d = map_find(&lake->dirs, path);
        if (!d && (d = dir_new(lake, path))) {
            rc = map_put(&lake->dirs, slice_of(d->path), d);
            if (rc < 0) {
                dir_free(d);
                d = NULL;
            }
        }
        *out = d;
    }
    return *out ? 0 : err_set(err, rc < 0 ? -rc : ENOMEM, "too many directories");
}

int dir_open(struct lake *lake, struct slice path, struct task *task, struct table **table,
             struct listing **listing, struct err *err)
{
    struct dir *d;
    int rc = find_dir(lake, path, &d, err);
    if (rc < 0)
        return rc;
    WITH_LOCK (&d->lock) {
        int64_t age_ms = clock_mono_ms() - d->heard_ms;
        int64_t good_ms = d->err.code || lake->config.refresh_ms < ERROR_KEPT_MS
                              ? ERROR_KEPT_MS
                              : lake->config.refresh_ms;
        *table = d->table;
        *listing = NULL;
        bool old = age_ms > good_ms && d->heard_ms < task->since_ms;
        if (!d->table && (d->working || d->heard_ms == 0 || old)) {
            waitlist_add(&d->waiting, &task->job);
            if (!d->working) {
                d->working = true;
                workers_submit(lake->config.workers, &d->job);
            }
            rc = -EINPROGRESS;
        } else if (!d->table && d->err.code) {
            rc = err_copy(err, &d->err);
        } else if (!d->table) {
            *listing = listing_ref(d->listing);
        }
    }
    return rc;
}

struct listing *dir_known(struct lake *lake, struct slice path, int64_t max_age_ms)
{
    struct dir *d;
    struct listing *known = NULL;
    WITH_LOCK (&lake->lock)
        d = map_find(&lake->dirs, path);
    if (!d)
        return NULL;
    WITH_LOCK (&d->lock)
        if (!d->table && d->listing && clock_mono_ms() - d->heard_ms <= max_age_ms)
            known = listing_ref(d->listing);
    return known;
}

void dir_forget(struct lake *lake, struct slice path)
{
    struct dir *d;
    WITH_LOCK (&lake->lock)
        d = map_find(&lake->dirs, path);
    if (!d)
        return;
    WITH_LOCK (&d->lock) {
        d->table = NULL;
        d->heard_ms = 0;
    }
}
