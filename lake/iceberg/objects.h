/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Iceberg metadata says of objects: data files, delete files and deletion vectors of every
 * snapshot, in order of their commits, by what changed between the manifest lists of two.
 */
#ifndef LAKE_ICEBERG_OBJECTS_H
#define LAKE_ICEBERG_OBJECTS_H

#include "lake/iceberg/iceberg.h"
#include "lake/objects.h"

/* As driver_ops.objects. Blocks; any thread. */
int iceberg_objects(struct iceberg_table *table, const struct history *h,
                    const struct object_sink *sink, struct err *err);

#endif
