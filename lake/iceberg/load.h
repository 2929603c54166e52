/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading: the tree of one Iceberg snapshot, from runs that are there (lake/iceberg/runs.h), or
 * from runs that are made (lake/iceberg/make.h).
 *
 * A run counts where its meta names snapshot, schema and the fingerprint that the history has. A
 * patch stands on the base of a snapshot near it, with the same columns.
 *
 * Blocks; any thread: runs are written aside and renamed, so two that make the same one do no harm.
 */
#ifndef LAKE_ICEBERG_LOAD_H
#define LAKE_ICEBERG_LOAD_H

#include "lake/iceberg/iceberg.h"

int iceberg_load(struct iceberg_table *table, const struct history *h, size_t position,
                 struct snapshot **out, struct err *err);

#endif
