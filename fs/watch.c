/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/watch.h"

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

/* Looking for the next request costs a CPU so long at most, and only where one came so soon. */
#define SPIN_US 40
#define SOON_US 60
/* A watcher that has not come back for so long is not waited for. */
#define STUCK_MS 1
/* So many requests that did not have to be waited for are more than one thread can serve. */
#define READY_MANY 4
/* Programs that take turns so often, and so many times, are a crowd; else each is alone. */
#define TURN_US 3000
#define TURNS_MANY 4
/* A helper that has found nothing for so long is of no help. */
#define HELP_US 1000
/* A read of so much is quickly done. */
#define SHORT_BYTES ((uint32_t)64 << 10)

static _Thread_local bool helps; /* this thread */

/* The number of this thread, from 1. */
static unsigned me(void)
{
    static _Atomic unsigned last;
    static _Thread_local unsigned mine;
    if (!mine)
        mine = ++last;
    return mine;
}

void watch_init(struct watch *w)
{
    *w = (struct watch){.watcher = 0};
    lock_init(&w->lock);
    cond_init(&w->turn);
    w->end_fd = eventfd(0, EFD_CLOEXEC);
}

void watch_done(struct watch *w)
{
    if (w->end_fd >= 0)
        (void)close(w->end_fd);
    cond_done(&w->turn);
    lock_done(&w->lock);
}

void watch_end(struct watch *w)
{
    WITH_LOCK (&w->lock) {
        w->ended = true;
        cond_broadcast(&w->turn);
    }
    if (w->end_fd >= 0)
        (void)eventfd_write(w->end_fd, 1); /* it cannot be full */
}

/* True: this thread watches. */
static bool take_watch(struct watch *w)
{
    unsigned nobody = 0;
    return w->watcher == me() || atomic_compare_exchange_strong(&w->watcher, &nobody, me());
}

/* One watches in this thread's place; where all are to be up, the others begin to look after him.
 */
static void hand_over(struct watch *w, bool all)
{
    unsigned mine = me();
    if (!atomic_compare_exchange_strong(&w->watcher, &mine, 0) || !w->parked)
        return;
    WITH_LOCK (&w->lock) {
        if (all)
            cond_broadcast(&w->turn);
        else
            cond_signal(&w->turn);
    }
}

static void set_helps(struct watch *w, bool on)
{
    if (helps && !on)
        w->helpers--;
    if (!helps && on)
        w->helpers++;
    helps = on;
}

static bool is_crowded(const struct watch *w)
{
    return w->turns >= TURNS_MANY && clock_mono_us() - w->turn_us < TURN_US;
}

/* Until it is worth to look again who watches, or to help. False: the session has ended. */
static bool park(struct watch *w)
{
    unsigned watcher = w->watcher;
    uint64_t steps = w->steps;
    bool late = false, ended;
    WITH_LOCK (&w->lock) {
        w->parked++;
        if (!w->ended && w->watcher) {
            if (w->awake)
                late = !cond_wait_until(&w->turn, &w->lock, clock_mono_ms() + STUCK_MS);
            else
                cond_wait(&w->turn, &w->lock);
        }
        w->parked--;
        ended = w->ended;
    }
    if (late && w->ready >= READY_MANY && is_crowded(w))
        set_helps(w, true);
    else if (late && watcher && w->serving && w->steps == steps)
        (void)atomic_compare_exchange_strong(&w->watcher, &watcher, me());
    return !ended;
}

static bool is_empty(ssize_t got)
{
    return got < 0 && errno == EAGAIN;
}

