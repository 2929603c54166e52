/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/lake.h"

#include "lake/cataloged.h"
#include "lake/dir.h"
#include "lake/format/shape.h"
#include "lake/table.h"

#define DIRS_MAX ((size_t)1 << 20)
#define TABLES_MAX ((size_t)1 << 18)
#define RUNS_MAX 1024 /* open at hand: descriptors and maps of ours; more are opened again */

struct lake *lake_open(const struct lake_config *config, struct err *err)
{
    AUTO(lake) struct lake *lake = calloc(1, sizeof *lake);
    if (!lake) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    lake->config = *config;
    lake->config.url = NULL;
    lake->config.outside = NULL;
    lake->config.file = NULL;
    lake->config.store_options = NULL;
    lock_init(&lake->lock);
    spare_init(&lake->spare);
    map_init(&lake->dirs, DIRS_MAX);
    map_init(&lake->tables, TABLES_MAX);
    map_init(&lake->runs, RUNS_MAX + 1);
    lake->retired.max = TABLES_MAX;
    return layers_open(&lake->layers, config, err) < 0 ? NULL : STEAL(lake);
}

static void run_free(struct lake_run *r)
{
    run_unref(r->run);
    shape_unref(r->shape);
    free(r->shapeless);
    free(r);
}

static void run_drop(struct lake *lake, struct lake_run *r)
{
    (void)map_remove(&lake->runs, slice_make(&r->number, sizeof r->number));
    run_free(r);
}

void lake_close(struct lake *lake)
{
    const struct map_entry *e;
    for (size_t at = 0; (e = map_next(&lake->dirs, &at));)
        dir_free(e->value);
    for (size_t at = 0; (e = map_next(&lake->tables, &at));)
        table_free(e->value);
    for (size_t i = 0; i < lake->retired.n; i++)
        table_free(lake->retired.at[i]);
    vec_done(&lake->retired);
    for (size_t at = 0; (e = map_next(&lake->runs, &at));)
        run_free(e->value);
    map_done(&lake->dirs);
    map_done(&lake->tables);
    map_done(&lake->runs);
    layers_close(&lake->layers, lake->config.cache);
    spare_done(&lake->spare);
    lock_done(&lake->lock);
    free(lake);
}

int lake_table(struct lake *lake, struct slice path, const struct driver_ops *ops,
               struct cataloged *cataloged, struct table **out, struct err *err)
{
    struct table *t;
    WITH_LOCK (&lake->lock)
        t = map_find(&lake->tables, path);
    if (t && cataloged)
        cataloged_free(cataloged, lake->config.cache);
    if (!t) {
        AUTO(table) struct table *made = table_new(lake, path, ops, cataloged, err);
        int rc = 0;
        if (!made)
            return err ? -err->code : -ENOMEM;
        WITH_LOCK (&lake->lock) {
            t = map_find(&lake->tables, path); /* another thread may have been quicker */
            if (!t)
                rc = map_put(&lake->tables, table_path(made), made);
            if (!t && rc == 0)
                t = STEAL(made);
        }
        if (rc < 0)
            return err_set(err, -rc, "more than %zu tables", TABLES_MAX);
    }
    *out = t;
    return 0;
}

struct table *lake_known_table(struct lake *lake, struct slice path)
{
    struct table *t;
    WITH_LOCK (&lake->lock)
        t = map_find(&lake->tables, path);
    return t;
}

void lake_retire(struct lake *lake, struct table *table)
{
    WITH_LOCK (&lake->lock)
        if (map_find(&lake->tables, table_path(table)) == table &&
            vec_push(&lake->retired, table) == 0)
            (void)map_remove(&lake->tables, table_path(table)); /* what the list has now */
    dir_forget(lake, table_path(table));
}

/* runs by number */

#define RUN_NAME_PREFIX "run\n"

/*
 * The registry's name of a run: which lake, which table, which file, and what is in it. A table
 * that was dropped and made again has runs of the same names with other files.
 */
static void run_registry_name(struct lake *lake, struct table *table, struct run *run,
                              struct buf *out)
{
    struct slice path = table_path(table);
    buf_addf(out, RUN_NAME_PREFIX "%s\n%s\n%s\n%016llx\n%.*s", lake->layers.identity,
             table_ops(table)->format, run_name(run), (unsigned long long)run_identity(run),
             SLICE_FMT(path));
}

static void drop_oldest_locked(struct lake *lake) REQUIRES(&lake->lock)
{
    const struct map_entry *e;
    struct lake_run *oldest = NULL;
    for (size_t at = 0; (e = map_next(&lake->runs, &at));) {
        struct lake_run *r = e->value;
        if (!oldest || r->used < oldest->used)
            oldest = r;
    }
    if (oldest)
        run_drop(lake, oldest);
}

