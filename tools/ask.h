/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the daemon of a cache directory about its cache. Blocks. */
#ifndef TOOLS_ASK_H
#define TOOLS_ASK_H

#include <limits.h>

#include "tools/maintain.h"

/*
 * Asks for `what`, and gives every line of the answer to `line`, in whose `arg` the last one ends.
 * -ENOENT and -ECONNREFUSED: no daemon is there. -EACCES, -EPERM: it is another user's.
 */
int ask_daemon(const char *dir, enum maintenance what, bool (*line)(void *arg, struct slice text),
               void *arg, struct err *err);

/* The cache directory of the mount that the path is in. -EXDEV where it is in none of tarn. */
int ask_directory(const char *path, char dir[PATH_MAX], struct err *err);

/* What the cache of the mount may hold and holds now, where it can be learned: true. */
bool ask_limit(const char *path, uint64_t *limit_bytes);

#endif
