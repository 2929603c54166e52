/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking whole objects from the disk, for those who know which (cache/maintain.c). While an id is
 * doomed, who opens that object finds it empty and keeps nothing of it.
 */
#ifndef CACHE_EVICT_H
#define CACHE_EVICT_H

#include "cache/private.h"

/* False: the object is open, or already on its way out. `id` must outlive evict_undoom. */
bool evict_doom(struct cache *c, const struct object_id *id) EXCLUDES(c->lock);
void evict_undoom(struct cache *c, const struct object_id *id) EXCLUDES(c->lock);

/* Removes the doomed object's records and file. *freed: the disk that they took. Blocks. */
int evict_object(struct cache *c, const struct object_id *id, uint64_t size, uint64_t *freed)
    EXCLUDES(c->lock);

#endif
