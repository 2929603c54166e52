/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object of a presented file that is made whole, read by a thread that may wait.
 *
 * Neighbouring blocks are asked for together as long as it is read in order, but only what the file
 * is made of: no granule is fetched of which nothing is presented (design.md section 7).
 *
 *   [chunk][chunk] [hidden ............] [chunk]
 *   └─── one range ──┘ (short gaps are)   └─ the next one
 */
#ifndef LAKE_VIEW_PRESENTED_OBJECT_H
#define LAKE_VIEW_PRESENTED_OBJECT_H

#include "lake/view/presented_private.h"

struct presented_object {
    const struct recipe *recipe;
    const char *if_match; /* empty: not known */
    const char *bytes;    /* the whole object, or NULL: */
    char *window;         /* some of it */
    uint64_t window_at;
    size_t window_n, blocks; /* blocks: asked for the last time */
    struct object_range {
        uint64_t from, to;
    } * ranges; /* ascending and apart */
    size_t ranges_n;
};

/* Borrows all of it. -ENOMEM. */
int presented_object_init(struct presented_object *r, const struct recipe *recipe,
                          const char *if_match, const char *bytes, struct err *err);
void presented_object_done(struct presented_object *r);

/*
 * From now on ahead of what is read comes only what the leaves of the plan are made of; plan NULL:
 * nothing. -ENOMEM.
 */
int presented_object_plan(struct presented_object *r, const struct present_plan *plan,
                          struct err *err);
/* How far may be read ahead of `offset`; itself: nothing is. */
uint64_t presented_object_end(const struct presented_object *r, uint64_t offset);

struct source presented_object_source(struct presented_object *r);

#endif
