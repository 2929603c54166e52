/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that an LMDB file can be read without harm.
 *
 * LMDB trusts its file: a page that lies leads it out of the mapping, or round in circles. So
 * before a file is opened, every page that either of its two trees (the data, the free pages)
 * reaches is checked here: where it lies, what it says of itself, where its nodes are, and that it
 * is reached once. The layout is that of LMDB 0.9 (data version 1). Contents are not looked at;
 * the index has checksums for these. Blocks.
 */
#ifndef CACHE_INDEX_CHECK_H
#define CACHE_INDEX_CHECK_H

#include "base/err.h"

/* 0 also where the file is missing. -EBADMSG: damaged, empty, or no regular file. */
int index_check(int dirfd, const char *name, struct err *err);

#endif
