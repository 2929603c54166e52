/* SPDX-License-Identifier: Apache-2.0 */
/* Work on many things side by side, for those that wait for stores. */
#ifndef LAKE_ARCHIVE_SIDE_H
#define LAKE_ARCHIVE_SIDE_H

#include "base/err.h"
#include <stddef.h>

#define SIDE_THREADS_MAX 32

/*
 * Calls work(arg, thread, i) for each i below n on that many threads (numbered from 0), until one
 * returns other than 0: that is returned, with its error, when all have ended. tick (may be NULL)
 * is called by the caller's thread every tenth of a second; what it returns other than 0 ends the
 * work likewise. Blocks.
 */
struct side {
    int (*work)(void *arg, unsigned thread, size_t i, struct err *err);
    int (*tick)(void *arg, struct err *err);
    void *arg;
    unsigned threads;
};
int side_run(const struct side *s, size_t n, struct err *err);

#endif
