/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A crew: threads that do one piece of work side by side, while the calling thread shows how far
 * they are and listens for the signals that end the command.
 *
 * crew_open blocks SIGINT and SIGTERM for all threads made later, so the command ends where it
 * chooses to. One crew a process.
 */
#ifndef TOOLS_CREW_H
#define TOOLS_CREW_H

#include "base/err.h"

struct crew {
    int signal_fd, event_fd;
    unsigned threads;
    int signal; /* that came, 0: none */
};

int crew_open(struct crew *c, unsigned threads, struct err *err);
void crew_close(struct crew *c);

/*
 * Runs work(arg) once on each thread, and tick(arg) ten times a second on this one, until all have
 * returned. -EINTR where a signal came: the threads are still at it, c->signal tells which.
 */
int crew_run(struct crew *c, void (*work)(void *arg), void (*tick)(void *arg), void *arg,
             struct err *err);

/* Waits; -EINTR where a signal came meanwhile. Not while a crew_run is under way. */
int crew_wait(struct crew *c, int ms, struct err *err);

/* Ends the process by the signal that came, as if nobody had caught it. */
__attribute__((noreturn)) void crew_die(const struct crew *c);

#endif
