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

/*
 * The table that a path shows: its own path from the mount's root, as policies write it. -ENOENT
 * where the path is none of a mount.
 */
int policy_table_path(const char *path, struct buf *table, struct err *err);

/* The columns of the version that the path shows. */
int policy_columns_at(const char *path, struct policy_columns *out, struct err *err);

/* Those of the newest one. */
int policy_columns_today(const char *path, struct slice table, struct policy_columns *out,
                         struct err *err);

#endif
