/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flights: one fetch of some granules, many waiters.
 *
 *   made by the first piece that misses -> a buffer from the pool -> store get -> (progress)* ->
 * done failed: off the list, all waiters fail, the next read makes a new flight right:  LANDED: all
 * waiters are served from the buffer; written (cache/write.c); off the list
 *
 * Flights that are made together and lie side by side are a train: one request fetches them, each
 * into its own buffer. They land together, and are written together; who waits for the first bytes
 * is served before.
 *
 * Which generation of the object bytes belong to is known once the request named an ETag or the
 * answer told one. Before that, waiters get nothing, so two first flights that see two generations
 * cannot both be served: the one whose ETag is learned later is -ESTALE.
 */
#include <assert.h>
#include <string.h>

#include "cache/private.h"

static uint64_t flight_end(const struct flight *f)
{
    return f->offset + f->length;
}

struct flight *flight_at_locked(struct object *o, uint64_t offset)
{
    struct flight *f = o->flights;
    while (f && (offset < f->offset || offset >= flight_end(f)))
        f = f->next;
    return f;
}

void flight_unlink_locked(struct object *o, struct flight *f)
{
    struct flight **at = &o->flights;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
}

void flight_unref(struct flight *f)
{
    struct object *o = f->object;
    struct cache *c = o->cache;
    bool last;
    WITH_LOCK (&o->lock)
        last = --f->refs == 0;
    if (!last)
        return;
    assert(!f->waiters);
    pool_put(&c->pool, f->buffer);
    if (f->ahead)
        prefetch_landed(c);
    free(f);
    object_unref(o);
    prefetch_go_on(c);
    cache_end(c, true);
}

void flight_leave(struct flight *f)
{
    struct object *o = f->object;
    WITH_LOCK (&o->lock)
        flight_unlink_locked(o, f);
    flight_unref(f);
}

/*
 * firm: the buffer will not be written any more, but with the same bytes. A read that wants no
 * more than the flight has is lent them then.
 */
static void serve(struct piece *p, bool firm)
{
    struct flight *f = p->flight;
    struct object_read *r = p->read;
    const char *bytes = f->buffer + (p->offset - f->offset);
    if (firm && r->borrow && p->length == r->length) {
        WITH_LOCK (&f->object->lock)
            f->refs++;
        r->lent = f;
        r->bytes = bytes;
    } else {
        memcpy(p->to, bytes, p->length);
    }
    read_finish(r, 0, NULL);
}

static void serve_all(struct piece *list, bool firm)
{
    while (list) {
        struct piece *p = list;
        list = p->next;
        serve(p, firm);
    }
}

/* Learns the answer's ETag where none is known. False where another is. */
static bool same_generation_locked(struct object *o, const struct store_info *info)
    REQUIRES(o->lock)
{
    if (!info->etag[0])
        return true; /* a store without ETags, or one that tells only changes */
    if (!o->etag[0])
        memcpy(o->etag, info->etag, sizeof o->etag);
    return strcmp(o->etag, info->etag) == 0;
}

/* Moves those to `taken` whose bytes are all among the first `got`; the others stay. */
static void take_waiters_locked(struct object *o, struct flight *f, size_t got,
                                struct piece **taken) REQUIRES(o->lock)
{
    (void)o; /* whose lock guards them */
    struct piece **at = &f->waiters;
    while (*at) {
        struct piece *p = *at;
        if (p->offset + p->length <= f->offset + got) {
            *at = p->next;
            p->next = *taken;
            *taken = p;
        } else {
            at = &p->next;
        }
    }
}

static void flight_progress(struct store_get *get, size_t got)
{
    struct flight *f = CONTAINER_OF(get, struct flight, get);
    struct object *o = f->object;
    struct piece *ready = NULL;
    bool firm = f->if_match[0]; /* who asks again is answered with the same generation, or not */
    bool told = get->info.etag[0] && get->info.size == o->size;
    WITH_LOCK (&o->lock) {
        bool known =
            told ? same_generation_locked(o, &get->info) : f->if_match[0] && !get->info.etag[0];
        for (; known && f && got; f = f->car) {
            size_t some = got < f->length ? got : f->length;
            take_waiters_locked(o, f, some, &ready);
            got -= some;
        }
    }
    serve_all(ready, firm);
}

static int check_answer(struct flight *f)
{
    struct object *o = f->object;
    struct store_get *get = &f->get;
    bool same;
    if (get->rc < 0)
        return get->rc;
    if (get->info.size != o->size)
        return err_set(&get->err, ESTALE, "%s: size %llu expected, the store has %llu", o->key,
                       (unsigned long long)o->size, (unsigned long long)get->info.size);
    WITH_LOCK (&o->lock)
        same = same_generation_locked(o, &get->info);
    if (!same)
        return err_set(&get->err, ESTALE, "%s: the object has changed: its ETag is %s now", o->key,
                       get->info.etag);
    if (get->got != get->length)
        return err_set(&get->err, EIO, "%s: %zu bytes at %llu expected, %zu came", o->key,
                       get->length, (unsigned long long)get->offset, get->got);
    return 0;
}

