/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that columns have or had in any schema that the table's metadata still has, by field id
 * (lake/former.h). Schemas are removed with the last snapshot that was made with them: what only
 * they knew is not known any more. Pure.
 */
#ifndef LAKE_ICEBERG_FORMER_H
#define LAKE_ICEBERG_FORMER_H

#include "base/buf.h"
#include "lake/former.h"
#include "lake/iceberg/metadata.h"

/* Appends them as JSON, `[[3,"price"],..]`; -EIO for a schema that cannot be read. */
int iceberg_former_format(const struct iceberg_metadata *m, struct buf *out, struct err *err);

#endif
