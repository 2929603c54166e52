/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of cache/ share: the cache, its objects, their flights.
 *
 * Locks: cache.lock (the table and its counters), object.lock (one object), pool.lock, the lock of
 * the workers. No two of the first three are ever held at once; jobs may be submitted under any.
 * The index is read under cache.lock (memory that is mapped), so that a record and the table agree.
 * Stores, done callbacks, reads and writes of files and commits run under no lock.
 *
 * An object is in the table while anybody refers to it: handles, reads that wait, flights, and the
 * list of dirty ones. So who is not in the table is closed, and LMDB knows all of it.
 *
 * A record never outlives the bytes that it names: whenever a cache file turns out to have lost
 * any (object_discard), the record is deleted before something is written to a file of that name
 * again; otherwise a hole could be taken for bytes.
 */
#ifndef CACHE_PRIVATE_H
#define CACHE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "base/map.h"
#include "cache/cache.h"
#include "cache/index.h"
#include "cache/pool.h"

/* Objects in memory at once. */
#define OBJECTS_OPEN_MAX ((size_t)1 << 22)

/* objects/ab/ and 62 more digits. */
#define OBJECT_PATH_BYTES (2 * SHA256_BYTES + 2)

/* The part of a read that lies in one block. */
struct piece {
    struct object_read *read;
    struct piece *next; /* in a flight's waiters; the object's lock */
    uint64_t block;
    size_t from; /* in the block */
    size_t length;
    char *to;
    bool on_disk; /* to be read from the file by the read's job */
};

enum flight_state {
    FLIGHT_ALOFT,  /* waits for a buffer or the store: waiters may join */
    FLIGHT_LANDED, /* all bytes in the buffer, which does not change any more */
};

/* One block on its way from the store to the waiters and into the file. */
struct flight {
    struct object *object; /* a reference */
    uint64_t block;
    size_t length;
    char *buffer;            /* from launch to the end */
    enum flight_state state; /* object lock */
    unsigned refs;           /* object lock */
    struct piece *waiters;   /* object lock */
    struct flight *next;     /* object lock: in object.flights */
    struct pool_wait wait;
    struct job job; /* writes the block */
    bool reserved;  /* the job's: the budget has counted it */
    struct store_get get;
    char if_match[ETAG_BYTES_MAX];
};

enum keeping {
    KEEP,    /* blocks go to the file */
    KEEP_NO, /* no file could be opened: what is on disk is left alone, nothing is added */
    DISCARD, /* bytes were lost: record and file go, nothing is kept until it is opened anew */
};

struct object {
    struct cache *cache; /* these to in_place: immutable after object_open */
    struct object_id id;
    char *key;
    uint64_t size;
    bool in_place;

    struct store *_Atomic store; /* of the latest opener */
    atomic_uint refs;            /* raised by who holds one; falls under cache.lock */
    _Atomic int64_t used_ms;     /* last read */
    atomic_bool touched;         /* read since the record was written */

    bool dirty;                /* cache.lock: in the list, which holds a reference */
    struct object *dirty_next; /* cache.lock */

    struct lock lock;
    int fd;                      /* lock; -1: not opened yet. Changes once, to the open file */
    bool opening;                /* lock: a worker opens the file */
    struct waitlist opened;      /* lock: jobs that wait for it */
    enum keeping keeping;        /* lock */
    uint8_t *present;            /* lock; NULL: none */
    uint64_t present_disk_bytes; /* lock */
    bool unsynced;               /* lock: written since the last fdatasync */
    char etag[ETAG_BYTES_MAX];   /* lock; changes once, from empty */
    struct flight *flights;      /* lock */
};

struct cache {
    int dirfd, objects_fd; /* immutable after cache_open, as are those to pool */
    uint64_t size_bytes;
    struct workers *workers;
    struct index *index;
    pthread_t flusher;
    struct batch *batch; /* the flusher's room */
    struct pool pool;

    _Atomic uint64_t hit_bytes, fetched_bytes, requests, write_errors;

    struct lock lock;
    struct cond changed;      /* for the flusher */
    struct cond idle;         /* for cache_close */
    struct map table;         /* lock; by id */
    struct map doomed;        /* lock; ids that eviction takes from the disk right now */
    struct object *dirty;     /* lock */
    uint64_t objects, bytes;  /* lock: with blocks on disk, and what those take */
    unsigned draining;        /* lock: calls of cache_drain_store */
    uint64_t flights, busy;   /* lock: flights; flights and reads that wait */
    bool ending, tick, evict; /* lock: what the flusher is asked for */
};

static inline struct slice id_slice(const struct object_id *id)
{
    return slice_make(id->bytes, sizeof id->bytes);
}

/* cache.c */

/* "ab/cdef...", below objects/. */
void object_path(const struct object_id *id, char out[OBJECT_PATH_BYTES]);
/* Counts something that cache_close has to wait for, and its end. */
void cache_begin(struct cache *c, bool flight) EXCLUDES(c->lock);
void cache_end(struct cache *c, bool flight) EXCLUDES(c->lock);
/* Puts the object into the next flush. */
void cache_dirty(struct object *o) EXCLUDES(o->cache->lock);
/*
 * True: the budget has room for n bytes more of the object's, and they are counted. False also
 * while eviction deletes an older incarnation of it, whose file has the same name.
 */
bool cache_reserve(struct object *o, uint64_t n) EXCLUDES(o->cache->lock);
/* Adds to the counters of what is on disk. */
void cache_count(struct cache *c, int64_t bytes, int64_t objects) EXCLUDES(c->lock);

/* keep.c: an object's file. Workers and the flusher only; they block. */

/*
 * Opens the object's file unless it is open. 0; or -EINPROGRESS, and the job will be submitted
 * again when another worker has opened it; or -EIO where there is and will be no file.
 */
int object_file(struct object *o, struct job *job, int *fd) EXCLUDES(o->lock);
/* The file has lost bytes, or may have: forgets all blocks; the flusher deletes the rest. */
void object_discard(struct object *o) EXCLUDES(o->lock);
/* Writes a landed block, whose disk_bytes are reserved, to the file. */
void object_keep(struct object *o, int fd, uint64_t block, const char *bytes) EXCLUDES(o->lock);

/* object.c */

/* Nobody refers to it, and it is in no table. */
void object_free(struct object *o);

/* One of what a read waits for is there, or failed with rc and err; the last one ends the read. */
void read_finish(struct object_read *r, int rc, const struct err *err);

/* flight.c */

/*
 * The piece will be finished from a flight: one that is under way, or a new one. Finishes it at
 * once where the bytes are at hand. False, and nothing done, where the block is in the file.
 */
bool flight_join(struct object *o, struct piece *p) EXCLUDES(o->lock);

/* flush.c */

/* Room for one flush; the caller frees it. NULL: out of memory. */
struct batch *flusher_room(void);
void *flusher_run(void *cache);

/* evict.c */

/* Deletes what was not used longest until there is room. False where there is still too little. */
bool cache_evict(struct cache *c) EXCLUDES(c->lock);
/* cache_open: makes files and records agree, and counts them. */
int cache_sweep(struct cache *c, struct err *err) EXCLUDES(c->lock);
/* Above this the flusher evicts; between it and the budget there is room for what arrives
 * meanwhile. */
uint64_t cache_high_water(const struct cache *c);

#endif
