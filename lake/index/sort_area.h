/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records in one piece of memory of a fixed size, and their sort. Internal to the sorter.
 *
 *   memory   [ le32 length, bytes | le32 length, bytes | ... ->      <- ... | slot | slot ]
 *
 * One thread at a time.
 */
#ifndef LAKE_INDEX_SORT_AREA_H
#define LAKE_INDEX_SORT_AREA_H

#include "base/slice.h"

/* Before the bytes of each record, in memory and in files. */
#define SORT_LENGTH_BYTES sizeof(uint32_t)

struct sort_order {
    int (*compare)(struct slice a, struct slice b);
    bool (*bytes)(struct slice record, size_t at, uint64_t *out); /* NULL: none are told */
};

struct sort_area {
    struct sort_order order;
    char *memory; /* NULL: none yet */
    size_t memory_bytes;
    size_t used; /* bytes of records */
    uint32_t n;  /* records */
};

/* Reserves the memory, at most UINT32_MAX bytes; false: there is none. */
bool sort_area_reserve(struct sort_area *a, size_t memory_bytes);
void sort_area_done(struct sort_area *a);

/* Whether a record of n bytes fits in an area that is empty. */
bool sort_area_fits(const struct sort_area *a, size_t n);
/* Copies the record; false where there is no room for it now. */
bool sort_area_add(struct sort_area *a, struct slice record);
void sort_area_empty(struct sort_area *a);

void sort_area_sort(struct sort_area *a);
/* After the sort: the record at a place of the order, while it is there. Wants them one by one. */
struct slice sort_area_at(const struct sort_area *a, uint32_t i);

#endif
