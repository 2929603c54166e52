/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making room.
 *
 * Eviction looks at records from random places of the index and takes those that uses_score likes
 * least, never of an object in the table. An object of one segment goes whole; of a larger one a
 * segment goes, a hole in its file, and its first record stays, because it holds the ETag.
 *
 * The record goes first, then the bytes; a crash between leaves bytes without a record, which
 * cache_gc finds. While both go, the id is in `doomed`: an object that is opened meanwhile starts
 * empty and keeps nothing until that is over.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>

#include "base/vec.h"
#include "cache/evict.h"

/*
 * Measured (bench_evict): fewer looks for one that goes lose a tenth of the hits of a shuffled
 * epoch. Large and small objects are sampled apart: among thousands of small ones a sample would
 * miss the few large ones that take most of the room, and drop good small ones in their place.
 */
#define SAMPLE_CLASSES 2
#define SAMPLE_PLACES 64
#define SAMPLE_EACH 8
#define SAMPLE_MAX (SAMPLE_CLASSES * SAMPLE_PLACES * SAMPLE_EACH)
#define TAKEN_EACH 8  /* of a sample, the worst that go */
#define TAKEN_MAX 64  /* by one transaction */
#define ROUNDS_IDLE 8 /* that freed nothing, before it gives up */

struct victim {
    struct segment_id id;
    uint64_t size, disk, frozen_bytes;
    double score;
    bool sealed;
    bool last; /* of its object: nothing else is cached of that */
};

struct sample {
    struct cache *cache;
    size_t count;
    struct victim at[SAMPLE_MAX];
    struct victim taken[TAKEN_MAX];
};

uint64_t cache_high_water(struct cache *c)
{
    uint64_t limit = c->limit_bytes, room = limit / 64;
    if (room < 64 * MIB)
        room = limit / 8 < 64 * MIB ? limit / 8 : 64 * MIB;
    return limit - room;
}

static int collect(void *arg, const struct segment_id *id, const struct index_record *r)
{
    struct sample *all = arg;
    struct cache *c = all->cache;
    struct present_sum sum = present_sum(r->size, id->number, r->present);
    uint64_t disk = sum.disk + r->frozen_bytes;
    if (disk == 0)
        return 0; /* a first record that is there for its ETag */
    all->at[all->count++] =
        (struct victim){.id = *id,
                        .size = r->size,
                        .disk = disk,
                        .score = uses_score(c->uses, segment_key(&id->object, id->number), disk)};
    return 0;
}

/* By id, so that what was met twice stands together. */
static int by_id(const void *a, const void *b)
{
    const struct victim *x = a, *y = b;
    return memcmp(&x->id, &y->id, sizeof x->id);
}

