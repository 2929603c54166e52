/* SPDX-License-Identifier: Apache-2.0 */
/* Listings of a directory store. */
#ifndef CACHE_STORE_LOCAL_LIST_H
#define CACHE_STORE_LOCAL_LIST_H

#include "cache/store/store.h"

/*
 * As store_ops.list, below the directory `root`. What is neither file nor directory is left out, as
 * are links that lead out or nowhere, and what vanishes meanwhile; a directory that cannot be read
 * is -EACCES. Links to directories are followed, but not into a directory that they are below of.
 * Blocks on the disk.
 */
int local_list(int root, const struct store_list *req, struct err *err);

#endif
