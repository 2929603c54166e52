/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/archive/side.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/workers.h"

#define TICK_MS 100

struct crowd;

struct walker {
    struct job job;
    struct crowd *crowd;
    unsigned number;
};

struct crowd {
    const struct side *side;
    size_t n;
    struct lock lock; /* the rest */
    struct cond ended;
    size_t next;
    unsigned walking;
    int rc; /* of the first that failed */
    struct err err;
};

static bool take(struct crowd *c, size_t *i)
{
    bool more;
    WITH_LOCK (&c->lock) {
        more = c->rc == 0 && c->next < c->n;
        *i = c->next;
        c->next += more;
    }
    return more;
}

static void fail(struct crowd *c, int rc, const struct err *err)
{
    WITH_LOCK (&c->lock)
        if (c->rc == 0) {
            c->rc = rc;
            c->err = *err;
        }
}

static void walk(struct job *job)
{
    struct walker *w = CONTAINER_OF(job, struct walker, job);
    struct crowd *c = w->crowd;
    size_t i;
    while (take(c, &i)) {
        struct err err = ERR_INIT;
        int rc = c->side->work(c->side->arg, w->number, i, &err);
        if (rc != 0)
            fail(c, rc, &err);
    }
    WITH_LOCK (&c->lock) {
        c->walking--;
        cond_broadcast(&c->ended);
    }
}

/* True: some are still at it. */
static bool wait_a_little(struct crowd *c)
{
    bool walking;
    WITH_LOCK (&c->lock) {
        if (c->walking)
            (void)cond_wait_until(&c->ended, &c->lock, clock_mono_ms() + TICK_MS);
        walking = c->walking > 0;
    }
    return walking;
}

int side_run(const struct side *s, size_t n, struct err *err)
{
    struct crowd c = {.side = s, .n = n};
    struct walker walkers[SIDE_THREADS_MAX];
    unsigned threads = s->threads < SIDE_THREADS_MAX ? s->threads : SIDE_THREADS_MAX;
    struct workers *w = workers_new("tarn-side", threads, err);
    if (!w)
        return -err->code;
    lock_init(&c.lock);
    cond_init(&c.ended);
    c.walking = threads;
    for (unsigned i = 0; i < threads; i++) {
        walkers[i] = (struct walker){.job = {.run = walk}, .crowd = &c, .number = i};
        workers_submit(w, &walkers[i].job);
    }
    do {
        struct err e = ERR_INIT;
        int rc = s->tick ? s->tick(s->arg, &e) : 0;
        if (rc != 0)
            fail(&c, rc, &e);
    } while (wait_a_little(&c));
    workers_free(w);
    cond_done(&c.ended);
    lock_done(&c.lock);
    return c.rc < 0 ? err_copy(err, &c.err) : c.rc;
}
