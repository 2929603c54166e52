/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is freed all at once. Not thread-safe: one owner, or read only after it is filled. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/slice.h"

struct arena {
    struct arena_chunk *chunks; /* newest first */
    char *at, *end;             /* free room in the newest chunk */
    size_t used, max;           /* bytes taken from the heap; never above max */
    bool full;                  /* something did not fit below max */
};

void arena_init(struct arena *a, size_t max_bytes);
void arena_done(struct arena *a);
DEFINE_AUTO_DONE(arena, struct arena, arena_done)

/* Zeroes all that was ever put in it, for what is secret. What points into it points to zeros. */
void arena_wipe(struct arena *a);

/* Forgets everything; keeps one chunk for reuse. */
void arena_reset(struct arena *a);

/* n bytes, aligned for any type, not zeroed. NULL when out of memory or over the maximum. */
void *arena_alloc(struct arena *a, size_t n);

/* Zeroed room for count elements; NULL also where the product overflows. */
void *arena_calloc(struct arena *a, size_t count, size_t size);

/* A copy followed by a zero; p is NULL when it failed. */
struct slice arena_slice(struct arena *a, struct slice s);

/* Why an allocation failed: -EOVERFLOW over the maximum, -ENOMEM else. what: "a row". */
int arena_failed(const struct arena *a, const char *what, struct err *err);

#endif
