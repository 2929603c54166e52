/* SPDX-License-Identifier: Apache-2.0 */
/* Why a mount does not give something: what an errno of a system call does not tell. Blocks. */
#ifndef TOOLS_REASON_H
#define TOOLS_REASON_H

#include "base/err.h"

/*
 * Sets err to what refused `path`, with `code`, which a call on it has given: the reason that the
 * table tells which the path is, or is in; else where the mount's log is, which has it. Outside of
 * mounts the code's own text. Returns -code.
 */
int reason_set(struct err *err, int code, const char *path);

#endif
