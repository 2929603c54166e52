/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of single columns: `initial-default` (Iceberg specification, "Default values"; appendix D,
 * "JSON single-value serialization"), and those of partitions in the binary form (appendix D,
 * "Binary single-value serialization"), as constants of a shape's fields. Pure.
 */
#ifndef LAKE_ICEBERG_DEFAULT_H
#define LAKE_ICEBERG_DEFAULT_H

#include "base/buf.h"
#include "lake/format/shape.h"

/*
 * Appends the constant of a leaf (shape_field.constant) that JSON text says. Types whose default
 * has to be null, lists and maps: -EOPNOTSUPP. -EIO where it is no value of that type.
 */
int iceberg_default_read(const struct shape_field *f, struct slice json, struct buf *out,
                         struct err *err);

/*
 * The same of a binary value, which may be of a type from which the leaf's was promoted, or will
 * be: 4 bytes of an int for a long, 8 of a long that is an int, 4 of a date for a timestamp. -EIO,
 * and -EOPNOTSUPP where a date is beyond the timestamps.
 */
int iceberg_default_binary(const struct shape_field *f, struct slice value, struct buf *out,
                           struct err *err);

#endif
