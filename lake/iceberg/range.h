/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges: the files that the snapshots of a range appended, as a snapshot of its own (a base
 * without a patch; lake/iceberg/runs.h names it).
 *
 * The snapshots are the ancestors of the range's last one down to the one before its first, which
 * must be an ancestor. Those that appended count (`append`, and v1's that tell no operation), with
 * the files that they added themselves; rewrites (`replace`), overwrites and deletes do not: what
 * they add are rows that were there, in part or all. (As Iceberg's incremental append scan.)
 */
#ifndef LAKE_ICEBERG_RANGE_H
#define LAKE_ICEBERG_RANGE_H

#include "lake/iceberg/iceberg.h"

/* -ENOENT where `after` is no ancestor, or one between has expired. Blocks; any thread. */
int iceberg_range(struct iceberg_table *table, const struct history *h,
                  const struct version_range *range, struct snapshot **out, struct err *err);

#endif
