/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table from bytes to pointers. Keys are borrowed: the value usually holds them, and must
 * outlive its entry. Values are not owned. Not thread-safe.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/cleanup.h"
#include "base/slice.h"

struct map_entry {
    struct slice key;
    void *value; /* NULL: never used or removed */
    uint64_t hash;
};

struct map {
    struct map_entry *entries;
    size_t capacity, count, max; /* capacity is a power of two or 0; count never exceeds max */
};

void map_init(struct map *m, size_t max_count);
void map_done(struct map *m);
DEFINE_AUTO_DONE(map, struct map, map_done)

/* The value, or NULL. */
void *map_find(const struct map *m, struct slice key);

/* Puts or replaces; value must not be NULL. 0, -ENOMEM, or -EOVERFLOW at the maximum. */
int map_put(struct map *m, struct slice key, void *value);

/* Takes out and returns the value, or NULL. */
void *map_remove(struct map *m, struct slice key);

/* The next entry after position *at (start with 0), or NULL at the end. No changes meanwhile. */
const struct map_entry *map_next(const struct map *m, size_t *at);

#endif
