/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletion vectors: the rows of one data file that are gone, as a blob of a Puffin file that the
 * manifest points into (Iceberg specification, "Deletion Vectors"; Puffin specification,
 * "deletion-vector-v1 blob type"). Where it lies is told by the manifest: the footer is not read.
 */
#ifndef LAKE_ICEBERG_DELETION_VECTOR_H
#define LAKE_ICEBERG_DELETION_VECTOR_H

#include "cache/store/store.h"
#include "lake/format/roaring.h"
#include "lake/iceberg/extra.h"

/*
 * Reads and checks the bitmap of a delete of ICEBERG_DELETE_VECTOR, with one request. For
 * roaring_free. -EIO damaged (length, checksum, count), -EOVERFLOW over ROARING_BYTES_MAX, -ENOMEM;
 * the store's. Blocks: workers only.
 */
int iceberg_vector_read(struct store *store, const char *key, const struct iceberg_delete *d,
                        struct roaring **out, struct err *err);

#endif
