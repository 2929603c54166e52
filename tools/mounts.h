/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts of this machine, as the kernel lists them. Blocks. */
#ifndef TOOLS_MOUNTS_H
#define TOOLS_MOUNTS_H

#include "base/err.h"

/* The source (URL, directory or lake file) of the mount of tarn that a path is in: *out is the
 * caller's. -EXDEV where it is in none. */
int mounts_source(const char *path, char **out, struct err *err);

#endif
