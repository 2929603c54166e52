/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded reader over bytes from outside.
 *
 * Errors stick: a read past the end sets `bad`, returns zeros from then on, and never moves the
 * cursor again; the parser checks `bad` where it matters. Little-endian hosts only (asserted).
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/slice.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tarn is built for little-endian hosts");

struct bytes {
    const uint8_t *p, *end;
    bool bad;
};

/* p may be NULL where n is 0. */
static inline struct bytes bytes_make(const void *p, size_t n)
{
    return (struct bytes){p, n ? (const uint8_t *)p + n : p, false};
}

static inline size_t bytes_left(const struct bytes *b)
{
    return (size_t)(b->end - b->p);
}

/* The next n bytes and moves on, or NULL and bad. */
static inline const uint8_t *bytes_take(struct bytes *b, size_t n)
{
    if (b->bad || n > bytes_left(b)) {
        b->bad = true;
        return NULL;
    }
    const uint8_t *p = b->p;
    b->p += n;
    return p;
}

static inline uint8_t bytes_u8(struct bytes *b)
{
    const uint8_t *p = bytes_take(b, 1);
    return p ? *p : 0;
}

static inline uint32_t bytes_le32(struct bytes *b)
{
    uint32_t v = 0;
    const uint8_t *p = bytes_take(b, sizeof v);
    if (p)
        memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t bytes_le64(struct bytes *b)
{
    uint64_t v = 0;
    const uint8_t *p = bytes_take(b, sizeof v);
    if (p)
        memcpy(&v, p, sizeof v);
    return v;
}

/* LEB128 of up to 64 bits; longer or overflowing ones are bad. */
static inline uint64_t bytes_varint(struct bytes *b)
{
    uint64_t v = 0;
    const uint8_t *p = b->p;
    if (!b->bad && p < b->end && *p < 0x80) { /* as most are */
        b->p = p + 1;
        return *p;
    }
    for (unsigned shift = 0; shift < 64 && !b->bad && p < b->end; shift += 7) {
        uint8_t c = *p++;
        if (shift == 63 && c > 1)
            break;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) {
            b->p = p;
            return v;
        }
    }
    b->bad = true;
    return 0;
}

static inline int64_t bytes_zigzag(struct bytes *b)
{
    uint64_t v = bytes_varint(b);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* n bytes as a borrowed slice; empty and bad past the end. */
static inline struct slice bytes_slice(struct bytes *b, size_t n)
{
    const uint8_t *p = bytes_take(b, n);
    return p ? slice_make(p, n) : SLICE_NONE;
}

#endif
