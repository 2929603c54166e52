/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The upkeep: one thread that checks what is cached in the background, gently.
 *
 *   at the start   files that no record names are deleted
 *   opened         a sealed object that was not checked since the daemon began is checked when it
 *                  is opened: whoever reads it by passthrough has the kernel's word only
 *   scrubbing      any sealed object that was not checked for a week
 *   not used       what was not used for long is compressed (cache/freeze.c), half of the time
 */
#include <string.h>

#include "base/clock.h"
#include "cache/private.h"

#define SCRUB_STEP_BYTES (8 * MIB) /* between two rests, so at most 160 MiB/s */
#define WORK_MS 50                 /* likewise */
#define REST_MS 50
#define SCRUB_AGE_MS ((int64_t)7 * 24 * 3600 * 1000)
#define SCRUB_LOOK_MS 600000 /* between two looks for what is due */
#define SAVE_MS 60000        /* what was used when */
#define FREEZE_MS_MIN 100    /* between two looks for what was not used for long */
#define FREEZE_MS_MAX 600000

/* Of the last rest. */
struct pace {
    uint64_t at_bytes;
    int64_t at_ms;
};

void upkeep_check(const struct object *o)
{
    struct cache *c = o->cache;
    WITH_LOCK (&c->lock)
        upkeep_check_locked(c, o);
}

void upkeep_check_locked(struct cache *c, const struct object *o)
{
    struct opened_queue *q = &c->opened;
    if (q->count == OPENED_QUEUE_MAX) {
        q->missed = true;
        return;
    }
    q->at[(q->first + q->count++) % OPENED_QUEUE_MAX] =
        (struct opened){.id = o->id, .size = o->size};
    cond_signal(&c->due);
}

void upkeep_pause(struct cache *c)
{
    WITH_LOCK (&c->lock) {
        c->upkeep_paused++;
        c->opened.missed = true; /* what it leaves unchecked now */
        cond_signal(&c->due);
        while (c->upkeep_busy)
            cond_wait(&c->idle, &c->lock);
    }
}

void upkeep_resume(struct cache *c)
{
    WITH_LOCK (&c->lock) {
        c->upkeep_paused--;
        cond_signal(&c->due);
    }
}

static bool has_to_stop_locked(const struct cache *c) REQUIRES(c->lock)
{
    return c->upkeep_ending || (c->upkeep_busy && c->upkeep_paused);
}

/* Sleeps unless it has to stop what it does. True: it has. */
static bool rest(struct cache *c, int64_t ms)
{
    bool stop;
    int64_t until = clock_mono_ms() + ms;
    WITH_LOCK (&c->lock) {
        while (!has_to_stop_locked(c) && cond_wait_until(&c->due, &c->lock, until))
            continue;
        stop = has_to_stop_locked(c);
    }
    return stop;
}

/* Something with objects; waits while it is paused. False: the cache ends. */
static bool begin_work(struct cache *c)
{
    bool ending;
    WITH_LOCK (&c->lock) {
        while (c->upkeep_paused && !c->upkeep_ending)
            cond_wait(&c->due, &c->lock);
        ending = c->upkeep_ending;
        c->upkeep_busy = !ending;
    }
    return !ending;
}

static void end_work(struct cache *c)
{
    WITH_LOCK (&c->lock) {
        c->upkeep_busy = false;
        cond_broadcast(&c->idle);
    }
}

static bool go_on(struct walk *w)
{
    struct cache *c = w->cache;
    struct pace *p = w->arg;
    bool stop;
    if (c->draining)
        return false; /* a mount that goes does not wait for this */
    if (w->report.bytes - p->at_bytes >= SCRUB_STEP_BYTES || clock_mono_ms() - p->at_ms > WORK_MS) {
        stop = rest(c, REST_MS);
        *p = (struct pace){.at_bytes = w->report.bytes, .at_ms = clock_mono_ms()};
        return !stop;
    }
    WITH_LOCK (&c->lock)
        stop = has_to_stop_locked(c);
    return !stop;
}

/* Waits for the next one, or until it is time to save. False: neither. */
static bool next_opened(struct cache *c, int64_t until, struct opened *out)
{
    struct opened_queue *q = &c->opened;
    bool found;
    WITH_LOCK (&c->lock) {
        while (!c->upkeep_ending && q->count == 0 && cond_wait_until(&c->due, &c->lock, until))
            continue;
        found = !c->upkeep_ending && q->count > 0;
        if (found) {
            *out = q->at[q->first];
            q->first = (q->first + 1) % OPENED_QUEUE_MAX;
            q->count--;
        }
    }
    return found;
}

