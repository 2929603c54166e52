/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event or one line of a listing, on its way through the sorter: a fixed head, the object
 * (place and key), and what else it has. Internal to the need.
 *
 * Order: by object; what is listed first; then by table, holder, position, and what happened.
 */
#ifndef LAKE_TIER_NEED_RECORD_H
#define LAKE_TIER_NEED_RECORD_H

#include "base/buf.h"
#include "lake/objects.h"

#define NEED_LISTED UINT32_MAX /* in place of what happened */

struct need_head {
    uint64_t holder;
    uint64_t size;
    int64_t mtime_ms;
    uint32_t table; /* from 1; 0: listed */
    uint32_t position;
    uint32_t what; /* enum object_happening, or NEED_LISTED */
    uint8_t kind;  /* enum object_kind */
    uint8_t moves_rows;
    uint16_t class_bytes; /* of `more`, in front: the class; behind it the ETag, or partitions */
    uint32_t object_bytes, more_bytes;
};
_Static_assert(sizeof(struct need_head) == 48, "need_head has no holes");

struct need_record {
    struct need_head head;
    struct slice object; /* the place's byte, then the key */
    struct slice more;
};

struct need_record need_record_parse(struct slice record);
/* Replaces `out`; the lengths in the head follow from the slices. */
void need_record_format(struct buf *out, const struct need_record *r);

/* For the sorter. */
int need_record_compare(struct slice a, struct slice b);
bool need_record_bytes(struct slice record, size_t at, uint64_t *out);

#endif
