/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that the live path has shown and shows no more: they stay openable for `--keep`, so that a
 * loader may list once and open for hours. Not thread-safe: guarded by the table's lock.
 */
#ifndef LAKE_KEPT_H
#define LAKE_KEPT_H

#include "base/map.h"
#include "lake/index/snapshot.h"

/* Names kept for one table: 100 bytes each, so at most 100 MB for the busiest table of all. */
#define KEPT_MAX ((size_t)1 << 20)

struct kept {
    struct map by_path;                /* path -> struct kept_name */
    struct kept_name *oldest, *newest; /* in order of expiry */
};

void kept_init(struct kept *k);
void kept_done(struct kept *k);

/* Forgets what has expired by now (clock_mono_ms). */
void kept_expire(struct kept *k, int64_t now_ms);

/* Where a file of an older version is. */
struct kept_file {
    uint32_t run_number, ordinal;
};

/* A full set forgets its oldest name. 0 or -ENOMEM. */
int kept_add(struct kept *k, struct slice path, struct kept_file file, int64_t until_ms);

bool kept_find(const struct kept *k, struct slice path, struct kept_file *out);

#endif