/* Keeps a run at hand under its number. */
static int keep_run(struct lake *lake, uint32_t number, struct table *table, struct run *run,
                    struct err *err)
{
    struct lake_run *r = calloc(1, sizeof *r);
    int rc = r ? 0 : -ENOMEM;
    if (r) {
        *r = (struct lake_run){.number = number, .table = table, .run = run_ref(run)};
        WITH_LOCK (&lake->lock) {
            struct slice key = slice_make(&r->number, sizeof r->number);
            struct lake_run *old = map_find(&lake->runs, key);
            if (old)
                run_drop(lake, old);
            else if (lake->runs.count >= RUNS_MAX)
                drop_oldest_locked(lake);
            r->used = ++lake->run_clock;
            rc = map_put(&lake->runs, key, r);
        }
    }
    if (rc < 0 && r)
        run_free(r);
    return rc < 0 ? err_set(err, -rc, "out of memory") : 0;
}

int lake_run_number(struct lake *lake, struct table *table, struct run *run, uint32_t *out,
                    struct err *err)
{
    AUTO(buf) struct buf name = {0};
    buf_init(&name, REGISTRY_NAME_MAX);
    run_registry_name(lake, table, run, &name);
    uint32_t number;
    int rc = buf_check(&name, err);
    if (rc == 0)
        rc = registry_number(lake->config.registry, buf_slice(&name), &number, err);
    if (rc == 0)
        rc = keep_run(lake, number, table, run, err);
    if (rc == 0)
        *out = number;
    return rc;
}

/* Cuts the next line off. */
static struct slice next_line(struct slice *text)
{
    ptrdiff_t end = slice_find(*text, '\n');
    struct slice line = slice_make(text->p, end < 0 ? text->n : (size_t)end);
    *text = slice_from(*text, end < 0 ? text->n : (size_t)end + 1);
    return line;
}

/* What a run's name says besides its table. */
struct run_id {
    struct slice file, identity;
};

/* The table that a run's name says, and the run's file. */
static int run_owner(struct lake *lake, struct slice name, struct task *task, struct table **table,
                     struct run_id *id, struct err *err)
{
    struct slice url, format, path;
    struct listing *listing = NULL;
    if (!slice_starts(name, SLICE_LIT(RUN_NAME_PREFIX)))
        return err_set(err, ENOENT, "no file has this number");
    name = slice_from(name, sizeof RUN_NAME_PREFIX - 1);
    url = next_line(&name);
    format = next_line(&name);
    id->file = next_line(&name);
    id->identity = next_line(&name);
    path = name;
    if (!slice_is(url, lake->layers.identity))
        return err_set(err, ENOENT, "this number is of another lake");
    WITH_LOCK (&lake->lock)
        *table = map_find(&lake->tables, path);
    if (!*table) {
        int rc = dir_open(lake, path, task, table, &listing, err);
        if (rc < 0)
            return rc;
        listing_unref(listing);
    }
    if (!*table || !slice_is(format, table_ops(*table)->format))
        return err_set(err, ESTALE, "%.*s is no %.*s table any more", SLICE_FMT(path),
                       SLICE_FMT(format));
    return 0;
}

/* Opens the run that the registry has under a number; -ESTALE where it is there no more. */
static int open_numbered(struct lake *lake, uint32_t number, struct task *task,
                         struct table **table, struct run **out, struct err *err)
{
    AUTO(buf) struct buf name = {0};
    AUTO(run) struct run *run = NULL;
    struct run_id id = {SLICE_NONE, SLICE_NONE};
    char identity[17];
    buf_init(&name, REGISTRY_NAME_MAX);
    int rc = task_to_worker(task, lake->config.workers);
    if (rc == 0)
        rc = registry_name(lake->config.registry, number, &name, err);
    if (rc == 0)
        rc = run_owner(lake, buf_slice(&name), task, table, &id, err);
    if (rc < 0)
        return rc;
    AUTO_FREE char *file = strndup(id.file.p, id.file.n);
    if (!file)
        return err_set(err, ENOMEM, "out of memory");
    rc = run_open(table_index_dirfd(*table), file, &run, err);
    if (rc == 0)
        (void)snprintf(identity, sizeof identity, "%016llx", (unsigned long long)run_identity(run));
    if (rc == -ENOENT || (rc == 0 && !slice_is(id.identity, identity)))
        return err_set(err, ESTALE, "table %.*s: the index %s is gone",
                       SLICE_FMT(table_path(*table)), file);
    if (rc == 0)
        rc = keep_run(lake, number, *table, run, err);
    if (rc == 0)
        *out = STEAL(run);
    return rc;
}

