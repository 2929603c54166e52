/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Delta driver: tables with a `_delta_log/`, behind lake/driver.h.
 *
 *   log       which files the log has, which versions they make up      (a listing)
 *   action    a line of a commit, a row of a checkpoint                 (json, parquet)
 *   path      where a file is shown, where its object lies              (pure)
 *   protocol  may this version be read at all                           (pure)
 *   ahead     commits by lines, many asked for at once; object: a checkpoint's ranges
 *   checksum  what a version should amount to
 *   replay    actions into an index builder        make  runs from the log
 *   load      runs found or made                   history  versions and their times
 *   describe  `.tarn/`
 */
#ifndef LAKE_DELTA_DELTA_H
#define LAKE_DELTA_DELTA_H

#include "lake/driver.h"

extern const struct driver_ops delta_ops;

#endif
