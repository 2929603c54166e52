/* SPDX-License-Identifier: Apache-2.0 */
/* What `.tarn/` tells of an Iceberg table, as JSON; tarn(1) names the fields. Any thread. */
#ifndef LAKE_ICEBERG_DESCRIBE_H
#define LAKE_ICEBERG_DESCRIBE_H

#include "lake/iceberg/iceberg.h"

/*
 * Appends the history from a position on as an array. What a snapshot that has expired since said
 * of itself is not known: only id and time are told. part: what may tell of rows, files and columns
 * (the summary, counts) is left out.
 */
int iceberg_describe_history(const struct iceberg_metadata *m, const struct history *h,
                             size_t first, bool part, struct buf *out, struct err *err);

/* Appends branches and tags as an array, in order of names, those of the history alone. */
int iceberg_describe_refs(const struct iceberg_metadata *m, const struct history *h,
                          struct buf *out, struct err *err);

/* Appends partition columns and schema from a run's meta (lake/iceberg/state.h), all of it or what
 * is shown of it (NULL: all). */
int iceberg_describe_schema(struct slice meta, const struct shape *shown, struct buf *out,
                            struct err *err);

/* Appends the table's UUID, format version, location and properties from a run's meta; part: of the
 * properties those that are known to name no column, and no location. */
int iceberg_describe_properties(struct slice meta, bool part, struct buf *out, struct err *err);

#endif
