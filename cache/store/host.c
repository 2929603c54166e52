/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/host.h"

#include <assert.h>

#define LIMIT_FIRST 32
#define LIMIT_MIN 2
/* Good answers for one more, before anything was refused. */
#define GROW_FIRST 4
/* Of `recent_us` over the usual time, beyond which more requests only wait for each other. */
#define CROWDED 2

#define LATENCY_FIRST_US 128
/* From so many on the times mean something; at the other one they are halved. */
#define LATENCY_ENOUGH 50
#define LATENCY_MAX 2000

#define LATE_PER_MILLE 970
#define USUAL_PER_MILLE 500
/* Below this a hedge is not worth its work. */
#define LATE_MIN_US 3000
/* So long nothing is sent twice after a refusal. */
#define CALM_MS 5000
#define CREDIT_EACH HEDGES_PERCENT
#define CREDIT_HEDGE 100
#define CREDIT_MAX 500

void host_init(struct host *h)
{
    *h = (struct host){.limit = LIMIT_FIRST, .refused_ms = INT64_MIN / 2};
}

bool host_has_room(const struct host *h)
{
    return h->under_way < h->limit;
}

void host_begin(struct host *h)
{
    h->under_way++;
    h->credit = h->credit + CREDIT_EACH < CREDIT_MAX ? h->credit + CREDIT_EACH : CREDIT_MAX;
}

bool host_hedge(struct host *h, int64_t now_ms)
{
    if (!host_has_room(h) || h->credit < CREDIT_HEDGE || now_ms - h->refused_ms < CALM_MS)
        return false;
    h->credit -= CREDIT_HEDGE;
    h->under_way++;
    return true;
}

/* ---- times ---- */

enum host_size host_size_of(size_t bytes)
{
    return bytes <= FETCH_RANDOM_BYTES ? HOST_SMALL
           : bytes <= BLOCK_BYTES      ? HOST_BLOCK
                                       : HOST_LARGE;
}

/* The step of a time: its octave and the two bits below. */
static unsigned step_of(int64_t us)
{
    unsigned octave = 0;
    for (int64_t t = us / LATENCY_FIRST_US; t > 1; t >>= 1)
        octave++;
    int64_t base = (int64_t)LATENCY_FIRST_US << octave;
    unsigned step = 4 * octave + (us > base ? (unsigned)((us - base) * 4 / base) : 0);
    return step < LATENCY_STEPS ? step : LATENCY_STEPS - 1;
}

/* Where the step ends. */
static int64_t end_of(unsigned step)
{
    int64_t base = (int64_t)LATENCY_FIRST_US << (step / 4);
    return base + base * (step % 4 + 1) / 4;
}

/* A time that so many of a thousand did not exceed; 0: too few are known. */
static int64_t quantile_us(const struct latency *l, unsigned per_mille)
{
    if (l->total < LATENCY_ENOUGH)
        return 0;
    unsigned seen = 0, step = 0;
    for (; step < LATENCY_STEPS - 1; step++) {
        seen += l->counts[step];
        if ((uint64_t)seen * 1000 >= (uint64_t)l->total * per_mille)
            break;
    }
    return end_of(step);
}

void host_heard(struct host *h, enum host_size size, int64_t us)
{
    struct latency *l = &h->times[size];
    l->counts[step_of(us)]++;
    if (++l->total >= LATENCY_MAX) {
        l->total = 0;
        for (unsigned i = 0; i < LATENCY_STEPS; i++)
            l->total += l->counts[i] /= 2;
    }
    h->recent_us = h->recent_us ? h->recent_us + (us - h->recent_us) / 16 : us;
}

int64_t host_late_us(const struct host *h, enum host_size size)
{
    int64_t us = quantile_us(&h->times[size], LATE_PER_MILLE) * 3 / 2;
    return us && us < LATE_MIN_US ? LATE_MIN_US : us;
}

/* ---- the limit ---- */

static bool is_crowded(const struct host *h)
{
    int64_t usual_us = 0;
    for (unsigned i = 0; i < HOST_SIZES; i++) {
        int64_t us = quantile_us(&h->times[i], USUAL_PER_MILLE);
        usual_us = us > usual_us ? us : usual_us;
    }
    return usual_us && h->recent_us > CROWDED * usual_us && h->recent_us > LATE_MIN_US;
}

static void grow(struct host *h)
{
    unsigned enough = h->refused ? h->limit : GROW_FIRST;
    if (++h->good < enough)
        return;
    h->good = 0;
    if (h->limit < CONNECTIONS_MAX && !is_crowded(h))
        h->limit++;
}

static void shrink(struct host *h, int64_t begun_ms, int64_t now_ms)
{
    h->refused = true;
    if (begun_ms <= h->refused_ms)
        return; /* it was sent under the limit that has been halved since */
    h->refused_ms = now_ms;
    h->good = 0;
    h->limit = h->limit / 2 > LIMIT_MIN ? h->limit / 2 : LIMIT_MIN;
}

void host_end(struct host *h, enum host_verdict verdict, int64_t begun_ms, int64_t now_ms)
{
    bool full = !host_has_room(h);
    assert(h->under_way);
    h->under_way--;
    switch (verdict) {
    case HOST_GOOD:
        if (full)
            grow(h);
        break;
    case HOST_REFUSED:
        shrink(h, begun_ms, now_ms);
        break;
    case HOST_FAILED:
    case HOST_DROPPED:
        break;
    }
}
