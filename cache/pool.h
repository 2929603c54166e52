/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transfer buffers: TRANSFER_BLOCKS_MAX of BLOCK_BYTES, the only memory that bytes on their
 * way from a store take. One mapping, touched as it is used; buffers that nobody took for a while
 * are given back to the kernel by pool_trim.
 *
 * A taker that finds none waits in a queue, first in first out, and never fails. Any thread.
 */
#ifndef CACHE_POOL_H
#define CACHE_POOL_H

#include <stdbool.h>

#include "base/limits.h"
#include "base/lock.h"
#include "base/workers.h"

/* Embedded in what waits for a buffer. */
struct pool_wait {
    struct job job;         /* run on a worker once `buffer` is there; set by the taker */
    char *buffer;           /* set before the job is submitted */
    struct pool_wait *next; /* private */
};

struct pool {
    struct lock lock;
    struct workers *workers;            /* immutable after init, borrowed */
    char *base;                         /* likewise: the mapping */
    unsigned free[TRANSFER_BLOCKS_MAX]; /* lock; a stack, so that few buffers stay warm */
    unsigned free_count;                /* lock */
    bool touched[TRANSFER_BLOCKS_MAX];  /* lock; may hold memory */
    bool recent[TRANSFER_BLOCKS_MAX];   /* lock; taken since the last trim */
    struct pool_wait *first, *last;     /* lock */
};

int pool_init(struct pool *p, struct workers *workers, struct err *err);

/* All buffers must have been put back. */
void pool_done(struct pool *p);

/* A buffer, or NULL: then `wait` is queued and its job runs on a worker when there is one. */
char *pool_take(struct pool *p, struct pool_wait *wait) EXCLUDES(p->lock);

/* Somebody waits for a buffer. */
bool pool_is_short(struct pool *p) EXCLUDES(p->lock);

/* More than a quarter of the buffers are free: what nobody waits for may take one. */
bool pool_has_spare(struct pool *p) EXCLUDES(p->lock);

/* How many buffers are taken. */
unsigned pool_taken(struct pool *p) EXCLUDES(p->lock);

/* Hands the buffer to the first in the queue, or keeps it. */
void pool_put(struct pool *p, char *buffer) EXCLUDES(p->lock);

/* Gives back the memory of free buffers that were not taken since the last call. True while some
 * buffer may still hold memory. */
bool pool_trim(struct pool *p) EXCLUDES(p->lock);

#endif
