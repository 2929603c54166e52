/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next small files: who opens the files of a table in the order in which they are listed finds
 * them complete, so that their opens pass at once.
 *
 *   ordinals of one run:  . . o o . o o o | > > > > > > > . . .
 *                             opened      next            planned
 *
 * A *stream* is a place in a run that opens move through. It begins with an open that found its
 * file missing; an open near it is a hit and moves it on, also where several readers take turns
 * or come in another order. What is fetched ahead grows with the hits, in files and in bytes.
 * Readers of several places have a stream each. Where everything is cached no stream begins, and
 * those that are there end: opens cost nothing more then.
 *
 * The kernel asks the daemon at each open, whatever it reads by itself, so none is missed.
 *
 * Any thread; nothing waits: what has to be looked up is a job on the lake's workers.
 */
#ifndef FS_NEIGHBOURS_H
#define FS_NEIGHBOURS_H

#include "base/lock.h"
#include "base/workers.h"
#include "cache/prefetch.h"
#include "fs/node.h"

/* Places that are read at once. */
#define NEIGHBOURS_STREAMS 32
/* Hits before anything is fetched: opens at random come near one another now and then. */
#define NEIGHBOURS_HITS_MIN 2
/* How far an open may be from a stream's next one: at first, and at most. */
#define NEIGHBOURS_NEAR 16
#define NEIGHBOURS_NEAR_MAX 512
/* Ahead of a stream, at most. */
#define NEIGHBOURS_FILES_MAX 256
#define NEIGHBOURS_BYTES_MAX (64 * MIB)

/* Opens and files looked at in a row that missed nothing, after which streams end. */
#define NEIGHBOURS_IDLE_MAX 1024

struct session;

struct neighbours {
    struct lock lock;
    _Atomic unsigned live; /* streams; changes under the lock */
    uint64_t clock;        /* lock */
    unsigned idle;         /* lock; opens since something was missing */
    bool ended;            /* lock */
    struct stream {
        struct session *session;
        struct prefetch *prefetch; /* NULL until it is needed; the job's while it is busy */
        struct task task;
        bool busy;        /* its job is under way */
        uint32_t number;  /* of the run; 0: free */
        unsigned view;    /* of the nodes that are opened */
        uint32_t next;    /* behind the last that was opened */
        uint32_t planned; /* before it everything was looked at; the job's while busy */
        uint32_t target;  /* how far the job goes */
        uint32_t limit;   /* there is nothing from here on */
        uint32_t hits;
        uint64_t mean_bytes; /* of the files that were planned */
        uint64_t used;
    } streams[NEIGHBOURS_STREAMS]; /* lock */
};

void neighbours_init(struct neighbours *n, struct session *s);
/* Before the session waits for its requests: nothing is begun any more. */
void neighbours_end(struct neighbours *n) EXCLUDES(n->lock);
/* No job is under way. */
void neighbours_done(struct neighbours *n);

/* A small file was opened; `missed`: it had to be fetched. */
void neighbours_opened(struct neighbours *n, const struct node *file, bool missed)
    EXCLUDES(n->lock);

#endif