static int worst_first(const void *a, const void *b)
{
    const struct victim *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

static void take_sample(struct cache *c, struct sample *all)
{
    uint64_t places[SAMPLE_CLASSES * SAMPLE_PLACES];
    all->cache = c;
    all->count = 0;
    if (getrandom(places, sizeof places, 0) != (ssize_t)sizeof places)
        return; /* cannot be: so few bytes come at once */
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
        places[i] =
            i % SAMPLE_CLASSES ? places[i] | INDEX_PLACE_LARGE : places[i] & ~INDEX_PLACE_LARGE;
    places[0] = 0; /* so that a handful of records is seen whole */
    places[1] = INDEX_PLACE_LARGE;
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
        (void)index_from(c->index, places[i], SAMPLE_EACH, collect, all, NULL);
    qsort(all->at, all->count, sizeof all->at[0], by_id);
    size_t n = 0;
    for (size_t i = 0; i < all->count; i++)
        if (i == 0 || memcmp(&all->at[i].id, &all->at[i - 1].id, sizeof all->at[i].id) != 0)
            all->at[n++] = all->at[i];
    all->count = n;
    qsort(all->at, all->count, sizeof all->at[0], worst_first);
}

/* Dooms the victim unless it is open. What its record says may have changed since the sample. */
static bool doom_locked(struct cache *c, struct victim *v) REQUIRES(c->lock)
{
    struct index_record r, head;
    AUTO_FREE void *owned = NULL;
    struct segment_id first = {.object = v->id.object};
    if (index_find(c->index, &v->id, &r, &owned) < 0 ||
        !cache_doom_locked(c, &v->id.object, DOOM_REMOVED))
        return false;
    v->frozen_bytes = r.frozen_bytes;
    v->disk = present_sum(r.size, v->id.number, r.present).disk + r.frozen_bytes;
    v->sealed = index_head(c->index, &first, &head) == 0 && head.sealed;
    return true;
}

static void undoom(struct cache *c, const struct victim *v, bool removed)
{
    bool object = removed && v->last;
    WITH_LOCK (&c->lock) {
        cache_undoom_locked(c, &v->id.object);
        c->bytes -= removed ? v->disk : 0;
        c->objects -= object;
        c->sealed -= removed && v->sealed;
        c->frozen -= removed && v->frozen_bytes;
        c->frozen_bytes -= removed ? v->frozen_bytes : 0;
    }
    c->evicted_bytes += removed ? v->disk : 0;
}

/* Of a large object. */
static bool is_last(struct cache *c, const struct victim *v)
{
    bool last = true;
    for (struct segment_id at = {.object = v->id.object}; last && at.number < segments_of(v->size);
         at.number++) {
        struct index_record r;
        AUTO_FREE void *owned = NULL;
        int rc = -ENOENT;
        if (at.number != v->id.number)
            WITH_LOCK (&c->lock)
                rc = index_find(c->index, &at, &r, &owned);
        if (rc == 0)
            last = present_sum(r.size, at.number, r.present).disk + r.frozen_bytes == 0;
        else if (rc != -ENOENT)
            last = false;
    }
    return last;
}

static void remove_file(struct cache *c, const struct victim *v)
{
    char path[OBJECT_PATH_BYTES];
    object_path(&v->id.object, path);
    if (v->frozen_bytes)
        frozen_remove(c, &v->id);
    (void)cache_clear(c, path); /* what stays is found by cache_gc */
}

/* Deletes the record, but the first one, which has the ETag, only says that nothing is there; that
 * the object is not sealed any more stands in the first one, too. */
static int change_records(struct cache *c, const struct victim *v)
{
    static const uint8_t none[SEGMENT_GRANULES / 8];
    struct segment_id first = {.object = v->id.object};
    struct index_record r;
    struct index_change changes[2];
    AUTO_FREE void *owned = NULL;
    size_t n = 0;
    int rc;
    WITH_LOCK (&c->lock)
        rc = index_find(c->index, &first, &r, &owned);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (rc == 0) {
        r.sealed = false;
        if (v->id.number == 0) {
            r.present = none;
            r.frozen_bytes = 0;
        }
        changes[n++] = (struct index_change){.id = first, .record = v->last ? NULL : &r};
    }
    if (v->id.number)
        changes[n++] = (struct index_change){.id = v->id};
    return index_write(c->index, changes, n, NULL);
}

/* A segment of a large object: a hole in its file, unless that is mapped. */
static bool remove_segment(struct cache *c, struct victim *v)
{
    char path[OBJECT_PATH_BYTES];
    object_path(&v->id.object, path);
    v->last = is_last(c, v);
    AUTO_FD int fd = v->last ? -1 : keep_open_alone(c->objects_fd, path);
    if (!v->last && fd < 0 && errno != ENOENT)
        return false;
    if (change_records(c, v) < 0)
        return false;
    if (v->last) {
        remove_file(c, v);
        return true;
    }
    if (v->frozen_bytes)
        frozen_remove(c, &v->id);
    if (fd >= 0)
        (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        (off_t)(v->id.number * (uint64_t)SEGMENT_BYTES), (off_t)SEGMENT_BYTES);
    return true;
}

/*
 * Those of one segment, which most are, in one transaction; of the others one after another.
 * Returns how many went: none, where the disk takes no changes of the index.
 */
static size_t remove_all(struct cache *c, struct victim *victims, size_t n)
{
    struct index_change changes[TAKEN_MAX] = {0};
    size_t count = 0, gone = 0;
    for (size_t i = 0; i < n; i++)
        if (segments_of(victims[i].size) == 1)
            changes[count++] = (struct index_change){.id = victims[i].id};
    int rc = index_write(c->index, changes, count, NULL);
    for (size_t i = 0; i < n; i++) {
        struct victim *v = &victims[i];
        bool large = segments_of(v->size) > 1, removed;
        v->last = !large;
        removed = large ? remove_segment(c, v) : rc == 0;
        if (removed && !large)
            remove_file(c, v);
        undoom(c, v, removed);
        gone += removed;
    }
    return gone;
}

/* Dooms the worst of one sample. Returns how many are doomed then; `freed`: what they take. */
static size_t choose_some(struct cache *c, struct sample *all, size_t n, uint64_t target,
                          uint64_t *freed)
{
    size_t most = n + TAKEN_EACH < TAKEN_MAX ? n + TAKEN_EACH : TAKEN_MAX;
    bool enough = false;
    take_sample(c, all);
    for (size_t i = 0; i < all->count && n < most && !enough; i++) {
        bool doomed = false;
        all->taken[n] = all->at[i];
        WITH_LOCK (&c->lock) { /* for each anew: its record may have to be read from the disk */
            enough = c->bytes <= target + *freed;
            if (!enough)
                doomed = doom_locked(c, &all->taken[n]);
        }
        if (doomed)
            *freed += all->taken[n++].disk;
    }
    return n;
}

/* Evicts the worst of several samples. Returns how many went. */
static size_t evict_some(struct cache *c, struct sample *all, uint64_t target)
{
    size_t n = 0, before;
    uint64_t freed = 0;
    do {
        before = n;
        n = choose_some(c, all, n, target, &freed);
    } while (n > before && n < TAKEN_MAX);
    return remove_all(c, all->taken, n);
}

/* One at a time: two would each make all of the room that is missing. */
static void begin_evicting(struct cache *c)
{
    WITH_LOCK (&c->lock) {
        while (c->evicting)
            cond_wait(&c->idle, &c->lock);
        c->evicting = true;
    }
}

static void end_evicting(struct cache *c)
{
    WITH_LOCK (&c->lock) {
        c->evicting = false;
        cond_broadcast(&c->idle);
    }
}

static bool evict_to_target(struct cache *c, struct sample *all)
{
    for (unsigned idle = 0; idle < ROUNDS_IDLE;) {
        uint64_t high = cache_high_water(c), target = high - high / 64;
        bool enough;
        WITH_LOCK (&c->lock)
            enough = c->bytes <= target;
        if (enough)
            return true;
        idle = evict_some(c, all, target) ? 0 : idle + 1;
    }
    return false;
}

bool cache_evict(struct cache *c)
{
    AUTO_FREE struct sample *all = calloc(1, sizeof *all);
    if (!all)
        return false;
    begin_evicting(c);
    bool enough = evict_to_target(c, all);
    end_evicting(c);
    return enough;
}

/* ---- whole objects ---- */

int evict_object(struct cache *c, const struct object_id *id, uint64_t size, uint64_t *freed)
{
    VEC(struct index_change) changes = VEC_MAX(segments_of(OBJECT_BYTES_MAX));
    struct segment_id at = {.object = *id};
    char path[OBJECT_PATH_BYTES];
    uint64_t disk = 0, frozen = 0, frozen_bytes = 0;
    bool sealed = false, recorded = false;
    int rc = 0;
    for (; rc == 0 && at.number < segments_of(size); at.number++) {
        struct index_record r;
        AUTO_FREE void *owned = NULL;
        struct index_change change = {.id = at};
        WITH_LOCK (&c->lock)
            rc = index_find(c->index, &at, &r, &owned);
        if (rc == 0) {
            disk += present_sum(r.size, at.number, r.present).disk + r.frozen_bytes;
            frozen += r.frozen_bytes > 0;
            frozen_bytes += r.frozen_bytes;
            sealed = sealed || r.sealed;
            recorded = recorded || at.number == 0;
            rc = vec_push(&changes, change);
        } else if (rc == -ENOENT) {
            rc = 0;
        }
    }
    if (rc == 0)
        rc = index_write(c->index, changes.at, changes.n, NULL);
    for (size_t i = 0; rc == 0 && frozen && i < changes.n; i++)
        frozen_remove(c, &changes.at[i].id);
    vec_done(&changes);
    if (rc < 0)
        return rc;
    cache_count_frozen(c, -(int64_t)frozen, -(int64_t)frozen_bytes);
    object_path(id, path);
    (void)cache_clear(c, path); /* what stays is found by cache_gc */
    cache_count(c, -(int64_t)disk, recorded ? -1 : 0, sealed ? -1 : 0);
    *freed = disk;
    return recorded;
}
