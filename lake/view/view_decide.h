/* SPDX-License-Identifier: Apache-2.0 */
/* What a grant decides of each column of a version, and why; view.h says how names follow. Pure. */
#ifndef LAKE_VIEW_VIEW_DECIDE_H
#define LAKE_VIEW_VIEW_DECIDE_H

#include "lake/view/view_tree.h"

enum column_state {
    COLUMN_SHOWN,
    COLUMN_MASKED, /* as a whole: what is below a masked struct, list or map is only shown */
    COLUMN_HIDDEN,
};

struct column_decision {
    enum column_state state;
    enum shape_mask mask;           /* of COLUMN_MASKED */
    const struct column_term *term; /* that hides or masks it, or what it is part of; NULL: none */
};

struct view_decision {
    struct view_tree at, today;
    /* For each field of the version's shape and of its partitions, by index. */
    struct column_decision *fields, *partitions;
};

/* -ENOMEM, -EOVERFLOW; the decision is to be done in any case. */
int view_decide(struct view_decision *d, const struct grant *g, const struct view_columns *at,
                const struct view_columns *today, struct err *err);
void view_decision_done(struct view_decision *d);
DEFINE_AUTO_DONE(view_decision, struct view_decision, view_decision_done)

#endif
