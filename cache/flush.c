/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flusher: one thread that makes what is written durable, at most once a second and on close,
 * evicts when the budget is nearly full, and gives back idle buffers.
 *
 * A flush syncs each dirty object's file and only then commits what was present before the sync,
 * all objects in one transaction: so LMDB never names bytes that are not on the disk. The first
 * record of an object holds its ETag, so it is written whenever another one is.
 */
#include <string.h>

#include "base/clock.h"
#include "base/vec.h"
#include "cache/private.h"

#define FLUSH_MS 1000
#define EVICT_RETRY_MS 250 /* where all that could go is open */
#define SETTLE_MS 10000    /* new dirt may come as fast as it goes */
#define BATCH_MAX 256      /* objects a transaction */

/* What a record shall say: a copy, because the segment changes on. */
struct copy {
    struct index_record record;
    uint8_t bytes[]; /* present, checks */
};

struct batch {
    size_t count;
    bool last;
    struct object *objects[BATCH_MAX];
    bool discard[BATCH_MAX];
    bool unlisted[BATCH_MAX]; /* there was no room for its changes: its file stays, too */
    VEC(struct index_change) changes;
};

static void take_dirty(struct cache *c, struct batch *b)
{
    b->count = 0;
    WITH_LOCK (&c->lock) {
        c->flushing = true;
        while (c->dirty && b->count < BATCH_MAX) {
            struct object *o = c->dirty;
            c->dirty = o->dirty_next;
            o->dirty = false; /* from here on a change puts it into the next flush */
            b->objects[b->count++] = o;
        }
    }
}

static void free_changes(struct batch *b, size_t from)
{
    for (size_t i = from; i < b->changes.n; i++)
        free((void *)(uintptr_t)b->changes.at[i].record); /* the first member of a copy */
    b->changes.n = from;
}

static struct copy *copy_locked(struct object *o, uint32_t n) REQUIRES(o->lock)
{
    struct segment *s = o->segments[n];
    unsigned granules = granules_of(o->size, n);
    size_t bitmap = bitmap_bytes(granules), checks = (size_t)granules * o->cache->check_bytes;
    struct copy *copy = malloc(sizeof *copy + bitmap + checks);
    if (!copy)
        return NULL;
    s->writing = true;
    s->thawed = s->frozen_bytes && s->count == granules;
    copy->record = (struct index_record){.size = o->size,
                                         .checked_ms = o->checked_ms,
                                         .sealed = n == 0 && o->sealed,
                                         .frozen_bytes = s->thawed ? 0 : s->frozen_bytes,
                                         .dense = s->dense,
                                         .check_bytes = o->cache->check_bytes,
                                         .present = copy->bytes,
                                         .checks = copy->bytes + bitmap};
    memcpy(copy->record.etag, o->etag, sizeof o->etag);
    memcpy(copy->bytes, s->present, bitmap);
    memcpy(copy->bytes + bitmap, s->checks, checks);
    return copy;
}

/* Copies the dirty segments, and the first one beside them. False: there are none, or no memory. */
static bool copy_dirty(struct object *o, struct batch *b)
{
    size_t before = b->changes.n;
    bool failed = false;
    WITH_LOCK (&o->lock) {
        if (o->checked_ms == 0)
            o->checked_ms = checked_now(o->cache);
        for (uint32_t i = 0; o->segments && i < o->segment_count && !failed; i++) {
            uint32_t n = o->segment_count - 1 - i; /* the first one last: it knows of the others */
            if (!o->segments[n] || !(o->segments[n]->dirty || (n == 0 && b->changes.n > before)))
                continue;
            struct index_change change = {.id = {.object = o->id, .number = n}};
            struct copy *copy = copy_locked(o, n);
            change.record = copy ? &copy->record : NULL;
            failed = !copy || vec_push(&b->changes, change) < 0;
            if (failed)
                free(copy);
            else
                o->segments[n]->dirty = false;
        }
    }
    return !failed && b->changes.n > before;
}

/* The copies are not to be written (now): what they are of is dirty again. */
static void take_back(struct object *o, struct batch *b, size_t from)
{
    WITH_LOCK (&o->lock) {
        for (size_t i = from; i < b->changes.n; i++) {
            uint32_t n = b->changes.at[i].id.number;
            if (o->segments && o->segments[n]) {
                o->segments[n]->dirty = true;
                o->segments[n]->thawed = o->segments[n]->writing = false;
            }
        }
    }
    free_changes(b, from);
}

/* False: not all of them could be listed, so none is. */
static bool delete_records(struct object *o, struct batch *b)
{
    size_t from = b->changes.n;
    for (uint32_t n = 0; n < o->segment_count; n++) {
        struct index_change change = {.id = {.object = o->id, .number = n}};
        if (vec_push(&b->changes, change) < 0) {
            free_changes(b, from);
            return false;
        }
    }
    return true;
}

