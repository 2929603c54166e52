/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of cache/ share: the cache, its objects, their segments and flights.
 *
 * Locks: cache.lock (the table and its counters), object.lock (one object), pool.lock,
 * prefetcher.lock, the lock of the workers; the index's own, which stands alone. No two of the
 * first four are ever held at once; jobs may be submitted under any. The index is read under
 * cache.lock (memory that is mapped), so that a record and the table agree. Stores, done callbacks,
 * reads and writes of files and commits run under no lock.
 *
 * An object is in the table while anybody refers to it: handles, reads that wait, flights, fills,
 * the scrubber, and the list of dirty ones. So who is not in the table is closed, and LMDB knows
 * all of it.
 *
 * A record never outlives the bytes that it names: whenever a cache file turns out to have lost
 * any (object_discard), the records are deleted before something is written to a file of that name
 * again; otherwise a hole could be taken for bytes.
 */
#ifndef CACHE_PRIVATE_H
#define CACHE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/map.h"
#include "cache/cache.h"
#include "cache/cipher.h"
#include "cache/index.h"
#include "cache/pool.h"
#include "cache/uses.h"

/* Objects in memory at once. */
#define OBJECTS_OPEN_MAX ((size_t)1 << 22)

/* objects/ab/ and 62 more digits. */
#define OBJECT_PATH_BYTES (2 * SHA256_BYTES + 2)
/* The same, a dot, the segment and .zst. */
#define FROZEN_PATH_BYTES (OBJECT_PATH_BYTES + 16)

/* Of a granule in a cache that is not encrypted: its CRC32C. */
#define CRC_BYTES 4

/* Archived objects that are remembered; a power of 2. */
#define ARCHIVED_MARKS 4096

/* A part of a read that has one source: the file, or one flight. */
struct piece {
    struct object_read *read;
    struct piece *next;     /* in a flight's waiters (the object's lock), or in the read's lists */
    struct piece *next_all; /* in read->pieces */
    struct flight *flight;  /* that brings it; a reference where it has landed */
    uint64_t offset;        /* in the object */
    size_t length;
    bool last; /* behind it nobody comes for its flight */
    char *to;
};

enum flight_state {
    FLIGHT_ALOFT,  /* waits for a buffer or the store: waiters may join */
    FLIGHT_LANDED, /* all bytes in the buffer, which does not change any more */
};

/* Flights of one request: blocks, the first and last of which may be parts of one. */
#define TRAIN_FLIGHTS_MAX (TRAIN_BYTES / BLOCK_BYTES + 1)

/* Granules of one block on their way from the store to the waiters and into the file. */
struct flight {
    struct object *object; /* a reference */
    uint64_t offset;       /* of the first granule */
    size_t length;
    char *buffer;             /* from launch to the end */
    enum flight_state state;  /* object lock */
    unsigned refs;            /* object lock */
    struct piece *waiters;    /* object lock */
    struct flight *next;      /* object lock: in object.flights */
    struct flight *made_next; /* in the list of who made it, until it is started */
    struct flight *car;       /* the next one of its train: fetched by the same request */
    struct pool_wait wait;
    struct job job;  /* writes the granules; before that, reads the frozen file */
    bool frozen;     /* they come from the frozen file first */
    bool reserved;   /* the job's: the budget has counted it */
    bool ahead;      /* made for prefetch, whose budget counts it */
    bool passing;    /* its readers will hardly come again */
    bool used, read; /* object lock: somebody came for its last granule, for its last byte */
    bool kept;       /* object lock: the file has it */
    bool held;       /* object lock: ended, but for its buffer (cache/held.c) */
    bool listed;     /* prefetcher.lock, as the next three */
    struct flight *held_next, *held_before;
    int64_t held_ms;
    struct store_get get; /* the first one's of a train */
    struct iovec rooms[TRAIN_FLIGHTS_MAX];
    char if_match[ETAG_BYTES_MAX];
    char version[VERSION_ID_BYTES_MAX];
};

enum keeping {
    KEEP,    /* granules go to the file */
    KEEP_NO, /* no file could be opened: what is on disk is left alone, nothing is added */
    DISCARD, /* bytes were lost: records and file go, nothing is kept until it is opened anew */
};

