/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/prefetch.h"

#include "cache/private.h"

#define PREFETCH_BLOCKS_MAX (PREFETCH_BYTES_MAX / BLOCK_BYTES)
/* Objects on their way to be sealed: an open that waits for the disk has no more syncs before it.
 */
#define PREFETCH_SEALS_MAX 24

/* Something of one object. While it is in a list the prefetch has it; then whoever sends it. */
struct want {
    struct want *next;
    struct object *object; /* a reference */
    uint64_t offset, end;  /* what has not been sent */
    bool whole;
    struct object_fill fill;
};

struct prefetch {
    struct cache *cache;       /* immutable */
    struct want *first, *last; /* prefetcher's lock, as all below */
    size_t waiting;
    bool queued; /* among those that wait for their turn */
    struct prefetch *next;
};

static void want_free(struct want *w)
{
    if (w)
        object_unref(w->object);
    free(w);
}

void prefetcher_init(struct prefetcher *a)
{
    lock_init(&a->lock);
}

void prefetcher_done(struct prefetcher *a)
{
    lock_done(&a->lock);
}

/* turns */

static void enqueue_locked(struct prefetcher *a, struct prefetch *p) REQUIRES(a->lock)
{
    p->queued = true;
    p->next = NULL;
    if (a->last)
        a->last->next = p;
    else
        a->first = p;
    a->last = p;
}

static void unqueue_locked(struct prefetcher *a, struct prefetch *p) REQUIRES(a->lock)
{
    struct prefetch **at = &a->first, *before = NULL;
    if (!p->queued)
        return;
    for (; *at != p; at = &(*at)->next)
        before = *at;
    *at = p->next;
    if (a->last == p)
        a->last = before;
    p->queued = false;
}

static struct want *take_all_locked(struct prefetcher *a, struct prefetch *p) REQUIRES(a->lock)
{
    struct want *list = p->first;
    p->first = p->last = NULL;
    a->waiting -= p->waiting;
    p->waiting = 0;
    unqueue_locked(a, p);
    return list;
}

/* What one turn sends: a block at most. */
struct turn {
    struct object *object; /* a reference */
    uint64_t offset, end;
    struct want *want;  /* all of an object, to be sealed */
    struct want *spent; /* to be freed */
};

static void cut_locked(struct prefetcher *a, struct prefetch *p, struct turn *t) REQUIRES(a->lock)
{
    struct want *w = p->first;
    uint64_t full = w->offset / GRANULE_BYTES * GRANULE_BYTES + TRAIN_BYTES;
    uint64_t end = full < w->end ? full : w->end;
    *t = (struct turn){.object = object_ref(w->object), .offset = w->offset, .end = end};
    w->offset = end;
    if (!w->whole && w->offset < w->end)
        return;
    p->first = w->next;
    if (!p->first)
        p->last = NULL;
    p->waiting--;
    a->waiting--;
    if (w->whole)
        t->want = w;
    else
        t->spent = w;
}

/* Whose turn it is, or NULL. */
static struct prefetch *next_locked(struct prefetcher *a) REQUIRES(a->lock)
{
    struct prefetch *p = a->blocks < PREFETCH_BLOCKS_MAX ? a->first : NULL;
    while (p && p->first->whole && a->seals >= PREFETCH_SEALS_MAX)
        p = p->next;
    return p;
}

/* False: nothing is to be sent now. */
static bool take_turn(struct cache *c, struct turn *t)
{
    struct prefetcher *a = &c->prefetcher;
    bool taken = false;
    WITH_LOCK (&a->lock) {
        struct prefetch *p = next_locked(a);
        if (p) {
            unqueue_locked(a, p);
            cut_locked(a, p, t);
            a->seals += t->want != NULL;
            if (p->first)
                enqueue_locked(a, p);
            a->blocks++;
            taken = true;
        }
    }
    return taken;
}

void prefetch_launched(struct cache *c)
{
    struct prefetcher *a = &c->prefetcher;
    WITH_LOCK (&a->lock)
        a->blocks++;
}

