/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Position delete files: rows that are gone by data file and place (Iceberg specification,
 * "Position Delete Files"), of one data file or of many.
 *
 *   file_path (id 2147483546)  pos (id 2147483545)  [row]        sorted by both, as is written
 * there
 *   .../a.parquet              3
 *   .../a.parquet              7         ──read──►   a.parquet: {3, 7}
 *   .../b.parquet              0                     b.parquet: {0}
 *
 * Paths are compared as they are written: in manifests and here they are the same text. Order is
 * not relied on; records that name no file delete nothing (Impala writes and reads them so). Pure
 * but for the source; what was read is immutable: any thread.
 */
#ifndef LAKE_ICEBERG_POSITION_DELETES_H
#define LAKE_ICEBERG_POSITION_DELETES_H

#include "lake/format/roaring.h"
#include "lake/format/source.h"
#include "lake/iceberg/extra.h"

struct iceberg_positions;

/*
 * Reads a delete file (Parquet or Avro): of all data files, or, where `only` has bytes, of that
 * one. For iceberg_positions_free. -EIO damaged, -EOPNOTSUPP a format (ORC), codec or encoding that
 * is not read, -EOVERFLOW over ICEBERG_POSITIONS_BYTES_MAX (try with `only`), -ENOMEM; the
 * source's.
 */
int iceberg_positions_read(const struct source *source, enum iceberg_format format,
                           struct slice only, struct iceberg_positions **out, struct err *err);
void iceberg_positions_free(struct iceberg_positions *p);
DEFINE_AUTO(iceberg_positions, struct iceberg_positions *, iceberg_positions_free)

/* The rows of a data file; NULL: none. Borrowed. */
const struct roaring *iceberg_positions_find(const struct iceberg_positions *p, struct slice path);
/* Memory that it takes. */
size_t iceberg_positions_bytes(const struct iceberg_positions *p);

#endif
