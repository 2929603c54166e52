/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan adds up, and the sentences that it says. Internal to the plan. One thread. */
#ifndef LAKE_TIER_PLAN_SUMS_H
#define LAKE_TIER_PLAN_SUMS_H

#include "lake/tier/plan.h"
#include "lake/tier/prices.h"
#include "lake/tier/tables.h"

#define TIER_NOTES_MAX ((size_t)10000)

struct tier_plan {
    struct tier_tables tables;
    VEC(struct tier_sum) sums;
    VEC(char *) notes; /* owned */
};

/* What is added to a sum at once. */
struct tier_cost {
    double before, after, once, read_all;
    bool dear, early, passing;
};

/* What one object costs where it is, and where it would be. stays_ms: its table's clean-up may
 * remove it then; INT64_MAX: it does not. */
struct tier_cost tier_cost_of(const struct tier_price *from, const struct tier_price *to,
                              uint64_t bytes, int64_t mtime_ms, int64_t stays_ms, int64_t now_ms);

/* The sum of a table, a rule and a class, made now where it is new. NULL: out of memory. */
struct tier_sum *tier_plan_sum(struct tier_plan *p, size_t table, size_t rule, const char *to);

__attribute__((format(printf, 2, 3))) int tier_plan_add_note(struct tier_plan *p, const char *fmt,
                                                             ...);

/* Orders the sums. */
void tier_plan_settle(struct tier_plan *p);

#endif
