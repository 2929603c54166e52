/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flights: one fetch of some granules, many waiters.
 *
 *   made by the first piece that misses -> a buffer from the pool -> store get -> (progress)* ->
 * done failed: off the list, all waiters fail, the next read makes a new flight right:  LANDED: all
 * waiters are served from the buffer; a worker writes the file; off the list
 *
 * Flights that are made together and lie side by side are a train: one request fetches them, each
 * into its own buffer. They land together; who waits for the first bytes is served before.
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

static void unlink_locked(struct object *o, struct flight *f) REQUIRES(o->lock)
{
    struct flight **at = &o->flights;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
}

static void flight_unref(struct flight *f) EXCLUDES(f->object->lock)
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

static void serve(struct piece *p)
{
    const struct flight *f = p->flight;
    memcpy(p->to, f->buffer + (p->offset - f->offset), p->length);
    read_finish(p->read, 0, NULL);
}

static void serve_all(struct piece *list)
{
    while (list) {
        struct piece *p = list;
        list = p->next;
        serve(p);
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
    serve_all(ready);
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

/* 0; -EINPROGRESS: the job runs again; -ENOSPC: the cache does not take it. */
static int write_down(struct flight *f, struct job *job)
{
    struct object *o = f->object;
    int fd;
    if (!f->reserved)
        f->reserved = cache_reserve(o, disk_bytes(f->length));
    if (!f->reserved)
        return -ENOSPC;
    int rc = object_file(o, job, &fd);
    if (rc == 0)
        return object_keep(o, fd, f->offset, f->buffer, f->length);
    if (rc != -EINPROGRESS)
        cache_count(o->cache, -(int64_t)disk_bytes(f->length), 0, 0);
    return rc;
}

/*
 * Has the flight's job run when nobody else writes to the object's file: the kernel lets one do it
 * at a time, and the others would spin for its lock on the processors that could bring more bytes.
 */
static void submit_write(struct flight *f)
{
    struct object *o = f->object;
    bool alone;
    WITH_LOCK (&o->lock) {
        alone = !o->writing;
        o->writing = true;
        if (!alone)
            waitlist_add(&o->to_write, &f->job);
    }
    if (alone)
        workers_submit(o->cache->workers, &f->job);
}

/* On a worker: the granules go into the file, and the flight ends. */
static void flight_write(struct job *job)
{
    struct flight *f = CONTAINER_OF(job, struct flight, job);
    struct object *o = f->object;
    struct job *next;
    int rc = write_down(f, job);
    if (rc == -EINPROGRESS)
        return;
    WITH_LOCK (&o->lock) {
        unlink_locked(o, f);
        next = waitlist_take(&o->to_write);
        o->writing = next != NULL;
    }
    if (next)
        workers_submit(o->cache->workers, next);
    if (rc < 0) {
        struct err err = ERR_INIT;
        fill_fail(o, err_set(&err, ENOSPC, "%s: the cache does not take it", o->key), &err);
    } else {
        fill_poke(o);
    }
    flight_unref(f);
}

static void land(struct flight *f, int rc, const struct err *err)
{
    struct object *o = f->object;
    struct piece *waiters = NULL;
    WITH_LOCK (&o->lock) {
        if (rc == 0)
            f->state = FLIGHT_LANDED;
        else
            unlink_locked(o, f);
        take_waiters_locked(o, f, f->length, &waiters);
    }
    if (rc == 0) {
        serve_all(waiters);
        submit_write(f);
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
    first->object->cache->fetched_bytes += get->got;
    for (struct flight *f = first->car; f; f = next) {
        next = f->car;
        land(f, rc, &get->err);
    }
    land(first, rc, &get->err); /* last, because the request is its own */
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
    f->job.run = flight_write;
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
    serve_all(waiters);
    submit_write(f);
}

static void launch(struct flight *f)
{
    if (f->frozen)
        workers_submit(f->object->cache->workers, &f->job);
    else
        get(f);
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
    if (!buffer)
        return false;
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

/* ---- joining ---- */

/* What one call of flights_join has found, to be served and started when the lock is left. */
struct joining {
    struct object *object;
    struct object_read *read;
    uint64_t end;
    size_t fetch_bytes;
    bool ahead;          /* for prefetch */
    struct flight *made; /* by made_next, in order of their bytes */
    struct flight *made_last;
    struct piece *landed; /* each with a reference to its flight */
    unsigned failed;      /* pieces that there was no memory for */
};

static bool missing_locked(struct object *o, uint64_t granule) REQUIRES(o->lock)
{
    return !present_locked(o, granule) && !flight_at_locked(o, granule * GRANULE_BYTES);
}

/* The granules of a flight that would begin here: what it may bring, whatever is there already. */
struct reach {
    uint64_t first, last;
    bool frozen; /* they come from the frozen file first */
};

/*
 * From the granule on: as far as it is wanted, and so much as one fetch brings. An object of one
 * block comes whole, and so does a block that is frozen. A flight is of one segment.
 */
static struct reach reach_locked(struct object *o, const struct joining *j, uint64_t granule)
    REQUIRES(o->lock)
{
    const struct segment *s = segment_of_locked(o, granule);
    bool frozen = s && s->frozen_bytes;
    uint64_t of_object = (o->size - 1) / GRANULE_BYTES;
    uint64_t of_segment = granule / SEGMENT_GRANULES * SEGMENT_GRANULES + SEGMENT_GRANULES - 1;
    uint64_t want = (j->end - 1) / GRANULE_BYTES;
    uint64_t fetch = granule + j->fetch_bytes / GRANULE_BYTES - 1;
    struct reach r = {.first = granule, .last = granule + BLOCK_GRANULES - 1, .frozen = frozen};
    if (frozen || o->size <= BLOCK_BYTES) {
        r.first = granule / BLOCK_GRANULES * BLOCK_GRANULES;
        r.last = r.first + BLOCK_GRANULES - 1;
    } else if ((want > fetch ? want : fetch) < r.last) {
        r.last = want > fetch ? want : fetch;
    }
    if (r.last > of_segment)
        r.last = of_segment;
    if (r.last > of_object)
        r.last = of_object;
    return r;
}

/* A flight from the granule on, up to what is there already or on its way. */
static struct flight *flight_new_locked(struct object *o, struct joining *j, uint64_t granule)
    REQUIRES(o->lock)
{
    struct flight *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    struct reach r = reach_locked(o, j, granule);
    uint64_t first = granule, last = granule;
    while (first > r.first && missing_locked(o, first - 1))
        first--;
    while (last < r.last && missing_locked(o, last + 1))
        last++;
    f->object = object_ref(o);
    f->offset = first * GRANULE_BYTES;
    f->length = (size_t)((last - first) * GRANULE_BYTES + granule_length(o->size, last));
    f->refs = 1;
    f->wait.job.run = launch_run;
    f->frozen = r.frozen;
    f->ahead = j->ahead;
    f->job.run = r.frozen ? flight_thaw : flight_write;
    f->next = o->flights;
    o->flights = f;
    if (j->made_last)
        j->made_last->made_next = f;
    else
        j->made = f;
    j->made_last = f;
    return f;
}

/* NULL: out of memory, or nobody reads. */
static struct piece *add_piece_locked(struct object *o, struct joining *j, uint64_t offset,
                                      uint64_t end) REQUIRES(o->lock)
{
    (void)o; /* whose lock guards the lists */
    struct object_read *r = j->read;
    if (!r)
        return NULL;
    struct piece *p = malloc(sizeof *p);
    r->missing++;
    if (!p) {
        j->failed++;
        return NULL;
    }
    *p = (struct piece){.read = r,
                        .next_all = r->pieces,
                        .offset = offset,
                        .length = (size_t)(end - offset),
                        .to = r->to + (offset - r->offset)};
    r->pieces = p;
    return p;
}

/* Where the granules that are in the file end. */
static uint64_t present_end_locked(struct object *o, const struct joining *j, uint64_t offset)
    REQUIRES(o->lock)
{
    uint64_t granule = offset / GRANULE_BYTES + 1;
    while (granule * GRANULE_BYTES < j->end && present_locked(o, granule))
        granule++;
    uint64_t end = granule * GRANULE_BYTES;
    return end < j->end ? end : j->end;
}

static void wait_for_locked(struct object *o, struct joining *j, struct flight *f, uint64_t offset,
                            uint64_t end) REQUIRES(o->lock)
{
    struct piece *p = add_piece_locked(o, j, offset, end);
    if (!p)
        return;
    p->flight = f;
    if (f->state == FLIGHT_LANDED) {
        f->refs++;
        p->next = j->landed;
        j->landed = p;
    } else {
        p->next = f->waiters;
        f->waiters = p;
    }
}

/* Finds one source for what begins at the offset; returns where that ends. */
static uint64_t join_some_locked(struct object *o, struct joining *j, uint64_t offset)
    REQUIRES(o->lock)
{
    if (present_locked(o, offset / GRANULE_BYTES)) {
        uint64_t end = present_end_locked(o, j, offset);
        struct piece *p = add_piece_locked(o, j, offset, end);
        if (p) {
            p->next = j->read->on_disk;
            j->read->on_disk = p;
        }
        return end;
    }
    struct flight *f = flight_at_locked(o, offset);
    if (!f)
        f = flight_new_locked(o, j, offset / GRANULE_BYTES);
    if (!f) {
        if (j->read)
            j->read->missing++;
        j->failed++;
        return j->end;
    }
    uint64_t end = flight_end(f) < j->end ? flight_end(f) : j->end;
    wait_for_locked(o, j, f, offset, end);
    return end;
}

static void settle(struct joining *j)
{
    while (j->landed) {
        struct piece *p = j->landed;
        struct flight *f = p->flight;
        j->landed = p->next;
        serve(p);
        flight_unref(f);
    }
    struct train train = {0};
    while (j->made) {
        struct flight *f = j->made;
        j->made = f->made_next;
        if (start(f))
            board(&train, f);
    }
    depart(&train);
    struct err err = ERR_INIT;
    for (; j->failed && j->read; j->failed--)
        read_finish(j->read, err_set(&err, ENOMEM, "%s: out of memory", j->object->key), &err);
}

/* Who reads much at once knows what he wants; who reads little reads more of it soon. */
static size_t usual_fetch(uint64_t length)
{
    return length >= FETCH_RANDOM_BYTES / 2 ? GRANULE_BYTES : FETCH_RANDOM_BYTES;
}

static void join(struct joining *j, uint64_t offset)
{
    struct object *o = j->object;
    object_load_range(o, offset, j->end - offset);
    WITH_LOCK (&o->lock) {
        while (offset < j->end)
            offset = join_some_locked(o, j, offset);
    }
    settle(j);
}

void flights_join(struct object *o, struct object_read *r, uint64_t offset, uint64_t length,
                  size_t fetch_bytes)
{
    struct joining j = {.object = o,
                        .read = r,
                        .end = offset + length,
                        .fetch_bytes = fetch_bytes ? fetch_bytes : usual_fetch(length)};
    join(&j, offset);
}

void flights_ahead(struct object *o, uint64_t offset, uint64_t length)
{
    struct joining j = {
        .object = o, .end = offset + length, .fetch_bytes = GRANULE_BYTES, .ahead = true};
    join(&j, offset);
}
