/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history of a table: its snapshots, and what its branches, tags and snapshot log make of them
 * (Iceberg specification, "Snapshots", "Snapshot References", "Point in Time Reads").
 *
 *   versions   every snapshot of the metadata, by id, with its own schema
 *   heads      those that branches show and whose schema is not the table's current one, with that:
 *              a branch is read with the table's columns, a tag, id or time with those of then
 *   clock      the snapshot log: what `main` was when; where it is not kept, the times of the
 *              snapshots from which the current one descends
 *   expired    ids that the log, refs and parents name, and that are not there any more
 *
 * Any thread.
 */
#ifndef LAKE_ICEBERG_HISTORY_H
#define LAKE_ICEBERG_HISTORY_H

#include "lake/iceberg/iceberg.h"

/* As driver_ops.history, which goes on from what the table has heard. Blocks. */
int iceberg_history(struct iceberg_table *t, struct history **out, struct err *err)
    EXCLUDES(t->lock);

/* The history that metadata tells. Pure. */
int iceberg_history_of(const struct iceberg_metadata *m, struct history **out, struct err *err);

/* What makes a version of this snapshot and schema one that can be told from any other: snapshot,
 * columns, how they are found in files, where files are shown. */
uint64_t iceberg_history_fingerprint(const struct iceberg_metadata *m,
                                     const struct iceberg_snapshot *s, int32_t schema);

#endif
