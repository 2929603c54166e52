/* SPDX-License-Identifier: Apache-2.0 */
/* What roaring.c, which reads bitmaps, and roaring_build.c, which makes them, share. */
#ifndef LAKE_FORMAT_ROARING_PRIVATE_H
#define LAKE_FORMAT_ROARING_PRIVATE_H

#include "base/vec.h"
#include "lake/format/roaring.h"

/* More values than this are a bitmap. */
#define ARRAY_MAX 4096U
#define CONTAINER_ROWS 65536U
#define WORDS (CONTAINER_ROWS / 64)

enum container_kind { CONTAINER_ARRAY, CONTAINER_BITMAP, CONTAINER_RUNS };

struct container {
    uint64_t key;    /* of its rows: row >> 16; ascending */
    uint64_t before; /* rows in all containers before it */
    const uint8_t *data;
    uint32_t rows;
    uint16_t n; /* runs */
    uint8_t kind;
};

struct roaring {
    VEC(struct container) containers;
    uint64_t rows;
    uint8_t *bytes; /* the containers' data points into it */
};

/* Copies the bytes; no containers. NULL: out of memory. */
struct roaring *roaring_new(struct slice bytes, struct err *err);
/* Appends it. -EIO where its key does not ascend, -EOVERFLOW, -ENOMEM. */
int roaring_add_container(struct roaring *r, const struct container *c, struct err *err);
/* Of its data. */
size_t roaring_container_bytes(const struct container *c);
/* The first value of the container not below; CONTAINER_ROWS: none. */
uint32_t roaring_next_value(const struct container *c, uint32_t from);

#endif