/* What is cached of one segment of an open object. */
struct segment {
    bool dirty;            /* the record says something else */
    bool noted;            /* this use of it has been noted */
    bool dense;            /* as in the record */
    bool writing;          /* so does a copy that is not committed yet */
    bool thawed;           /* the record that is being written does without the frozen file */
    uint64_t frozen_bytes; /* as in the record: what is not present is in the frozen file */
    unsigned count;        /* granules present */
    uint64_t disk;         /* that they take */
    uint8_t present[SEGMENT_GRANULES / 8];
    uint8_t right[SEGMENT_GRANULES / 8]; /* written or checked since the segment was loaded */
    uint8_t checks[];                    /* cache.check_bytes for each granule */
};

enum fill_state { FILL_IDLE, FILL_RUNNING, FILL_AGAIN };

struct object {
    struct cache *cache; /* these to in_place: immutable after object_open */
    struct object_id id;
    char *key;
    uint64_t size;
    uint32_t segment_count;
    bool in_place;

    struct store *_Atomic store; /* of the latest opener */
    atomic_uint refs;            /* raised by who holds one; falls under cache.lock */
    atomic_bool sealed;          /* complete, and all of it synced */
    atomic_bool noted;           /* its use by the kernel has been noted */
    atomic_bool came; /* bytes of it have come from the store, now or in an earlier life */

    bool dirty;                /* cache.lock: in the list, which holds a reference */
    struct object *dirty_next; /* cache.lock */

    struct lock lock;
    int fd;                    /* lock; -1: not opened yet. Changes once, to the open file */
    unsigned lent;             /* lock: openings of its file that were given to the kernel */
    int direct_fd;             /* lock: the same file past the page cache; likewise */
    bool no_direct;            /* lock: its filesystem does not take that */
    bool opening;              /* lock: a worker opens the file */
    struct waitlist opened;    /* lock: jobs that wait for it */
    enum keeping keeping;      /* lock */
    struct segment **segments; /* lock; NULL: none is loaded. A loaded one may go unless dirty */
    uint32_t loaded;           /* lock */
    bool counted;              /* lock: among cache.objects; it has a first record, or will */
    uint32_t full_until;       /* lock: segments before this one are full */
    bool frozen_left;          /* lock: after object_discard, frozen files may be left to delete */
    bool unchecked;     /* lock: some was written by an earlier daemon, and not checked since */
    bool unsynced;      /* lock: written since the last fdatasync began */
    bool syncing;       /* lock: fdatasync is under way */
    int64_t checked_ms; /* lock: as the records say */
    char etag[ETAG_BYTES_MAX]; /* lock; changes once, from empty */
    char *version;             /* lock; as the latest opener said who named one; NULL: none did */
    struct flight *flights;    /* lock */
    unsigned readers;          /* lock: object_reader_begin */
    _Atomic int64_t read_ms;   /* when somebody last came for what is held */
    unsigned writers;          /* lock: trains of them that are being written to the file */
    struct waitlist to_write;  /* lock: jobs of those that wait for it */

    struct object_fill *fills; /* lock: who waits until it is sealed */
    enum fill_state filling;   /* lock: of fill_job */
    struct job fill_job;
};

/* Sealed objects that were opened and not checked since the daemon began. */
#define OPENED_QUEUE_MAX 1024

struct opened_queue {
    struct opened {
        struct object_id id;
        uint64_t size;
    } at[OPENED_QUEUE_MAX];
    size_t first, count;
    bool missed; /* some found no room: they are looked for in the index */
};

/*
 * A closed object is doomed while somebody changes what is on the disk of it. Who opens it
 * meanwhile adds nothing to it, and uses of it:
 */
enum doom {
    DOOM_NONE,
    DOOM_REMOVED, /* nothing: records and bytes are going */
    DOOM_FROZEN,  /* nothing for the moment: its records are changing, and then bytes go */
    DOOM_SWEPT,   /* all: only what no record names is going */
};

/* Its records may be used: only what none of them names is going. */
static inline bool doom_is_steady(enum doom doom)
{
    return doom == DOOM_NONE || doom == DOOM_SWEPT;
}

/* What executes prefetch (cache/prefetch.h). */
struct prefetcher {
    struct lock lock;
    struct prefetch *first, *last; /* lock: that have wants, in the order of their turns */
    _Atomic size_t waiting;        /* wants that have not been sent; changes under the lock */
    unsigned blocks;               /* lock: buffers that prefetch has, or is about to take */
    unsigned seals;                /* lock: whole objects that were sent and are not sealed */
    struct flight *held_first, *held_last; /* lock: oldest first */
};

