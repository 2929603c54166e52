/* SPDX-License-Identifier: Apache-2.0 */
/* Taking whole objects from the disk, for those who know which (cache/maintain.c). */
#ifndef CACHE_EVICT_H
#define CACHE_EVICT_H

#include "cache/private.h"

/* Removes records and files of an object that is doomed to it (DOOM_REMOVED). *freed: the disk that
 * they took. 1; 0 where there was no first record; -errno. Blocks. */
int evict_object(struct cache *c, const struct object_id *id, uint64_t size, uint64_t *freed)
    EXCLUDES(c->lock);

#endif