static bool is_ending(struct cache *c)
{
    bool ending;
    WITH_LOCK (&c->lock)
        ending = c->upkeep_ending;
    return ending;
}

struct rounds {
    int64_t save_at, freeze_at, scrub_at;
    bool missed;                               /* some that were opened are looked for */
    uint64_t place, scrub_place, missed_place; /* where these three go on in the index */
};

static int64_t next_round(const struct rounds *r)
{
    if (r->missed)
        return 0;
    int64_t at = r->save_at < r->freeze_at ? r->save_at : r->freeze_at;
    return at < r->scrub_at ? at : r->scrub_at;
}

static bool is_old(void *arg, const struct segment_id *id, const struct index_record *r)
{
    const int64_t *before_ms = arg;
    return id->number == 0 && r->sealed && r->checked_ms < *before_ms;
}

/* Each sealed object once in SCRUB_AGE_MS, opened or not. */
static void scrub_some(struct walk *w, struct rounds *r)
{
    int64_t before_ms = clock_real_ms() - SCRUB_AGE_MS;
    if (!maintain_next(w, &r->scrub_place, is_old, &before_ms))
        r->scrub_at = clock_mono_ms() + SCRUB_LOOK_MS;
}

/* Begins anew where more were missed meanwhile. */
static void note_missed(struct cache *c, struct rounds *r)
{
    WITH_LOCK (&c->lock) {
        if (c->opened.missed) {
            r->missed = true;
            r->missed_place = 0;
        }
        c->opened.missed = false;
    }
}

static bool is_missed(void *arg, const struct segment_id *id, const struct index_record *r)
{
    const struct cache *c = arg;
    if (id->number != 0 || !r->sealed || r->checked_ms >= c->started_ms)
        return false;
    int64_t last_s = uses_last_s(c->uses, segment_key(&id->object, 0));
    return last_s == 0 || last_s >= c->opened_s;
}

/* What was opened when the queue was full. */
static void check_missed(struct walk *w, struct rounds *r)
{
    r->missed = maintain_next(w, &r->missed_place, is_missed, w->cache);
}

static void freeze_some(struct cache *c, struct rounds *r)
{
    int64_t began = clock_mono_ms(), pause = c->freeze_after_ms / 8;
    if (freeze_next(c, &r->place)) {
        (void)rest(c, clock_mono_ms() - began); /* whether it ends is looked at by the caller */
        return;
    }
    pause = pause < FREEZE_MS_MIN ? FREEZE_MS_MIN : pause;
    r->freeze_at = clock_mono_ms() + (pause > FREEZE_MS_MAX ? FREEZE_MS_MAX : pause);
}

/* What is most urgent; `one` was opened. */
static void step(struct walk *w, struct rounds *r, const struct opened *one)
{
    if (one)
        (void)maintain_verify(w, &one->id, one->size); /* what is wrong is mended, or gone */
    else if (r->missed)
        check_missed(w, r);
    else if (clock_mono_ms() >= r->freeze_at)
        freeze_some(w->cache, r);
    else if (clock_mono_ms() >= r->scrub_at)
        scrub_some(w, r);
}

void *upkeep_run(void *arg)
{
    struct cache *c = arg;
    struct pace pace = {.at_ms = clock_mono_ms()};
    struct walk w = {.cache = c, .go_on = go_on, .arg = &pace};
    maintain_files(&w);
    struct rounds r = {.save_at = clock_mono_ms() + SAVE_MS,
                       .scrub_at = clock_mono_ms(),
                       .freeze_at = c->freeze_after_ms > 0 ? clock_mono_ms() : INT64_MAX};
    while (!is_ending(c)) {
        struct opened one;
        note_missed(c, &r);
        bool opened = next_opened(c, next_round(&r), &one);
        if (begin_work(c)) {
            step(&w, &r, opened ? &one : NULL);
            end_work(c);
        }
        if (clock_mono_ms() >= r.save_at) {
            (void)uses_save(c->uses, NULL); /* tried again */
            r.save_at = clock_mono_ms() + SAVE_MS;
        }
    }
    (void)uses_save(c->uses, NULL); /* without it, choices are worse for a while */
    return NULL;
}
