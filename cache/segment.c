/* SPDX-License-Identifier: Apache-2.0 */
/* What is present of an object: its segments, taken from the index when they are touched. */
#include <string.h>

#include "base/clock.h"
#include "cache/private.h"

/* Of one object, and the memory of all; but for those that are dirty. */
#define SEGMENTS_LOADED_MAX 256
#define LOADED_BYTES_MAX (32 * MIB)

uint64_t segment_key(const struct object_id *id, uint32_t segment)
{
    return hash64(segment, id_slice(id));
}

uint64_t segment_bytes(uint64_t size, uint32_t segment)
{
    uint64_t left = size - segment * (uint64_t)SEGMENT_BYTES;
    return left < SEGMENT_BYTES ? left : SEGMENT_BYTES;
}

/* ---- loading ---- */

static size_t memory_of(const struct object *o, uint32_t n)
{
    return sizeof(struct segment) + (size_t)granules_of(o->size, n) * o->cache->check_bytes;
}

static struct segment *segment_new(const struct object *o, uint32_t n)
{
    return calloc(1, memory_of(o, n));
}

void segments_free(struct object *o)
{
    for (uint32_t n = 0; o->segments && n < o->segment_count; n++) {
        if (o->segments[n])
            o->cache->loaded_bytes -= memory_of(o, n);
        free(o->segments[n]);
    }
    free(o->segments);
    o->segments = NULL;
    o->loaded = o->full_until = 0;
}

static struct segment *segment_from(const struct object *o, uint32_t n,
                                    const struct index_record *r)
{
    struct segment *s = segment_new(o, n);
    if (!s)
        return NULL;
    unsigned granules = granules_of(o->size, n);
    struct present_sum sum = present_sum(o->size, n, r->present);
    memcpy(s->present, r->present, bitmap_bytes(granules));
    memcpy(s->checks, r->checks, (size_t)granules * r->check_bytes);
    s->dense = r->dense;
    s->frozen_bytes = r->frozen_bytes;
    s->count = sum.granules;
    s->disk = sum.disk;
    return s;
}

static bool wants_locked(const struct object *o, uint32_t n) REQUIRES(o->lock)
{
    return o->keeping == KEEP && !(o->segments && o->segments[n]);
}

/* The record must be of this very object. */
static bool same_object_locked(const struct object *o, const struct index_record *r)
    REQUIRES(o->lock)
{
    return r->size == o->size && r->check_bytes == o->cache->check_bytes &&
           (!r->etag[0] || !o->etag[0] || strcmp(r->etag, o->etag) == 0);
}

static void drop_locked(struct object *o, uint32_t n) REQUIRES(o->lock)
{
    o->cache->loaded_bytes -= memory_of(o, n);
    free(o->segments[n]);
    o->segments[n] = NULL;
    o->loaded--;
}

/* A read or a flight is in two segments at most, which stand next to each other. */
static bool is_beside(uint32_t n, uint32_t m)
{
    return n <= m + 1 && m <= n + 1;
}

/* Keeps the memory of objects that are larger than most memories within a bound. */
static void unload_locked(struct object *o, uint32_t besides) REQUIRES(o->lock)
{
    if (o->loaded < SEGMENTS_LOADED_MAX && o->cache->loaded_bytes < LOADED_BYTES_MAX)
        return;
    for (uint32_t n = 0; o->loaded && n < o->segment_count; n++)
        if (o->segments[n] && !o->segments[n]->dirty && !o->segments[n]->writing &&
            !is_beside(n, besides))
            drop_locked(o, n);
}

/* An object that was opened while something of it was removed does not know its first record. */
static void adopt_locked(struct object *o, const struct index_record *r) REQUIRES(o->lock)
{
    if (!r)
        return;
    if (!o->etag[0])
        memcpy(o->etag, r->etag, sizeof o->etag);
    o->counted = true;
}

/* -EAGAIN: it is changing, and nothing that it names may be used. */
static int find_record_locked(struct cache *c, const struct segment_id *id, struct index_record *r,
                              void **owned) REQUIRES(c->lock)
{
    bool steady = doom_is_steady(cache_doom_of_locked(c, &id->object));
    return steady ? index_find(c->index, id, r, owned) : -EAGAIN;
}

