/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an add's statistics prove of its file's columns (PROTOCOL.md, "Per-file Statistics").
 * Engines may write a file without columns that its rows have no values for, fields of structs too:
 * Spark does where a frame lacks them. Nulls are counted of the columns that the file has, or of
 * all, where those that it lacks are null in every row. So a column is there of which nulls were
 * counted, and fewer than there are rows. Pure.
 */
#ifndef LAKE_DELTA_STATS_H
#define LAKE_DELTA_STATS_H

#include "lake/delta/action.h"
#include "lake/format/shape.h"

/* Columns beyond which statistics are not asked. */
#define DELTA_COUNTED_MAX 1024

/* What counts of nulls have to tell of until a file is known to have all columns. */
struct delta_counted {
    /* Leaves of structs, whole lists and maps: names with a zero between them. */
    struct delta_list paths;
    const bool *required; /* of each: rows must have it, so no file is without */
    bool possible; /* else no counts would do: lists of structs, of whose fields none are kept */
};

/* In the arena. No shape, no memory: not possible. */
void delta_counted_of(const struct shape *shape, struct arena *arena, struct delta_counted *out);

/*
 * The file has all these columns, and nulls of no others were counted. `stats` is the value as it
 * stands in the log: JSON text of a string. False where it is not understood.
 */
bool delta_stats_prove(struct slice stats, const struct delta_counted *columns);

#endif
