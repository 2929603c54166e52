/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a version can be had from the archive alone, and is the one that was archived. */
#ifndef LAKE_ARCHIVE_CHECK_H
#define LAKE_ARCHIVE_CHECK_H

#include "lake/archive/copy.h"

/*
 * Loads the version that a manifest tells of with the copy's driver, from nothing but the archive,
 * and compares its files with those of the snapshot, one by one. -EIO where they differ. Blocks.
 */
int archive_check(const struct archive_copy *c, const struct manifest *m, struct err *err);

#endif
