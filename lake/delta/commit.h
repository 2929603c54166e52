/* SPDX-License-Identifier: Apache-2.0 */
/* One commit of the log, action by action. Blocks; bounded memory; any thread. */
#ifndef LAKE_DELTA_COMMIT_H
#define LAKE_DELTA_COMMIT_H

#include "lake/delta/checkpoint.h"
#include "lake/delta/replay.h"

/* As delta_commit_read: only this many lines of the commit are read. */
#define DELTA_COMMIT_ALL UINT64_MAX

/*
 * Gives each action to the sink, in order; what the sink answers other than 0 ends the reading and
 * is returned. An action lives until the sink returns. -EIO for a damaged line; the store's.
 */
int delta_commit_read(const struct delta_table *table, const struct delta_log_file *file,
                      uint64_t lines_max, const struct delta_sink *sink, struct err *err);

#endif
