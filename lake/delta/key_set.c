/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/key_set.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

#define FIRST_CAPACITY 64

void key_set_done(struct key_set *s)
{
    free(s->hashes);
    *s = (struct key_set){0};
}

void key_set_clear(struct key_set *s)
{
    if (s->n)
        memset(s->hashes, 0, s->capacity * sizeof *s->hashes);
    s->n = 0;
}

/* The place of a hash, or the free one where it belongs; there is one. */
static uint64_t *place_of(const struct key_set *s, uint64_t hash)
{
    size_t i = hash & (s->capacity - 1);
    while (s->hashes[i] && s->hashes[i] != hash)
        i = (i + 1) & (s->capacity - 1);
    return &s->hashes[i];
}

static int grow(struct key_set *s)
{
    struct key_set more = {.capacity = s->capacity ? 2 * s->capacity : FIRST_CAPACITY, .n = s->n};
    more.hashes = calloc(more.capacity, sizeof *more.hashes);
    if (!more.hashes)
        return -ENOMEM;
    for (size_t i = 0; i < s->capacity; i++)
        if (s->hashes[i])
            *place_of(&more, s->hashes[i]) = s->hashes[i];
    free(s->hashes);
    *s = more;
    return 0;
}

int key_set_add(struct key_set *s, struct slice key)
{
    uint64_t hash = hash64(0, key);
    hash += hash == 0;
    if (s->n >= s->capacity / 2 && grow(s) < 0)
        return -ENOMEM;
    uint64_t *place = place_of(s, hash);
    if (*place)
        return -EEXIST;
    *place = hash;
    s->n++;
    return 0;
}
