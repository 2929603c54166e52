/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object cache: objects of stores as sparse files on the local disk, filled in blocks.
 *
 *   DIR/objects/ab/abcdef...   one sparse file an object, named by the hash of its identity
 *   DIR/cache.mdb              LMDB: per object which blocks are present, its ETag, last use
 *
 * An object's identity is (store url, key, size, etag as listed). A block that is not there is
 * fetched by one *flight*, which all readers that miss it wait for; each is given its bytes as the
 * flight's arrive. The first answer's ETag is kept and sent as If-Match ever after: a changed
 * object is -ESTALE, never a mixture.
 *
 *   absent --read--> flight (buffer from the pool) --all bytes, right length--> present in memory
 *   present in memory --file written, synced by the flusher, LMDB commit--> present on disk
 *
 * So kill -9 or power loss leaves LMDB naming only blocks whose bytes are on the disk. Objects of
 * stores that can open in place are read there and never copied.
 *
 * Any thread may call. No call waits for the network or the disk but those marked "blocks".
 * Not here (yet): checksums, eviction by range, prefetch; sealed objects but those in place.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/workers.h"
#include "cache/store/store.h"

struct cache;
struct object;

/* More than any store holds (S3: 50 TiB); bounds the presence bitmap to 8 MiB an object. */
#define OBJECT_BYTES_MAX ((uint64_t)64 << 40)

struct cache_config {
    int dirfd;               /* the cache directory, borrowed while the cache lives */
    uint64_t size_bytes;     /* budget of the objects' files */
    struct workers *workers; /* disk reads and writes; borrowed likewise */
};

/*
 * Opens or makes the cache; what is damaged is made again empty. Blocks. Nobody else may have the
 * directory open (the daemon holds its lock).
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
    bool at_once;      /* object_open: -EAGAIN rather than wait for the disk */
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

/* ETag as known by now, into out (empty where not); returns out. */
char *object_etag(struct object *o, char out[ETAG_BYTES_MAX]);

/* Bytes of the object that are cached now (all of them where it is read in place). */
uint64_t object_cached_bytes(struct object *o);

/* One read. The caller owns it until done has run (or object_read returned other than
 * -EINPROGRESS). */
struct object_read {
    uint64_t offset;
    size_t length; /* offset + length must not exceed the object's size */
    char *to;
    void (*done)(struct object_read *r); /* any thread; must not block */
    int rc;                              /* set before done: 0 or -errno */
    struct err err;

    /* private to cache/ */
    struct object *object;
    size_t missing; /* blocks still awaited; the object's lock */
    struct job job;
    struct piece *pieces; /* one for each block, where the read had to wait */
    size_t piece_count;
};

/*
 * Reads. 0: the bytes are in r->to and done will not run. -EINPROGRESS: done will run, once, maybe
 * before this returns. Else -errno with err, and done will not run. Never waits: what the page
 * cache does not have is read by a worker.
 */
int object_read(struct object *o, struct object_read *r, struct err *err);

/* Objects of this cache may be read by the kernel itself; those in place always may. */
bool cache_can_pass(const struct cache *c);

/* All of it is in the cache, checked and synced; or it is read in place. Memory only. */
bool object_is_sealed(struct object *o);
/* The same without opening it: memory and the index only, never waits. */
bool cache_has_sealed(struct cache *c, const struct object_name *name);

/* Makes an object complete and sealed. Embedded by the caller, who owns it until done has run. */
struct object_fill {
    void (*done)(struct object_fill *f); /* any thread, under no lock; must not block */
    int rc; /* 0, or -errno; -ENOSPC: the cache cannot keep it now (budget, full or dead disk) */
    struct err err;
};
/* 0: it is sealed already, done will not run. -EINPROGRESS: done will run once. Never waits. */
int object_fill(struct object *o, struct object_fill *f, struct err *err);

/* Fetches what is missing of the range, for nobody in particular. Never waits. */
void object_want(struct object *o, uint64_t offset, uint64_t length);

/*
 * The file of a sealed object or of one in place, for the kernel to read: borrowed while the object
 * is referenced. -EINPROGRESS: parked (the file must be opened by a worker; the task's job runs
 * again there). -ENODATA: it is not sealed (any more). -EOPNOTSUPP: encrypted.
 */
int object_backing(struct object *o, struct task *t, int *fd, struct err *err);

/*
 * Waits until no flight of the store is under way, whose objects' handles must all have been given
 * back; then it may be freed. Two stores of one URL share their objects, which ask the one of the
 * latest object_open: so a process has one store a URL, or frees them together. Blocks.
 */
void cache_drain_store(struct cache *c, const struct store *store);

struct cache_stat {
    uint64_t objects, bytes, size_bytes;         /* in the cache now; the budget */
    uint64_t hit_bytes, fetched_bytes, requests; /* since cache_open */
    uint64_t flights;                            /* now */
    uint64_t write_errors; /* blocks or records that the disk did not take; reads went on */
};
void cache_stat(struct cache *c, struct cache_stat *out);

#endif
