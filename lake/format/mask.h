/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What masks make of values (shape.h: enum shape_mask; names and values are those of the Iceberg
 * REST catalog's read-restrictions): a function of one batch of values, nulls left out, which stay
 * of their type. Of a dictionary it is applied to the words, once.
 *
 *   text       code points; a byte that is none of well-formed UTF-8 becomes x, whatever the mask
 *   dates      the first instant of their year or month, proleptic Gregorian, UTC; in files of
 *              writers that count by the Julian calendar before 1582 those days are refused
 *   hashes     SHA-256 of UTF-8, of 4 or 8 bytes little-endian, of bytes; numbers are the first
 *              bytes of it, little-endian
 *
 * Pure; one mask, one thread.
 */
#ifndef LAKE_FORMAT_MASK_H
#define LAKE_FORMAT_MASK_H

#include "base/buf.h"
#include "lake/format/parquet_values.h"
#include "lake/format/shape.h"

/* Of one leaf, as it is written. SHAPE_MASK_NULL and SHAPE_MASK_FIXED are no functions of a value:
 * whoever writes a leaf makes them. */
struct mask_rule {
    uint8_t how;         /* enum shape_mask */
    uint8_t of;          /* enum shape_type */
    uint8_t type;        /* enum parquet_type */
    uint8_t unit;        /* enum parquet_unit, of timestamps in INT64 */
    bool hybrid;         /* days before 1582-10-15 are of the Julian calendar */
    const uint8_t *salt; /* SHAPE_SALT_BYTES; borrowed */
};

struct mask {
    struct mask_rule rule;
    struct buf bytes; /* of the batch's values */
};

/* -EOPNOTSUPP where values of that type, held so, have no such mask; nothing to free then. */
int mask_init(struct mask *m, const struct mask_rule *rule, struct err *err);
void mask_done(struct mask *m);
DEFINE_AUTO_DONE(mask, struct mask, mask_done)

/*
 * Masks n values in place; their bytes stay until the next batch. -EOPNOTSUPP: the first instant
 * of a period is beyond the type, or of the other calendar; -EOVERFLOW: more bytes than a page may
 * have; -ENOMEM.
 */
int mask_batch(struct mask *m, union parquet_value *values, size_t n, struct err *err);

static inline bool mask_is_hash(uint8_t how)
{
    return how == SHAPE_MASK_SHA256 || how == SHAPE_MASK_SHA256_LOCAL;
}

/* Appends what mask-to-fixed-value makes of every value of the field, in Parquet's PLAIN encoding
 * (booleans a byte, strings bare), as a file has it that tarn makes: `bytes` of a value of fixed
 * length. */
void mask_fixed_value(const struct shape_field *f, uint32_t bytes, struct buf *out);

#endif