bool lake_run_known(struct lake *lake, uint32_t number, struct table **table, struct run **run)
{
    *run = NULL;
    WITH_LOCK (&lake->lock) {
        struct lake_run *r = map_find(&lake->runs, slice_make(&number, sizeof number));
        if (r) {
            r->used = ++lake->run_clock;
            *table = r->table;
            *run = run_ref(r->run);
        }
    }
    return *run != NULL;
}

int lake_run_find(struct lake *lake, uint32_t number, struct task *task, struct table **table,
                  struct run **run, struct err *err)
{
    return lake_run_known(lake, number, table, run)
               ? 0
               : open_numbered(lake, number, task, table, run, err);
}

/* What other runs of the table present too is kept once. */
static struct shape *same_shape_locked(struct lake *lake, const struct table *table,
                                       struct shape *fresh) REQUIRES(&lake->lock)
{
    const struct map_entry *e;
    for (size_t at = 0; fresh && (e = map_next(&lake->runs, &at));) {
        const struct lake_run *r = e->value;
        if (r->table == table && r->shape && r->shape->hash == fresh->hash)
            return r->shape;
    }
    return fresh;
}

/* Every name that is looked up asks for it: a schema that cannot be read is read once. */
static void keep_shapeless(struct lake *lake, struct slice key, const struct err *why)
{
    struct err *copy = why->code == EOPNOTSUPP || why->code == EIO ? malloc(sizeof *copy) : NULL;
    if (!copy)
        return;
    *copy = *why;
    WITH_LOCK (&lake->lock) {
        struct lake_run *r = map_find(&lake->runs, key);
        if (r && !r->shapeless) {
            r->shapeless = copy;
            copy = NULL;
        }
    }
    free(copy);
}

int lake_run_shape(struct lake *lake, struct table *table, struct run *run, uint32_t number,
                   struct shape **out, struct err *err)
{
    AUTO(shape) struct shape *fresh = NULL;
    struct slice key = slice_make(&number, sizeof number);
    struct err e = ERR_INIT;
    bool known = false;
    *out = NULL;
    WITH_LOCK (&lake->lock) {
        const struct lake_run *r = map_find(&lake->runs, key);
        known = r && (r->shaped || r->shapeless);
        if (known && r->shape)
            *out = shape_ref(r->shape);
        if (known && r->shapeless)
            e = *r->shapeless;
    }
    if (known)
        return e.code ? err_copy(err, &e) : 0;
    int rc = table_ops(table)->shape(run_meta(run), &fresh, &e);
    if (rc < 0) {
        (void)err_wrap(&e, "table %.*s", SLICE_FMT(table_path(table)));
        keep_shapeless(lake, key, &e);
        return err_copy(err, &e);
    }
    WITH_LOCK (&lake->lock) {
        struct lake_run *r = map_find(&lake->runs, key);
        struct shape *use = same_shape_locked(lake, table, fresh);
        if (use)
            *out = shape_ref(use);
        if (r && !r->shaped) {
            r->shaped = true;
            r->shape = use ? shape_ref(use) : NULL;
        }
    }
    return 0;
}

/* Forgets a damaged run everywhere, and removes its file. */
static void remove_run(struct lake *lake, struct table *table, const struct run *run)
{
    WITH_LOCK (&lake->lock) {
        struct lake_run *damaged = NULL;
        const struct map_entry *e;
        for (size_t at = 0; !damaged && (e = map_next(&lake->runs, &at));) {
            struct lake_run *r = e->value;
            if (r->table == table && strcmp(run_name(r->run), run_name(run)) == 0)
                damaged = r;
        }
        if (damaged)
            run_drop(lake, damaged);
    }
    (void)unlinkat(table_index_dirfd(table), run_name(run), 0); /* or somebody was quicker */
}

static int damaged(struct table *table, struct err *err)
{
    return err_set(err, ESTALE, "table %.*s: its index was damaged on disk and is made again",
                   SLICE_FMT(table_path(table)));
}

int lake_heal_run(struct lake *lake, struct table *table, struct run *run, int rc, struct err *err)
{
    if (rc != -EUCLEAN && !run_lost(run))
        return rc;
    remove_run(lake, table, run);
    table_forget(table, run_name(run));
    return damaged(table, err);
}

int lake_heal_version(struct lake *lake, struct table *table, const struct table_version *version,
                      int rc, struct err *err)
{
    struct run *base = snapshot_base(version->snapshot), *patch = snapshot_patch(version->snapshot);
    if (rc != -EUCLEAN && !run_lost(base) && !(patch && run_lost(patch)))
        return rc;
    remove_run(lake, table, base); /* which of the two it was is not known; both can be made */
    if (patch)
        remove_run(lake, table, patch);
    table_forget(table, run_name(base));
    return damaged(table, err);
}
