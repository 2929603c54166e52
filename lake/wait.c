/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/wait.h"

#include "base/clock.h"
#include "cache/store/event.h"

struct waiting {
    struct task task;
    struct event ended;
    lake_step *step;
    void *arg;
    struct err *err;
    int rc;
};

static void run(struct job *job)
{
    struct task *task = CONTAINER_OF(job, struct task, job);
    struct waiting *w = CONTAINER_OF(task, struct waiting, task);
    task->on_worker = true;
    int rc = w->step(w->arg, task, w->err);
    if (rc == -EINPROGRESS)
        return; /* somebody else has the task now */
    w->rc = rc;
    event_set(&w->ended);
}

int lake_wait(struct lake *lake, lake_step *step, void *arg, struct err *err)
{
    struct waiting w = {.task = {.job = {.run = run}, .since_ms = clock_mono_ms()},
                        .step = step,
                        .arg = arg,
                        .err = err};
    event_init(&w.ended);
    workers_submit(lake->config.workers, &w.task.job);
    event_wait(&w.ended);
    event_done(&w.ended);
    return w.rc;
}
