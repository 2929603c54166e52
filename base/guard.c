/* SPDX-License-Identifier: Apache-2.0 */
#include "base/guard.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

struct frame {
    sigjmp_buf back;
    struct frame *outer;
};

/* Of the thread: the innermost guard that is running. Initial-exec: an access from the handler
 * allocates nothing. */
static _Thread_local struct frame *innermost __attribute__((tls_model("initial-exec")));
static _Thread_local bool unblocked;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    (void)context;
    struct frame *f = innermost;
    /* One that was sent, or that tells of memory which nobody touched, is not the guarded code's.
     * BUS_ADRALN is a bug of ours. */
    bool touched = info->si_code == BUS_ADRERR || info->si_code == BUS_OBJERR ||
                   info->si_code == BUS_MCEERR_AR;
    if (f && touched)
        siglongjmp(f->back, 1);
    struct sigaction fatal = {.sa_handler = SIG_DFL};
    (void)sigaction(number, &fatal, NULL);
    (void)raise(number); /* one that was sent does not come again by itself */
}

static void set_handler(void)
{
    struct sigaction a = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};
    (void)sigemptyset(&a.sa_mask);
    (void)sigaction(SIGBUS, &a, NULL); /* cannot fail */
}

/* A thread that blocks SIGBUS would be killed by it, handler or not. */
static void unblock(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGBUS);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    unblocked = true;
}

int guard_run(void (*run)(void *arg), void *arg, struct err *err)
{
    struct frame f;
    (void)pthread_once(&once, set_handler);
    if (!unblocked)
        unblock();
    f.outer = innermost; /* not changed after sigsetjmp: it has its value after the jump */
    if (sigsetjmp(f.back, 0)) {
        innermost = f.outer;
        unblock(); /* sigsetjmp did not keep the mask: that would cost each call */
        return err_set(err, EIO, "a mapped file cannot be read: its disk failed or it was cut");
    }
    innermost = &f;
    run(arg);
    innermost = f.outer;
    return 0;
}
