/* SPDX-License-Identifier: Apache-2.0 */
/* Starting threads. Pools of them: base/workers.h. Any thread. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

#include "base/err.h"

/*
 * A thread that takes no signals, which are for the main thread. *out is the caller's to join; out
 * NULL: nobody will. -EAGAIN and others as pthread_create.
 */
int thread_start(void *(*run)(void *arg), void *arg, pthread_t *out, struct err *err);

/* The name of the running thread (15 characters), a help to debuggers. */
void thread_name(const char *name);

#endif
