/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files of the log a version is made of: a checkpoint with its parts and sidecars, the
 * commits behind it, and those before it that tell since when the files are there
 * (lake/delta/replay.h). Checksums are left out: they save no reading, and a version is whole
 * without them.
 */
#ifndef LAKE_DELTA_NEEDS_H
#define LAKE_DELTA_NEEDS_H

#include "lake/delta/history.h"

/*
 * Calls emit with the key of each, until it returns other than 0 (returned). -ENOENT where commits
 * of the version are missing. Blocks.
 */
int delta_needs(const struct delta_table *table, int64_t version,
                int (*emit)(void *arg, const char *key), void *arg, struct err *err);

#endif
