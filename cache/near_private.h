/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of a near store share (cache/near.h).
 *
 *   near.c        the wrapper, and its way to home for all but reads
 *   near_read.c   reads: near first, home where that fails or is late
 *   near_fill.c   what was sealed in the cache is put there; what is too much is removed
 *   near_book.c   what is known to be there
 *
 * Lock: near.lock, which is taken under the cache's lock (near_sealed) and takes none. Stores,
 * callbacks, the cache and the book are called without it.
 *
 * A near store may hang for ever: what was asked of it then stays behind with struct near, which is
 * not freed.
 */
#ifndef CACHE_NEAR_PRIVATE_H
#define CACHE_NEAR_PRIVATE_H

#include <stdatomic.h>

#include "base/lock.h"
#include "cache/near.h"
#include "cache/near_book.h"
#include "cache/near_format.h"
#include "cache/private.h"
#include "cache/store/write.h"

/* Objects that wait to be put there; what is more is put there when it is opened again. */
#define NEAR_QUEUE_MAX 8192
/* Notes for the book that are not written yet. */
#define NEAR_NOTES_MAX 4096
/* Objects that were not there when they were asked for: a table by hash. */
#define NEAR_ABSENT_MAX 65536
/* Bytes of reads under way in a near store, those that nobody waits for any more among them. */
#define NEAR_BYTES_MAX (96 * MIB)
#define NEAR_FILLERS 2
#define NEAR_WORKERS 8

/* A read at the near store. */
struct near_get {
    struct near *near;
    struct near_get *next, *before; /* in near.gets */
    struct store_get *req;          /* whom it is for; NULL: home is asked already */
    int64_t due_ms;                 /* clock_mono_ms: then it is late */
    bool probe;                     /* the first one after a failure */
    struct store_get get;
    size_t room;
    char key[NEAR_KEY_BYTES];
    char bytes[];
};

struct near_wanted {
    uint8_t identity[SHA256_BYTES];
    uint64_t size;
};

/* Of one filler: what concerns one object is done by the same one, in order. */
struct near_queue {
    struct near_wanted at[NEAR_QUEUE_MAX];
    size_t first, count;
};

struct near {
    struct store store; /* its url and home are home's */
    struct store_ops ops;
    struct store *home, *far; /* far: the near store itself. Immutable, as all to size_bytes */
    struct cache *cache;
    struct near_book *book;
    struct workers *workers; /* of far */
    char *url;               /* far's, for messages */
    uint64_t url_hash;
    uint64_t size_bytes;
    pthread_t timer;

    struct lock lock;           /* guards all below */
    struct cond changed;        /* for the timer, and for who waits for the end */
    struct cond wanted_changed; /* for the fillers */
    bool ending;
    unsigned threads;  /* that run */
    unsigned in_cache; /* of them those that use the cache or the book */
    struct near_get *gets;
    size_t bytes;         /* of all reads under way */
    int64_t off_until_ms; /* reads; 0: they work */
    int64_t off_ms;       /* how long the last time */
    bool probing;
    int64_t write_off_until_ms; /* likewise of writes */
    bool told_write_off;
    uint64_t absent_hash[NEAR_ABSENT_MAX];
    uint32_t absent_until_s[NEAR_ABSENT_MAX];
    struct near_queue queues[NEAR_FILLERS];
    unsigned fillers; /* that have begun */
    struct near_note notes[NEAR_NOTES_MAX];
    size_t notes_count;
    bool trimming;                        /* a filler does */
    bool measured;                        /* there_bytes is known */
    uint64_t there_bytes, reserved_bytes; /* as counted; of what is being put there */
    int64_t measured_ms;
};

static inline struct near *near_of(struct store *s)
{
    return CONTAINER_OF(s, struct near, store);
}

static inline uint32_t near_now_s(void)
{
    return (uint32_t)(clock_real_ms() / 1000);
}

/* near_read.c */

void near_get(struct store *s, struct store_get *req);
/* Runs until the end: late reads go home. */
void *near_timer_run(void *near);
/* It was not there a short while ago. */
bool near_is_absent_locked(const struct near *n, const uint8_t *identity) REQUIRES(n->lock);
/* It was there, or put there, or (false) it is not. */
void near_note_locked(struct near *n, const uint8_t *identity, bool there) REQUIRES(n->lock);

/* near_fill.c */

/* As store_ops.sealed. */
void near_sealed(struct store *s, const uint8_t *identity, uint64_t size);
void *near_fill_run(void *near);
/* Wants an object to be removed that is there and wrong. */
void near_remove(struct near *n, const uint8_t *identity);

#endif
