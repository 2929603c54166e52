/* SPDX-License-Identifier: Apache-2.0 */
/* tarn warm --follow: hands a mount the order in which its files will be read (fs/follow.h). */
#ifndef TOOLS_WARM_FOLLOW_H
#define TOOLS_WARM_FOLLOW_H

#include "base/err.h"

/*
 * Writes the lines of `list` (a file; "-": standard input) to .tarn/prefetch of the directory, and
 * tells how many. -ENOENT and others of the list; -EINVAL where the directory is none of a mount's
 * that takes lists. Blocks until all is handed over, not until it is fetched.
 */
int warm_follow(const char *list, const char *dir, struct err *err);

#endif
