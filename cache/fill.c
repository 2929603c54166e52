/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making objects complete: for the kernel, which reads sealed files by itself, and ahead of a
 * reader.
 *
 *   first object_fill -> job: flights for what is missing, FILL_BLOCKS_MAX at once
 *        ^                     |  none is missing: sync, sealed, all who wait are told
 *        '-- a flight ended <--'
 *
 * One job at a time looks after all who wait for one object.
 */
#include "cache/private.h"

/* Of one object under way at once; what bounds the memory is the pool. */
#define FILL_BLOCKS_MAX 32

bool object_is_sealed(struct object *o)
{
    return o->in_place || o->sealed;
}

static void finish_all(struct object *o, int rc, const struct err *err)
{
    struct cache *c = o->cache;
    struct object_fill *list;
    WITH_LOCK (&o->lock) {
        list = o->fills;
        o->fills = NULL;
    }
    while (list) {
        struct object_fill *f = list;
        list = f->next;
        f->rc = rc;
        if (rc < 0)
            (void)err_copy(&f->err, err);
        object_unref(o); /* who calls has another reference */
        cache_end(c, false);
        f->done(f);
    }
}

/* The first granule before `end` that is missing and not on its way. False: there is none. */
static bool find_missing(struct object *o, uint64_t *offset, uint64_t end)
{
    uint64_t granules = (end + GRANULE_BYTES - 1) / GRANULE_BYTES;
    uint64_t g = *offset / GRANULE_BYTES;
    bool found = false;
    while (!found && g < granules) {
        object_load(o, (uint32_t)(g / SEGMENT_GRANULES));
        WITH_LOCK (&o->lock) {
            do {
                found = !present_locked(o, g) && !flight_at_locked(o, g * GRANULE_BYTES);
            } while (!found && ++g < granules && g % SEGMENT_GRANULES);
        }
    }
    *offset = g * GRANULE_BYTES;
    return found;
}

static unsigned flights_of(struct object *o)
{
    unsigned n = 0;
    WITH_LOCK (&o->lock)
        for (const struct flight *f = o->flights; f; f = f->next)
            n += !f->held;
    return n;
}

/* -ENOSPC: nothing is kept of it. */
static int check_keeping(struct object *o, struct err *err)
{
    enum keeping keeping;
    WITH_LOCK (&o->lock)
        keeping = o->keeping;
    if (keeping != KEEP || cache_is_off(o->cache) || o->size > o->cache->limit_bytes ||
        o->cache->draining) /* a mount that goes does not wait for large objects */
        return err_set(err, ENOSPC, "%s: the cache does not keep it", o->key);
    return 0;
}

/*
 * Makes flights for what is missing. True: some will poke, or have done so already, because a
 * flight may end before this does.
 */
static bool launch(struct object *o)
{
    uint64_t offset = 0;
    unsigned before = flights_of(o), aloft = before;
    while (aloft < FILL_BLOCKS_MAX && find_missing(o, &offset, o->size)) {
        uint64_t left = o->size - offset;
        flights_join(o, NULL, offset, left < TRAIN_BYTES ? left : TRAIN_BYTES, BLOCK_BYTES);
        aloft += TRAIN_BYTES / BLOCK_BYTES;
    }
    return aloft > before || flights_of(o) > 0;
}

/* What a reader has in memory, and the disk did not take, cannot be sealed now. */
static int not_full(struct object *o, struct err *err)
{
    bool unkept = false;
    WITH_LOCK (&o->lock)
        for (const struct flight *f = o->flights; f; f = f->next)
            unkept = unkept || (f->held && !f->kept);
    return unkept ? err_set(err, ENOSPC, "%s: the cache did not take all of it", o->key)
                  : err_set(err, EIO, "%s: cannot be completed", o->key);
}

/* 0: sealed; -EINPROGRESS: a flight that ends, or who syncs, will poke; else it failed. */
static int fill_step(struct object *o, struct err *err)
{
    int rc = check_keeping(o, err);
    if (rc < 0 || o->sealed)
        return rc;
    if (launch(o))
        return -EINPROGRESS;
    if (!object_is_full(o)) /* flights ended meanwhile, or there is no memory for one */
        return launch(o) ? -EINPROGRESS : not_full(o, err);
    rc = object_check_old(o);
    if (rc == -EBADMSG)
        return launch(o) ? -EINPROGRESS : not_full(o, err);
    if (rc == 0)
        rc = object_sync(o);
    if (rc == 0 && !o->sealed)
        rc = err_set(err, ENOSPC, "%s: the cache does not keep it", o->key);
    return rc;
}

static void fill_run(struct job *job)
{
    struct object *o = CONTAINER_OF(job, struct object, fill_job);
    bool again;
    do {
        struct err err = ERR_INIT;
        int rc = fill_step(o, &err);
        if (rc != -EINPROGRESS) {
            if (rc < 0 && !err.code)
                (void)err_set(&err, -rc, "%s: the cache cannot write", o->key);
            finish_all(o, rc, &err);
        }
        WITH_LOCK (&o->lock) {
            again = o->filling == FILL_AGAIN && o->fills;
            o->filling = again ? FILL_RUNNING : FILL_IDLE;
        }
    } while (again);
    struct cache *c = o->cache;
    object_unref(o);
    cache_end(c, false);
}

void fill_poke(struct object *o)
{
    bool submit = false;
    WITH_LOCK (&o->lock) {
        if (o->fills && o->filling == FILL_IDLE) {
            o->filling = FILL_RUNNING;
            submit = true;
        } else if (o->filling == FILL_RUNNING) {
            o->filling = FILL_AGAIN;
        }
    }
    if (!submit)
        return;
    (void)object_ref(o); /* the job's */
    cache_begin(o->cache, false);
    o->fill_job.run = fill_run;
    workers_submit(o->cache->workers, &o->fill_job);
}

void fill_fail(struct object *o, int rc, const struct err *err)
{
    finish_all(o, rc, err);
}

int object_fill(struct object *o, struct object_fill *f, struct err *err)
{
    f->rc = 0;
    f->err = (struct err)ERR_INIT;
    if (object_is_sealed(o))
        return 0;
    if (o->size == 0)
        return err_set(err, ENOSPC, "%s: empty objects have no file", o->key);
    int rc = check_keeping(o, err);
    if (rc < 0)
        return rc;
    (void)object_ref(o);
    cache_begin(o->cache, false);
    WITH_LOCK (&o->lock) {
        f->next = o->fills;
        o->fills = f;
    }
    fill_poke(o);
    return -EINPROGRESS;
}

struct repair {
    struct object_fill fill;
    struct object *object; /* a reference */
};

static void repaired(struct object_fill *f)
{
    struct repair *r = CONTAINER_OF(f, struct repair, fill);
    if (f->rc < 0)
        upkeep_check(r->object); /* which begins another one */
    object_unref(r->object);
    free(r);
}

void fill_repair(struct object *o)
{
    struct repair *r = calloc(1, sizeof *r);
    if (!r)
        return;
    r->fill.done = repaired;
    r->object = object_ref(o);
    int rc = object_fill(o, &r->fill, NULL);
    if (rc != -EINPROGRESS) {
        r->fill.rc = rc;
        repaired(&r->fill);
    }
}