void object_load(struct object *o, uint32_t n)
{
    struct cache *c = o->cache;
    struct segment_id id = {.object = o->id, .number = n};
    struct index_record r = {0};
    AUTO_FREE void *owned = NULL;
    bool wanted;
    int rc;
    WITH_LOCK (&o->lock)
        wanted = wants_locked(o, n);
    if (!wanted)
        return;
    WITH_LOCK (&c->lock)
        rc = find_record_locked(c, &id, &r, &owned);
    if (rc == -EAGAIN)
        return;
    AUTO_FREE struct segment *s = rc == 0 ? segment_from(o, n, &r) : segment_new(o, n);
    WITH_LOCK (&o->lock) {
        if (!o->segments)
            o->segments = calloc(o->segment_count, sizeof(struct segment *));
        if (!s || !o->segments || (rc < 0 && rc != -ENOENT) ||
            (rc == 0 && !same_object_locked(o, &r)))
            o->keeping = KEEP_NO; /* what cannot be had must not meet other bytes */
        else if (wants_locked(o, n)) {
            unload_locked(o, n);
            adopt_locked(o, rc == 0 ? &r : NULL);
            o->segments[n] = STEAL(s);
            o->loaded++;
            o->cache->loaded_bytes += memory_of(o, n);
        }
    }
}

void object_load_range(struct object *o, uint64_t offset, uint64_t length)
{
    for (uint64_t n = offset / SEGMENT_BYTES; n <= (offset + length - 1) / SEGMENT_BYTES; n++)
        object_load(o, (uint32_t)n);
}

void object_unload(struct object *o, uint32_t n)
{
    WITH_LOCK (&o->lock) {
        if (o->segments && o->segments[n] && !o->segments[n]->dirty && !o->segments[n]->writing)
            drop_locked(o, n);
    }
}

/* ---- looking ---- */

struct segment *segment_of_locked(struct object *o, uint64_t granule)
{
    return o->segments ? o->segments[granule / SEGMENT_GRANULES] : NULL;
}

bool present_locked(struct object *o, uint64_t granule)
{
    const struct segment *s = segment_of_locked(o, granule);
    return s && bitmap_has(s->present, granule % SEGMENT_GRANULES);
}

bool object_check_of(struct object *o, uint64_t granule, bool frozen, uint8_t *check)
{
    unsigned i = granule % SEGMENT_GRANULES, size = o->cache->check_bytes;
    bool loaded = false, there = false;
    for (int tries = 0; !loaded && tries < 3; tries++) { /* it may be unloaded at any moment */
        object_load(o, (uint32_t)(granule / SEGMENT_GRANULES));
        WITH_LOCK (&o->lock) {
            const struct segment *s = segment_of_locked(o, granule);
            loaded = s;
            there = s && (frozen ? s->frozen_bytes > 0 : bitmap_has(s->present, i));
            if (there)
                memcpy(check, s->checks + (size_t)i * size, size);
        }
    }
    return there;
}

/* Walks over the segments that are known to be full. True: all are. Else the next one, which is
 * loaded and not full (-1), or not loaded. */
static bool skip_full_locked(struct object *o, int64_t *next) REQUIRES(o->lock)
{
    uint32_t n = o->full_until;
    while (o->segments && n < o->segment_count && o->segments[n] &&
           o->segments[n]->count == granules_of(o->size, n))
        n++;
    o->full_until = n;
    if (o->keeping != KEEP)
        *next = -1;
    else
        *next = n < o->segment_count && o->segments && o->segments[n] ? -1 : (int64_t)n;
    return n == o->segment_count && o->keeping == KEEP;
}

static bool full_on_disk(struct object *o, uint32_t n)
{
    struct cache *c = o->cache;
    struct segment_id id = {.object = o->id, .number = n};
    struct index_record r;
    AUTO_FREE void *owned = NULL;
    int rc;
    WITH_LOCK (&c->lock)
        rc = find_record_locked(c, &id, &r, &owned);
    return rc == 0 && r.size == o->size &&
           present_sum(r.size, n, r.present).granules == granules_of(r.size, n);
}

