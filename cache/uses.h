/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was used when, and what may go first: the eviction policy.
 *
 * A set-associative table of fixed-size slots in memory, found by a hash of object and segment. A
 * slot tells when its key was used last, on two clocks (the wall's, and a virtual one that counts
 * the bytes of all uses), and the mean distance between its uses. Slots of what was evicted stay,
 * so that what comes back is known, until their set is full and they are the worst in it.
 *
 *   key ─hash─► set ─► | slot | slot | ... 8 of them |     slot: tag, wall time | use, period
 *
 * The score asks how long it will be until the next use, and what a byte of it saves until then:
 *
 *   period   the mean distance of its uses; of what was used once, what first and second uses of
 *            late make likely
 *   overdue  what was not used for much longer than its period is taken for dead, step by step
 *   size     a small object saves a request as a large one does, with less room
 *   tie      by a hash, the same each time: of a loop that is larger than the cache a fixed part
 *            stays, which is the best that can be had where the order is not known
 *
 * So what is read once, however much of it, does not push out what is read again and again.
 *
 * The table is saved to the file `uses` now and then, and read back. It is memory and not a mapped
 * file, because a disk that dies must not take the daemon with it (SIGBUS). Whatever is lost or
 * damaged costs worse choices and nothing else: every pattern of bits in a slot is a valid one.
 *
 * Any thread, without a lock: racing uses of one key may lose one of them.
 */
#ifndef CACHE_USES_H
#define CACHE_USES_H

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

struct uses;

/*
 * budget_bytes: of the cache; the number of slots follows from it. Begins anew where the file is
 * missing, cannot be read, or is of another format or size. dirfd is borrowed until uses_close
 * (-1: no file). -ENOMEM only.
 */
int uses_open(int dirfd, uint64_t budget_bytes, struct uses **out, struct err *err);

/* Does not save. NULL is fine. */
void uses_close(struct uses *u);
DEFINE_AUTO(uses, struct uses *, uses_close)

/*
 * Writes what has changed since the last time; no sync. Blocks: one thread at a time. What could
 * not be written is tried again by the next call. -errno of the disk.
 */
int uses_save(struct uses *u, struct err *err);

/*
 * A use. key: a hash64 of the object's id and the segment. bytes: what of it is used, at most a
 * segment. Uses in quick succession count as one (several processes that share a file, a footer
 * and then its columns).
 */
void uses_note(struct uses *u, uint64_t key, uint64_t bytes, int64_t now_s);

/* The higher, the sooner it may go. bytes: what its going would free. */
double uses_score(const struct uses *u, uint64_t key, uint64_t bytes);

/* Wall time of the last use; 0 where it is not known. */
int64_t uses_last_s(const struct uses *u, uint64_t key);

#endif
