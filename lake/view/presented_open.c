/* SPDX-License-Identifier: Apache-2.0 */
/* Presented files as objects of the cache. */
#include "lake/view/presented_private.h"

DEFINE_AUTO(recipe, struct recipe *, recipe_unref)

/* etag: of the presented file, or empty. */
static struct object_name name_of(struct presented_store *s, const struct buf *key, uint64_t size,
                                  struct slice etag)
{
    return (struct object_name){
        .store = &s->store, .key = buf_slice(key), .size = size, .etag = etag};
}

bool presented_is_whole(struct store *store, const struct presented_file *f)
{
    AUTO(buf) struct buf key = {0};
    struct presented_store *s = presented_of(store);
    buf_init(&key, KEY_BYTES_MAX);
    presented_key(f, &key);
    struct object_name name = name_of(s, &key, f->size, SLICE_NONE);
    return !key.failed && cache_has_sealed(s->config.cache, &name);
}

/* Asks the driver for the rows that are taken out. */
static int fetch_rows(struct recipe *r, const struct presented_file *f, struct task *task,
                      struct err *err)
{
    const struct driver_ops *ops = f->driver->ops;
    AUTO(roaring) struct roaring *rows = NULL;
    AUTO(equality) struct equality *equal = NULL;
    int rc = task_to_worker(task, r->store->config.workers);
    if (rc == 0 && !ops->deleted)
        rc = err_set(err, EOPNOTSUPP, "%s tables have no deleted rows", ops->format);
    if (rc == 0)
        rc = ops->deleted(f->driver, f->entry, &rows, err);
    if (rc == 0 && ops->deleted_values)
        rc = ops->deleted_values(f->driver, f->entry, &equal, err);
    if (rc == 0 && !rows && !equal)
        rc =
            err_set(err, EIO, "%s: rows are said to be deleted, and none are named", r->object_key);
    if (rc == 0)
        recipe_give_rows(r, STEAL(rows), STEAL(equal));
    return rc;
}

static int prepare(struct recipe *r, const struct presented_file *f, enum recipe_need need,
                   struct task *task, struct err *err)
{
    int rc = recipe_wait(r, need, task, err);
    if (rc != -ENODATA)
        return rc;
    rc = fetch_rows(r, f, task, err);
    return rc < 0 ? rc : recipe_wait(r, need, task, err);
}

/*
 * What the cache has was made of another object, or otherwise: what is made now is an object beside
 * it. Before a rewritten file is there, nobody knows.
 */
static int same_making(struct recipe *r, const struct buf *key, struct object **o, struct err *err)
{
    char has[ETAG_BYTES_MAX], is[ETAG_BYTES_MAX] = "";
    struct object *fresh;
    WITH_LOCK (&r->store->lock)
        if (r->work)
            memcpy(is, r->work->etag, sizeof is);
    if (!*object_etag(*o, has) || !*is || strcmp(has, is) == 0)
        return 0;
    struct object_name name = name_of(r->store, key, r->size, slice_of(is));
    int rc = object_open(r->store->config.cache, &name, &fresh, err);
    if (rc == 0) {
        object_unref(*o);
        *o = fresh;
    }
    return rc;
}

/* sealing what was rewritten, so that the file it was made into can go */

struct sealing {
    struct object_fill fill;
    struct object *object; /* a reference */
    struct recipe *recipe; /* likewise */
};

static void sealing_end(struct sealing *g)
{
    struct presented_store *s = g->recipe->store;
    WITH_LOCK (&s->lock)
        g->recipe->sealing = false; /* where it did not work out, the next open tries again */
    recipe_put(g->recipe, g->object);
    object_unref(g->object);
    free(g);
    presented_end(s);
}

static void sealed(struct object_fill *fill)
{
    sealing_end(CONTAINER_OF(fill, struct sealing, fill));
}

/* Nobody waits for it. Where the cache does not keep it now, the file stays as long as it is open.
 */
static void seal_behind(struct recipe *r, struct object *o)
{
    bool rewritten;
    WITH_LOCK (&r->store->lock) {
        rewritten = r->work && r->work->fd >= 0 && !r->sealing;
        if (rewritten) {
            r->sealing = true;
            r->refs++;
            r->store->busy++;
        }
    }
    if (!rewritten)
        return;
    struct sealing *g = calloc(1, sizeof *g);
    if (!g) {
        struct presented_store *s = r->store;
        WITH_LOCK (&s->lock)
            r->sealing = false;
        recipe_unref(r);
        presented_end(s);
        return;
    }
    *g = (struct sealing){.fill = {.done = sealed}, .object = object_ref(o), .recipe = r};
    if (object_fill(o, &g->fill, NULL) != -EINPROGRESS)
        sealing_end(g);
}

struct opening {
    const struct presented_file *file;
    bool prepared; /* false: no plan is made */
    enum recipe_need need;
    struct task *task;
    struct object *object; /* what was opened: references */
    struct recipe *recipe;
};

static int open_file(struct presented_store *s, struct opening *g, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    AUTO(object) struct object *o = NULL;
    AUTO(recipe) struct recipe *r = NULL;
    buf_init(&key, KEY_BYTES_MAX);
    presented_key(g->file, &key);
    int rc = buf_check(&key, err);
    struct object_name name = name_of(s, &key, g->file->size, SLICE_NONE);
    if (rc == 0)
        rc = recipe_of(s, g->file, &r, err);
    if (rc == 0)
        rc = object_open(s->config.cache, &name, &o, err);
    if (rc == 0 && g->prepared && !object_is_sealed(o)) {
        rc = prepare(r, g->file, g->need, g->task, err);
        if (rc == 0)
            rc = same_making(r, &key, &o, err);
        if (rc == 0)
            seal_behind(r, o);
    }
    if (rc < 0)
        return rc;
    g->object = STEAL(o);
    g->recipe = STEAL(r);
    return 0;
}

