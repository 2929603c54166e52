/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a session's threads waits for the kernel's next request, and how.
 *
 * One thread watches, the others are parked:
 *
 *   asleep   the watcher sleeps. A request wakes it; it has a parked one watch, and serves.
 *   awake    requests follow each other closely: the watcher looks for the next one for a while
 *            before it sleeps, and goes on watching while it serves short ones. To wake a thread
 *            costs more than most opens, on both CPUs. Parked ones look after it now and then:
 * where it has not come back (a page fault waits for the disk), another one watches.
 *
 * Any thread of the session.
 */
#ifndef FS_WATCH_H
#define FS_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/lock.h"

struct watch {
    _Atomic unsigned watcher; /* the number of the thread; 0: nobody watches */
    _Atomic unsigned parked;  /* threads; changes under the lock */
    _Atomic bool awake;
    _Atomic bool serving;   /* the watcher has something to do beside */
    _Atomic uint64_t steps; /* what watchers have taken */
    struct lock lock;
    struct cond turn;
    bool ended; /* lock */
    int end_fd; /* readable from watch_end on; -1: there is none */
};

void watch_init(struct watch *w);
void watch_done(struct watch *w);

/*
 * The next request: read(2) of a device that does not block (O_NONBLOCK), but waits until there is
 * one. -1 and ENODEV after watch_end.
 */
ssize_t watch_read(struct watch *w, int device, void *to, size_t n) EXCLUDES(w->lock);

/* Nothing more is to be taken: those that are parked come back. */
void watch_end(struct watch *w) EXCLUDES(w->lock);

#endif
