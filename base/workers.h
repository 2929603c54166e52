/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of threads that run jobs, and lists of jobs that wait for something.
 *
 * A job is embedded in what it works on, so submitting allocates nothing and cannot fail. What
 * would have to wait is *parked*: it puts its job on a waitlist and returns -EINPROGRESS to its
 * caller, who from then on must not touch what the job is embedded in; whoever completes the event
 * wakes the list, and a worker runs the job again from its start.
 */
#ifndef BASE_WORKERS_H
#define BASE_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

struct job {
    void (*run)(struct job *job); /* on a worker; may free what it is embedded in */
    struct job *next;             /* private: in one list at a time */
};

struct workers;

/* Starts `count` threads named `name` (15 characters). NULL and err when it cannot. */
struct workers *workers_new(const char *name, unsigned count, struct err *err);

/* Runs what is queued, then ends the threads. Nobody may submit any more. */
void workers_free(struct workers *w);
DEFINE_AUTO(workers, struct workers *, workers_free)

/* Queues the job, first in first out. Any thread, under any lock. */
void workers_submit(struct workers *w, struct job *job);

/* Jobs that wait for one event. Zeroed is empty. Guarded by the owner's lock. */
struct waitlist {
    struct job *first, *last;
};

void waitlist_add(struct waitlist *list, struct job *job);

/* The first job, which leaves the list; NULL: it is empty. */
struct job *waitlist_take(struct waitlist *list);

/* Submits every job of the list in order and leaves it empty. */
void waitlist_wake(struct waitlist *list, struct workers *w);

/*
 * A job that is run again from its start until nothing parks it: first on the thread that took the
 * request, where nothing may block, later on workers.
 */
struct task {
    struct job job;
    bool on_worker; /* this run may block on the local disk */
    /*
     * When it came (clock_mono_ms). What was heard after that is new enough for it, however long it
     * took until it is run again.
     */
    int64_t since_ms;
};

/* Before something that blocks: 0 on a worker; else the task is moved to one, -EINPROGRESS. */
int task_to_worker(struct task *t, struct workers *w);

#endif