static void prepare(struct batch *b, size_t at)
{
    struct object *o = b->objects[at];
    size_t from = b->changes.n;
    WITH_LOCK (&o->lock)
        b->discard[at] = o->keeping == DISCARD;
    b->unlisted[at] = b->discard[at] && !delete_records(o, b);
    if (b->discard[at])
        return;
    bool copied = copy_dirty(o, b), was_sealed = o->sealed, kept;
    int rc = copied ? object_sync(o) : 0;
    WITH_LOCK (&o->lock)
        kept = o->keeping == KEEP; /* another's sync may have failed */
    if (rc < 0 || !copied || !kept) {
        take_back(o, b, from);
        if (rc == -EINPROGRESS || (!copied && b->changes.n > from))
            cache_dirty(o);
    } else if (o->sealed && !was_sealed) {
        /* The sync has sealed it: what was written since the copies is synced too, and no more can
         * come. */
        take_back(o, b, from);
        (void)copy_dirty(o, b);
    }
}

/* The records are as they were; what they name is still there. */
static void keep_dirty(struct object *o)
{
    WITH_LOCK (&o->lock) {
        for (uint32_t n = 0; o->segments && n < o->segment_count; n++) {
            struct segment *s = o->segments[n];
            if (s && s->writing) {
                s->dirty = true;
                s->writing = s->thawed = false;
            }
        }
    }
}

static void finish(struct cache *c, struct batch *b, size_t at, bool committed)
{
    struct object *o = b->objects[at];
    committed = committed && !b->unlisted[at];
    if (!committed && !b->last) { /* the next flush tries again */
        keep_dirty(o);
        cache_dirty(o);
    } else if (b->discard[at] && !b->unlisted[at]) {
        char path[OBJECT_PATH_BYTES];
        object_path(&o->id, path);
        /* Where none was deleted they meet no file, which the next opener notices. */
        (void)cache_clear(c, path);
        bool frozen;
        WITH_LOCK (&o->lock) {
            frozen = o->frozen_left;
            o->frozen_left = false;
            if (committed && o->fd < 0 && !o->lent)
                o->keeping = KEEP;
        }
        if (frozen)
            object_remove_frozen(o);
    } else if (committed) {
        object_written(o);
    }
    object_unref(o);
}

/* True: there is more to flush. `last`: what is not written now never will be. */
static bool flush(struct cache *c, struct batch *b, bool last)
{
    take_dirty(c, b);
    b->last = last;
    for (size_t i = 0; i < b->count; i++)
        prepare(b, i);
    int rc = index_write(c->index, b->changes.at, b->changes.n, NULL);
    if (rc < 0)
        cache_failed(c, -rc);
    free_changes(b, 0);
    for (size_t i = 0; i < b->count; i++)
        finish(c, b, i, rc == 0);
    bool full = b->count == BATCH_MAX && rc == 0, more;
    WITH_LOCK (&c->lock) {
        more = last ? c->dirty != NULL : full;
        c->tick = c->tick || c->dirty;
        c->flushing = false;
        c->failing = rc < 0;
        if (c->settling)
            cond_broadcast(&c->idle);
    }
    return more;
}

struct asked {
    bool ending, tick, evict;
};

/* Sleeps until something is to be done and it is time for it. */
static struct asked wait_asked(struct cache *c, int64_t flush_at, int64_t evict_at)
{
    struct asked a;
    WITH_LOCK (&c->lock) {
        for (;;) {
            int64_t now = clock_mono_ms();
            a = (struct asked){.ending = c->ending,
                               .tick =
                                   c->tick && (now >= flush_at || (c->settling > 0 && !c->failing)),
                               .evict = c->evict && now >= evict_at};
            if (a.ending || a.tick || a.evict)
                break;
            int64_t until = c->tick ? flush_at : INT64_MAX;
            if (c->evict && evict_at < until)
                until = evict_at;
            if (until == INT64_MAX)
                cond_wait(&c->changed, &c->lock);
            else
                (void)cond_wait_until(&c->changed, &c->lock, until); /* looked at above */
        }
        c->tick = c->tick && !a.tick;
        c->evict = c->evict && !a.evict;
    }
    return a;
}

void cache_settle(struct cache *c)
{
    int64_t until = clock_mono_ms() + SETTLE_MS;
    WITH_LOCK (&c->lock) {
        c->settling++;
        while ((c->dirty || c->flushing) && !c->failing && clock_mono_ms() < until) {
            c->tick = true;
            cond_signal(&c->changed);
            (void)cond_wait_until(&c->idle, &c->lock, until); /* looked at above */
        }
        c->settling--;
    }
}

static bool over_high_water(struct cache *c)
{
    bool over;
    WITH_LOCK (&c->lock)
        over = c->bytes > cache_high_water(c);
    return over;
}

void *flusher_run(void *arg)
{
    struct cache *c = arg;
    struct batch b = {.changes = VEC_MAX(2 * segments_of(OBJECT_BYTES_MAX))};
    int64_t flush_at = 0, evict_at = 0;
    for (;;) {
        struct asked a = wait_asked(c, flush_at, evict_at);
        if (a.ending)
            break;
        if (a.tick) {
            bool more = flush(c, &b, false);
            held_expire(c);
            bool warm = pool_trim(&c->pool);
            cache_measure(c);
            WITH_LOCK (&c->lock)
                c->tick = c->tick || more || warm;
            flush_at = clock_mono_ms() + (more ? 0 : FLUSH_MS);
        }
        if (a.evict || (a.tick && over_high_water(c)))
            evict_at = clock_mono_ms() + (cache_evict(c) ? 0 : EVICT_RETRY_MS);
    }
    while (flush(c, &b, true))
        continue;
    vec_done(&b.changes);
    return NULL;
}
