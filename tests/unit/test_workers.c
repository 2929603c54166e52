/* SPDX-License-Identifier: Apache-2.0 */
/* Workers and waitlists: order, parking and waking, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/lock.h"
#include "base/workers.h"

enum { JOBS = 1000 };

/* Jobs that write down the order in which they run. */
struct record {
    struct lock lock;
    int order[JOBS]; /* lock */
    int n;           /* lock */
};

struct noted {
    struct job job;
    struct record *record;
    int number;
};

static void note(struct job *job)
{
    struct noted *j = CONTAINER_OF(job, struct noted, job);
    struct record *r = j->record;
    WITH_LOCK (&r->lock)
        r->order[r->n++] = j->number;
}

static struct record *new_record(struct noted *jobs)
{
    struct record *r = calloc(1, sizeof *r);
    assert_non_null(r);
    lock_init(&r->lock);
    for (int i = 0; i < JOBS; i++)
        jobs[i] = (struct noted){.job = {.run = note}, .record = r, .number = i};
    return r;
}

static void free_record(struct record *r)
{
    lock_done(&r->lock);
    free(r);
}

/* One worker runs jobs in the order of their submission, and its end waits for all of them. */
static void test_first_in_first_out(void **state)
{
    (void)state;
    static struct noted jobs[JOBS];
    struct record *r = new_record(jobs);
    struct workers *w = workers_new("test", 1, NULL);
    assert_non_null(w);
    for (int i = 0; i < JOBS; i++)
        workers_submit(w, &jobs[i].job);
    workers_free(w);
    assert_int_equal(r->n, JOBS);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(r->order[i], i);
    free_record(r);
}

/* Several workers run each job once. */
static void test_each_job_runs_once(void **state)
{
    (void)state;
    static struct noted jobs[JOBS];
    bool ran[JOBS] = {false};
    struct record *r = new_record(jobs);
    struct workers *w = workers_new("test", 4, NULL);
    assert_non_null(w);
    for (int i = 0; i < JOBS; i++)
        workers_submit(w, &jobs[i].job);
    workers_free(w);
    assert_int_equal(r->n, JOBS);
    for (int i = 0; i < JOBS; i++) {
        assert_false(ran[r->order[i]]);
        ran[r->order[i]] = true;
    }
    free_record(r);
}

/* Parked jobs do not run until the list is woken, then in order, and the list can be used again. */
static void test_waitlist(void **state)
{
    (void)state;
    static struct noted jobs[JOBS];
    struct record *r = new_record(jobs);
    struct waitlist list = {0};
    struct workers *w = workers_new("test", 1, NULL);
    assert_non_null(w);
    waitlist_wake(&list, w); /* empty: nothing happens */
    for (int i = 0; i < 10; i++)
        waitlist_add(&list, &jobs[i].job);
    workers_submit(w, &jobs[10].job);
    while (true) {
        int n = 0;
        WITH_LOCK (&r->lock)
            n = r->n;
        if (n)
            break;
        (void)sched_yield();
    }
    assert_int_equal(r->order[0], 10);
    waitlist_wake(&list, w);
    assert_null(list.first);
    assert_null(list.last);
    waitlist_add(&list, &jobs[11].job);
    waitlist_wake(&list, w);
    workers_free(w);
    assert_int_equal(r->n, 12);
    for (int i = 0; i < 10; i++)
        assert_int_equal(r->order[1 + i], i);
    assert_int_equal(r->order[11], 11);
    free_record(r);
}

struct again {
    struct task task;
    struct workers *workers;
    int runs, done;
    pthread_t first, last;
};

static void run_again(struct job *job)
{
    struct again *a = CONTAINER_OF(job, struct again, task.job);
    a->runs++;
    a->last = pthread_self();
    if (task_to_worker(&a->task, a->workers) == -EINPROGRESS)
        return;
    a->done++;
}

/* A task that would block leaves its first thread, runs again on a worker, and stays there. */
static void test_task_moves_to_a_worker_once(void **state)
{
    (void)state;
    struct workers *w = workers_new("test", 2, NULL);
    assert_non_null(w);
    struct again a = {.task.job.run = run_again, .workers = w, .first = pthread_self()};
    a.task.job.run(&a.task.job);
    workers_free(w);
    assert_int_equal(a.runs, 2);
    assert_int_equal(a.done, 1);
    assert_false(pthread_equal(a.first, a.last));
}

static void free_itself(struct job *job)
{
    free(job);
}

/* A job may free what it is embedded in. */
static void test_job_frees_itself(void **state)
{
    (void)state;
    struct workers *w = workers_new("test", 2, NULL);
    assert_non_null(w);
    for (int i = 0; i < JOBS; i++) {
        struct job *job = calloc(1, sizeof *job);
        assert_non_null(job);
        job->run = free_itself;
        workers_submit(w, job);
    }
    workers_free(w);
    workers_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_in_first_out),
        cmocka_unit_test(test_each_job_runs_once),
        cmocka_unit_test(test_waitlist),
        cmocka_unit_test(test_task_moves_to_a_worker_once),
        cmocka_unit_test(test_job_frees_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
