/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>

#define CHUNK_BYTES ((size_t)64 << 10)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    alignas(max_align_t) char data[];
};

void arena_init(struct arena *a, size_t max_bytes)
{
    *a = (struct arena){.max = max_bytes};
}

static void free_chunks(struct arena_chunk *c)
{
    while (c) {
        struct arena_chunk *next = c->next;
        free(c);
        c = next;
    }
}

void arena_done(struct arena *a)
{
    free_chunks(a->chunks);
    arena_init(a, a->max);
}

void arena_wipe(struct arena *a)
{
    for (struct arena_chunk *c = a->chunks; c; c = c->next)
        explicit_bzero(c->data, c->size);
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *keep = a->chunks;
    a->full = false;
    if (!keep)
        return;
    free_chunks(keep->next);
    keep->next = NULL;
    a->used = keep->size;
    a->at = keep->data;
    a->end = keep->data + keep->size;
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t align = alignof(max_align_t);
    if (n > SIZE_MAX / 2) {
        a->full = true;
        return NULL;
    }
    n = (n + align - 1) / align * align;
    if (!a->at || n > (size_t)(a->end - a->at)) {
        size_t size = n > CHUNK_BYTES ? n : CHUNK_BYTES;
        if (a->used > a->max || size > a->max - a->used) {
            a->full = true;
            return NULL;
        }
        struct arena_chunk *c = malloc(sizeof *c + size);
        if (!c)
            return NULL;
        c->next = a->chunks;
        c->size = size;
        a->chunks = c;
        a->used += size;
        a->at = c->data;
        a->end = c->data + size;
    }
    void *p = a->at;
    a->at += n;
    return p;
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        n = SIZE_MAX; /* no arena has that much */
    void *p = arena_alloc(a, n);
    return p ? memset(p, 0, n) : NULL;
}

struct slice arena_slice(struct arena *a, struct slice s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (!p)
        return SLICE_NONE;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return slice_make(p, s.n);
}

int arena_failed(const struct arena *a, const char *what, struct err *err)
{
    return a->full ? err_set(err, EOVERFLOW, "%s of more than %zu bytes", what, a->max)
                   : err_set(err, ENOMEM, "out of memory for %s", what);
}
