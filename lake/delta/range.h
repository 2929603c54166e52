/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges: the files that the commits of some versions added as new data, or their change data, as
 * a snapshot of its own (a base without a patch; lake/delta/runs.h names it).
 *
 * Files are placed by the partition columns of the range's last version, whose meta the run has. A
 * file that is added more than once is shown as the last one of the range says. Whether a file is
 * removed again within the range does not matter: whoever reads increments wants each commit's.
 */
#ifndef LAKE_DELTA_RANGE_H
#define LAKE_DELTA_RANGE_H

#include "lake/delta/replay.h"
#include "lake/driver.h"

/* -ENOENT where a commit of the range is gone. Blocks; any thread. */
int delta_range(const struct delta_table *table, const struct history *h,
                const struct version_range *range, struct snapshot **out, struct err *err);

#endif
