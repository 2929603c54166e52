/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "base/clock.h"
#include "base/hash.h"
#include "lake/view/presented_private.h"

/* Changes whenever the same file would be made otherwise: older ones in the cache are not met. */
#define PRESENTED_FORMAT 1
#define URL_MARK "presented:"
#define HASH_DIGITS 32
/* Recipes that may be open at once: as objects (cache/private.h). */
#define RECIPES_MAX ((size_t)1 << 22)

/* names */

static struct slice identity_of(struct slice extra)
{
    ptrdiff_t end = slice_find(extra, '\n');
    return slice_make(extra.p, end < 0 ? extra.n : (size_t)end);
}

/* What decides beside the columns; nothing where no rows are filtered. */
static void put_filter(const struct presented_file *f, struct buf *out)
{
    if (!f->filter)
        return;
    buf_add_le64(out, row_filter_hash(f->filter));
    for (size_t i = 0; i < row_filter_values(f->filter); i++) {
        buf_add_le64(out, f->values[i].p ? f->values[i].n : UINT64_MAX);
        buf_add_slice(out, f->values[i]);
    }
}

void presented_key(const struct presented_file *f, struct buf *out)
{
    AUTO(buf) struct buf all = {0};
    char hash[2 * SHA256_BYTES + 1];
    struct slice fields[] = {f->key, f->etag, identity_of(f->extra)};
    uint64_t numbers[] = {PRESENTED_FORMAT, f->object_bytes, f->size, f->shape ? f->shape->hash : 0,
                          f->shape != NULL, f->deletes};
    buf_init(&all, KEY_BYTES_MAX + ETAG_BYTES_MAX + 2 * ACTION_BYTES_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        buf_add_le64(&all, fields[i].n);
        buf_add_slice(&all, fields[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        buf_add_le64(&all, numbers[i]);
    put_filter(f, &all);
    if (all.failed)
        out->failed = all.failed;
    sha256_hex(buf_slice(&all), hash);
    size_t room = KEY_BYTES_MAX - HASH_DIGITS - 1; /* the object's key is there to be read by us */
    buf_add(out, f->key.p, f->key.n < room ? f->key.n : room);
    buf_addf(out, " %.*s", HASH_DIGITS, hash);
}

/* work */

struct work *work_new(struct presented_store *s, struct err *err)
{
    struct work *w = calloc(1, sizeof *w);
    if (!w) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    w->refs = 1;
    w->store = s;
    w->fd = -1;
    w->memory = sizeof *w;
    return w;
}

struct work *work_ref(struct work *w)
{
    atomic_fetch_add(&w->refs, 1);
    return w;
}

void work_unref(struct work *w)
{
    if (!w || atomic_fetch_sub(&w->refs, 1) != 1)
        return;
    if (w->fd >= 0)
        (void)close(w->fd); /* it has no name: gone with it */
    if (w->temporary_bytes)
        WITH_LOCK (&w->store->lock)
            w->store->temporary_bytes -= w->temporary_bytes;
    free(w->extents);
    free(w->own);
    free(w);
}

/* recipes */

static struct slice key_of(const struct recipe *r)
{
    return slice_of(r->key);
}

static size_t memory_of(const struct recipe *r)
{
    return r->work ? r->work->memory : 0;
}

static void recipe_free(struct recipe *r)
{
    assert(!r->waiting.first && !r->gets);
    free(r->key);
    free(r->object_key);
    free(r->version);
    free(r->etag);
    shape_unref(r->shape);
    row_filter_unref(r->filter);
    free(r->values);
    roaring_free(r->rows);
    equality_unref(r->equal);
    work_unref(r->work);
    free(r);
}
DEFINE_AUTO(recipe_half, struct recipe *, recipe_free)

/* The values and their bytes in one piece; NULL: out of memory. */
static struct slice *copy_values(const struct slice *values, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += values[i].n + 1;
    struct slice *copy = malloc(n * sizeof *copy + bytes + 1);
    char *at = copy ? (char *)(copy + n) : NULL;
    for (size_t i = 0; copy && i < n; i++) {
        if (values[i].n)
            memcpy(at, values[i].p, values[i].n);
        copy[i] = slice_make(values[i].p ? at : NULL, values[i].n);
        at += values[i].n + 1;
    }
    return copy;
}

/* The columns of this one file, and what they are filtered by. */
static int own_columns(struct recipe *r, const struct presented_file *f, struct err *err)
{
    const struct driver_ops *ops = f->driver ? f->driver->ops : NULL;
    struct shape *filtered = f->filter ? row_filter_shape(f->filter) : NULL;
    AUTO(shape) struct shape *own = NULL;
    int rc = 0;
    if (!ops || !ops->own_shape || !f->shape) {
        r->shape = f->shape ? shape_ref(f->shape) : NULL;
        r->filter = f->filter ? row_filter_ref(f->filter) : NULL;
        return 0;
    }
    rc = ops->own_shape(identity_of(f->extra), f->shape, &r->shape, err);
    if (rc == 0 && filtered)
        rc = ops->own_shape(identity_of(f->extra), filtered, &own, err);
    if (rc == 0 && own && own != filtered)
        return row_filter_own(f->filter, own, &r->filter, err);
    r->filter = f->filter ? row_filter_ref(f->filter) : NULL;
    return rc;
}

static int recipe_new(struct presented_store *s, const struct presented_file *f, struct slice key,
                      struct recipe **out, struct err *err)
{
    AUTO(recipe_half) struct recipe *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(err, ENOMEM, "out of memory");
    r->store = s;
    r->key = strndup(key.p, key.n);
    r->object_key = strndup(f->key.p, f->key.n);
    r->version = f->version.n ? strndup(f->version.p, f->version.n) : NULL;
    r->etag = strndup(f->etag.n ? f->etag.p : "", f->etag.n);
    r->object_bytes = f->object_bytes;
    r->size = f->size;
    r->other_format = f->other_format;
    r->deletes = f->deletes;
    r->values = f->filter ? copy_values(f->values, row_filter_values(f->filter)) : NULL;
    if (!r->key || !r->object_key || !r->etag || (f->version.n && !r->version) ||
        (f->filter && !r->values))
        return err_set(err, ENOMEM, "out of memory");
    int rc = own_columns(r, f, err);
    if (rc < 0)
        return err_wrap(err, "%s", r->object_key);
    *out = STEAL(r);
    return 0;
}

static void leave_idle_locked(struct presented_store *s, struct recipe *r) REQUIRES(s->lock)
{
    *(r->older ? &r->older->newer : &s->oldest) = r->newer;
    *(r->newer ? &r->newer->older : &s->newest) = r->older;
    r->older = r->newer = NULL;
    s->idle_n--;
    s->idle_bytes -= memory_of(r);
}

static void become_idle_locked(struct presented_store *s, struct recipe *r) REQUIRES(s->lock)
{
    r->older = s->newest;
    *(s->newest ? &s->newest->newer : &s->oldest) = r;
    s->newest = r;
    s->idle_n++;
    s->idle_bytes += memory_of(r);
}

/* The one that was not used for longest, out of everything; NULL: they are few enough. Never the
 * last: who waited for its plan, however large, is about to look for it. */
static struct recipe *drop_one_locked(struct presented_store *s) REQUIRES(s->lock)
{
    struct recipe *r = s->oldest;
    if (!r || r == s->newest ||
        (s->idle_n <= RECIPES_IDLE_MAX && s->idle_bytes <= RECIPES_IDLE_BYTES_MAX))
        return NULL;
    leave_idle_locked(s, r);
    (void)map_remove(&s->recipes, key_of(r)); /* it is r */
    return r;
}

struct recipe *recipe_find_locked(struct presented_store *s, struct slice key)
{
    struct recipe *r = map_find(&s->recipes, key);
    if (r && r->refs++ == 0)
        leave_idle_locked(s, r);
    return r;
}

void recipe_unref(struct recipe *r)
{
    struct presented_store *s = r->store;
    struct recipe *dropped;
    WITH_LOCK (&s->lock)
        if (--r->refs == 0)
            become_idle_locked(s, r);
    do {
        WITH_LOCK (&s->lock)
            dropped = drop_one_locked(s);
        if (dropped)
            recipe_free(dropped);
    } while (dropped);
}

int recipe_of(struct presented_store *s, const struct presented_file *f, struct recipe **out,
              struct err *err)
{
    AUTO(buf) struct buf key = {0};
    struct recipe *r;
    int rc = 0;
    buf_init(&key, KEY_BYTES_MAX);
    presented_key(f, &key);
    if (buf_check(&key, err) < 0)
        return -err->code;
    WITH_LOCK (&s->lock)
        r = recipe_find_locked(s, buf_slice(&key));
    if (!r) {
        AUTO(recipe_half) struct recipe *made = NULL;
        rc = recipe_new(s, f, buf_slice(&key), &made, err);
        if (rc < 0)
            return rc;
        WITH_LOCK (&s->lock) {
            r = recipe_find_locked(s, buf_slice(&key)); /* somebody may have been quicker */
            if (!r)
                rc = map_put(&s->recipes, key_of(made), made);
            if (!r && rc == 0) {
                r = STEAL(made);
                r->refs = 1;
            }
        }
        if (rc < 0)
            return err_set(err, -rc, "too many presented files are open");
    }
    *out = r;
    return 0;
}

void recipe_give_rows(struct recipe *r, struct roaring *rows, struct equality *equal)
{
    WITH_LOCK (&r->store->lock) {
        if (r->deletes && !r->rows_told && r->state != RECIPE_READY) {
            r->rows = STEAL(rows);
            r->equal = STEAL(equal);
            r->rows_told = true;
        }
    }
    roaring_free(rows);
    equality_unref(equal);
}

/* A refusal counts for good: it is of what the object is. */
static bool failure_counts(const struct recipe *r)
{
    return r->state == RECIPE_FAILED &&
           (r->err.code == EOPNOTSUPP || clock_mono_ms() - r->failed_ms < RECIPE_ERROR_MS);
}

int recipe_failure(struct recipe *r, struct err *err)
{
    int rc = 0;
    WITH_LOCK (&r->store->lock)
        if (failure_counts(r))
            rc = err_copy(err, &r->err);
    return rc;
}

int recipe_need_locked(struct presented_store *s, struct recipe *r, bool wanted, bool *begin,
                       struct err *err)
{
    if (failure_counts(r))
        return err_copy(err, &r->err);
    if (r->state == RECIPE_READY)
        return 0;
    if (r->state == RECIPE_UNDER_WAY) {
        r->wanted = r->wanted || wanted;
        return -EINPROGRESS;
    }
    if (r->deletes && !r->rows_told)
        return -ENODATA;
    r->state = RECIPE_UNDER_WAY;
    r->planned = false;
    r->wanted = wanted;
    r->refs++; /* the caller's is one, so it is in no list */
    s->busy++;
    *begin = true;
    return -EINPROGRESS;
}

int recipe_wait(struct recipe *r, enum recipe_need need, struct task *task, struct err *err)
{
    struct presented_store *s = r->store;
    bool begin = false;
    int rc = 0;
    WITH_LOCK (&s->lock) {
        if (need != RECIPE_TOLD || !r->told)
            rc = recipe_need_locked(s, r, need != RECIPE_TOLD, &begin, err);
        if (rc == -EINPROGRESS && need != RECIPE_WHOLE && r->planned) {
            rc = 0;
        } else if (rc == -EINPROGRESS) {
            task->on_worker = true; /* who wakes it submits it to one */
            waitlist_add(&r->waiting, &task->job);
        }
    }
    if (begin) /* the task may be gone */
        plan_begin(r);
    return rc;
}

bool recipe_planned(struct recipe *r, enum present_kind kind, bool untouched)
{
    struct presented_store *s = r->store;
    bool goes_on;
    WITH_LOCK (&s->lock) {
        r->told = true;
        r->kind = kind;
        r->untouched = untouched;
        r->planned = goes_on = kind != PRESENT_REWRITE || r->wanted;
        if (!goes_on)
            r->state = RECIPE_NEW;
        if (!goes_on && !r->rows && !r->equal) /* they were taken to find out */
            r->rows_told = false;
        waitlist_wake(&r->waiting, s->config.workers);
    }
    if (!goes_on) {
        recipe_unref(r);
        presented_end(s);
    }
    return goes_on;
}

void recipe_finish(struct recipe *r, struct work *work, const struct err *err)
{
    struct presented_store *s = r->store;
    struct serving *gets;
    struct roaring *rows = NULL;
    struct equality *equal = NULL;
    struct work *mine = work ? work_ref(work) : NULL;
    WITH_LOCK (&s->lock) {
        gets = r->gets;
        r->gets = NULL;
        r->planned = false;
        r->state = work ? RECIPE_READY : RECIPE_FAILED;
        r->work = work;
        if (!work) {
            r->err = *err;
            r->failed_ms = clock_mono_ms();
        }
        rows = STEAL(r->rows);
        equal = STEAL(r->equal);
        r->rows_told = false;
        waitlist_wake(&r->waiting, s->config.workers);
    }
    roaring_free(rows);
    equality_unref(equal);
    serving_go_on(gets, mine, err);
    work_unref(mine);
    recipe_unref(r);
    presented_end(s);
}

struct work *recipe_take_work_locked(struct presented_store *s, struct recipe *r)
{
    if (r->state == RECIPE_READY)
        r->state = RECIPE_NEW;
    if (r->refs == 0)
        s->idle_bytes -= memory_of(r);
    return STEAL(r->work);
}

void recipe_spoil(struct recipe *r, const struct work *work, const struct err *err)
{
    struct presented_store *s = r->store;
    struct work *taken = NULL;
    WITH_LOCK (&s->lock) {
        if (r->work && r->work == work) {
            taken = recipe_take_work_locked(s, r);
            r->state = RECIPE_FAILED;
            r->err = *err;
            r->failed_ms = clock_mono_ms();
        }
    }
    work_unref(taken);
}

void recipe_put(struct recipe *r, struct object *object)
{
    struct presented_store *s = r->store;
    struct work *taken = NULL;
    if (object && object_is_sealed(object))
        WITH_LOCK (&s->lock)
            taken = recipe_take_work_locked(s, r);
    work_unref(taken);
    recipe_unref(r);
}

/* the store */

void presented_begin(struct presented_store *s)
{
    WITH_LOCK (&s->lock)
        s->busy++;
}

void presented_end(struct presented_store *s)
{
    WITH_LOCK (&s->lock)
        if (--s->busy == 0)
            cond_broadcast(&s->idle);
}

static int no_head(struct store *s, const char *key, struct store_info *out, struct err *err)
{
    (void)s;
    (void)out;
    return err_set(err, ENOENT, "%s: presented files are only read", key);
}

static int no_list(struct store *s, const struct store_list *req, struct err *err)
{
    (void)s;
    (void)req;
    (void)err;
    return 0; /* they are found by their keys */
}

static int no_put(struct store *s, const char *key, struct slice data, struct err *err)
{
    (void)s;
    (void)data;
    return err_set(err, EROFS, "%s: presented files are only read", key);
}

/* Nobody uses it any more but what is under way. */
static void presented_free(struct store *store)
{
    struct presented_store *s = presented_of(store);
    struct recipe *r;
    const struct map_entry *e;
    s->ending = true;
    WITH_LOCK (&s->lock)
        while (s->busy)
            cond_wait(&s->idle, &s->lock);
    workers_free(s->rewriters);
    for (size_t at = 0; (e = map_next(&s->recipes, &at));) {
        r = e->value;
        assert(r->refs == 0);
        recipe_free(r);
    }
    map_done(&s->recipes);
    spare_done(&s->spare);
    cond_done(&s->idle);
    lock_done(&s->lock);
    free(s->store.url);
    free(s);
}

void presented_store_leaving(struct store *store)
{
    if (store_owners(store) <= 1)
        presented_of(store)->ending = true;
}

struct store *presented_store_open(const struct presented_config *config, struct err *err)
{
    AUTO(buf) struct buf url = {0};
    buf_init(&url, sizeof URL_MARK + URL_BYTES_MAX);
    buf_addf(&url, URL_MARK "%s", config->home->url);
    struct presented_store *s = calloc(1, sizeof *s);
    char *text = buf_steal_str(&url);
    if (!s || !text) {
        free(s);
        free(text);
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    s->config = *config;
    s->ops = (struct store_ops){.scheme = "presented",
                                .rooms_bytes = config->home->ops->rooms_bytes,
                                .get = presented_get,
                                .head = no_head,
                                .list = no_list,
                                .put_if_absent = no_put,
                                .free = presented_free};
    s->store = (struct store){.ops = &s->ops, .url = text};
    lock_init(&s->lock);
    cond_init(&s->idle);
    spare_init(&s->spare);
    map_init(&s->recipes, RECIPES_MAX);
    struct store *used =
        config->shares ? store_share(config->shares, &s->store, NULL, NULL, err) : &s->store;
    if (used)
        presented_of(used)->ending = false; /* one may have been left just now */
    return used;
}