struct cache {
    int dirfd, objects_fd; /* immutable after cache_open, as are those to pool */
    uint64_t size_bytes, free_bytes;
    int64_t freeze_after_ms; /* 0: nothing is frozen */
    struct cipher *cipher;   /* NULL: objects are not encrypted */
    unsigned check_bytes;
    int64_t opened_s;   /* wall time of cache_open */
    int64_t started_ms; /* wall time, but later than each record's checked_ms */
    struct workers *workers;
    struct index *index;
    struct uses *uses;
    void (*tell)(void *arg, const char *text);
    void *tell_arg;
    pthread_t flusher, upkeep;
    struct pool pool;
    struct prefetcher prefetcher;

    _Atomic uint64_t hit_bytes, fetched_bytes, requests, write_errors;
    _Atomic uint64_t evicted_bytes, scrubbed_bytes, damaged;
    _Atomic uint64_t near_hits, near_hit_bytes, near_filled, near_filled_bytes; /* cache_stat's */
    _Atomic uint64_t near_removed_bytes, near_damaged, near_failed;
    struct lock near_lock;       /* guards near_book until it is there; held while it is opened */
    struct near_book *near_book; /* NULL: no near store is used */
    _Atomic uint64_t archived[ARCHIVED_MARKS]; /* archived.c; 0: nobody */
    _Atomic size_t loaded_bytes;               /* of segments in memory */
    _Atomic uint64_t limit_bytes; /* the budget, and what free_bytes leaves of the disk */
    _Atomic int64_t off_until_ms; /* 0: the disk takes what it is given */
    atomic_bool dead;             /* it did not, though there was room: not even records go away */
    _Atomic int64_t probed_ms;    /* when it was last seen to be readable */

    struct lock lock;
    struct cond changed;           /* for the flusher */
    struct cond due;               /* for the upkeep */
    struct cond idle;              /* for cache_close */
    struct map table;              /* lock; by id */
    struct map doomed;             /* lock; by id: one of cache.c's marks */
    struct object *dirty;          /* lock */
    uint64_t objects, sealed;      /* lock: of which something is on disk; all of it */
    uint64_t bytes;                /* lock: disk that they take, also frozen */
    uint64_t frozen, frozen_bytes; /* lock: frozen segments, the disk that their files take */
    atomic_uint draining;          /* calls of cache_drain_store */
    uint64_t flights, busy;        /* lock: flights; flights, fills and reads that wait */
    bool ending, tick, evict;      /* lock: what the flusher is asked for */
    bool flushing;                 /* lock: it has taken from the dirty list and not committed */
    bool failing;                  /* lock: its last commit was refused */
    bool evicting;                 /* lock: somebody does */
    unsigned settling;             /* lock: calls of cache_settle, for which it flushes at once */
    bool upkeep_ending;            /* lock */
    bool upkeep_busy;              /* lock: it holds an object */
    unsigned upkeep_paused;        /* lock: calls of upkeep_pause */
    struct opened_queue opened;    /* lock: to be checked */
};

static inline struct slice id_slice(const struct object_id *id)
{
    return slice_make(id->bytes, sizeof id->bytes);
}

