/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/parquet_encoding.h"

#include "base/limits.h"

/* Bits */

/* `width` bits (at most 64) at a bit position, the lowest first; bytes at and after end are 0. */
static inline uint64_t bits_at(const uint8_t *bits, const uint8_t *end, uint64_t bit,
                               unsigned width)
{
    const uint8_t *p = bits + bit / 8;
    unsigned shift = (unsigned)(bit % 8);
    uint64_t v = 0;
    size_t have = (size_t)(end - p);
    if (have >= sizeof v)
        memcpy(&v, p, sizeof v);
    else
        for (size_t i = 0; i < have; i++)
            v |= (uint64_t)p[i] << (8 * i);
    v >>= shift;
    if (shift + width > 64 && have > sizeof v)
        v |= (uint64_t)p[8] << (64 - shift);
    return width == 64 ? v : v & ((1ULL << width) - 1);
}

/* Hybrid */

void parquet_hybrid_init(struct parquet_hybrid *h, struct slice s, unsigned width)
{
    *h = (struct parquet_hybrid){.in = bytes_make(s.p, s.n), .width = width};
}

/* The head of the next run, which may be empty. */
static bool next_run(struct parquet_hybrid *h)
{
    uint64_t head = bytes_varint(&h->in);
    if (h->in.bad)
        return false;
    h->run = head >> 1;
    h->bits = NULL;
    h->value = 0;
    if (!(head & 1)) {
        size_t n = (h->width + 7) / 8;
        const uint8_t *p = bytes_take(&h->in, n);
        if (p)
            memcpy(&h->value, p, n);
        return p != NULL;
    }
    if (h->run > UINT64_MAX / 8)
        return false;
    if (h->width == 0) {
        h->run *= 8;
        return true;
    }
    /* Groups of 8 values. Some writers leave out what the last group has too many. */
    size_t n = bytes_left(&h->in);
    if (h->run <= n / h->width) {
        n = (size_t)h->run * h->width;
        h->run *= 8;
    } else {
        h->run = (uint64_t)n * 8 / h->width;
    }
    h->bits = bytes_take(&h->in, n);
    h->bit = 0;
    return true;
}

/* Values of a bit-packed run; as long as eight bytes can be read, without a look at its end. */
static void unpack(struct parquet_hybrid *h, uint32_t *out, size_t n)
{
    const uint8_t *bits = h->bits;
    uint64_t bit = h->bit, bits_n = (uint64_t)(h->in.end - bits) * 8;
    uint32_t mask = h->width == 32 ? UINT32_MAX : (1U << h->width) - 1;
    unsigned width = h->width;
    size_t quick = bits_n < bit + 64 ? 0 : (size_t)((bits_n - bit - 64) / width + 1), i = 0;
    quick = quick < n ? quick : n;
    for (; i < quick; i++, bit += width) {
        uint64_t v;
        memcpy(&v, bits + bit / 8, sizeof v);
        out[i] = (uint32_t)(v >> (bit % 8)) & mask;
    }
    for (; i < n; i++, bit += width)
        out[i] = (uint32_t)bits_at(bits, h->in.end, bit, width);
    h->bit = bit;
}

bool parquet_hybrid_get(struct parquet_hybrid *h, uint32_t *out, size_t n)
{
    while (n) {
        if (h->run == 0) {
            if (!next_run(h))
                return false;
            continue;
        }
        size_t take = h->run < n ? (size_t)h->run : n;
        if (h->bits) {
            unpack(h, out, take);
        } else {
            for (size_t i = 0; i < take; i++)
                out[i] = h->value;
        }
        h->run -= take;
        out += take;
        n -= take;
    }
    return true;
}

/* Delta */

bool parquet_delta_init(struct parquet_delta *d, struct slice s)
{
    *d = (struct parquet_delta){.in = bytes_make(s.p, s.n)};
    if (s.n == 0)
        return true;
    uint64_t block = bytes_varint(&d->in);
    uint64_t miniblocks = bytes_varint(&d->in);
    d->left = bytes_varint(&d->in);
    d->value = (uint64_t)bytes_zigzag(&d->in);
    if (d->in.bad || block == 0 || block > UINT32_MAX || miniblocks == 0 ||
        block % miniblocks != 0 || block / miniblocks % 8 != 0)
        return false;
    d->miniblocks = d->miniblock = (uint32_t)miniblocks;
    d->per_miniblock = (uint32_t)(block / miniblocks);
    return true;
}

static bool next_miniblock(struct parquet_delta *d)
{
    if (d->miniblock == d->miniblocks) {
        d->min_delta = (uint64_t)bytes_zigzag(&d->in);
        d->widths = bytes_take(&d->in, d->miniblocks);
        d->miniblock = 0;
        if (!d->widths)
            return false;
    }
    d->width = d->widths[d->miniblock++];
    if (d->width > 64)
        return false;
    d->in_miniblock = d->per_miniblock;
    /* Some writers leave out the padding of the last one. */
    size_t n = (size_t)d->per_miniblock / 8 * d->width;
    n = n < bytes_left(&d->in) ? n : bytes_left(&d->in);
    d->bits = bytes_take(&d->in, n);
    d->bits_end = d->in.p;
    d->bit = 0;
    return d->bits != NULL || n == 0;
}

bool parquet_delta_get(struct parquet_delta *d, int64_t *out, size_t n)
{
    if (n > d->left)
        return false;
    d->left -= n;
    if (n && !d->started) {
        d->started = true;
        *out++ = (int64_t)d->value;
        n--;
    }
    while (n) {
        if (d->in_miniblock == 0 && !next_miniblock(d))
            return false;
        uint32_t take = d->in_miniblock < n ? d->in_miniblock : (uint32_t)n;
        uint64_t needed = d->bit + (uint64_t)take * d->width;
        if (needed > (uint64_t)(d->bits_end - d->bits) * 8)
            return false;
        for (uint32_t i = 0; i < take; i++, d->bit += d->width) {
            uint64_t delta = d->width ? bits_at(d->bits, d->bits_end, d->bit, d->width) : 0;
            d->value += d->min_delta + delta;
            out[i] = (int64_t)d->value;
        }
        d->in_miniblock -= take;
        out += take;
        n -= take;
    }
    return true;
}

bool parquet_delta_rest(const struct parquet_delta *d, struct slice *rest)
{
    struct parquet_delta scan = *d;
    uint64_t deltas = scan.left ? scan.left - 1 : 0;
    while (deltas) {
        if (!next_miniblock(&scan))
            return false;
        deltas -= deltas < scan.per_miniblock ? deltas : scan.per_miniblock;
    }
    *rest = slice_make(scan.in.p, bytes_left(&scan.in));
    return true;
}
