/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a session's threads waits for the kernel's next request, and how.
 *
 * One thread watches, the others are parked, or help:
 *
 *   asleep   the watcher sleeps. A request wakes it; it has a parked one watch, and serves.
 *   awake    requests follow each other closely: the watcher looks for the next one for a while
 *            before it sleeps, and goes on watching while it serves short ones. To wake a thread
 *            costs more than most opens, on both CPUs. Parked ones look after it now and then:
 *            where it has not come back (a page fault waits for the disk), another one watches.
 *   crowded  several programs ask, and the watcher finds the next request waiting each time it
 *            looks. Parked ones, when they look after it, begin to help: they too look for requests
 *            and never sleep, but let the programs have the CPU before they look again. A helper
 *            is parked again when only one program asks, or when it has found nothing for a while.
 *
 * One program that opens file after file leaves requests waiting too, the release of one file and
 * the open of the next; it is no crowd, and one thread that has both is quicker than two.
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
    _Atomic unsigned helpers; /* threads */
    _Atomic bool awake;
    _Atomic bool serving;    /* the watcher has something to do beside */
    _Atomic uint64_t steps;  /* what watchers have taken */
    _Atomic unsigned ready;  /* of that, without having to wait, one after the other */
    _Atomic uint32_t asker;  /* the thread that asked last and waits for its answer */
    _Atomic int64_t turn_us; /* when another one than the one before it did */
    _Atomic unsigned turns;  /* of that, soon one after the other */
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
