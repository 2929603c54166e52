/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an add's statistics tell of its columns (PROTOCOL.md, "Per-file Statistics"). Engines may
 * write a file without columns that its rows have no values for; nulls are counted of the columns
 * that the file has (delta-rs), or of all, where those that it lacks are null in every row (Spark).
 * Pure.
 */
#ifndef LAKE_DELTA_STATS_H
#define LAKE_DELTA_STATS_H

#include "lake/delta/action.h"

/* Columns of which nulls are counted unless the table says otherwise, at most. */
#define DELTA_COUNTED_MAX 32
/* The properties by which it does. */
#define DELTA_COUNTED_NUMBER "delta.dataSkippingNumIndexedCols"
#define DELTA_COUNTED_NAMES "delta.dataSkippingStatsColumns"

/*
 * Nulls were counted in the file, and not of all of these columns (DELTA_COUNTED_MAX at most), or
 * one of them, or a field of it, has nothing else.
 * `stats` is the value as it stands in the log: JSON text of a string. True also where nulls were
 * counted and it cannot be understood of what.
 */
bool delta_stats_lack(struct slice stats, const struct delta_list *columns);

#endif
