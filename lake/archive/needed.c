/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/archive/needed.h"

#include "base/vec.h"

void needed_done(struct needed_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct needed *o = &l->at[i];
        free(o->name);
        free(o->key);
        free(o->etag);
        free(o->version);
        free(o->etag_read);
    }
    free(l->at);
    *l = (struct needed_list){NULL, 0, 0, 0, 0, false};
}

struct finding {
    const struct archive_copy *copy;
    struct slice table;
    struct needed_list *out;
    struct object_location at;
    struct buf text;
    struct err *err;
};

static char *copy_text(const struct buf *b)
{
    return strndup(b->data ? b->data : "", b->len);
}

/* The object at f->at. */
static int add(struct finding *f, enum archive_kind kind, uint64_t size)
{
    int rc = object_location_check(&f->at, f->err);
    if (rc < 0)
        return rc;
    struct store *store = f->at.store ? f->at.store : f->copy->config->store;
    buf_reset(&f->text);
    store_object_url(store, buf_slice(&f->at.key), &f->text);
    AUTO_FREE char *url = copy_text(&f->text);
    buf_reset(&f->text);
    archive_name(f->table, slice_of(url), &f->text);
    rc = buf_check(&f->text, f->err);
    if (rc < 0)
        return rc;
    struct needed one = {.name = copy_text(&f->text),
                         .key = copy_text(&f->at.key),
                         .etag = f->at.etag.len ? copy_text(&f->at.etag) : NULL,
                         .version = f->at.version.len ? copy_text(&f->at.version) : NULL,
                         .store = store,
                         .size = size,
                         .kind = kind};
    rc = url && one.name && one.key ? vec_push(f->out, one) : -ENOMEM;
    if (rc == 0) {
        f->out->outside = f->out->outside || strstr(one.name, "://");
        return 0;
    }
    free(one.name);
    free(one.key);
    free(one.etag);
    free(one.version);
    return err_set(f->err, -rc, "no room for more than %zu objects", f->out->n);
}

static void forget_place(struct finding *f)
{
    f->at.store = NULL;
    buf_reset(&f->at.key);
    buf_reset(&f->at.etag);
    buf_reset(&f->at.version);
}

static int add_log(void *arg, const char *key)
{
    struct finding *f = arg;
    forget_place(f);
    buf_add_str(&f->at.key, key);
    return add(f, ARCHIVE_LOG, UINT64_MAX);
}

static int add_deletes(void *arg, const struct object_location *at)
{
    struct finding *f = arg;
    forget_place(f);
    f->at.store = at->store;
    buf_add_slice(&f->at.key, buf_slice(&at->key));
    return add(f, ARCHIVE_DELETES, UINT64_MAX);
}

static int add_file(void *arg, const struct entry *e)
{
    struct finding *f = arg;
    struct driver *d = f->copy->driver;
    forget_place(f);
    int rc = d->ops->locate(d, e, &f->at, f->err);
    if (rc == 0)
        rc = add(f, ARCHIVE_DATA, e->size);
    if (rc < 0 || !(e->flags & ENTRY_DELETES) || !d->ops->locate_deletes)
        return rc;
    return d->ops->locate_deletes(d, e, add_deletes, f, f->err);
}

static int compare(const void *x, const void *y)
{
    const struct needed *a = x, *b = y;
    return strcmp(a->name, b->name);
}

/* Several files have their deletes in one object, and clones name one twice. */
static void drop_twins(struct needed_list *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct needed *o = &l->at[i];
        if (kept && strcmp(l->at[kept - 1].name, o->name) == 0) {
            free(o->name);
            free(o->key);
            free(o->etag);
            free(o->version);
            continue;
        }
        l->bytes += o->size == UINT64_MAX ? 0 : o->size;
        l->at[kept++] = *o;
    }
    l->n = kept;
}

int needed_find(const struct archive_copy *c, struct slice table_url, struct needed_list *out,
                struct err *err)
{
    struct finding f = {.copy = c, .table = table_url, .out = out, .err = err};
    const struct driver_ops *ops = c->driver->ops;
    int rc = 0;
    *out = (struct needed_list){.max = NEEDED_MAX};
    object_location_init(&f.at);
    buf_init(&f.text, LIST_LINE_BYTES_MAX);
    if (c->history && ops->log_objects)
        rc = ops->log_objects(c->driver, c->history, c->position, add_log, &f, err);
    if (rc == 0 && c->snapshot)
        rc = snapshot_each_file(c->snapshot, add_file, &f, err);
    if (rc == 0 && out->n)
        qsort(out->at, out->n, sizeof out->at[0], compare);
    if (rc == 0)
        drop_twins(out);
    object_location_done(&f.at);
    buf_done(&f.text);
    return rc;
}
