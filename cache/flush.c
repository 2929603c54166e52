/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flusher: one thread that makes what is written durable, at most once a second and on close,
 * evicts when the budget is nearly full, and gives back idle buffers.
 *
 * A flush syncs each dirty object's file and only then commits what was present before the sync,
 * all objects in one transaction: so LMDB never names bytes that are not on the disk.
 */
#include <string.h>

#include "base/clock.h"
#include "cache/private.h"

#define FLUSH_MS 1000
#define EVICT_RETRY_MS 250 /* where all that could go is open */
#define BATCH_MAX 1024     /* objects a transaction */

struct item {
    struct object *object;
    uint8_t *present; /* a copy, owned; NULL: nothing to record */
    struct index_record record;
    bool discard;
};

struct batch {
    size_t count, change_count;
    struct item items[BATCH_MAX];
    struct index_change changes[BATCH_MAX];
};

struct batch *flusher_room(void)
{
    return calloc(1, sizeof(struct batch));
}

static void take_dirty(struct cache *c, struct batch *b)
{
    b->count = b->change_count = 0;
    WITH_LOCK (&c->lock) {
        while (c->dirty && b->count < BATCH_MAX) {
            struct object *o = c->dirty;
            c->dirty = o->dirty_next;
            o->dirty = false; /* from here on a change puts it into the next flush */
            b->items[b->count++] = (struct item){.object = o};
        }
    }
}

/* What the object's record shall say, and the file that must be synced before (or -1). */
static int snapshot(struct item *item)
{
    struct object *o = item->object;
    int fd = -1;
    o->touched = false;
    WITH_LOCK (&o->lock) {
        item->discard = o->keeping == DISCARD;
        size_t n = bitmap_bytes(o->size);
        if (o->keeping == KEEP && o->present && (item->present = malloc(n)))
            memcpy(item->present, o->present, n);
        item->record =
            (struct index_record){.size = o->size, .used_ms = o->used_ms, .present = item->present};
        memcpy(item->record.etag, o->etag, sizeof o->etag);
        if (item->present && o->unsynced) {
            fd = o->fd;
            o->unsynced = false;
        }
    }
    return fd;
}

static void prepare(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct item *item = &b->items[i];
        struct object *o = item->object;
        int fd = snapshot(item);
        if (fd >= 0 && fdatasync(fd) < 0) {
            /* What was written may be lost though it can still be read. The next flush deletes
             * the record. */
            o->cache->write_errors++;
            object_discard(o);
            free(STEAL(item->present));
        }
        if (!item->present && !item->discard)
            continue;
        b->changes[b->change_count++] =
            (struct index_change){.id = o->id, .record = item->discard ? NULL : &item->record};
    }
}

static void finish(struct cache *c, struct item *item, bool committed)
{
    struct object *o = item->object;
    if (item->discard) {
        char path[OBJECT_PATH_BYTES];
        object_path(&o->id, path);
        /* A record that is left over meets no file, which the next opener notices. */
        (void)unlinkat(c->objects_fd, path, 0);
        WITH_LOCK (&o->lock)
            if (committed && o->fd < 0)
                o->keeping = KEEP;
    } else if (!committed && item->present) {
        c->write_errors++;
        object_discard(o);
    }
    free(item->present);
    object_unref(o);
}

/* True: there is more to flush. */
static bool flush(struct cache *c, struct batch *b)
{
    take_dirty(c, b);
    prepare(b);
    bool committed = index_write(c->index, b->changes, b->change_count, NULL) == 0;
    for (size_t i = 0; i < b->count; i++)
        finish(c, &b->items[i], committed);
    bool more;
    WITH_LOCK (&c->lock)
        more = c->dirty != NULL;
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
                               .tick = c->tick && now >= flush_at,
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
    struct batch *b = c->batch;
    int64_t flush_at = 0, evict_at = 0;
    for (;;) {
        struct asked a = wait_asked(c, flush_at, evict_at);
        if (a.ending)
            break;
        if (a.tick) {
            bool more = flush(c, b);
            bool warm = pool_trim(&c->pool);
            WITH_LOCK (&c->lock)
                c->tick = c->tick || more || warm;
            flush_at = clock_mono_ms() + FLUSH_MS;
        }
        if (a.evict || (a.tick && over_high_water(c)))
            evict_at = clock_mono_ms() + (cache_evict(c) ? 0 : EVICT_RETRY_MS);
    }
    while (flush(c, b))
        continue;
    return NULL;
}
