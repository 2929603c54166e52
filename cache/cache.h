/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object cache: objects of stores as sparse files on the local disk, filled in any order.
 *
 *   DIR/objects/ab/abcdef...   one sparse file an object, named by the hash of its identity
 *   DIR/objects/ab/abc...N.zst segment N of it, frozen: seekable zstd (cache/frozen.h)
 *   DIR/cache.mdb              LMDB: per segment which granules are present, their checksums, the
 *                              object's ETag
 *   DIR/uses                   what was used when (cache/uses.h)
 *   DIR/cache.key              the fingerprint of the key, where objects are encrypted
 *
 * An object's identity is (store url, key, size, etag as listed). What is missing of a read is
 * fetched by *flights*, each of a run of granules in one block, which all readers that miss any of
 * it wait for; each is given its bytes as the flight's arrive. The first answer's ETag is kept and
 * sent as If-Match ever after: a changed object is -ESTALE, never a mixture.
 *
 *   granule 64 KiB   presence and checksum        block 1 MiB   the most that a flight brings
 *   segment 64 MiB   a record of the index, and what eviction takes at once
 *
 *   absent --read--> flight (buffer from the pool) --all bytes, right length--> present in memory
 *   present in memory --file written, synced by the flusher, LMDB commit--> present on disk
 *   all granules present and synced --> sealed: the kernel may read the file by itself
 *   not used for long, and it compresses --> frozen --read--> granule by granule as it was
 *
 * So kill -9 or power loss leaves LMDB naming only granules whose bytes are on the disk. A granule
 * is compared with its checksum before the first read from the file that this process makes of it;
 * a sealed object is checked in the background when it is opened (cache/upkeep.c). What is wrong is
 * forgotten and fetched again. Objects of stores that can open in place are read there and never
 * copied.
 *
 * With a key, granules are encrypted on the disk (cache/cipher.h): such objects are neither frozen
 * nor for the kernel to read.
 *
 * A disk that is full or dead turns caching off for a while, not reading.
 *
 * Any thread may call. No call waits for the network or the disk but those marked "blocks".
 * Not here: what is fetched before anybody reads it (cache/prefetch.h), and which ranges those are
 * (plans come from above).
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/workers.h"
#include "cache/store/store.h"

struct cache;
struct object;

struct cache_config {
    int dirfd;               /* the cache directory, borrowed while the cache lives */
    uint64_t size_bytes;     /* budget of the objects' files */
    uint64_t free_bytes;     /* of the disk, which stay free whatever the budget says */
    struct workers *workers; /* disk reads and writes; borrowed likewise */
    /* 32 bytes, not kept: objects are encrypted with AES-256-GCM. NULL: they are not. */
    const uint8_t *key;
    bool any_key; /* what another key made cannot be read, but can be counted and removed */
    int64_t freeze_after_ms; /* what was not used for so long is compressed; 0: nothing is */
    /* What a log should say, once each time it becomes so. Any thread; may be NULL. */
    void (*tell)(void *arg, const char *text);
    void *arg;
};

/*
 * Opens or makes the cache; what is damaged is made again empty. -EKEYREJECTED where it holds
 * objects that were made with another key, or with one where none is given, or without. Blocks.
 * Nobody else may have the directory open (the daemon holds its lock).
 */
struct cache *cache_open(const struct cache_config *config, struct err *err);

/* Waits for all flights, flushes, closes. No object may be open. Blocks. */
void cache_close(struct cache *c);
DEFINE_AUTO(cache, struct cache *, cache_close)

/* What an object is. Strings are borrowed for the call. */
struct object_name {
    struct store *store; /* must outlive the object: see cache_drain_store */
    struct slice key;
    uint64_t size;
    struct slice etag; /* as a listing told it; empty: learned with the first bytes */
    /* Empty, or the store's id of the version to read. No part of the identity: bytes with one key,
     * size and ETag are the same, whichever version they were read of. */
    struct slice version;
    bool at_once; /* object_open: -EAGAIN rather than wait for the disk */
};

/*
 * Opens an object, to be given back by object_unref. For stores with open_in_place it opens the
 * file, which blocks (but see at_once) and may be -ENOENT, and -ESTALE where its size is another;
 * for others it asks nobody and does not block. Two opens of one object share one `struct object`.
 */
int object_open(struct cache *c, const struct object_name *name, struct object **out,
                struct err *err);
struct object *object_ref(struct object *o);
void object_unref(struct object *o);
DEFINE_AUTO(object, struct object *, object_unref)

/* Objects of this store are read in place; to open one may wait for a disk. */
bool object_open_blocks(const struct store *s);

uint64_t object_size(const struct object *o);
const char *object_key(const struct object *o); /* as it was opened */

/* ETag as known by now, into out (empty where not); returns out. */
char *object_etag(struct object *o, char out[ETAG_BYTES_MAX]);

/* What is known of an object's bytes, without asking anybody. */
enum object_access {
    OBJECT_UNASKED,
    OBJECT_CAME,     /* some have come, or are cached */
    OBJECT_ARCHIVED, /* the last get was -EREMOTE: nobody tells when that is over */
};
enum object_access object_access(struct object *o);
/* Somebody has seen that it is restored. */
void object_told_readable(struct object *o);

/* Bytes of the object that are cached now (all of them where it is read in place). */
uint64_t object_cached_bytes(struct object *o);

/* One read. The caller owns it until done has run (or object_read returned other than
 * -EINPROGRESS). */
