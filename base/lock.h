/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks that clang's thread safety analysis follows (make lint).
 *
 *   WITH_LOCK(&c->lock) {
 *       ...            no return, break or goto out of it: the analysis refuses that
 *   }
 *
 * EXCLUDES(lock) marks entry points that take the lock, REQUIRES(lock) the `_locked` functions.
 * The order of all locks stands in docs/ARCHITECTURE.md.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>
#include <stdint.h>

#if defined(__clang__)
#define TSA(x) __attribute__((x))
#else
#define TSA(x)
#endif

#define CAPABILITY TSA(capability("mutex"))
#define EXCLUDES(...) TSA(locks_excluded(__VA_ARGS__))
#define REQUIRES(...) TSA(exclusive_locks_required(__VA_ARGS__))
#define ACQUIRE(...) TSA(exclusive_lock_function(__VA_ARGS__))
#define TRY_ACQUIRE(...) TSA(exclusive_trylock_function(__VA_ARGS__))
#define RELEASE(...) TSA(unlock_function(__VA_ARGS__))
#define NO_TSA TSA(no_thread_safety_analysis)

struct CAPABILITY lock {
    pthread_mutex_t mutex;
};

struct cond {
    pthread_cond_t cond;
};

void lock_init(struct lock *l);
void lock_done(struct lock *l);
void lock_enter(struct lock *l) ACQUIRE(l);
void lock_leave(struct lock *l) RELEASE(l);

/* Waits on the monotonic clock. */
void cond_init(struct cond *c);
void cond_done(struct cond *c);
void cond_wait(struct cond *c, struct lock *l) REQUIRES(l);
/* False when `until_ms` (clock_mono_ms) has passed. */
int cond_wait_until(struct cond *c, struct lock *l, int64_t until_ms) REQUIRES(l);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

/*
 * Takes the lock the first time and ends the loop the second time. To the analysis it is a lock
 * that may be refused: it cannot see that a loop over a flag runs once.
 */
static inline int lock_once_(struct lock *l, int *once) TRY_ACQUIRE(1, l) NO_TSA
{
    if (!*once)
        return 0;
    *once = 0;
    lock_enter(l);
    return 1;
}

#define WITH_LOCK(l) for (int once_ = 1; lock_once_(l, &once_); lock_leave(l))

#endif
