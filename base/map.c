/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <errno.h>

#include "base/hash.h"

#define FIRST_CAPACITY 16

void map_init(struct map *m, size_t max_count)
{
    *m = (struct map){.max = max_count};
}

void map_done(struct map *m)
{
    free(m->entries);
    map_init(m, m->max);
}

/* The entry of the key, or the free one where it would go. Linear probing; never full. */
static struct map_entry *probe(const struct map *m, struct slice key, uint64_t hash)
{
    size_t mask = m->capacity - 1;
    size_t i = hash & mask;
    while (m->entries[i].value && !(m->entries[i].hash == hash && slice_eq(m->entries[i].key, key)))
        i = (i + 1) & mask;
    return &m->entries[i];
}

void *map_find(const struct map *m, struct slice key)
{
    return m->capacity ? probe(m, key, hash64(0, key))->value : NULL;
}

static int grow(struct map *m)
{
    struct map bigger = {.max = m->max, .count = m->count};
    bigger.capacity = m->capacity ? m->capacity * 2 : FIRST_CAPACITY;
    bigger.entries = calloc(bigger.capacity, sizeof *bigger.entries);
    if (!bigger.entries)
        return -ENOMEM;
    for (size_t i = 0; i < m->capacity; i++)
        if (m->entries[i].value)
            *probe(&bigger, m->entries[i].key, m->entries[i].hash) = m->entries[i];
    free(m->entries);
    *m = bigger;
    return 0;
}

int map_put(struct map *m, struct slice key, void *value)
{
    uint64_t hash = hash64(0, key);
    struct map_entry *e = m->capacity ? probe(m, key, hash) : NULL;
    if (!e || !e->value) {
        if (m->count >= m->max)
            return -EOVERFLOW;
        if ((m->count + 1) * 4 > m->capacity * 3) {
            int rc = grow(m);
            if (rc < 0)
                return rc;
            e = probe(m, key, hash);
        }
        m->count++;
    }
    *e = (struct map_entry){.key = key, .value = value, .hash = hash};
    return 0;
}

void *map_remove(struct map *m, struct slice key)
{
    if (!m->capacity)
        return NULL;
    struct map_entry *e = probe(m, key, hash64(0, key));
    void *value = e->value;
    if (!value)
        return NULL;
    m->count--;
    size_t mask = m->capacity - 1;
    size_t hole = (size_t)(e - m->entries);
    for (size_t i = (hole + 1) & mask; m->entries[i].value; i = (i + 1) & mask) {
        size_t home = m->entries[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) { /* may move back to the hole */
            m->entries[hole] = m->entries[i];
            hole = i;
        }
    }
    m->entries[hole].value = NULL;
    return value;
}

const struct map_entry *map_next(const struct map *m, size_t *at)
{
    while (*at < m->capacity) {
        const struct map_entry *e = &m->entries[(*at)++];
        if (e->value)
            return e;
    }
    return NULL;
}
