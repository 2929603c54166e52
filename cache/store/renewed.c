/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/renewed.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "cache/store/event.h"

/* Before its end a value is renewed for a quarter of its life, at most for this long. */
#define RENEWAL_SHARE 4
#define RENEWAL_MAX_MS 600000
/* Before its end it is used no more: what is sent now must arrive with it. */
#define UNUSED_SHARE 20
#define UNUSED_MAX_MS 15000
/* After a failed fetch nothing is fetched for so long. */
#define FAILED_MS 1000
/* A value that is rejected earlier than this would be the same again. */
#define FRESH_MS 1000

struct renewed {
    struct renewed_source source; /* immutable, as workers */
    struct workers *workers;
    struct job job; /* of the fetch that is under way */

    struct lock lock;
    struct cond changed;          /* lock, as all that follows */
    bool fetching;                /* job is with the workers */
    bool filled;                  /* value is one */
    int64_t fetched_ms, until_ms; /* real time: the value's; until_ms 0: it never ends */
    struct err failed;            /* why the last fetch failed; code 0: it did not */
    int64_t failed_ms;            /* clock_mono_ms */
    struct renewed_wait *waiting;
    unsigned char value[]; /* and the room of the next one */
};

static int64_t share_of_life(const struct renewed *r, int64_t share, int64_t max_ms)
{
    int64_t part = (r->until_ms - r->fetched_ms) / share;
    return part < 0 ? 0 : part < max_ms ? part : max_ms;
}

static bool good_locked(struct renewed *r) REQUIRES(r->lock)
{
    return r->filled &&
           (!r->until_ms ||
            clock_real_ms() < r->until_ms - share_of_life(r, UNUSED_SHARE, UNUSED_MAX_MS));
}

static bool due_locked(struct renewed *r) REQUIRES(r->lock)
{
    return !good_locked(r) ||
           (r->until_ms &&
            clock_real_ms() >= r->until_ms - share_of_life(r, RENEWAL_SHARE, RENEWAL_MAX_MS));
}

static bool failed_just_now_locked(struct renewed *r) REQUIRES(r->lock)
{
    return r->failed.code && clock_mono_ms() - r->failed_ms < FAILED_MS;
}

static void begin_locked(struct renewed *r) REQUIRES(r->lock)
{
    if (r->fetching)
        return;
    r->fetching = true;
    workers_submit(r->workers, &r->job);
}

static void renew_locked(struct renewed *r) REQUIRES(r->lock)
{
    if (due_locked(r) && !failed_just_now_locked(r))
        begin_locked(r);
}

static void take_locked(struct renewed *r, const void *next, int64_t expires_ms) REQUIRES(r->lock)
{
    memcpy(r->value, next, r->source.bytes);
    r->filled = true;
    r->fetched_ms = clock_real_ms();
    r->until_ms = expires_ms;
    r->failed = (struct err)ERR_INIT;
}

static void tell(struct renewed_wait *waiting, int rc, const struct err *err)
{
    while (waiting) {
        struct renewed_wait *w = waiting;
        waiting = w->next; /* done may free it */
        w->rc = rc;
        w->err = *err;
        w->done(w);
    }
}

/* On a worker. What failed a moment ago is only told again. */
static void fetch(struct job *job)
{
    struct renewed *r = CONTAINER_OF(job, struct renewed, job);
    unsigned char *next = r->value + r->source.bytes;
    struct err err = ERR_INIT;
    struct renewed_wait *waiting = NULL;
    int64_t expires_ms = 0;
    int rc = 0;
    WITH_LOCK (&r->lock)
        if (failed_just_now_locked(r))
            rc = err_copy(&err, &r->failed);
    bool again = rc == 0;
    if (again) {
        memset(next, 0, r->source.bytes);
        rc = r->source.fetch(r->source.arg, next, &expires_ms, &err);
    }
    WITH_LOCK (&r->lock) {
        if (rc == 0) {
            take_locked(r, next, expires_ms);
        } else if (again) {
            r->failed = err;
            r->failed.code = -rc;
            r->failed_ms = clock_mono_ms();
        }
        waiting = r->waiting;
        r->waiting = NULL;
    }
    explicit_bzero(next, r->source.bytes);
    tell(waiting, rc, &err);
    WITH_LOCK (&r->lock) {
        r->fetching = false;
        if (r->waiting) /* who came while the others were told */
            begin_locked(r);
        cond_broadcast(&r->changed);
    }
}

struct renewed *renewed_new(const struct renewed_source *source, struct workers *workers,
                            struct err *err)
{
    assert(source->bytes && source->bytes <= RENEWED_BYTES_MAX && source->fetch && workers);
    struct renewed *r = calloc(1, sizeof *r + 2 * source->bytes);
    if (!r) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    r->source = *source;
    r->workers = workers;
    r->job.run = fetch;
    lock_init(&r->lock);
    cond_init(&r->changed);
    return r;
}

void renewed_free(struct renewed *r)
{
    if (!r)
        return;
    WITH_LOCK (&r->lock) {
        while (r->fetching)
            cond_wait(&r->changed, &r->lock);
        assert(!r->waiting);
    }
    if (r->source.free)
        r->source.free(r->source.arg);
    explicit_bzero(r->value, 2 * r->source.bytes);
    cond_done(&r->changed);
    lock_done(&r->lock);
    free(r);
}

int renewed_now(struct renewed *r, void *out)
{
    bool good = false;
    WITH_LOCK (&r->lock) {
        good = good_locked(r);
        if (good) {
            memcpy(out, r->value, r->source.bytes);
            renew_locked(r);
        }
    }
    return good ? 0 : -EAGAIN;
}

int renewed_want(struct renewed *r, struct renewed_wait *w)
{
    bool good = false;
    WITH_LOCK (&r->lock) {
        good = good_locked(r);
        if (!good) {
            w->next = r->waiting;
            r->waiting = w;
            begin_locked(r);
        }
    }
    return good ? 0 : -EINPROGRESS;
}

struct getter {
    struct renewed_wait wait;
    struct event ended;
};

static void wake(struct renewed_wait *w)
{
    event_set(&CONTAINER_OF(w, struct getter, wait)->ended);
}

static int want_and_wait(struct renewed *r, struct err *err)
{
    struct getter g = {.wait.done = wake};
    event_init(&g.ended);
    int rc = renewed_want(r, &g.wait);
    if (rc == -EINPROGRESS) {
        event_wait(&g.ended);
        rc = g.wait.rc < 0 ? err_copy(err, &g.wait.err) : 0;
    }
    event_done(&g.ended);
    return rc;
}

/* A value may end, or be rejected, between its coming and our taking it. */
#define GET_TRIES 3

int renewed_get(struct renewed *r, void *out, struct err *err)
{
    for (int i = 0; i < GET_TRIES; i++) {
        int rc = want_and_wait(r, err);
        if (rc < 0)
            return rc;
        if (renewed_now(r, out) == 0)
            return 0;
    }
    return err_set(err, EACCES,
                   "credentials end as soon as they are fetched: is this machine's clock right?");
}

void renewed_reject(struct renewed *r, const void *used)
{
    WITH_LOCK (&r->lock) {
        bool fresh = clock_real_ms() - r->fetched_ms < FRESH_MS;
        if (r->filled && !fresh && memcmp(used, r->value, r->source.bytes) == 0)
            r->filled = false;
    }
}
