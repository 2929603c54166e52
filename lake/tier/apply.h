/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does what a plan says: puts objects into other storage classes, or tags them for the store's own
 * lifecycle.
 *
 *   tier_plan ─► moves, in order of stores and keys ─► at most APPLY_AT_ONCE at a time:
 *                                                        class (cache/store/class.h)
 *                                                          └ not possible there ─► tag
 *
 * Nothing is remembered: what is done is what the stores say, so a run that was killed is begun
 * again, and two runs at once do the same. An object that is gone or was replaced since the plan
 * read of it is left alone. A plan ages, and a version that is committed meanwhile may need an
 * object again: after TIER_PLAN_AGE_MS it is made anew, and what it says next goes on behind the
 * last object that was done.
 *
 * With a journal each change is a line of JSON in it. It also tells which objects were tagged: one
 * that no plan names any more, because a table took it back, and that the lifecycle has not moved
 * yet, loses its tag again.
 */
#ifndef LAKE_TIER_APPLY_H
#define LAKE_TIER_APPLY_H

#include "cache/store/class.h"
#include "lake/tier/plan.h"

/* The tag; its value is the class that the object is to have. */
#define TIER_TAG "tarn-tier"

/* What became of a move. */
enum tier_done {
    TIER_MOVED,   /* it is in the class */
    TIER_TAGGED,  /* the lifecycle will put it there */
    TIER_WAITS,   /* it was tagged before, and waits for the lifecycle */
    TIER_SKIPPED, /* gone, or another object now */
    TIER_REFUSED, /* neither is possible; err says why */
    TIER_FAILED,  /* err says why; a later run tries again */
};
#define TIER_DONE_KINDS 6

struct tier_apply_config {
    struct tier_plan_config plan;
    bool dry_run;        /* nothing is changed: every move is told as what is tried first */
    bool tags;           /* tags only, whatever the rules say */
    const char *journal; /* path; NULL: none */
    unsigned at_once;    /* 0: 32 */
    int64_t plan_age_ms; /* 0: TIER_PLAN_AGE_MS */
    /* May be NULL; on several threads, one at a time. `why` is set but for what went well. */
    void (*told)(void *arg, const struct tier_move *move, enum tier_done done,
                 const struct err *why);
    void *arg;
};

#define TIER_PLAN_AGE_MS 120000
#define TIER_AT_ONCE 32
#define TIER_AT_ONCE_MAX 256

struct tier_applied {
    uint64_t files[TIER_DONE_KINDS], bytes[TIER_DONE_KINDS];
    double month_before, month_after; /* of what was moved or tagged now */
    uint64_t untagged;                /* by the journal: a table needs them again */
    unsigned plans;                   /* that were made */
    struct tier_plan *plan;           /* the last one, the caller's to free; may be NULL */
};

/*
 * Blocks. Errors of single objects are told and counted; -errno where no plan could be made, the
 * journal cannot be written, or so many objects failed one after the other that the rest would too.
 * `out` is filled in any case.
 */
int tier_apply(const struct tier_apply_config *config, struct tier_applied *out, struct err *err);

#endif
