/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two integer encodings on which Parquet's others stand (Encodings.md of format 2.11), decoded
 * in batches from one page's bytes.
 *
 *   hybrid   runs and bit-packed groups: levels, dictionary indices, booleans
 *   delta    DELTA_BINARY_PACKED: integers, lengths of strings, shared prefixes
 *
 * Pure; the bytes are borrowed and must stay until the last batch was taken. Allocates nothing.
 */
#ifndef LAKE_FORMAT_PARQUET_ENCODING_H
#define LAKE_FORMAT_PARQUET_ENCODING_H

#include "base/bytes.h"

/* Bits that levels and indices up to `max` take. */
static inline unsigned parquet_bit_width(unsigned max)
{
    return max ? 32 - (unsigned)__builtin_clz(max) : 0;
}

struct parquet_hybrid {
    struct bytes in;
    unsigned width;      /* bits of a value, at most 32 */
    uint64_t run;        /* values left of this run */
    const uint8_t *bits; /* of a bit-packed run, else NULL */
    uint64_t bit;        /* position in them */
    uint32_t value;      /* of a repeated run */
};

void parquet_hybrid_init(struct parquet_hybrid *h, struct slice s, unsigned width);
/* The next n values; false where the bytes end before. */
bool parquet_hybrid_get(struct parquet_hybrid *h, uint32_t *out, size_t n);

struct parquet_delta {
    struct bytes in;
    uint64_t left; /* values that were not given yet */
    uint64_t value, min_delta;
    uint32_t miniblocks, per_miniblock;
    uint32_t miniblock;    /* the next one of this block */
    uint32_t in_miniblock; /* values left of the current one */
    unsigned width;
    const uint8_t *widths;
    const uint8_t *bits, *bits_end;
    uint64_t bit;
    bool started; /* the first value, of the header, was given */
};

/* Reads the header; no bytes at all is an empty list. False where it is damaged. */
bool parquet_delta_init(struct parquet_delta *d, struct slice s);
/* The next n values, modulo 2^64; false where there are not as many. */
bool parquet_delta_get(struct parquet_delta *d, int64_t *out, size_t n);
/* What follows the encoded integers; of a decoder from which nothing was taken. */
bool parquet_delta_rest(const struct parquet_delta *d, struct slice *rest);

#endif
