/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prefetch: what is likely to be read soon is fetched behind what somebody waits for.
 *
 *   who plans      lake/format/parquet_plan.h (the same columns of the next row groups),
 *                  fs/sequence.h (a window ahead of a reader), fs/neighbours.h (the next small
 *                  files), fs/follow.h (a list)
 *   who holds      a `struct prefetch` each: of an open handle, of a stream of opens, of a list
 *   who executes   this module, for all of one cache together
 *
 *   prefetch_range, prefetch_whole ─► wants of that prefetch, first in first out
 *                                          │ the prefetches take turns, a want or a flight each,
 *                                          ▼ while fewer than PREFETCH_BYTES_MAX are on their way
 *                      flights that nobody waits for (cache/flight.c), fills (cache/fill.c)
 *                                          │ one has ended
 *                                          └─► the next turn
 *
 * One budget, and demand first: prefetch has at most three quarters of the transfer buffers, and
 * takes none while no more than a quarter is free. A reader who comes for what is on its way joins
 * that flight.
 *
 * Where the cache keeps nothing (it is off, or has no room at all), nothing is fetched ahead but
 * for readers, for whom it stays in memory until they come (cache/held.c).
 *
 * Cancelling drops what has not been sent; what is on the wire lands and stays in the cache. What
 * fails is left to the reader, who fetches it himself and is told why.
 *
 * Any thread may call; nothing blocks. Not here: what is worth fetching.
 */
#ifndef CACHE_PREFETCH_H
#define CACHE_PREFETCH_H

#include "cache/cache.h"

/* Of all prefetches of a cache on their way at once: three quarters of the transfer buffers. */
#define PREFETCH_BYTES_MAX (TRANSFER_BLOCKS_MAX / 4 * 3 * BLOCK_BYTES)
/* Wants of one prefetch that have not been sent: who plans further plans again later. */
#define PREFETCH_WANTS_MAX 1024

struct prefetch;

/* NULL: out of memory. The cache must outlive it. */
struct prefetch *prefetch_new(struct cache *c);

/* Cancels, and ends it. NULL is fine. */
void prefetch_free(struct prefetch *p);
DEFINE_AUTO(prefetch, struct prefetch *, prefetch_free)

/* Drops all that has not been sent. */
void prefetch_cancel(struct prefetch *p);

/*
 * Wants a range of an object, which is fetched in as few requests as trains allow and to granules;
 * what is there or on its way is not fetched again. False where it is not taken (too many wants, no
 * memory): a lost guess, no more.
 */
bool prefetch_range(struct prefetch *p, struct object *o, uint64_t offset, uint64_t length);

/*
 * Wants all of an object: one of a block at most is sealed at once, so that its open passes; a
 * larger one when the flusher comes by.
 */
bool prefetch_whole(struct prefetch *p, struct object *o);

#endif
