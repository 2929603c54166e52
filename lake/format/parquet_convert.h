/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the values of a leaf become others, and what its mask makes of these: a function of one batch
 * of values, nulls left out. Of a dictionary it is applied to the words, once.
 *
 * Pure; one thread. Bytes of values stay until the next batch.
 */
#ifndef LAKE_FORMAT_PARQUET_CONVERT_H
#define LAKE_FORMAT_PARQUET_CONVERT_H

#include "lake/format/parquet_values.h"
#include "lake/format/present.h"

struct parquet_convert {
    enum present_conversion how;
    enum parquet_type from, to;
    uint32_t to_length;
    __int128 factor; /* of PRESENT_RESCALE */
    uint8_t *bytes;  /* of a batch of fixed length */
    bool masks;      /* after that */
    struct mask mask;
};

/* For values of node `from`. -EOPNOTSUPP where its type and the new one do not belong to that
 * conversion, -ENOMEM. */
int parquet_convert_init(struct parquet_convert *c, const struct present_leaf *leaf,
                         const struct parquet_node *from, const struct parquet_node *to,
                         struct err *err);
void parquet_convert_done(struct parquet_convert *c);

/* Converts n (at most PARQUET_BATCH) values in place. -EOPNOTSUPP: the new type does not hold one;
 * -EOVERFLOW, -ENOMEM of masks. */
int parquet_convert_batch(struct parquet_convert *c, union parquet_value *values, size_t n,
                          struct err *err);

/* Nanoseconds since 1970 of an INT96; false: it has another length. */
bool parquet_int96(struct slice s, __int128 *out);

/* An unscaled decimal: big-endian two's complement. False where 128 bits do not hold it. */
bool parquet_unscaled(struct slice s, __int128 *out);

#endif
