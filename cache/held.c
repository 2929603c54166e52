/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was fetched ahead of a reader stays in its buffer until he comes for it, so that his bytes
 * need not make their way through the page cache, whose pages cost more than the network.
 *
 *   written to the file, nobody has read up to its end, the object has readers
 *      └─► held: still among the object's flights ─► read up to its end ──────────────┐
 *                                                    the last reader has gone ────────┼─► ended
 *                                                    a buffer is short ───────────────┤
 *                                                    nobody came in HELD_MS ──────────┘
 *
 * What the file has goes first, the oldest of it. What it has not would be fetched again: it stays
 * while its object is read, however slowly, and where a buffer is short that goes which its reader
 * needs last.
 *
 * Who takes a flight out of the list (prefetcher.lock) ends it.
 */
#include "base/clock.h"
#include "cache/private.h"

#define HELD_MS 5000

/* Makes room for prefetch of others: who has not come for so long may not come at all. */
#define HELD_STALE_MS 250

/*
 * Plans end where chunks do, flights with a granule: who comes for some of the last one may be
 * done. The rest is in the file; where it is not, only he is done who has all of it.
 */
static bool is_over_locked(const struct object *o, const struct flight *f) REQUIRES(o->lock)
{
    (void)o; /* whose lock guards it */
    return f->kept ? f->used : f->read;
}

bool held_wanted_locked(struct object *o, struct flight *f)
{
    f->held = f->ahead && o->readers && !is_over_locked(o, f);
    return f->held;
}

bool held_used_locked(struct object *o, struct flight *f, uint64_t end)
{
    if (f->held)
        atomic_store_explicit(&o->read_ms, clock_mono_ms(), memory_order_relaxed);
    f->used = f->used || end + GRANULE_BYTES > f->offset + f->length;
    f->read = f->read || end == f->offset + f->length;
    return is_over_locked(o, f);
}

static void unlist_locked(struct prefetcher *a, struct flight *f) REQUIRES(a->lock)
{
    *(f->held_before ? &f->held_before->held_next : &a->held_first) = f->held_next;
    *(f->held_next ? &f->held_next->held_before : &a->held_last) = f->held_before;
    f->listed = false;
}

void held_release(struct flight *f)
{
    struct prefetcher *a = &f->object->cache->prefetcher;
    bool mine;
    WITH_LOCK (&a->lock) {
        mine = f->listed;
        if (mine)
            unlist_locked(a, f);
    }
    if (mine)
        flight_leave(f);
}

void held_add(struct flight *f)
{
    struct object *o = f->object;
    struct prefetcher *a = &o->cache->prefetcher;
    bool late;
    WITH_LOCK (&a->lock) {
        f->held_next = NULL;
        f->held_before = a->held_last;
        *(a->held_last ? &a->held_last->held_next : &a->held_first) = f;
        a->held_last = f;
        f->held_ms = clock_mono_ms();
        f->listed = true;
    }
    WITH_LOCK (&o->lock)
        late = is_over_locked(o, f) || !o->readers; /* since it was seen to be wanted */
    if (late)
        held_release(f);
    else if (pool_is_short(&o->cache->pool)) /* he looked before this one was in the list */
        held_make_room(o->cache);
}

/* Since when nobody has come. */
static int64_t idle_since_ms(const struct flight *f)
{
    int64_t read_ms = f->kept ? 0 : atomic_load_explicit(&f->object->read_ms, memory_order_relaxed);
    return read_ms > f->held_ms ? read_ms : f->held_ms;
}

static struct flight *oldest_locked(const struct prefetcher *a, bool kept, int64_t age_ms)
    REQUIRES(a->lock)
{
    int64_t since_ms = clock_mono_ms() - age_ms;
    struct flight *f = a->held_first;
    while (f && ((kept && !f->kept) || idle_since_ms(f) > since_ms))
        f = f->held_next;
    return f;
}

/* Ends one flight: of those that the file has, or of all, one for which nobody came for so long. */
static bool reclaim(struct cache *c, bool kept, int64_t age_ms)
{
    struct prefetcher *a = &c->prefetcher;
    struct flight *f;
    WITH_LOCK (&a->lock) {
        f = oldest_locked(a, kept, age_ms);
        if (f)
            unlist_locked(a, f);
    }
    if (f)
        flight_leave(f);
    return f;
}

void held_make_room(struct cache *c)
{
    struct prefetcher *a = &c->prefetcher;
    struct flight *f;
    WITH_LOCK (&a->lock) {
        f = oldest_locked(a, true, 0);
        if (!f)
            f = a->held_last;
        if (f)
            unlist_locked(a, f);
    }
    if (f)
        flight_leave(f);
}

void held_drop_stale(struct cache *c)
{
    (void)reclaim(c, true, HELD_STALE_MS);
}

void held_expire(struct cache *c)
{
    while (reclaim(c, false, HELD_MS))
        continue;
}

void object_reader_begin(struct object *o)
{
    WITH_LOCK (&o->lock)
        o->readers++;
}

void object_reader_end(struct object *o)
{
    struct flight *held[TRANSFER_BLOCKS_MAX];
    unsigned count = 0;
    WITH_LOCK (&o->lock) {
        bool last = --o->readers == 0;
        for (struct flight *f = o->flights; last && f; f = f->next) {
            if (f->held && count < TRANSFER_BLOCKS_MAX) {
                f->refs++;
                held[count++] = f;
            }
        }
    }
    while (count) {
        held_release(held[--count]);
        flight_unref(held[count]);
    }
}
