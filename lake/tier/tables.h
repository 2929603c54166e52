/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of a lake, found by walking its directories, and what their logs say of objects.
 *
 *   tier_tables_find ─► tier_tables_select ─► tier_tables_read ─► tier_tables_owner ...
 *
 * All logs are read, also of tables that nobody asked for: they may need the same objects. Blocks;
 * one thread, none of the lake's workers.
 */
#ifndef LAKE_TIER_TABLES_H
#define LAKE_TIER_TABLES_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/vec.h"
#include "cache/store/event.h"
#include "lake/lakefile.h"
#include "lake/table.h"
#include "lake/tier/need.h"

#define TIER_TABLES_MAX ((size_t)1 << 18)

struct tier_layer {
    struct slice name; /* empty: the lake is one store */
    struct store *store;
    const struct lakefile_layer *file; /* NULL likewise */
};

struct tier_table {
    struct slice path; /* in the lake */
    size_t layer;
    struct table *table;
    struct slice prefix; /* in the layer's store: empty or ends in `/` */
    bool selected;
    bool holds_all;          /* every object below is of its newest version (`files`) */
    struct history *history; /* of those that were read */
    const char *unread;      /* why it was not read; NULL: it was */
    uint8_t place;           /* of its root in the need */
    struct slice place_key;
};

struct tier_tables {
    struct lake *lake;
    struct arena arena;
    VEC(struct tier_layer) layers;
    VEC(struct tier_table) at; /* by path */
    size_t *by_root;           /* numbers of tables, by place and key of their roots */
};

/* What of the lake there is. file: NULL where the lake is one store. */
int tier_tables_find(struct tier_tables *t, struct lake *lake, const struct lakefile *file,
                     struct err *err);
void tier_tables_done(struct tier_tables *t);
DEFINE_AUTO_DONE(tier_tables, struct tier_tables, tier_tables_done)

/* Those that some pattern matches, n 0: all. -EINVAL for a pattern that matches none. */
int tier_tables_select(struct tier_tables *t, const char *const *patterns, size_t n,
                       struct err *err);

/* The layers' stores into the need. */
int tier_tables_place(const struct tier_tables *t, struct need *need, struct err *err);

/*
 * Their tables into the need, numbered as here, and all that their logs tell. What is of
 * no known format, or damaged beyond doubt, is `unread`; other errors are returned: what a table
 * needs must be known.
 */
int tier_tables_read(struct tier_tables *t, struct need *need, struct err *err);

/* The table in whose directory an object lies; NULL: in none. */
const struct tier_table *tier_tables_owner(struct tier_tables *t, uint8_t place, struct slice key);

/*
 * The listing of what is below tables' roots, or of whole layers, into the need: on a worker of the
 * lake's, beside the reading of logs. After the need has its places.
 *
 *   tier_listing_begin ─► (tier_tables_read) ─► tier_listing_end
 */
struct tier_listing {
    struct job job;
    struct event ended;
    atomic_bool stop; /* what is listed is not wanted any more */
    bool begun;
    const struct tier_tables *tables;
    struct need *need;
    bool (*wants)(void *arg, const struct tier_table *table); /* NULL: layers as a whole */
    void *arg;
    int rc; /* immutable after `ended`, as the next one */
    struct err err;
};

/* wants and arg are asked on the worker. */
void tier_listing_begin(struct tier_listing *l, const struct tier_tables *t, struct need *need,
                        bool (*wants)(void *arg, const struct tier_table *table), void *arg);
/* Waits for it. `stop`: what is not listed yet need not be. */
int tier_listing_end(struct tier_listing *l, bool stop, struct err *err);

#endif