void prefetch_landed(struct cache *c)
{
    struct prefetcher *a = &c->prefetcher;
    WITH_LOCK (&a->lock)
        a->blocks--;
}

static void sealed(struct cache *c, struct want *w)
{
    struct prefetcher *a = &c->prefetcher;
    want_free(w);
    WITH_LOCK (&a->lock)
        a->seals--;
}

/* What cannot be filled now is left to who opens it. */
static void whole_done(struct object_fill *fill)
{
    struct want *w = CONTAINER_OF(fill, struct want, fill);
    struct cache *c = w->object->cache;
    sealed(c, w);
    prefetch_go_on(c);
    cache_end(c, false);
}

/* The flight has been made: what is left is to sync and seal it. */
static void seal(struct cache *c, struct want *w)
{
    cache_begin(c, false);
    w->fill.done = whole_done;
    if (object_fill(w->object, &w->fill, NULL) == -EINPROGRESS)
        return;
    sealed(c, w);
    cache_end(c, false);
}

void prefetch_go_on(struct cache *c)
{
    struct turn t;
    if (c->prefetcher.waiting && !pool_has_spare(&c->pool))
        held_drop_stale(c);
    while (c->prefetcher.waiting && pool_has_spare(&c->pool) && take_turn(c, &t)) {
        flights_ahead(t.object, t.offset, t.end - t.offset); /* each counts itself */
        prefetch_landed(c);
        if (t.want)
            seal(c, t.want);
        want_free(t.spent);
        object_unref(t.object);
    }
}

/* interface */

struct prefetch *prefetch_new(struct cache *c)
{
    struct prefetch *p = calloc(1, sizeof *p);
    if (p)
        p->cache = c;
    return p;
}

void prefetch_cancel(struct prefetch *p)
{
    struct prefetcher *a = &p->cache->prefetcher;
    struct want *list;
    WITH_LOCK (&a->lock)
        list = take_all_locked(a, p);
    while (list) {
        struct want *w = list;
        list = w->next;
        want_free(w);
    }
}

void prefetch_free(struct prefetch *p)
{
    if (p)
        prefetch_cancel(p);
    free(p);
}

/* It will be kept on the disk, or in memory for its reader. */
static bool is_of_use(struct object *o, const struct want *wanted)
{
    bool read = false;
    if (!wanted->whole)
        WITH_LOCK (&o->lock)
            read = o->readers > 0;
    return read || (!cache_is_off(o->cache) && o->cache->limit_bytes >= GRANULE_BYTES);
}

static bool add(struct prefetch *p, const struct want *wanted)
{
    struct prefetcher *a = &p->cache->prefetcher;
    struct object *o = wanted->object;
    bool taken = false;
    if (!is_of_use(o, wanted) || object_is_sealed(o) || wanted->offset >= wanted->end)
        return true;
    struct want *w = malloc(sizeof *w);
    if (!w)
        return false;
    *w = *wanted;
    (void)object_ref(o);
    WITH_LOCK (&a->lock) {
        taken = p->waiting < PREFETCH_WANTS_MAX;
        if (taken) {
            if (p->last)
                p->last->next = w;
            else
                p->first = w;
            p->last = w;
            p->waiting++;
            a->waiting++;
            if (!p->queued)
                enqueue_locked(a, p);
        }
    }
    if (!taken)
        want_free(w);
    prefetch_go_on(p->cache);
    return taken;
}

bool prefetch_range(struct prefetch *p, struct object *o, uint64_t offset, uint64_t length)
{
    if (offset >= o->size)
        return true;
    uint64_t end = length < o->size - offset ? offset + length : o->size;
    return add(p, &(struct want){.object = o, .offset = offset, .end = end});
}

bool prefetch_whole(struct prefetch *p, struct object *o)
{
    return add(p, &(struct want){.object = o, .end = o->size, .whole = o->size <= BLOCK_BYTES});
}

void prefetch_stat(struct cache *c, struct cache_stat *out)
{
    struct prefetcher *a = &c->prefetcher;
    WITH_LOCK (&a->lock) {
        out->prefetch_bytes = a->blocks * BLOCK_BYTES;
        out->prefetch_waiting = a->waiting;
    }
}
