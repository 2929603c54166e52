/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule of a lake file says of one object. Pure. */
#ifndef LAKE_TIER_RULE_H
#define LAKE_TIER_RULE_H

#include "base/buf.h"
#include "lake/lakefile.h"

struct tier_subject {
    bool live; /* the newest version of some table holds it */
    int64_t added_ms;
    int64_t ceased_ms; /* not live: the version that is the first without it, of all tables */
    bool compacted;    /* not live: its rows are in other files */
};

/*
 * Does the rule take the object (tables apart)? *from_ms is what its `after` counts from. value: of
 * the rule's partition column; p NULL: there is none.
 */
bool tier_rule_takes(const struct lakefile_rule *rule, const struct tier_subject *s,
                     struct slice value, int64_t now_ms, int64_t *from_ms);

/* The move that is due, the last one of those whose time has come; NULL: none yet. */
const struct lakefile_move *tier_rule_due(const struct lakefile_rule *rule, int64_t from_ms,
                                          int64_t now_ms);

/*
 * When what a partition value names has ended, UTC: a day (`2026-03-01`, `20260301`), a month
 * (`2026-03`, `202603`), a year (`2026`), or an instant (as instant_parse reads it). False: it
 * names none.
 */
bool tier_partition_end(struct slice value, int64_t *out_ms);

/* The value that a path's directories say of a column (`column=value`, percent-decoded into
 * `scratch`). */
bool tier_partition_in_path(struct slice path, struct slice column, struct buf *scratch,
                            struct slice *value);

#endif
