/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/crew.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TICK_MS 100

/* One crew_run, shared with its threads: freed by the last that leaves. */
struct shift {
    void (*work)(void *arg);
    void *arg;
    int event_fd;
    atomic_uint at_work;
};

int crew_open(struct crew *c, unsigned threads, struct err *err)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* cannot fail with these arguments */
    *c = (struct crew){.threads = threads};
    c->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    c->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->signal_fd >= 0 && c->event_fd >= 0)
        return 0;
    int rc = err_set(err, errno, "events: %s", strerror(errno));
    crew_close(c);
    return rc;
}

void crew_close(struct crew *c)
{
    if (c->signal_fd >= 0)
        (void)close(c->signal_fd); /* nothing is written through it */
    if (c->event_fd >= 0)
        (void)close(c->event_fd); /* likewise */
    c->signal_fd = c->event_fd = -1;
}

static void leave(struct shift *s)
{
    uint64_t one = 1;
    if (atomic_fetch_sub(&s->at_work, 1) != 1)
        return;
    ssize_t n = write(s->event_fd, &one, sizeof one);
    (void)n; /* it was empty: there is room */
    free(s);
}

static void *run_member(void *arg)
{
    struct shift *s = arg;
    s->work(s->arg);
    leave(s);
    return NULL;
}

/* True when all have left, or a signal came. */
static bool wait_for_event(struct crew *c, int ms)
{
    struct pollfd fds[] = {{.fd = c->event_fd, .events = POLLIN},
                           {.fd = c->signal_fd, .events = POLLIN}};
    (void)poll(fds, 2, ms);
    if (fds[1].revents & POLLIN) {
        struct signalfd_siginfo info;
        if (read(c->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
            c->signal = (int)info.ssi_signo;
        return true;
    }
    uint64_t count;
    return (fds[0].revents & POLLIN) && read(c->event_fd, &count, sizeof count) > 0;
}

int crew_run(struct crew *c, void (*work)(void *arg), void (*tick)(void *arg), void *arg,
             struct err *err)
{
    struct shift *s = malloc(sizeof *s);
    unsigned started = 0;
    int rc = 0;
    if (!s)
        return err_set(err, ENOMEM, "out of memory");
    *s = (struct shift){.work = work, .arg = arg, .event_fd = c->event_fd};
    atomic_store(&s->at_work, c->threads + 1); /* one of them is this function */
    for (; started < c->threads && rc == 0; started += rc == 0) {
        pthread_t thread;
        rc = pthread_create(&thread, NULL, run_member, s);
        if (rc == 0)
            (void)pthread_detach(thread); /* its end is told by the event */
    }
    for (unsigned i = started; i < c->threads; i++)
        (void)atomic_fetch_sub(&s->at_work, 1); /* they never came */
    leave(s);
    if (started == 0)
        (void)wait_for_event(c, TICK_MS); /* our own leaving */
    if (started == 0)
        return err_set(err, rc, "thread: %s", strerror(rc));
    while (!wait_for_event(c, TICK_MS)) /* fewer threads than asked for take longer, that is all */
        tick(arg);
    return c->signal ? err_set(err, EINTR, "%s", strsignal(c->signal)) : 0;
}

int crew_wait(struct crew *c, int ms, struct err *err)
{
    (void)wait_for_event(c, ms);
    return c->signal ? err_set(err, EINTR, "%s", strsignal(c->signal)) : 0;
}

void crew_die(const struct crew *c)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)signal(c->signal, SIG_DFL); /* allowed: signal: SIG_DFL, no handler */
    (void)raise(c->signal);
    (void)pthread_sigmask(SIG_UNBLOCK, &all, NULL);
    _exit(128 + c->signal); /* not reached */
}
