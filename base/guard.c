/* SPDX-License-Identifier: Apache-2.0 */
#include "base/guard.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

struct frame {
    sigjmp_buf back;
    struct frame *outer;
};

/* Of the thread: the innermost guard that is running. Initial-exec: an access from the handler
 * allocates nothing. */
static _Thread_local struct frame *innermost __attribute__((tls_model("initial-exec")));
static _Thread_local bool unblocked;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Free where start is 0; the handler reads it without a lock. */
static struct mapping {
    _Atomic uintptr_t start;
    _Atomic size_t bytes;
    atomic_bool lost;
} maps[GUARD_MAPS_MAX];

/* Puts a page of zeros where the file's page cannot be had. False: it is in none of the maps. */
static bool replace_page(uintptr_t at)
{
    int saved = errno;
    bool done = false;
    uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE), page = at & ~(page_bytes - 1);
    for (int i = 0; !done && i < GUARD_MAPS_MAX; i++) {
        uintptr_t start = atomic_load(&maps[i].start);
        if (!start || at < start || at - start >= atomic_load(&maps[i].bytes))
            continue;
        atomic_store(&maps[i].lost, true); /* before the zeros can be read */
        /* allowed: mmap: a system call and no more, here as anywhere */
        done = mmap((void *)page, page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                    -1, 0) != MAP_FAILED;
    }
    errno = saved;
    return done;
}

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
    if (touched && replace_page((uintptr_t)info->si_addr))
        return; /* the access is made again */
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

int guard_map_add(const void *start, size_t bytes)
{
    (void)pthread_once(&once, set_handler);
    for (int i = 0; i < GUARD_MAPS_MAX; i++) {
        uintptr_t none = 0;
        if (!atomic_compare_exchange_strong(&maps[i].start, &none, (uintptr_t)start))
            continue;
        atomic_store(&maps[i].lost, false);
        atomic_store(&maps[i].bytes, bytes); /* nobody has touched it yet */
        return i;
    }
    return -1;
}

void guard_map_remove(int mapping)
{
    if (mapping < 0)
        return;
    atomic_store(&maps[mapping].bytes, 0);
    atomic_store(&maps[mapping].start, 0);
}

bool guard_map_lost(int mapping)
{
    return mapping >= 0 && atomic_load_explicit(&maps[mapping].lost, memory_order_acquire);
}
