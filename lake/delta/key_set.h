/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which keys were met, by their hashes: two keys of one hash count as one. Grows with what it
 * holds, 32 bytes a key at most. Pure; not thread-safe.
 */
#ifndef LAKE_DELTA_KEY_SET_H
#define LAKE_DELTA_KEY_SET_H

#include "base/cleanup.h"
#include "base/slice.h"

struct key_set {
    uint64_t *hashes; /* 0: free */
    size_t capacity;  /* a power of two, or 0 */
    size_t n;
};

/* Zeroed is empty. */
void key_set_done(struct key_set *s);
DEFINE_AUTO_DONE(key_set, struct key_set, key_set_done)

void key_set_clear(struct key_set *s);
/* 0 the key is new, -EEXIST it was met, -ENOMEM. */
int key_set_add(struct key_set *s, struct slice key);

#endif
