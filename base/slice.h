/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A borrowed run of bytes: text that need not end in a zero. Never owns; as valid as what it
 * points into.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *p; /* may be NULL where n is 0 */
    size_t n;
};

#define SLICE_NONE ((struct slice){NULL, 0})
#define SLICE_LIT(s) ((struct slice){(s), sizeof(s) - 1})
#define SLICE_FMT(s) (int)(s).n, (s).p /* for "%.*s" */

static inline struct slice slice_of(const char *s)
{
    return (struct slice){s, s ? strlen(s) : 0};
}

static inline struct slice slice_make(const void *p, size_t n)
{
    return (struct slice){p, n};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool slice_is(struct slice a, const char *s)
{
    return slice_eq(a, slice_of(s));
}

/* Byte order (as memcmp), a prefix first. */
static inline int slice_cmp(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static inline bool slice_starts(struct slice a, struct slice prefix)
{
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

static inline bool slice_ends(struct slice a, struct slice suffix)
{
    return a.n >= suffix.n &&
           (suffix.n == 0 || memcmp(a.p + a.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* What follows the first n bytes; n must not exceed the length. */
static inline struct slice slice_from(struct slice a, size_t n)
{
    return (struct slice){a.p ? a.p + n : NULL, a.n - n};
}

/* Position of the first byte c, or -1. */
static inline ptrdiff_t slice_find(struct slice a, char c)
{
    const char *hit = a.n ? memchr(a.p, (unsigned char)c, a.n) : NULL;
    return hit ? hit - a.p : -1;
}

/* Position of the last byte c, or -1. */
static inline ptrdiff_t slice_rfind(struct slice a, char c)
{
    const char *hit = a.n ? memrchr(a.p, c, a.n) : NULL;
    return hit ? hit - a.p : -1;
}

#endif
