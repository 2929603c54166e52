/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

/* Failure of a pthread call on our own lock is a bug of ours. */
static void must(int rc)
{
    assert(rc == 0);
    (void)rc;
}

void lock_init(struct lock *l)
{
    must(pthread_mutex_init(&l->mutex, NULL));
}

void lock_done(struct lock *l)
{
    must(pthread_mutex_destroy(&l->mutex));
}

void lock_enter(struct lock *l) NO_TSA
{
    must(pthread_mutex_lock(&l->mutex));
}

void lock_leave(struct lock *l) NO_TSA
{
    must(pthread_mutex_unlock(&l->mutex));
}

void cond_init(struct cond *c)
{
    pthread_condattr_t attr;
    must(pthread_condattr_init(&attr));
    must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    must(pthread_cond_init(&c->cond, &attr));
    must(pthread_condattr_destroy(&attr));
}

void cond_done(struct cond *c)
{
    must(pthread_cond_destroy(&c->cond));
}

void cond_wait(struct cond *c, struct lock *l)
{
    must(pthread_cond_wait(&c->cond, &l->mutex));
}

int cond_wait_until(struct cond *c, struct lock *l, int64_t until_ms)
{
    struct timespec ts = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    int rc = pthread_cond_timedwait(&c->cond, &l->mutex, &ts);
    assert(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

void cond_signal(struct cond *c)
{
    must(pthread_cond_signal(&c->cond));
}

void cond_broadcast(struct cond *c)
{
    must(pthread_cond_broadcast(&c->cond));
}
