/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema of a version as somebody sees it who is shown a part of its columns (PROTOCOL.md,
 * "Schema Serialization Format"): names, types and nullability, and nothing else: comments,
 * defaults and generation expressions may speak of what is hidden. Pure.
 */
#ifndef LAKE_DELTA_SCHEMA_SHOWN_H
#define LAKE_DELTA_SCHEMA_SHOWN_H

#include "base/buf.h"
#include "lake/delta/schema.h"

/*
 * Appends what is left of a schema: the columns of the shape, a part of delta_schema_shape's, and
 * the partition columns. -EIO where the shape is of another schema, or this one is damaged.
 */
int delta_schema_shown(struct slice schema, const struct delta_columns *partitions,
                       const struct shape *shape, struct buf *out, struct err *err);

#endif
