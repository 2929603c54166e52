/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roaring bitmaps: sets of row numbers as deletion vectors hold them. Pure; what was parsed is
 * immutable: any number of threads read it.
 *
 *   rows 0 .. 2^63   in runs of 2^16 with one container each, as the writer has chosen it:
 *                    array (sorted values), bitmap (8 KiB), or runs (first, length)
 *
 * Two serializations are read (RoaringFormatSpec, "Standard 32-bit Roaring Bitmap" and "Extension
 * for 64-bit implementations"; delta.io PROTOCOL.md, "Deletion Vector Format"). The bytes are
 * checked whole when they are parsed: keys and values ascend, counts are right, nothing follows.
 */
#ifndef LAKE_FORMAT_ROARING_H
#define LAKE_FORMAT_ROARING_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/slice.h"

struct roaring;

/* A 32-bit bitmap. Copies what it needs. -EIO damaged, -EOVERFLOW over a limit, -ENOMEM. */
int roaring_parse(struct slice bytes, struct roaring **out, struct err *err);

/* Delta's RoaringBitmapArray: a magic number, then a 64-bit bitmap. Iceberg's blobs hold the same.
 * Spark's older form, which the protocol has an example of, is read as well. */
int roaring_parse_array(struct slice bytes, struct roaring **out, struct err *err);

void roaring_free(struct roaring *r);
DEFINE_AUTO(roaring, struct roaring *, roaring_free)

/* Rows in it. */
uint64_t roaring_count(const struct roaring *r);

/* The first row not before `from`: true and *row; false where there is none. */
bool roaring_next(const struct roaring *r, uint64_t from, uint64_t *row);

/* How many of the rows `from` .. `to` - 1 are in it. */
uint64_t roaring_count_between(const struct roaring *r, uint64_t from, uint64_t to);

#endif
