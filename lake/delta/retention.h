/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which versions hold files that VACUUM may remove.
 *
 * A file that the newest version does not hold may be removed when its tombstone is older than the
 * table's `delta.deletedFileRetentionDuration` (a week where it says nothing). So each version has
 * a moment from which some file of it may go: the least of its files' deletion times, and that
 * period.
 *
 *   version        3        4        5        6 (newest)
 *   file f      holds    holds    removed              removable from: time of 5 + period
 *   file g                        holds    holds       never, as long as 6 is the newest
 */
#ifndef LAKE_DELTA_RETENTION_H
#define LAKE_DELTA_RETENTION_H

#include "lake/delta/replay.h"
#include "lake/driver.h"

/*
 * Told of the newest 1000 versions, as far back as commits are there and small enough to be looked
 * through; older ones stay as they are. Reads those commits. Blocks; any thread.
 */
int delta_retention(const struct delta_table *table, const struct history *h, struct retention *out,
                    struct err *err);

/*
 * Of one version: some moment from which VACUUM may remove a file of it, where that has passed;
 * else RETENTION_NONE. Reads the commits that follow on it and are old enough, 100 at most, until
 * one tells. Blocks; any thread.
 */
int delta_removable(const struct delta_table *table, const struct history *h, size_t position,
                    int64_t now_ms, int64_t *since_ms, struct err *err);

/* The period that a table's properties say, in ms. Pure. */
int64_t delta_retention_period(const struct delta_map *configuration);

#endif
