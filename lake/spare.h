/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory for indexes outside of the cache, for when the cache's disk takes nothing: it is
 * full, read-only or dead. Listings go on by it, at the price that they are made anew by the next
 * mount.
 *
 * It lies in /tmp or /var/tmp where one of them is on another disk, else in memory (/dev/shm). It
 * is made when it is asked for first, and removed at the end; what a killed process left is removed
 * by the next one that makes a spare directory there.
 */
#ifndef LAKE_SPARE_H
#define LAKE_SPARE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/lock.h"

struct spare {
    struct lock lock;
    int fd;        /* lock; -1: not made */
    char path[64]; /* lock */
};

void spare_init(struct spare *s);
void spare_done(struct spare *s);

/*
 * The directory, made now where it is not yet: *dirfd is borrowed while `s` lives. `other_than`: a
 * descriptor of the disk on which it must not be. Blocks; any thread.
 */
int spare_get(struct spare *s, int other_than, int *dirfd, struct err *err) EXCLUDES(s->lock);

/* A disk that does not take even a page. Blocks. */
bool spare_is_wanted(int dirfd);

#endif
