/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the need share: need.c fills it, need_read.c reads it. Internal. */
#ifndef LAKE_TIER_NEED_PRIVATE_H
#define LAKE_TIER_NEED_PRIVATE_H

#include "base/arena.h"
#include "base/lock.h"
#include "base/vec.h"
#include "lake/index/sort.h"
#include "lake/tier/need.h"
#include "lake/tier/need_newest.h"
#include "lake/tier/need_record.h"

/* Of one object: what holds a file of deletion vectors are all the files that it is for. */
#define NEED_SPANS_MAX ((size_t)8 << 20)

struct need_place {
    const struct store *store;
    struct slice home; /* without a final slash; borrowed from the store */
    bool alone;        /* no other place lies in it, or it in none */
};

struct need_source {
    struct object_sink sink;
    struct need *need;
    const struct store *store;
    const struct history *history;
    struct need_newest newest;
    uint32_t number;               /* from 1 */
    VEC(size_t) states;            /* positions that are told as a whole */
    struct object_column *columns; /* in the arena */
    size_t columns_n;
    int64_t retention_ms;
};

/* What one holder has: how it ended counts too. */
struct need_held {
    size_t from, to; /* NEED_LIVE */
    int64_t added_ms;
    bool moved_rows;
};

struct need {
    struct lock lock; /* guards the sorter while it is filled, and these */
    struct sorter *sorter;
    struct buf full, record, more;

    VEC(struct need_place) places;
    VEC(struct need_source *) tables;
    struct arena facts; /* columns of tables */

    /* reading */
    struct buf ahead; /* the first record of the next object; empty: none was read yet */
    bool ended;
    struct buf object, listed, kept; /* kept: partitions of the uses */
    VEC(struct need_held) held;      /* of the use that is read */
    VEC(struct need_span) spans;
    VEC(struct need_use) uses;
};

#endif
