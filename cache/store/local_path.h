/* SPDX-License-Identifier: Apache-2.0 */
/* Keys below a directory: opened so that none leads out of it. All but the _now block on the disk.
 */
#ifndef CACHE_STORE_LOCAL_PATH_H
#define CACHE_STORE_LOCAL_PATH_H

#include <sys/stat.h>

#include "cache/store/store.h"

/* No empty, `.` or `..` component, no `/` in front or at the end, and not empty. */
bool local_key_valid(struct slice key);

/*
 * openat2 beneath the directory, close-on-exec, never waiting for a FIFO's other end. Returns a
 * descriptor, -ENOENT also for what leads out or passes through a file, -EACCES, or -EIO.
 */
int local_open(int root, const char *key, int flags, struct err *err);

/* The store's errno of a system call's, with a message about the key. */
int local_error(int error, const char *key, struct err *err);

/* Opens a regular file for reading: the descriptor and its state. -ENOENT for other kinds. */
int local_open_file(int root, const char *key, struct stat *st, struct err *err);

/* The same without waiting for the disk: -EAGAIN where the kernel's caches do not lead there. */
int local_open_file_now(int root, const char *key, struct stat *st, struct err *err);

void local_info(const struct stat *st, struct store_info *out);

#endif
