/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the column chunks of Parquet files lie that were read lately: programs open a file once for
 * its footer and again for its columns. Bounded; what was not used for longest goes. Any thread.
 */
#ifndef FS_LAYOUTS_H
#define FS_LAYOUTS_H

#include "base/lock.h"
#include "lake/format/parquet_plan.h"

#define LAYOUTS_MAX 128
#define LAYOUTS_BYTES_MAX (16 * MIB)

/* An object behind a node; identity as in struct opened. */
struct layout_key {
    uint64_t node, identity;
};

struct layouts {
    struct lock lock;
    struct layout_entry {
        struct layout_key key;
        struct parquet_layout *layout; /* a reference; NULL: the place is free */
        uint64_t used;
    } at[LAYOUTS_MAX]; /* lock */
    uint64_t clock;    /* lock */
    size_t bytes;      /* lock */
};

void layouts_init(struct layouts *l);
void layouts_done(struct layouts *l);

/* A reference, or NULL. */
struct parquet_layout *layouts_find(struct layouts *l, struct layout_key key) EXCLUDES(l->lock);

/* Keeps one more; takes a reference of its own. */
void layouts_put(struct layouts *l, struct layout_key key, struct parquet_layout *layout)
    EXCLUDES(l->lock);

#endif
