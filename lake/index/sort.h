/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorting of records in bounded memory: what is more goes to a temporary file without a name, in
 * sorted parts that are merged at the end. A thread of the sorter's own sorts and writes a part
 * while records for the next one are taken.
 *
 *   sorter_new -> sorter_add ... [-> sorter_end] -> sorter_finish -> sorter_next ... -> sorter_free
 *
 * Blocks on the disk: workers only. One thread calls.
 */
#ifndef LAKE_INDEX_SORT_H
#define LAKE_INDEX_SORT_H

#include "base/buf.h"

struct sorter;

/*
 * Records are bytes, ordered by `compare` (as memcmp's; a total order makes the result
 * deterministic). dirfd: where the temporary file goes; borrowed while the sorter lives.
 * memory_bytes, at most UINT32_MAX: of records that are taken; as much again while others are
 * written. compare and the bytes of the order are called on the sorter's thread as well.
 */
struct sorter *sorter_new(int dirfd, size_t memory_bytes,
                          int (*compare)(struct slice a, struct slice b), struct err *err);
void sorter_free(struct sorter *s);
DEFINE_AUTO(sorter, struct sorter *, sorter_free)

/*
 * Makes the sort several times as fast. `bytes` gives the order's bytes [at, at + 8) of a record,
 * the first one the most significant, zeros behind their end; false (and nothing) where they end at
 * or before `at`. What they tell apart must compare so. Before the first record.
 */
void sorter_by_bytes(struct sorter *s,
                     bool (*bytes)(struct slice record, size_t at, uint64_t *out));

/* Copies the record. */
int sorter_add(struct sorter *s, struct slice record, struct err *err);
/* No more records: sorts on from here on a thread of its own, where there is enough to sort. */
void sorter_end(struct sorter *s);
/* No more records. */
int sorter_finish(struct sorter *s, struct err *err);
/* The next record in order, valid until the next call: 1, 0 at the end, or -errno. */
int sorter_next(struct sorter *s, struct slice *record, struct err *err);

#endif
