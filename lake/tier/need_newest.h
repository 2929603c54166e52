/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which versions of a table are its newest ones: the one that the live path shows, and the one at
 * the end of each branch. That need not be the version that was committed last:
 *
 *   position   0       1       2       3
 *   main       a ───── b               main was set back to 0, or has not moved since 1
 *   branch                 └── c ───── d
 *
 * Blocks nothing; a source's own thread.
 */
#ifndef LAKE_TIER_NEED_NEWEST_H
#define LAKE_TIER_NEED_NEWEST_H

#include "base/vec.h"
#include "lake/driver.h"
#include "lake/tier/need.h"

struct need_newest {
    VEC(size_t) at; /* positions of versions, not of heads */
    bool in_turn;   /* each version was the newest one until the next one was committed */
};

/* h may be NULL: a table without versions. -ENOMEM. */
int need_newest_init(struct need_newest *n, const struct history *h, struct err *err);
void need_newest_done(struct need_newest *n);

/* One of them is in one of the spans, which are in order. */
bool need_newest_in(const struct need_newest *n, const struct need_span *spans, size_t spans_n);

/* When what these spans hold ceased to be the newest version's. until: the position behind the last
 * one; the history's length where nothing came behind. */
int64_t need_newest_ceased_ms(const struct need_newest *n, const struct history *h,
                              const struct need_use *use);

#endif