struct object_read {
    uint64_t offset;
    size_t length; /* offset + length must not exceed the object's size */
    char *to;
    size_t fetch_bytes; /* where it misses, so much is fetched at once; 0: as suits random reads */
    bool borrow;        /* the bytes may be lent: they need not be copied to `to` */
    void (*done)(struct object_read *r); /* any thread; must not block */
    int rc;                              /* set before done: 0 or -errno */
    struct err err;
    /* Set before done, where rc is 0: `to`; or lent, until object_read_end. */
    const char *bytes;

    /* private to cache/ */
    struct object *object;
    struct flight *lent; /* a reference, for `bytes` */
    size_t missing;      /* of what it waits for; the object's lock */
    struct job job;
    struct piece *pieces;  /* all of them; the object's lock */
    struct piece *on_disk; /* to be read by the job */
};

/*
 * Reads. 0: the bytes are in r->to, nothing is lent, and done will not run. -EINPROGRESS: done will
 * run, once, maybe before this returns. Else -errno with err, and done will not run. Never waits:
 * what the page cache does not have is read by a worker.
 */
int object_read(struct object *o, struct object_read *r, struct err *err);

/* Gives back what was lent: after done, of a read that may borrow, whatever its rc. */
void object_read_end(struct object_read *r);

/*
 * Somebody reads it in order: what is fetched ahead of him (cache/prefetch.h) stays in memory until
 * he comes for it, within the budget of prefetch. Each begin has its end, before the object's
 * reference is given back.
 */
void object_reader_begin(struct object *o);
void object_reader_end(struct object *o);

/*
 * All of it is in the cache and synced; or it is read in place. Does not become true by itself
 * while nothing is asked of the object.
 */
bool object_is_sealed(struct object *o);

/* The same without opening it. Memory and the index only. */
bool cache_has_sealed(struct cache *c, const struct object_name *name);

/* Makes an object complete and sealed. The caller owns it until done has run. */
struct object_fill {
    void (*done)(struct object_fill *f); /* any thread; must not block */
    int rc;                              /* set before done: 0 or -errno */
    struct err err;

    /* private to cache/ */
    struct object_fill *next;
};

/*
 * 0: it is sealed, done will not run. -EINPROGRESS: done will run, once. -ENOSPC, here or in
 * f->rc: the cache cannot keep it now (budget, a full or dead disk), but it can be read.
 */
int object_fill(struct object *o, struct object_fill *f, struct err *err);

/* Objects of this cache may be read by the kernel itself; those in place always may. */
bool cache_can_pass(const struct cache *c);

/*
 * The file of a sealed object or of one in place, for the kernel to read. *opened: -1, and *fd is
 * borrowed while the object is referenced; or the same descriptor, for the caller to close, so that
 * who reads through the kernel takes none of the daemon's. -EINPROGRESS: parked (a worker has to
 * open the file; the task's job runs again there). -ENODATA: it is not sealed (any more).
 * -EOPNOTSUPP: it is encrypted.
 */
int object_backing(struct object *o, struct task *t, int *fd, int *opened, struct err *err);

/*
 * Waits until no flight of the store is under way, whose objects' handles must all have been given
 * back; then it may be freed. Two stores of one URL share their objects, which ask the one of the
 * latest object_open: so a process has one store a URL, or frees them together. Blocks.
 */
void cache_drain_store(struct cache *c, const struct store *store);

struct cache_stat {
    uint64_t objects, sealed;      /* of which something is in the cache; all of it */
    uint64_t bytes, limit_bytes;   /* disk that they take; what they may: the budget, and less where
                                      the disk is nearly full */
    uint64_t frozen, frozen_bytes; /* parts of up to 64 MiB that are compressed, and their disk */
    uint64_t hit_bytes, fetched_bytes, requests; /* these and below since cache_open */
    uint64_t evicted_bytes, scrubbed_bytes;
    uint64_t damaged;                   /* granules and files that were found wrong, and dropped */
    uint64_t write_errors;              /* writes that the disk did not take; reads went on */
    uint64_t near_hits, near_hit_bytes; /* requests that a near store answered; of fetched_bytes */
    uint64_t near_filled, near_filled_bytes; /* objects that were put there */
    uint64_t near_removed_bytes;             /* for its budget */
    uint64_t near_damaged, near_failed; /* answers that were wrong; that came late or not at all */
    uint64_t flights;                   /* now */
    uint64_t buffers;                   /* now: transfer buffers that are taken (cache/pool.h) */
    uint64_t prefetch_bytes;            /* now: transfer buffers of what nobody waits for */
    uint64_t prefetch_waiting;          /* now: ranges and objects that were not asked for yet */
    bool off;                           /* now: nothing is kept, because the disk refused a write */
};
void cache_stat(struct cache *c, struct cache_stat *out);

/* What a look after the cache has found and done. */
struct cache_report {
    uint64_t objects, bytes; /* looked at */
    uint64_t damaged;
    uint64_t removed, removed_bytes;
};

/*
 * Reads all that is cached and compares it with its checksums. What is wrong is dropped, and
 * fetched again where somebody has it open. tick (may be NULL) is called now and then; false stops.
 * Blocks, for long.
 */
int cache_verify(struct cache *c, bool (*tick)(void *arg, const struct cache_report *r), void *arg,
                 struct cache_report *out, struct err *err);

/* Removes files and bytes that no record names, records without a file, and what is over the
 * budget. Blocks. */
int cache_gc(struct cache *c, struct cache_report *out, struct err *err);

/* Removes all objects that are not open. Blocks. */
int cache_drop(struct cache *c, struct cache_report *out, struct err *err);

#endif
