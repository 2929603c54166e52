/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flights: one fetch of one block, many waiters.
 *
 *   made by the first piece that misses -> a buffer from the pool -> store get -> (progress)* ->
 * done failed: off the list, all waiters fail, the next read makes a new flight right:  LANDED: all
 * waiters are served from the buffer; a worker writes the file; off the list
 *
 * Which generation of the object bytes belong to is known once the request named an ETag or the
 * answer told one. Before that, waiters get nothing, so two first flights that see two generations
 * cannot both be served: the one whose ETag is learned later is -ESTALE.
 */
#include <assert.h>
#include <string.h>

#include "cache/private.h"

static struct flight *find_locked(struct object *o, uint64_t block) REQUIRES(o->lock)
{
    struct flight *f = o->flights;
    while (f && f->block != block)
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
    free(f);
    object_unref(o);
    cache_end(c, true);
}

static void serve(const struct flight *f, struct piece *p)
{
    memcpy(p->to, f->buffer + p->from, p->length);
    read_finish(p->read, 0, NULL);
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

/* Whose first `got` bytes are all they want; the others stay. */
static struct piece *take_waiters_locked(struct object *o, struct flight *f, size_t got)
    REQUIRES(o->lock)
{
    (void)o; /* whose lock guards them */
    struct piece *taken = NULL, **at = &f->waiters;
    while (*at) {
        struct piece *p = *at;
        if (p->from + p->length <= got) {
            *at = p->next;
            p->next = taken;
            taken = p;
        } else {
            at = &p->next;
        }
    }
    return taken;
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
        if (known)
            ready = take_waiters_locked(o, f, got);
    }
    while (ready) {
        struct piece *p = ready;
        ready = p->next;
        serve(f, p);
    }
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
    if (get->got != f->length)
        return err_set(&get->err, EIO, "%s: %zu bytes at %llu expected, %zu came", o->key,
                       f->length, (unsigned long long)get->offset, get->got);
    return 0;
}

/* On a worker: the block goes into the file, and the flight ends. */
static void flight_write(struct job *job)
{
    struct flight *f = CONTAINER_OF(job, struct flight, job);
    struct object *o = f->object;
    uint64_t disk = disk_bytes(f->length);
    if (!f->reserved)
        f->reserved = cache_reserve(o, disk);
    if (f->reserved) {
        int fd;
        int rc = object_file(o, job, &fd);
        if (rc == -EINPROGRESS)
            return;
        if (rc == 0)
            object_keep(o, fd, f->block, f->buffer);
        else
            cache_count(o->cache, -(int64_t)disk, 0);
    }
    WITH_LOCK (&o->lock)
        unlink_locked(o, f);
    flight_unref(f);
}

static void flight_done(struct store_get *get)
{
    struct flight *f = CONTAINER_OF(get, struct flight, get);
    struct object *o = f->object;
    struct piece *waiters;
    int rc = check_answer(f);
    o->cache->fetched_bytes += get->got;
    WITH_LOCK (&o->lock) {
        if (rc == 0)
            f->state = FLIGHT_LANDED;
        else
            unlink_locked(o, f);
        waiters = take_waiters_locked(o, f, f->length);
    }
    while (waiters) {
        struct piece *p = waiters;
        waiters = p->next;
        if (rc == 0)
            serve(f, p);
        else
            read_finish(p->read, rc, &get->err);
    }
    if (rc == 0)
        workers_submit(o->cache->workers, &f->job);
    else
        flight_unref(f);
}

static void launch(struct flight *f)
{
    struct object *o = f->object;
    WITH_LOCK (&o->lock)
        memcpy(f->if_match, o->etag, sizeof f->if_match);
    f->get = (struct store_get){.key = o->key,
                                .offset = f->block * BLOCK_BYTES,
                                .length = f->length,
                                .if_match = f->if_match[0] ? f->if_match : NULL,
                                .to = f->buffer,
                                .progress = flight_progress,
                                .done = flight_done};
    o->cache->requests++;
    struct store *store = o->store;
    store->ops->get(store, &f->get);
}

static void launch_run(struct job *job)
{
    struct flight *f = CONTAINER_OF(job, struct flight, wait.job);
    f->buffer = f->wait.buffer;
    launch(f);
}

static struct flight *flight_new_locked(struct object *o, uint64_t block) REQUIRES(o->lock)
{
    struct flight *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->object = object_ref(o);
    f->block = block;
    f->length = block_length(o->size, block);
    f->refs = 1;
    f->wait.job.run = launch_run;
    f->job.run = flight_write;
    f->next = o->flights;
    o->flights = f;
    return f;
}

static void start(struct flight *f)
{
    struct cache *c = f->object->cache;
    cache_begin(c, true);
    char *buffer = pool_take(&c->pool, &f->wait);
    if (buffer) {
        f->buffer = buffer;
        launch(f);
    }
}

bool flight_join(struct object *o, struct piece *p)
{
    struct flight *f = NULL;
    bool made = false, landed = false, present;
    WITH_LOCK (&o->lock) {
        present = bitmap_has(o->present, p->block);
        if (!present)
            f = find_locked(o, p->block);
        if (!f && !present) {
            f = flight_new_locked(o, p->block);
            made = f != NULL;
        }
        if (f && f->state == FLIGHT_LANDED) {
            f->refs++;
            landed = true;
        } else if (f) {
            p->next = f->waiters;
            f->waiters = p;
        }
    }
    if (present)
        return false;
    if (!f) {
        struct err err = ERR_INIT;
        read_finish(p->read, err_set(&err, ENOMEM, "%s: out of memory", o->key), &err);
    } else if (landed) {
        serve(f, p);
        flight_unref(f);
    } else if (made) {
        start(f);
    }
    return true;
}
