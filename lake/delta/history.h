/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history of a table: its versions and their times.
 *
 * A commit's time is the modification time of its file, made strictly increasing; or, from the
 * version on that enabled in-commit timestamps, the one that its first line tells. Whether that is
 * so, the newest commit shows: only where it carries one are older ones read, back to the first
 * that has none, several at a time. What was read is kept in the table's directory (`times`), so it
 * is read once.
 *
 * Blocks; any thread.
 */
#ifndef LAKE_DELTA_HISTORY_H
#define LAKE_DELTA_HISTORY_H

#include "lake/delta/replay.h"
#include "lake/driver.h"

/* As driver_ops.history. */
int delta_history(const struct delta_table *table, struct history *previous, struct history **out,
                  struct err *err);

#endif
