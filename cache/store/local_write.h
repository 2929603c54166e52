/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing and removing files below a directory. A file has no name until it is whole; where the
 * file system knows no such files (NFS), it is made in LOCAL_UNFINISHED of the root. What killed
 * writers leave there is removed by who writes there a day later. All blocks on the disk.
 */
#ifndef CACHE_STORE_LOCAL_WRITE_H
#define CACHE_STORE_LOCAL_WRITE_H

#include "cache/store/write.h"

/* A directory of the root that no listing names. */
#define LOCAL_UNFINISHED ".tarn-unfinished"

/* As store_put_begin. The root is borrowed while the writer lives. */
int local_write_begin(int root, const char *key, const struct store_put *how,
                      struct store_writer **out, struct err *err);

/* As store_remove. Directories stay. */
int local_unlink(int root, const char *key, struct err *err);

#endif
