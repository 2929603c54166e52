/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `files` driver: a directory tree without a table format (raw data, images, shards) as a table
 * of one moving version: what the store lists. Its runs are named by what was listed, so a listing
 * that has not changed makes nothing new.
 */
#ifndef LAKE_FILES_FILES_H
#define LAKE_FILES_FILES_H

#include "lake/driver.h"

extern const struct driver_ops files_ops;

#endif
