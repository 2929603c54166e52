/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One host of a store: how many requests it is given at once, and when one of them is late.
 *
 * The limit goes up by one for so many good answers as it is high (before the host first refused
 * one: for every fourth), as long as it is what holds requests back and the first byte comes not
 * much later than it used to. It is halved when the host refuses for its load (429, 503), once for
 * all requests that were under way then.
 *
 * A request is late when its first byte has not come after the time in which LATE_PER_MILLE of
 * those of its size did, and half of that again. Few are sent a second time: HEDGES_PERCENT of all,
 * and none for a while after a refusal.
 *
 * Pure: who asks brings the time. No locks: the engine's thread.
 */
#ifndef CACHE_STORE_HOST_H
#define CACHE_STORE_HOST_H

#include "base/limits.h"
#include "base/slice.h"

/* Four an octave, from 128 us to two minutes. */
#define LATENCY_STEPS 80
#define HEDGES_PERCENT 3

/* Times to the first byte; older ones weigh less. */
struct latency {
    unsigned total, counts[LATENCY_STEPS];
};

enum host_size { HOST_SMALL, HOST_BLOCK, HOST_LARGE };
#define HOST_SIZES 3

enum host_verdict {
    HOST_GOOD,    /* an answer came, also one that says no */
    HOST_FAILED,  /* none came, or half of one */
    HOST_REFUSED, /* for its load */
    HOST_DROPPED, /* we did not wait for it */
};

struct host {
    unsigned under_way, limit;
    unsigned good;      /* answers since the limit changed */
    bool refused;       /* ever */
    int64_t refused_ms; /* the last time that the limit was halved */
    unsigned credit;    /* for hedges: hundredths */
    int64_t recent_us;  /* to the first byte, of the last few */
    struct latency times[HOST_SIZES];
};

void host_init(struct host *h);

bool host_has_room(const struct host *h);

/* One is sent, for the first time or again, not as a hedge. */
void host_begin(struct host *h);

/*
 * One is sent a second time: true where that is allowed now, and is counted then. `begin` of its
 * first attempt is what host_late_us told of.
 */
bool host_hedge(struct host *h, int64_t now_ms);

/* What host_begin or host_hedge counted has ended; `begun_ms` is when it was sent. */
void host_end(struct host *h, enum host_verdict verdict, int64_t begun_ms, int64_t now_ms);

/* Microseconds from sending to the first byte. */
void host_heard(struct host *h, enum host_size size, int64_t us);

/* After so many microseconds one is late; 0: not known yet. */
int64_t host_late_us(const struct host *h, enum host_size size);

enum host_size host_size_of(size_t bytes);

#endif
