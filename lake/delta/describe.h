/* SPDX-License-Identifier: Apache-2.0 */
/* What `.tarn/` tells of a Delta table, as JSON. Blocks on reading commits; any thread. */
#ifndef LAKE_DELTA_DESCRIBE_H
#define LAKE_DELTA_DESCRIBE_H

#include "lake/delta/replay.h"
#include "lake/driver.h"

/*
 * Appends the history from a position on as an array. What a commit says of itself is told of the
 * newest 1000; of older ones, and of those whose commit is gone, only version and time. part: what
 * may tell of rows, files and columns (parameters, counts, who and with what) is left out.
 */
int delta_describe_history(const struct delta_table *table, const struct history *h, size_t from,
                           bool part, struct buf *out, struct err *err);

/* Appends partition columns and schema from a run's meta, all of it or what is shown of it (NULL:
 * all); -ENOENT where the table tells none. */
int delta_describe_schema(struct slice meta, const struct shape *shown, struct buf *out,
                          struct err *err);

/* Appends the table's id, protocol and properties from a run's meta; part: of the properties those
 * that are known to name no column. -EUCLEAN where that is damaged. */
int delta_describe_properties(struct slice meta, bool part, struct buf *out, struct err *err);

#endif