/* Wall time as records tell it: never before the daemon's start, whatever the clock does. */
static inline int64_t checked_now(const struct cache *c)
{
    int64_t now = clock_real_ms();
    return now > c->started_ms ? now : c->started_ms;
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
 * True: there is room for n bytes more of the object's, and they are counted. False also while
 * eviction deletes an older incarnation of it, whose file has the same name, and while caching is
 * off.
 */
bool cache_reserve(struct object *o, uint64_t n) EXCLUDES(o->cache->lock);
/* False: it is open, or doomed already, for the end of which cache_doom waits. `id` must outlive
 * cache_undoom. */
bool cache_doom_locked(struct cache *c, const struct object_id *id, enum doom why)
    REQUIRES(c->lock);
void cache_undoom_locked(struct cache *c, const struct object_id *id) REQUIRES(c->lock);
bool cache_doom(struct cache *c, const struct object_id *id, enum doom why) EXCLUDES(c->lock);
void cache_undoom(struct cache *c, const struct object_id *id) EXCLUDES(c->lock);
enum doom cache_doom_of_locked(struct cache *c, const struct object_id *id) REQUIRES(c->lock);
/* Adds to the counters of what is on disk. */
void cache_count(struct cache *c, int64_t bytes, int64_t objects, int64_t sealed) EXCLUDES(c->lock);
/* Of those bytes, what is frozen. */
void cache_count_frozen(struct cache *c, int64_t segments, int64_t bytes) EXCLUDES(c->lock);

/* What is known of near stores (cache/near_book.h): opened by the first who asks. NULL and err when
 * out of memory. Blocks. */
struct near_book *cache_near_book(struct cache *c, struct err *err) EXCLUDES(c->near_lock);

/* Tells a store that wants to know that an object is sealed. */
void cache_tell_sealed_locked(struct cache *c, struct object *o) REQUIRES(c->lock);

/* health.c: what the disk refuses */

/* What a log should say. */
void cache_tell(struct cache *c, const char *text);
/* A write of the cache's own failed with errno: turns caching off for a while. */
void cache_failed(struct cache *c, int code);
/* Writing works (again). */
void cache_worked(struct cache *c);
bool cache_is_off(struct cache *c);
/* Asks the disk how much is free, and sets the limit. */
void cache_measure(struct cache *c) EXCLUDES(c->lock);

/* segment.c: what is present. A granule's number counts from the object's start. */

/* Takes the segment from the index, or begins it empty; it may stay NULL where that is not
 * possible: nothing of it is read from the file or written to it then. */
void object_load(struct object *o, uint32_t segment) EXCLUDES(o->lock);
void object_load_range(struct object *o, uint64_t offset, uint64_t length) EXCLUDES(o->lock);
struct segment *segment_of_locked(struct object *o, uint64_t granule) REQUIRES(o->lock);
bool present_locked(struct object *o, uint64_t granule) REQUIRES(o->lock);
/* The memory of all that is loaded. Nobody else has the object, or its lock is held. */
void segments_free(struct object *o);
/* Gives back the memory of a segment that its record tells all of. */
void object_unload(struct object *o, uint32_t segment) EXCLUDES(o->lock);
/*
 * The check of a granule that is in the plain file, or with `frozen` in the frozen one; loads the
 * segment. False: it is not there (any more).
 */
bool object_check_of(struct object *o, uint64_t granule, bool frozen, uint8_t *check)
    EXCLUDES(o->lock);
/* Forgets one granule, whose bytes are wrong. */
void object_forget(struct object *o, uint64_t granule) EXCLUDES(o->lock);
/* Forgets all; returns the disk and the records that were there. */
struct forgotten {
    uint64_t disk, frozen, frozen_bytes;
    bool counted, sealed;
};
struct forgotten object_forget_all(struct object *o) EXCLUDES(o->lock);
/* Every granule is present. Reads the index for what is not loaded. */
bool object_is_full(struct object *o) EXCLUDES(o->lock);
/* Notes that the range is used, once for each loaded segment. */
void object_note(struct object *o, uint64_t offset, uint64_t length) EXCLUDES(o->lock);
uint64_t segment_key(const struct object_id *id, uint32_t segment);
uint64_t segment_bytes(uint64_t size, uint32_t segment);

/* keep.c: an object's file. Workers and the cache's threads only; they block. */

/*
 * Opens the object's file unless it is open. 0; or -EINPROGRESS, and the job will be submitted
 * again when another worker has opened it; or -EIO where there is and will be no file.
 */
int object_file(struct object *o, struct job *job, int *fd) EXCLUDES(o->lock);
/* The file has lost bytes, or may have: forgets all; the flusher deletes the rest. */
void object_discard(struct object *o) EXCLUDES(o->lock);
/*
 * Reads a range whose granules were all present, checking those that were not checked since they
 * were loaded. -EBADMSG: some were wrong, and are forgotten now. -EIO: the file cannot be read.
 */
int object_load_bytes(struct object *o, int fd, uint64_t offset, char *to, size_t length)
    EXCLUDES(o->lock);
/*
 * Makes what is written last. -EINPROGRESS: somebody else is at it, and the object will be flushed
 * again. The object is sealed after it, where all of it was present before.
 */
int object_sync(struct object *o) EXCLUDES(o->lock);
/*
 * Checks a full object of which an earlier daemon wrote some. -EBADMSG: what was wrong is
 * forgotten, and it is not full any more.
 */
int object_check_old(struct object *o) EXCLUDES(o->lock);
/*
 * The file of a closed object, to make holes in it. -1 where that must not be: the kernel has it
 * open, for a mapping through a mount, which outlives the handle that it was made with.
 */
int keep_open_alone(int dir, const char *path);
/* The same of a file that is open for writing, here only. */
bool keep_is_alone(int fd);
/*
 * A recorded file, for the caller to close; -1 where it cannot be opened, or not without waiting
 * for the disk (at_once). `trusted`: this daemon has checked or written it, so nobody looks whether
 * it is as it was left.
 */
int keep_open_recorded(struct object *o, bool trusted, bool at_once);
/* object_file, for threads that may wait for another one. */
int object_file_wait(struct object *o, int *fd) EXCLUDES(o->lock);

/* clear.c */

/*
 * Removes what stands at a path below objects/, which is for a file of ours. A directory there
 * counts as damage; what is in it is not ours: it is moved to DIR/strays, and stays there. True: it
 * is gone from there now.
 */
bool cache_clear(struct cache *c, const char *path);

/* granule.c: what is on the disk of a granule, and what tells that it is right */

/* Whole granules of an object, in buffers of a flight each. */
struct granules {
    uint64_t offset;
    unsigned count;
    struct iovec at[TRAIN_FLIGHTS_MAX];
};

/*
 * Writes granules, and makes cache.check_bytes for each. What was there must not be read
 * meanwhile. -errno of the disk. Blocks.
 */
int granules_write(struct object *o, int fd, const struct granules *g, uint8_t *checks);
/*
 * Makes of a granule's bytes as they are on the disk, in place, those of the object. False: they
 * are not those that the check was made of, and may be zeroes now.
 */
bool granule_open(const struct object *o, uint64_t granule, char *bytes, const uint8_t *check);

/* thaw.c: frozen segments. Those functions that take an object or a cache block. */

/* "ab/cdef...N.zst", below objects/. */
void frozen_path(const struct segment_id *id, char out[FROZEN_PATH_BYTES]);
void frozen_remove(struct cache *c, const struct segment_id *id);
/* What is not present of a loaded segment is in its frozen file. */
bool segment_is_frozen(struct object *o, uint32_t segment) EXCLUDES(o->lock);
/*
 * Whole granules of one block from the frozen file, checked; `to` has room for a block. Where that
 * file turns out to be damaged it is forgotten. -errno: they have to be fetched.
 */
int object_thaw(struct object *o, uint64_t offset, char *to, size_t length) EXCLUDES(o->lock);
/* The flusher's: its copies are committed, so frozen files that they do without can go. */
void object_written(struct object *o) EXCLUDES(o->lock);
/* The flusher's: all that a discarded object may have. */
void object_remove_frozen(struct object *o) EXCLUDES(o->lock);

/* freeze.c */

/*
 * Freezes the next segment that is due, from a place in the index on, which moves (0: at the start
 * again). False: none is. The upkeep's; blocks.
 */
bool freeze_next(struct cache *c, uint64_t *place) EXCLUDES(c->lock);

/* keyed.c */

/* cache_open: -EKEYREJECTED where what the cache holds was made with another key, or with none. */
int keyed_check(struct cache *c, struct err *err);

/* read.c */

/* One of what a read waits for is there, or failed with rc and err; the last one ends the read. */
void read_finish(struct object_read *r, int rc, const struct err *err);

/* object.c */

/* Nobody refers to it, and it is in no table. */
void object_free(struct object *o);
/*
 * The object of a record, for who wants its cached bytes only; until somebody opens it, it has no
 * key and no store. A reference; NULL where it is being deleted, or there is no memory.
 */
struct object *object_hold(struct cache *c, const struct object_id *id, uint64_t size)
    EXCLUDES(c->lock);

/* flight.c */

/* The flight that brings what is at the offset, or NULL. */
struct flight *flight_at_locked(struct object *o, uint64_t offset) REQUIRES(o->lock);
/*
 * A flight of whole granules of one block that nobody brings yet, for flights_start when the lock
 * is left; the caller says of what kind it is. NULL: out of memory.
 */
struct flight *flight_new_locked(struct object *o, uint64_t offset, size_t length)
    REQUIRES(o->lock);
/* Starts a list (made_next, in order of their bytes): neighbours share a request. */
void flights_start(struct flight *made);
/* A piece of a flight that has landed; gives back the reference that it had to it. */
void flight_serve(struct piece *p);
void flight_unref(struct flight *f) EXCLUDES(f->object->lock);
/* Takes it off the object. */
void flight_unlink_locked(struct object *o, struct flight *f) REQUIRES(o->lock);
/* The same, and gives back the reference that this was. */
void flight_leave(struct flight *f) EXCLUDES(f->object->lock);

/* archived.c */

/* A get of the object's has ended so. */
void archived_note(struct object *o, int rc) EXCLUDES(o->lock);

/* write.c */

/* Writes what has landed to the file, on a worker, and ends these flights: one, or a train. */
void train_write(struct flight *first) EXCLUDES(first->object->lock);

/* held.c */

/* A flight whose job is done shall be held: its buffer stays, to be read from. */
bool held_wanted_locked(struct object *o, struct flight *f) REQUIRES(o->lock);
/* Somebody comes for the flight's bytes up to there. True: nobody comes for it after him. */
bool held_used_locked(struct object *o, struct flight *f, uint64_t end) REQUIRES(o->lock);
/* Takes over the reference of a flight that shall be held; the caller has another one. */
void held_add(struct flight *f) EXCLUDES(f->object->lock);
/* Ends a flight if it is held. The caller has a reference. */
void held_release(struct flight *f) EXCLUDES(f->object->lock);
/* Ends one: somebody waits for a buffer; prefetch has none left, and one is old that the file has.
 * Ends those that nobody came for. */
void held_make_room(struct cache *c);
void held_drop_stale(struct cache *c);
void held_expire(struct cache *c);

/* join.c */

/*
 * Finds a source for each granule of the range: the file, a flight under way, a new flight, which
 * fetches at least `fetch_bytes` where so much is missing (0: as suits a read at random;
 * GRANULE_BYTES: the reader is in sequence, or follows a plan). Adds to
 * r->missing and r->on_disk. r NULL: the flights are made for nobody.
 */
void flights_join(struct object *o, struct object_read *r, uint64_t offset, uint64_t length,
                  size_t fetch_bytes) EXCLUDES(o->lock);
/* The same for nobody: flights of prefetch for exactly what is missing of the range. */
void flights_ahead(struct object *o, uint64_t offset, uint64_t length) EXCLUDES(o->lock);

/* prefetch.c */

void prefetcher_init(struct prefetcher *a);
void prefetcher_done(struct prefetcher *a);
/* Fills in what is prefetch's. */
void prefetch_stat(struct cache *c, struct cache_stat *out) EXCLUDES(c->prefetcher.lock);
/* Sends what the budget allows. */
void prefetch_go_on(struct cache *c) EXCLUDES(c->prefetcher.lock);
/* A buffer more that prefetch takes, and one that it has given back. */
void prefetch_launched(struct cache *c) EXCLUDES(c->prefetcher.lock);
void prefetch_landed(struct cache *c) EXCLUDES(c->prefetcher.lock);

/* fill.c */

/* Something changed for those who wait until the object is sealed. */
void fill_poke(struct object *o) EXCLUDES(o->lock);
/* They wait in vain. */
void fill_fail(struct object *o, int rc, const struct err *err) EXCLUDES(o->lock);
/* Fetches again what was forgotten of an object that is open. */
void fill_repair(struct object *o) EXCLUDES(o->lock);

/* flush.c */

void *flusher_run(void *cache);

/* Waits, for some seconds at most, until what is dirty now has been committed. Blocks. */
void cache_settle(struct cache *c) EXCLUDES(c->lock);

/* evict.c */

/* Deletes what is least worth its room until there is some. False where there is still too
 * little. */
bool cache_evict(struct cache *c) EXCLUDES(c->lock);
/* Above this the flusher evicts; between it and the limit there is room for what arrives
 * meanwhile. */
uint64_t cache_high_water(struct cache *c);

/* upkeep.c */

void *upkeep_run(void *cache);
/* Until upkeep_resume it holds no object; waits for the one that it holds. Blocks. */
void upkeep_pause(struct cache *c) EXCLUDES(c->lock);
void upkeep_resume(struct cache *c) EXCLUDES(c->lock);
/* The object shall be checked soon: nobody has since the daemon began. */
void upkeep_check(const struct object *o) EXCLUDES(o->cache->lock);
void upkeep_check_locked(struct cache *c, const struct object *o) REQUIRES(c->lock);

/* maintain.c */

/* What a walk through the cache shall do. */
struct walk {
    struct cache *cache;
    struct cache_report report;
    /* Called now and then; false stops the walk. */
    bool (*go_on)(struct walk *w);
    void *arg;
};
/* Checks all that is present of one object, and has it mended where the kernel may be reading it.
 * False: something was wrong with it. */
bool maintain_verify(struct walk *w, const struct object_id *id, uint64_t size);
/*
 * Checks the next object of whose records one is due, from *place on, which moves behind it; 0 at
 * the end. False: there is none up to there.
 */
bool maintain_next(struct walk *w, uint64_t *place, index_match *due, void *arg);
/* Deletes files that no record names, and holes' worth of bytes that none names. */
void maintain_files(struct walk *w);

#endif
