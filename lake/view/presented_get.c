/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges of presented files.
 *
 *   extents   OBJECT  ZEROS  OBJECT     OWN
 *            [======][......][===]  [..][####]
 *   runs      `------ one -------'             asked for at home; zeros and own bytes are put over
 *
 * Extents of the object that lie near one another, with the same distance as in the object, are one
 * request.
 */
#include <assert.h>
#include <limits.h>

#include "base/file.h"
#include "lake/view/presented_private.h"

/* So much between two extents is not worth a request of its own. */
#define GAP_BYTES_MAX GRANULE_BYTES

/* A run of the object that is on its way. */
struct run_part {
    struct store_get get;
    struct serving *serving;
    struct iovec rooms[]; /* as many as the get has */
};

struct serving {
    struct job job; /* reads the rewritten file */
    struct presented_store *store;
    struct recipe *recipe; /* a reference; NULL: not known */
    struct work *work;     /* a reference, once it is ready */
    struct store_get *get;
    struct serving *next; /* in recipe.gets */
    struct lock lock;
    unsigned left;  /* lock; runs under way, and one while they are sent */
    struct err err; /* lock; the first failure */
};

static void serving_end(struct serving *v, const struct err *err)
{
    struct presented_store *s = v->store;
    struct store_get *get = v->get;
    if (err) {
        get->rc = -err->code;
        get->err = *err;
    } else {
        get->rc = 0;
        get->got = get->length;
    }
    work_unref(v->work);
    if (v->recipe)
        recipe_unref(v->recipe);
    lock_done(&v->lock);
    free(v);
    get->done(get);
    presented_end(s); /* not before: who asked may be the store's last user */
}

/* rooms: where the bytes of a get go, which may lie in several places */

/* The rooms of a range of the get; returns how many, at most rooms_count of the get. */
static unsigned rooms_of(const struct store_get *get, uint64_t offset, size_t length,
                         struct iovec *out)
{
    const struct iovec whole = {get->to, get->length};
    const struct iovec *rooms = get->rooms ? get->rooms : &whole;
    unsigned count = get->rooms ? get->rooms_count : 1, n = 0;
    size_t skip = (size_t)(offset - get->offset);
    for (unsigned i = 0; i < count && length; i++) {
        if (skip >= rooms[i].iov_len) {
            skip -= rooms[i].iov_len;
            continue;
        }
        size_t some = rooms[i].iov_len - skip;
        some = some < length ? some : length;
        out[n++] = (struct iovec){(char *)rooms[i].iov_base + skip, some};
        length -= some;
        skip = 0;
    }
    assert(length == 0);
    return n;
}

static unsigned rooms_max(const struct store_get *get)
{
    return get->rooms ? get->rooms_count : 1;
}

/* Puts bytes (NULL: zeros) into a range of the get. */
static void put(const struct store_get *get, uint64_t offset, size_t length, const char *bytes)
{
    const struct iovec whole = {get->to, get->length};
    const struct iovec *rooms = get->rooms ? get->rooms : &whole;
    size_t skip = (size_t)(offset - get->offset);
    for (unsigned i = 0; i < rooms_max(get) && length; i++) {
        if (skip >= rooms[i].iov_len) {
            skip -= rooms[i].iov_len;
            continue;
        }
        size_t some = rooms[i].iov_len - skip;
        some = some < length ? some : length;
        char *to = (char *)rooms[i].iov_base + skip;
        if (bytes)
            memcpy(to, bytes, some);
        else
            memset(to, 0, some);
        bytes = bytes ? bytes + some : NULL;
        length -= some;
        skip = 0;
    }
}

/* extents */

/* The part of an extent that a get wants; false: none of it. */
static bool clip(const struct present_extent *e, const struct store_get *get,
                 struct present_extent *out)
{
    uint64_t from = e->offset > get->offset ? e->offset : get->offset;
    uint64_t end = get->offset + get->length;
    if (e->offset + e->length < end)
        end = e->offset + e->length;
    if (from >= end)
        return false;
    *out = (struct present_extent){from, end - from, e->at + (from - e->offset), e->from};
    return true;
}

/* The first extent that has something of the offset or behind it. */
static size_t first_extent(const struct work *w, uint64_t offset)
{
    size_t low = 0, high = w->extents_n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->extents[middle].offset + w->extents[middle].length <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/*
 * The next run of the object from extent *i on; *i moves behind its last one. False: there is none.
 */
static bool next_run(const struct work *w, const struct store_get *get, size_t *i,
                     struct present_extent *run)
{
    struct present_extent e;
    bool found = false;
    size_t behind = *i;
    for (size_t at = *i; at < w->extents_n && clip(&w->extents[at], get, &e); at++) {
        if (found && e.offset - (run->offset + run->length) > GAP_BYTES_MAX)
            break;
        if (e.from != PRESENT_OBJECT)
            continue;
        if (found && e.at - e.offset != run->at - run->offset)
            break;
        if (!found)
            *run = e;
        run->length = e.offset + e.length - run->offset;
        found = true;
        behind = at + 1;
    }
    *i = behind;
    return found;
}

static void put_over(const struct work *w, const struct store_get *get)
{
    struct present_extent e;
    for (size_t i = first_extent(w, get->offset); i < w->extents_n && clip(&w->extents[i], get, &e);
         i++)
        if (e.from != PRESENT_OBJECT)
            put(get, e.offset, (size_t)e.length, e.from == PRESENT_OWN ? w->own + e.at : NULL);
}

/* One run more has ended, or all are sent. */
static void run_ended(struct serving *v, const struct err *err)
{
    bool last = false;
    struct err failure = ERR_INIT;
    WITH_LOCK (&v->lock) {
        if (err && !v->err.code)
            v->err = *err;
        last = --v->left == 0;
        failure = v->err;
    }
    if (!last)
        return;
    if (failure.code == ESTALE || failure.code == ENOENT)
        recipe_spoil(v->recipe, v->work, &failure);
    if (!failure.code)
        put_over(v->work, v->get);
    serving_end(v, failure.code ? &failure : NULL);
}

static int check_run(struct run_part *p, struct err *err)
{
    const struct recipe *r = p->serving->recipe;
    if (p->get.rc < 0)
        return err_copy(err, &p->get.err);
    if (p->get.info.size != r->object_bytes)
        return err_set(err, ESTALE, "%s: size %llu expected, the store has %llu", r->object_key,
                       (unsigned long long)r->object_bytes, (unsigned long long)p->get.info.size);
    if (p->get.got != p->get.length)
        return err_set(err, EIO, "%s: %zu bytes at %llu expected, %zu came", r->object_key,
                       p->get.length, (unsigned long long)p->get.offset, p->get.got);
    return 0;
}

static void run_done(struct store_get *get)
{
    struct run_part *p = CONTAINER_OF(get, struct run_part, get);
    struct serving *v = p->serving;
    struct err err = ERR_INIT;
    int rc = check_run(p, &err);
    free(p);
    run_ended(v, rc < 0 ? &err : NULL);
}

/* Of a run that is all that the get wants: it is served as its bytes come. */
static void run_progress(struct store_get *get, size_t got)
{
    struct run_part *p = CONTAINER_OF(get, struct run_part, get);
    if (p->get.if_match || p->get.info.size == p->serving->recipe->object_bytes)
        p->serving->get->progress(p->serving->get, got);
}

static void send_run(struct serving *v, const struct present_extent *run, bool alone)
{
    struct store_get *get = v->get;
    struct recipe *r = v->recipe;
    struct store *home = v->store->config.home;
    struct err err = ERR_INIT;
    struct run_part *p = calloc(1, sizeof *p + rooms_max(get) * sizeof p->rooms[0]);
    if (!p) {
        (void)err_set(&err, ENOMEM, "out of memory");
        run_ended(v, &err);
        return;
    }
    unsigned rooms = rooms_of(get, run->offset, (size_t)run->length, p->rooms);
    p->serving = v;
    p->get = (struct store_get){.key = r->object_key,
                                .offset = run->at,
                                .length = (size_t)run->length,
                                .if_match = v->work->if_match[0] ? v->work->if_match : NULL,
                                .version = r->version,
                                .ahead = get->ahead,
                                .to = p->rooms[0].iov_base,
                                .rooms = rooms > 1 ? p->rooms : NULL,
                                .rooms_count = rooms,
                                .progress = alone && get->progress ? run_progress : NULL,
                                .done = run_done};
    home->ops->get(home, &p->get);
}

static void serve_extents(struct serving *v)
{
    const struct work *w = v->work;
    struct store_get *get = v->get;
    struct present_extent run;
    size_t first = first_extent(w, get->offset);
    bool alone = w->extents[first].from == PRESENT_OBJECT &&
                 w->extents[first].offset + w->extents[first].length >= get->offset + get->length;
    for (size_t i = first; next_run(w, get, &i, &run);) {
        WITH_LOCK (&v->lock)
            v->left++;
        send_run(v, &run, alone);
    }
    run_ended(v, NULL);
}

/* On a worker: a range of the rewritten file. */
static void serve_file(struct job *job)
{
    struct serving *v = CONTAINER_OF(job, struct serving, job);
    struct store_get *get = v->get;
    struct err err = ERR_INIT;
    struct iovec *rooms = calloc(rooms_max(get), sizeof *rooms);
    int rc = rooms ? 0 : err_set(&err, ENOMEM, "out of memory");
    unsigned n = rooms ? rooms_of(get, get->offset, get->length, rooms) : 0;
    uint64_t at = get->offset;
    for (unsigned i = 0; rc == 0 && i < n; i++) {
        rc = file_pread_full(v->work->fd, rooms[i].iov_base, rooms[i].iov_len, (off_t)at, &err);
        at += rooms[i].iov_len;
    }
    free(rooms);
    if (rc < 0)
        (void)err_wrap(&err, "%s: rewritten file", v->recipe->object_key);
    serving_end(v, rc < 0 ? &err : NULL);
}

/* Takes the reference of the work. */
static void serve(struct serving *v, struct work *work)
{
    struct store_get *get = v->get;
    struct err err = ERR_INIT;
    v->work = work;
    v->left = 1;
    get->info = (struct store_info){.size = v->recipe->size};
    memcpy(get->info.etag, work->etag, sizeof get->info.etag);
    if (get->if_match && strcmp(get->if_match, work->etag) != 0)
        (void)err_set(&err, ESTALE, "%s: the object has changed, and so has what is made of it",
                      v->recipe->object_key);
    uint64_t left = get->offset < v->recipe->size ? v->recipe->size - get->offset : 0;
    if (left < get->length)
        (void)err_set(&err, EIO, "%s: a range behind the end", v->recipe->key);
    if (err.code) {
        serving_end(v, &err);
    } else if (work->fd >= 0) {
        v->job.run = serve_file;
        workers_submit(v->store->config.disk, &v->job);
    } else {
        serve_extents(v);
    }
}

void serving_go_on(struct serving *list, struct work *work, const struct err *err)
{
    while (list) {
        struct serving *v = list;
        list = v->next;
        if (work)
            serve(v, work_ref(work));
        else
            serving_end(v, err);
    }
}

/*
 * The recipe of a key, a reference, and its work where that is ready. -EINPROGRESS: the get waits
 * for it, and *begin is set where the caller has to call plan_begin.
 */
static int join(struct presented_store *s, struct serving *v, struct recipe **out,
                struct work **ready, bool *begin, struct err *err)
{
    struct recipe *r = NULL;
    const char *key = v->get->key;
    int rc = -ENOENT;
    WITH_LOCK (&s->lock) {
        r = recipe_find_locked(s, slice_of(key));
        v->recipe = *out = r;
        if (r)
            rc = recipe_need_locked(s, r, true, begin, err);
        if (r && rc == 0)
            *ready = work_ref(r->work);
        if (rc == -EINPROGRESS) {
            v->next = r->gets;
            r->gets = v;
        }
    }
    if (!r)
        return err_set(err, ENOENT, "%s: nobody has opened this presented file", key);
    return rc == -ENODATA ? err_set(err, ESTALE, "%s: what was made of it is gone from the cache",
                                    r->object_key)
                          : rc;
}

void presented_get(struct store *store, struct store_get *get)
{
    struct presented_store *s = presented_of(store);
    struct recipe *r;
    struct work *ready = NULL;
    struct err err = ERR_INIT;
    bool begin = false;
    get->got = 0;
    get->err = (struct err)ERR_INIT;
    struct serving *v = calloc(1, sizeof *v);
    if (!v) {
        get->rc = err_set(&get->err, ENOMEM, "out of memory");
        get->done(get);
        return;
    }
    *v = (struct serving){.store = s, .get = get};
    lock_init(&v->lock);
    presented_begin(s);
    int rc = join(s, v, &r, &ready, &begin, &err);
    if (begin)
        plan_begin(r); /* it has a reference of its own; the get may be gone */
    else if (rc == 0)
        serve(v, ready);
    else if (rc != -EINPROGRESS)
        serving_end(v, &err);
}