/* Longer ones are read while they are made. */
static enum recipe_need need_of(const struct presented_file *f)
{
    return f->object_bytes <= REWRITE_AWAITED_BYTES_MAX ? RECIPE_WHOLE : RECIPE_PLANNED;
}

int presented_open(struct store *store, const struct presented_file *f, struct task *task,
                   struct object **out, struct recipe **recipe, struct err *err)
{
    struct opening g = {.file = f, .prepared = true, .need = need_of(f), .task = task};
    int rc = open_file(presented_of(store), &g, err);
    if (rc < 0)
        return rc;
    *out = g.object;
    *recipe = g.recipe;
    return 0;
}

int presented_open_ahead(struct store *store, const struct presented_file *f, bool prepared,
                         struct task *task, struct object **out, struct err *err)
{
    /* A flight that waited for a rewrite would keep its buffer meanwhile. */
    struct opening g = {.file = f, .prepared = prepared, .need = need_of(f), .task = task};
    int rc = open_file(presented_of(store), &g, err);
    if (rc < 0)
        return rc;
    recipe_unref(g.recipe);
    *out = g.object;
    return 0;
}

/* Whether rows of it are taken out. What delete files have is asked for, and compared. */
static int describe_rows(struct presented_store *s, const struct presented_file *f,
                         struct task *task, bool *rows, struct err *err)
{
    AUTO(recipe) struct recipe *r = NULL;
    *rows = f->deletes || f->filter;
    if (!f->deletes || f->filter || !f->driver->ops->deleted_values)
        return 0; /* where only a file's own rows are named, some are */
    int rc = recipe_of(s, f, &r, err);
    if (rc == 0)
        rc = prepare(r, f, RECIPE_TOLD, task, err);
    if (rc < 0)
        return rc;
    WITH_LOCK (&s->lock)
        *rows = !r->untouched;
    return 0;
}

/* Of a file that is no Parquet file: what would have to be done, where it is refused. */
static int describe_other(struct presented_store *s, const struct presented_file *f,
                          struct task *task, struct buf *out, struct err *err)
{
    AUTO(recipe) struct recipe *r = NULL;
    struct err e = ERR_INIT;
    int rc = f->deletes || f->filter ? 0 : recipe_of(s, f, &r, &e);
    if (rc == 0 && r)
        rc = recipe_wait(r, RECIPE_TOLD, task, &e);
    if (rc < 0 && rc != -EOPNOTSUPP)
        return rc == -EINPROGRESS ? rc : err_copy(err, &e);
    buf_add_str(out, !r ? "rows" : rc == 0 ? "none" : "columns");
    return buf_check(out, err);
}

int presented_describe(struct store *store, const struct presented_file *f, struct task *task,
                       struct buf *out, struct err *err)
{
    AUTO(recipe) struct recipe *r = NULL;
    struct presented_store *s = presented_of(store);
    struct presented_file columns = *f; /* with all its rows */
    bool same, rows;
    columns.deletes = false;
    columns.filter = NULL;
    if (!f->driver || !f->driver->ops->own_shape)
        columns.extra = SLICE_NONE; /* all of these are told by one footer */
    if (f->other_format)
        return describe_other(s, f, task, out, err);
    int rc = describe_rows(s, f, task, &rows, err);
    if (rc == 0)
        rc = recipe_of(s, &columns, &r, err);
    if (rc == 0)
        rc = recipe_wait(r, RECIPE_TOLD, task, err);
    if (rc < 0)
        return rc;
    WITH_LOCK (&s->lock)
        same = r->kind == PRESENT_SAME;
    if (rows)
        buf_add_str(out, same ? "rows" : "columns,rows");
    else
        buf_add_str(out, same ? "padded" : "columns");
    return buf_check(out, err);
}

int presented_check(struct store *store, const struct presented_file *f, struct task *task,
                    struct err *err)
{
    AUTO(recipe) struct recipe *r = NULL;
    AUTO(roaring) struct roaring *rows = NULL;
    AUTO(buf) struct buf what = {0};
    struct presented_store *s = presented_of(store);
    buf_init(&what, KIB);
    int rc = recipe_of(s, f, &r, err);
    if (rc == 0)
        rc = recipe_failure(r, err);
    if (rc == 0)
        rc = presented_describe(store, f, task, &what, err);
    if (rc == 0 && f->deletes)
        rc = task_to_worker(task, s->config.workers);
    if (rc == 0 && f->deletes && f->driver->ops->deleted)
        rc = f->driver->ops->deleted(f->driver, f->entry, &rows, err);
    return rc;
}

void presented_object_etag(struct store *store, const struct presented_file *f,
                           char out[ETAG_BYTES_MAX])
{
    AUTO(recipe) struct recipe *r = NULL;
    struct presented_store *s = presented_of(store);
    *out = '\0';
    if (recipe_of(s, f, &r, NULL) == 0)
        WITH_LOCK (&s->lock)
            if (r->work)
                memcpy(out, r->work->if_match, sizeof r->work->if_match);
}
