/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <signal.h>
#include <string.h>

int thread_start(void *(*run)(void *arg), void *arg, pthread_t *out, struct err *err)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    int rc = pthread_attr_init(&attr);
    if (rc)
        return err_set(err, rc, "a thread's attributes: %s", strerror(rc));
    if (!out)
        (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED); /* a constant */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by the thread */
    rc = pthread_create(&thread, &attr, run, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    if (rc)
        return err_set(err, rc, "no thread can be started: %s", strerror(rc));
    if (out)
        *out = thread;
    return 0;
}

void thread_name(const char *name)
{
    (void)pthread_setname_np(pthread_self(), name); /* cut or refused: only a name */
}