/* The watcher's. *slept: others may sleep too, so somebody has to be told. */
static ssize_t look(struct watch *w, int device, void *to, size_t n, bool *slept)
{
    int64_t began_us, waited_us = 0;
    ssize_t got = read(device, to, n);
    *slept = !w->awake;
    w->ready = is_empty(got) ? 0 : w->ready + 1;
    if (!is_empty(got)) {
        w->awake = true;
        return got;
    }
    began_us = clock_mono_us();
    while (is_empty(got) && w->awake && waited_us < SPIN_US) {
        (void)sched_yield(); /* whoever wants this CPU has it first */
        got = read(device, to, n);
        waited_us = clock_mono_us() - began_us;
    }
    if (!is_empty(got))
        return got;
    struct pollfd ready[] = {{.fd = device, .events = POLLIN}, {.fd = w->end_fd, .events = POLLIN}};
    w->awake = false;
    *slept = true;
    (void)poll(ready, 2, -1); /* what it does not tell, read does */
    got = read(device, to, n);
    if (is_empty(got) && ready[1].revents)
        errno = ENODEV;
    w->awake = clock_mono_us() - began_us <= SOON_US;
    return got;
}

static ssize_t help(struct watch *w, int device, void *to, size_t n)
{
    ssize_t got = read(device, to, n);
    int64_t until_us = is_empty(got) ? clock_mono_us() + HELP_US : 0;
    while (is_empty(got) && is_crowded(w) && clock_mono_us() < until_us) {
        (void)sched_yield();
        got = read(device, to, n);
    }
    set_helps(w, !is_empty(got) && is_crowded(w));
    return got;
}

/* Whether who serves a request goes on watching. */
enum stay {
    STAY_NEVER,
    STAY_AWAKE,  /* it is served in microseconds, unless it has to wait */
    STAY_ALWAYS, /* nothing else is to be served before it is answered */
};

struct asked {
    struct fuse_in_header head;
    struct fuse_read_in read;
};

/* False: it is no request. */
static bool look_at(struct asked *a, const void *request, ssize_t got)
{
    *a = (struct asked){.read = {0}};
    if (got < (ssize_t)sizeof a->head)
        return false;
    memcpy(a, request, (size_t)got < sizeof *a ? (size_t)got : sizeof *a);
    return true;
}

static enum stay stay_of(const struct asked *a)
{
    switch (a->head.opcode) {
    case FUSE_INIT:
        return STAY_ALWAYS;
    case FUSE_READ:
        return a->read.size <= SHORT_BYTES ? STAY_AWAKE : STAY_NEVER;
    case FUSE_OPEN:
    case FUSE_RELEASE:
    case FUSE_LOOKUP:
    case FUSE_GETATTR:
    case FUSE_FORGET:
        return STAY_AWAKE;
    default:
        return STAY_NEVER;
    }
}

/* A release or a forget is nobody's who waits. */
static void note_asker(struct watch *w, const struct fuse_in_header *head)
{
    bool waits = head->pid && head->opcode != FUSE_RELEASE && head->opcode != FUSE_FORGET;
    if (!waits || head->pid == w->asker)
        return;
    int64_t now_us = clock_mono_us();
    w->asker = head->pid;
    w->turns = now_us - w->turn_us < TURN_US ? w->turns + 1 : 1;
    w->turn_us = now_us;
}

/* What the watcher does besides, now that it has a request. */
static void leave_watch(struct watch *w, enum stay stay, bool slept)
{
    w->steps++;
    w->serving = true;
    if (stay == STAY_NEVER || (stay == STAY_AWAKE && slept))
        hand_over(w, slept && w->awake);
}

ssize_t watch_read(struct watch *w, int device, void *to, size_t n)
{
    struct asked asked;
    ssize_t got;
    bool watches, slept = false;
    do {
        while (!helps && !take_watch(w)) {
            if (!park(w)) {
                errno = ENODEV;
                return -1;
            }
        }
        watches = !helps;
        if (watches)
            w->serving = false;
        got = watches ? look(w, device, to, n, &slept) : help(w, device, to, n);
    } while (is_empty(got));
    int code = errno;
    if (look_at(&asked, to, got))
        note_asker(w, &asked.head);
    if (watches)
        leave_watch(w, stay_of(&asked), slept);
    errno = code;
    return got;
}
