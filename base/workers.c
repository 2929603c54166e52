/* SPDX-License-Identifier: Apache-2.0 */
#include "base/workers.h"

#include <signal.h>
#include <string.h>

#include "base/lock.h"

struct workers {
    struct lock lock;
    struct cond more;
    struct waitlist queue; /* lock */
    bool ending;           /* lock */
    unsigned count;        /* immutable after workers_new */
    pthread_t threads[];   /* likewise */
};

void waitlist_add(struct waitlist *list, struct job *job)
{
    job->next = NULL;
    if (list->last)
        list->last->next = job;
    else
        list->first = job;
    list->last = job;
}

struct job *waitlist_take(struct waitlist *list)
{
    struct job *job = list->first;
    if (job) {
        list->first = job->next;
        if (!list->first)
            list->last = NULL;
        job->next = NULL;
    }
    return job;
}

void waitlist_wake(struct waitlist *list, struct workers *w)
{
    struct job *job;
    while ((job = waitlist_take(list)))
        workers_submit(w, job);
}

static void *work(void *arg)
{
    struct workers *w = arg;
    for (;;) {
        struct job *job;
        WITH_LOCK (&w->lock) {
            while (!w->queue.first && !w->ending)
                cond_wait(&w->more, &w->lock);
            job = waitlist_take(&w->queue);
        }
        if (!job)
            return NULL;
        job->run(job);
    }
}

static void end(struct workers *w)
{
    WITH_LOCK (&w->lock) {
        w->ending = true;
        cond_broadcast(&w->more);
    }
    for (unsigned i = 0; i < w->count; i++)
        (void)pthread_join(w->threads[i], NULL); /* our own, joined once */
    cond_done(&w->more);
    lock_done(&w->lock);
    free(w);
}

struct workers *workers_new(const char *name, unsigned count, struct err *err)
{
    struct workers *w = calloc(1, sizeof *w + count * sizeof w->threads[0]);
    if (!w) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    lock_init(&w->lock);
    cond_init(&w->more);
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
    int rc = 0;
    while (rc == 0 && w->count < count) {
        rc = pthread_create(&w->threads[w->count], NULL, work, w);
        if (rc == 0)
            (void)pthread_setname_np(w->threads[w->count++], name); /* only a help to debuggers */
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc) {
        (void)err_set(err, rc, "thread %s: %s", name, strerror(rc));
        end(w);
        return NULL;
    }
    return w;
}

void workers_free(struct workers *w)
{
    if (w)
        end(w);
}

void workers_submit(struct workers *w, struct job *job)
{
    WITH_LOCK (&w->lock) {
        waitlist_add(&w->queue, job);
        cond_signal(&w->more);
    }
}

int task_to_worker(struct task *t, struct workers *w)
{
    if (t->on_worker)
        return 0;
    t->on_worker = true;
    workers_submit(w, &t->job);
    return -EINPROGRESS;
}