static void land(struct flight *f, int rc, const struct err *err)
{
    struct object *o = f->object;
    struct piece *waiters = NULL;
    WITH_LOCK (&o->lock) {
        if (rc == 0)
            f->state = FLIGHT_LANDED;
        else
            flight_unlink_locked(o, f);
        take_waiters_locked(o, f, f->length, &waiters);
    }
    if (rc == 0) {
        serve_all(waiters, true);
        return;
    }
    while (waiters) {
        struct piece *p = waiters;
        waiters = p->next;
        read_finish(p->read, rc, err);
    }
    fill_fail(o, rc, err);
    flight_unref(f);
}

static void flight_done(struct store_get *get)
{
    struct flight *first = CONTAINER_OF(get, struct flight, get), *next;
    int rc = check_answer(first);
    archived_note(first->object, rc);
    first->object->cache->fetched_bytes += get->got;
    for (struct flight *f = first->car; f; f = next) {
        next = f->car;
        land(f, rc, &get->err);
    }
    land(first, rc, &get->err); /* last, because the request is its own */
    if (rc == 0)
        train_write(first);
}

/* Asks the store for the flight and those of its train. */
static void get(struct flight *first)
{
    struct object *o = first->object;
    size_t length = 0;
    unsigned count = 0;
    for (struct flight *f = first; f; f = f->car) {
        first->rooms[count++] = (struct iovec){f->buffer, f->length};
        length += f->length;
    }
    WITH_LOCK (&o->lock) {
        memcpy(first->if_match, o->etag, sizeof first->if_match);
        (void)snprintf(first->version, sizeof first->version, "%s", o->version ? o->version : "");
    }
    first->get = (struct store_get){.key = o->key,
                                    .offset = first->offset,
                                    .length = length,
                                    .if_match = first->if_match[0] ? first->if_match : NULL,
                                    .version = first->version[0] ? first->version : NULL,
                                    .ahead = first->ahead,
                                    .identity = o->id.bytes,
                                    .object_size = o->size,
                                    .to = first->buffer,
                                    .rooms = count > 1 ? first->rooms : NULL,
                                    .rooms_count = count,
                                    .progress = flight_progress,
                                    .done = flight_done};
    o->cache->requests++;
    struct store *store = o->store;
    store->ops->get(store, &first->get);
}

/* On a worker: the granules come from the frozen file, else from the store. */
static void flight_thaw(struct job *job)
{
    struct flight *f = CONTAINER_OF(job, struct flight, job);
    struct object *o = f->object;
    struct piece *waiters = NULL;
    if (object_thaw(o, f->offset, f->buffer, f->length) < 0) {
        get(f);
        return;
    }
    WITH_LOCK (&o->lock) {
        f->state = FLIGHT_LANDED;
        take_waiters_locked(o, f, f->length, &waiters);
    }
    for (const struct piece *p = waiters; p; p = p->next)
        o->cache->hit_bytes += p->length;
    serve_all(waiters, true);
    train_write(f);
}

static void launch(struct flight *f)
{
    if (f->frozen) {
        f->job.run = flight_thaw;
        workers_submit(f->object->cache->workers, &f->job);
    } else {
        get(f);
    }
}

static void launch_run(struct job *job)
{
    struct flight *f = CONTAINER_OF(job, struct flight, wait.job);
    f->buffer = f->wait.buffer;
    launch(f);
}

/* False: its bytes do not come from the store, or it has to wait for a buffer. */
static bool start(struct flight *f)
{
    struct cache *c = f->object->cache;
    cache_begin(c, true);
    if (f->ahead)
        prefetch_launched(c);
    char *buffer = pool_take(&c->pool, &f->wait);
    if (!buffer) {
        held_make_room(c);
        return false;
    }
    f->buffer = buffer;
    if (f->frozen)
        launch(f);
    return !f->frozen;
}

/* Neighbours that one request fetches. */
struct train {
    struct flight *first, *last;
    size_t length;
    unsigned count;
};

static void depart(struct train *t)
{
    if (t->first)
        get(t->first);
    *t = (struct train){0};
}

static void board(struct train *t, struct flight *f)
{
    struct store *store = f->object->store;
    if (t->first && t->last->offset + t->last->length == f->offset &&
        t->length + f->length <= store->ops->rooms_bytes && t->count < TRAIN_FLIGHTS_MAX) {
        t->last->car = f;
    } else {
        depart(t);
        t->first = f;
    }
    t->last = f;
    t->length += f->length;
    t->count++;
}

/* ---- beginning ---- */

struct flight *flight_new_locked(struct object *o, uint64_t offset, size_t length)
{
    struct flight *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->object = object_ref(o);
    f->offset = offset;
    f->length = length;
    f->refs = 1;
    f->wait.job.run = launch_run;
    f->next = o->flights;
    o->flights = f;
    return f;
}

void flights_start(struct flight *made)
{
    struct train train = {0};
    while (made) {
        struct flight *f = made;
        made = f->made_next;
        if (start(f))
            board(&train, f);
    }
    depart(&train);
}

void flight_serve(struct piece *p)
{
    struct flight *f = p->flight;
    bool last = p->last;
    serve(p, true);
    if (last)
        held_release(f);
    flight_unref(f);
}
