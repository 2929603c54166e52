/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `.tarn/raw/`: the stored files of a version at their stored paths, byte for byte. It is a
 * snapshot like others, whose one run is made when somebody looks for it first:
 *
 *   version's files ─► each object's key below the table's root, as a path ─► base
 * `raw-VERSION-HASH`
 *
 * Its files are all as they are stored. One that lies outside the table's root is below `outside/`,
 * by its name; two of one name are told apart as built paths are. Files of one object are one.
 */
#ifndef LAKE_RAW_H
#define LAKE_RAW_H

#include "lake/table.h"

#define RAW_NAME "raw"
#define RAW_OUTSIDE "outside/"

/* The stored files of a version, as a version of its own. -ENOENT where it has none yet. Parks. */
int raw_version(struct table *t, const struct table_version *of, struct task *task,
                struct table_version **out, struct err *err);

/* The run is of stored files. */
bool raw_is(const struct run *run);

#endif
