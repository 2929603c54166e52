/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Delta log says of objects: data files, change data, files of deletion vectors.
 *
 * All commits of the history are read once, from the oldest version on; where a version's commit or
 * the version before it is gone, its checkpoint is read as a whole state. Every version's protocol
 * and metadata must be understood: a log that says what is not known may hold objects that nobody
 * sees here.
 */
#ifndef LAKE_DELTA_OBJECTS_H
#define LAKE_DELTA_OBJECTS_H

#include "lake/delta/replay.h"
#include "lake/driver.h"
#include "lake/objects.h"

/* As driver_ops.objects. Blocks; bounded memory; any thread. */
int delta_objects(const struct delta_table *table, const struct history *h,
                  const struct object_sink *sink, struct err *err);

#endif
