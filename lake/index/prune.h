/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps a directory of runs within bounds: of each kind those that were made last. Whoever has a
 * removed one open keeps it. Blocks on the disk; any thread.
 */
#ifndef LAKE_INDEX_PRUNE_H
#define LAKE_INDEX_PRUNE_H

#include <stdint.h>

#include "lake/index/run_dir.h"

struct prune_kind {
    bool (*is)(struct slice name);
    size_t keep;         /* that many are left, the newest by modification time; SIZE_MAX: all */
    int64_t leftover_ms; /* one that is older goes in any case; 0: at no age */
};

/* A name is of the first kind that it fits. What cannot be removed is tried again the next time. */
void prune_runs(int dirfd, const struct prune_kind *kinds, size_t n);

#endif
