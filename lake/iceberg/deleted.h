/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rows of a data file are gone, by what its entry's extra tells: driver_ops.deleted (by
 * place: deletion vectors, position deletes) and driver_ops.deleted_values (equality deletes).
 *
 *   entry ── extra ──► delete files ──► delete_files.h: as read, once for all that ask
 *                                     ──► rows of this file │ tuples that count for it
 *
 * Position deletes of files too large to be kept are read for one data file alone. Any thread;
 * calls block: workers only.
 */
#ifndef LAKE_ICEBERG_DELETED_H
#define LAKE_ICEBERG_DELETED_H

#include "lake/driver.h"
#include "lake/iceberg/iceberg.h"

/*
 * As the operations of the driver. -EOPNOTSUPP also for a data file that is not Parquet, which
 * cannot be written anew; -EIO damaged, or a delete file that is not there; -EACCES where one
 * must not be read; the store's.
 */
int iceberg_deleted(struct iceberg_table *t, const struct entry *entry, struct roaring **out,
                    struct err *err);
int iceberg_deleted_values(struct iceberg_table *t, const struct entry *entry,
                           struct equality **out, struct err *err);
int iceberg_locate_deletes(struct iceberg_table *t, const struct entry *entry,
                           int (*emit)(void *arg, const struct object_location *at), void *arg,
                           struct err *err);

#endif
