/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A schema of table metadata as who is shown a part of the columns is told it: those columns, with
 * ids, names and types. Comments and defaults are left out. Pure.
 */
#ifndef LAKE_ICEBERG_DESCRIBE_SCHEMA_H
#define LAKE_ICEBERG_DESCRIBE_SCHEMA_H

#include "base/buf.h"
#include "lake/format/shape.h"
#include "lake/iceberg/metadata.h"

/* Appends it as JSON. shape: a part of the schema's. -EIO where it is none. */
int iceberg_schema_shown(const struct iceberg_schema_text *schema, const struct shape *shape,
                         struct buf *out, struct err *err);

/* Whether the shape has a field of that id. */
bool iceberg_schema_shows(const struct shape *shape, int32_t id);

#endif
