/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of a table of a mount, as its documents tell them. Blocks on reading the mount. */
#ifndef TOOLS_POLICY_COLUMNS_H
#define TOOLS_POLICY_COLUMNS_H

#include "base/buf.h"
#include "lake/format/shape.h"

/* Of one version. NULL: it has no schema; no partition columns. */
struct policy_columns {
    struct shape *shape, *partitions;
};
void policy_columns_done(struct policy_columns *c);
DEFINE_AUTO_DONE(policy_columns, struct policy_columns, policy_columns_done)

enum policy_place {
    PLACE_OUTSIDE, /* it, or what of it exists, is in no mount of tarn */
    PLACE_TABLE,
    PLACE_OBJECT, /* outside of tables */
};

/*
 * What a path shows, and into `name` (of a table, of an object) its path from the mount's root, as
 * policies write it; of PLACE_OUTSIDE nothing. -ENOENT where it is in a mount and neither is there;
 * -EPERM where the mount does not show the whole table; what refused the table.
 */
int policy_find(const char *path, enum policy_place *place, struct buf *name, struct err *err);

/* The columns of the version that the path shows. */
int policy_columns_at(const char *path, struct policy_columns *out, struct err *err);

/* Those of the newest one. */
int policy_columns_today(const char *path, struct slice table, struct policy_columns *out,
                         struct err *err);

#endif
