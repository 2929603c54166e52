/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roaring bitmaps: sets of row numbers as deletion vectors hold them. Pure; a bitmap is
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

/*
 * Such an array in the frame in which both formats store it: length:be32 array crc32:be32, and
 * nothing else (Delta's deletion vector files behind their first byte; Puffin's
 * `deletion-vector-v1` blobs). -EIO also where length or checksum are wrong.
 */
int roaring_parse_framed(struct slice framed, struct roaring **out, struct err *err);

void roaring_free(struct roaring *r);
DEFINE_AUTO(roaring, struct roaring *, roaring_free)

/* Rows in it. */
uint64_t roaring_count(const struct roaring *r);

/* About the memory that it takes. */
size_t roaring_bytes(const struct roaring *r);

/* The first row not before `from`: true and *row; false where there is none. */
bool roaring_next(const struct roaring *r, uint64_t from, uint64_t *row);

/* How many of the rows `from` .. `to` - 1 are in it. */
uint64_t roaring_count_between(const struct roaring *r, uint64_t from, uint64_t to);

/* Rows of either; neither is taken. -EOVERFLOW over a limit, -ENOMEM. */
int roaring_union(const struct roaring *a, const struct roaring *b, struct roaring **out,
                  struct err *err);

/* A set of our own, from rows in order. One thread. */
struct roaring_builder;
struct roaring_builder *roaring_builder_new(struct err *err);
void roaring_builder_free(struct roaring_builder *b);
DEFINE_AUTO(roaring_builder, struct roaring_builder *, roaring_builder_free)

/* Adds row + i for each bit 1 << i; no row may be below one of an earlier call. -EOVERFLOW over a
 * limit, -ENOMEM. */
int roaring_builder_add(struct roaring_builder *b, uint64_t row, uint64_t bits, struct err *err);
/* Adds the rows `from` .. `to` - 1, likewise. */
int roaring_builder_add_range(struct roaring_builder *b, uint64_t from, uint64_t to,
                              struct err *err);
/* The set; the builder is empty afterwards. */
int roaring_builder_end(struct roaring_builder *b, struct roaring **out, struct err *err);

#endif
