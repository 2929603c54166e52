/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorting of records in bounded memory: beyond SORT_BYTES_MAX, sorted runs go to a temporary file
 * without a name and are merged at the end.
 *
 *   sorter_new -> sorter_add ... -> sorter_finish -> sorter_next ... -> sorter_free
 *
 * Blocks on the disk: workers only. One thread.
 */
#ifndef LAKE_INDEX_SORT_H
#define LAKE_INDEX_SORT_H

#include "base/buf.h"

struct sorter;

/*
 * Records are bytes, ordered by `compare` (as memcmp's; a total order makes the result
 * deterministic). dirfd: where the temporary file goes; borrowed while the sorter lives.
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
/* No more records. */
int sorter_finish(struct sorter *s, struct err *err);
/* The next record in order, valid until the next call: 1, 0 at the end, or -errno. */
int sorter_next(struct sorter *s, struct slice *record, struct err *err);

#endif