bool object_is_full(struct object *o)
{
    if (o->sealed)
        return true;
    for (;;) {
        int64_t next;
        bool full;
        WITH_LOCK (&o->lock)
            full = skip_full_locked(o, &next);
        if (full || next < 0 || !full_on_disk(o, (uint32_t)next))
            return full;
        WITH_LOCK (&o->lock)
            if (o->full_until == next)
                o->full_until++;
    }
}

void object_note(struct object *o, uint64_t offset, uint64_t length)
{
    struct cache *c = o->cache;
    int64_t now_s = clock_real_ms() / 1000;
    for (uint64_t n = offset / SEGMENT_BYTES; n <= (offset + length - 1) / SEGMENT_BYTES; n++) {
        bool first = false;
        WITH_LOCK (&o->lock) {
            struct segment *s = o->segments ? o->segments[n] : NULL;
            first = s && !s->noted;
            if (first)
                s->noted = true;
        }
        if (first)
            uses_note(c->uses, segment_key(&o->id, (uint32_t)n),
                      segment_bytes(o->size, (uint32_t)n), now_s);
    }
}

/* ---- forgetting ---- */

/* The object is not sealed any more; its first record has to say so. */
static bool unseal_locked(struct object *o) REQUIRES(o->lock)
{
    bool was = atomic_exchange(&o->sealed, false);
    if (was && o->segments && o->segments[0])
        o->segments[0]->dirty = true;
    return was;
}

void object_forget(struct object *o, uint64_t granule)
{
    struct cache *c = o->cache;
    unsigned i = granule % SEGMENT_GRANULES;
    uint64_t disk = 0;
    bool unsealed = false;
    object_load(o, 0);
    WITH_LOCK (&o->lock) {
        if (present_locked(o, granule)) {
            struct segment *s = segment_of_locked(o, granule);
            disk = disk_bytes(granule_length(o->size, granule));
            bitmap_clear(s->present, i);
            bitmap_clear(s->right, i);
            s->count--;
            s->disk -= disk;
            s->dirty = true;
            if (granule / SEGMENT_GRANULES < o->full_until)
                o->full_until = (uint32_t)(granule / SEGMENT_GRANULES);
            unsealed = unseal_locked(o);
        }
    }
    if (!disk)
        return;
    c->damaged++;
    cache_count(c, -(int64_t)disk, 0, unsealed ? -1 : 0);
    cache_dirty(o);
    fill_poke(o);
}

static void add_frozen(struct forgotten *f, uint64_t bytes)
{
    f->disk += bytes;
    f->frozen += bytes > 0;
    f->frozen_bytes += bytes;
}

/* Adds the segments that nobody loaded. */
static void forget_unloaded(struct object *o, struct forgotten *f)
{
    struct cache *c = o->cache;
    for (uint32_t n = 0; n < o->segment_count; n++) {
        struct segment_id id = {.object = o->id, .number = n};
        struct index_record r;
        AUTO_FREE void *owned = NULL;
        bool loaded;
        int rc = -ENOENT;
        WITH_LOCK (&o->lock)
            loaded = o->segments && o->segments[n];
        if (!loaded)
            WITH_LOCK (&c->lock)
                rc = index_find(c->index, &id, &r, &owned);
        if (rc == 0) {
            f->disk += present_sum(r.size, n, r.present).disk;
            add_frozen(f, r.frozen_bytes);
        }
    }
}

struct forgotten object_forget_all(struct object *o)
{
    struct forgotten f = {0};
    forget_unloaded(o, &f);
    WITH_LOCK (&o->lock) {
        for (uint32_t n = 0; o->segments && n < o->segment_count; n++) {
            if (o->segments[n]) {
                f.disk += o->segments[n]->disk;
                add_frozen(&f, o->segments[n]->frozen_bytes);
            }
        }
        segments_free(o);
        o->unsynced = false;
        f.sealed = atomic_exchange(&o->sealed, false);
        f.counted = o->counted;
        o->counted = false;
    }
    return f;
}
