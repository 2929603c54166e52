/* SPDX-License-Identifier: Apache-2.0 */
/* The store of a directory on this machine. */
#ifndef CACHE_STORE_LOCAL_H
#define CACHE_STORE_LOCAL_H

#include "base/workers.h"
#include "cache/store/store.h"

/*
 * Its url is `file://` and the directory's real path, percent-encoded. Keys are resolved beneath
 * the directory by the kernel (openat2): symlinks are followed that stay inside, what leads out is
 * -ENOENT, as are keys with an empty, `.` or `..` component, which would be second names. Only
 * regular files are objects. An object's ETag is made of inode, size and mtime, so that a file that
 * was replaced has another. The workers are borrowed; they run get().
 */
struct store *local_new(const char *path, struct workers *workers, struct err *err);

#endif
