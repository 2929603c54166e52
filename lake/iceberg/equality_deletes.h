/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Equality delete files: tuples of columns, by which rows of data files are gone (Iceberg
 * specification, "Equality Delete Files"). lake/format/equality.h compares; here are the columns,
 * by the ids that the manifest names, and the files.
 *
 * Columns are those of the newest schema that has them: a column that was dropped since still
 * deletes, and the last type is the widest one, to which older files' values are promoted.
 */
#ifndef LAKE_ICEBERG_EQUALITY_DELETES_H
#define LAKE_ICEBERG_EQUALITY_DELETES_H

#include "lake/format/equality.h"
#include "lake/format/source.h"
#include "lake/iceberg/extra.h"
#include "lake/iceberg/metadata.h"

/*
 * The columns of these ids as the shape by which files are read: a reference. -EOPNOTSUPP where no
 * schema has one of them, or it is not compared (equality_check); -EIO, -EOVERFLOW, -ENOMEM as
 * iceberg_schema_shape. Pure; any thread.
 */
int iceberg_equality_columns(const struct iceberg_metadata *m, const int32_t *ids, size_t ids_n,
                             struct shape **out, struct err *err);

/*
 * The tuples of a delete file (Parquet or Avro): one reference. -EIO damaged, or it lacks a column;
 * -EOPNOTSUPP a format (ORC), type or encoding that is not read; -EOVERFLOW over
 * EQUALITY_BYTES_MAX, -ENOMEM; the source's.
 */
int iceberg_equality_read(const struct source *source, enum iceberg_format format,
                          const struct shape *columns, struct equality_set **out, struct err *err);

#endif
