/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which objects a version is made of beside its data files: table metadata, its manifest list,
 * manifests, and the delete files and deletion vectors that they name.
 */
#ifndef LAKE_ICEBERG_NEEDS_H
#define LAKE_ICEBERG_NEEDS_H

#include "lake/iceberg/iceberg.h"

/* As driver_ops.log_objects. Blocks; any thread. */
int iceberg_needs(struct iceberg_table *table, const struct history *h, size_t position,
                  int (*emit)(void *arg, const char *key), void *arg, struct err *err);

#endif
