/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/dir.h"

#include "base/clock.h"
#include "base/text.h"
#include "lake/catalog_layer.h"
#include "lake/cataloged.h"
#include "lake/dir_listing.h"
#include "lake/key_name.h"
#include "lake/table.h"

#define ERROR_KEPT_MS 1000 /* longer than a parked request takes to look again */

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

/* The root of several layers, which no store has; nothing is below what is no layer's name. */
static int list_layers(const struct dir *d, struct listing **out, struct err *err)
{
    const struct layers *layers = &d->lake->layers;
    AUTO(listing) struct listing *l = listing_new(err);
    int rc = l ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && !*d->path && i < layers->at.n; i++)
        rc = listing_add(l, slice_of(layers->at.at[i].name), false, err);
    if (rc == 0)
        rc = listing_finish(l, err);
    if (rc < 0)
        return rc;
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
    if (!ops->marker_inside)
        return 1;
    buf_init(&inside, KEY_BYTES_MAX);
    buf_addf(&inside, "%s%s/", prefix, ops->marker);
    int rc = buf_check(&inside, err);
    if (rc == 0)
        rc = listing_read(store, inside.data, &l, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < listing_count(l); i++)
        if (driver_marks_inside(ops, listing_at(l, i)->name))
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

/* The driver that reads a format that a catalog names. */
static const struct driver_ops *driver_of(const struct lake *lake, enum catalog_format format)
{
    const char *name = format == CATALOG_DELTA ? "delta" : "iceberg";
    size_t i = 0;
    while (lake->config.drivers[i] && strcmp(lake->config.drivers[i]->format, name) != 0)
        i++;
    return lake->config.drivers[i];
}

static int open_cataloged(struct dir *d, const struct layer *layer, struct slice rest,
                          struct table **table, struct err *err)
{
    struct cataloged *c;
    int rc = cataloged_open(layer, rest, &c, err);
    if (rc < 0)
        return err_wrap(err, "table %s", d->path);
    const struct driver_ops *ops = driver_of(d->lake, cataloged_format(c));
    if (ops)
        return lake_table(d->lake, slice_of(d->path), ops, c, table, err);
    cataloged_free(c, NULL);
    return err_set(err, EOPNOTSUPP, "table %s: there is no driver for its format", d->path);
}

/*
 * A directory of a layer whose tables a catalog knows: what it is, its parent's listing says. A
 * name that this does not have any more is an empty directory, as one that a store does not have.
 */
static int discover_cataloged(struct dir *d, const struct layer *layer, struct slice rest,
                              struct table **table, struct listing **listing, struct err *err)
{
    AUTO(listing) struct listing *parent = NULL;
    struct slice path = slice_of(d->path);
    int rc = 0;
    if (rest.n) {
        parent = dir_known(d->lake, text_dirname(path), INT64_MAX);
        if (!parent || !listing_find(parent, text_basename(path))) {
            listing_unref(parent);
            parent = NULL;
            rc = catalog_layer_list(layer->catalog, text_dirname(rest), &parent, err);
        }
    }
    const struct listing_entry *e = parent ? listing_find(parent, text_basename(path)) : NULL;
    if (rc == 0 && e && e->is_table)
        return open_cataloged(d, layer, rest, table, err);
    return rc < 0 ? rc : catalog_layer_list(layer->catalog, rest, listing, err);
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
    if (layer->catalog)
        return discover_cataloged(d, layer, rest, table, listing, err);
    buf_init(&prefix, KEY_BYTES_MAX);
    key_name_add_key(&prefix, rest);
    buf_add_str(&prefix, rest.n ? "/" : "");
    int rc = buf_check(&prefix, err);
    if (rc == 0)
        rc = listing_read(layer->store, prefix.data, &l, err);
    if (rc == 0)
        rc = recognise(d->lake, layer->store, prefix.data, l, &ops, err);
    if (rc == 0 && !ops && is_layer_entry(d->path)) {
        rc = holds_table(d->lake, layer->store, prefix.data, err);
        ops = rc == 0 ? d->lake->config.files : NULL;
    }
    if (rc < 0)
        return rc;
    if (ops)
        return lake_table(d->lake, slice_of(d->path), ops, NULL, table, err);
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
                listing_inherit_told(listing, d->listing);
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

/* Where it may wait for what it asks: of a catalog on the layer's own. */
static struct workers *workers_of(const struct dir *d)
{
    struct slice rest;
    const struct layer *layer = layers_place(&d->lake->layers, slice_of(d->path), &rest);
    return layer && layer->catalog ? catalog_layer_workers(layer->catalog)
                                   : d->lake->config.workers;
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
                workers_submit(workers_of(d), &d->job);
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
