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
 * Paths are compared by what they mean: `s3a:` in one place and `s3:` in the other, or a name
 * without the file system's, are the same file. Order is not relied on; records that name no file
 * delete nothing (Impala writes and reads them so). Pure but for the source; what was read is
 * immutable: any thread.
 */
#ifndef LAKE_ICEBERG_POSITION_DELETES_H
#define LAKE_ICEBERG_POSITION_DELETES_H

#include "lake/format/roaring.h"
#include "lake/format/source.h"
#include "lake/iceberg/extra.h"
#include "lake/iceberg/path.h"

struct iceberg_positions;

/* Appends where a file lies: the same text for all spellings of one place. */
void iceberg_positions_place(const struct iceberg_root *root, struct slice path, struct buf *out);

/*
 * Reads a delete file (Parquet or Avro): of all data files, or, where `only` has bytes, of the one
 * at that place. For iceberg_positions_free. -EIO damaged, -EOPNOTSUPP a format (ORC), codec or
 * encoding that is not read, -EOVERFLOW over ICEBERG_POSITIONS_BYTES_MAX (try with `only`),
 * -ENOMEM; the source's.
 */
int iceberg_positions_read(const struct source *source, enum iceberg_format format,
                           const struct iceberg_root *root, struct slice only,
                           struct iceberg_positions **out, struct err *err);
void iceberg_positions_free(struct iceberg_positions *p);
DEFINE_AUTO(iceberg_positions, struct iceberg_positions *, iceberg_positions_free)

/* The rows of the data file at a place; NULL: none. Borrowed. */
const struct roaring *iceberg_positions_find(const struct iceberg_positions *p, struct slice place);
/* Memory that it takes. */
size_t iceberg_positions_bytes(const struct iceberg_positions *p);

#endif
