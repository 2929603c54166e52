/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tier/need_newest.h"

/* Of a head: of the version that it shows. */
static ptrdiff_t version_at(const struct history *h, ptrdiff_t position)
{
    return position < (ptrdiff_t)h->n ? position : history_find(h, h->at[position].number);
}

static int add(struct need_newest *n, const struct history *h, ptrdiff_t position)
{
    ptrdiff_t at = version_at(h, position);
    return at < 0 ? 0 : vec_push(&n->at, (size_t)at);
}

/* The live path has shown one version after the other, and no branch has another one. */
static bool is_in_turn(const struct need_newest *n, const struct history *h)
{
    size_t next = 0;
    for (size_t i = 0; i < n->at.n; i++)
        if (n->at.at[i] + 1 != h->n)
            return false;
    if (!h->clock)
        return true;
    for (size_t i = 0; i < h->clock_n; i++) {
        ptrdiff_t at = h->clock[i].position;
        if (at >= 0 && (size_t)at != next++)
            return false;
    }
    return next == h->n;
}

int need_newest_init(struct need_newest *n, const struct history *h, struct err *err)
{
    int rc = 0;
    *n = (struct need_newest){.at = VEC_MAX(SIZE_MAX / sizeof(size_t)), .in_turn = true};
    if (!h || !h->n)
        return 0;
    if (h->live >= 0)
        rc = add(n, h, h->live);
    for (size_t i = 0; rc == 0 && i < h->names_n; i++)
        if (h->names[i].branch)
            rc = add(n, h, h->names[i].position);
    n->in_turn = is_in_turn(n, h);
    return rc < 0 ? err_set(err, -rc, "no room for branches") : 0;
}

void need_newest_done(struct need_newest *n)
{
    vec_done(&n->at);
}

static bool holds(const struct need_span *spans, size_t spans_n, size_t position)
{
    for (size_t i = 0; i < spans_n; i++)
        if (position >= spans[i].from && position < spans[i].to)
            return true;
    return false;
}

bool need_newest_in(const struct need_newest *n, const struct need_span *spans, size_t spans_n)
{
    for (size_t i = 0; i < n->at.n; i++)
        if (holds(spans, spans_n, n->at.at[i]))
            return true;
    return false;
}

int64_t need_newest_ceased_ms(const struct need_newest *n, const struct history *h,
                              const struct need_use *use)
{
    size_t behind = use->until < h->n ? use->until : h->n - 1;
    int64_t ceased_ms = h->at[behind].timestamp_ms;
    if (n->in_turn)
        return ceased_ms;
    for (size_t i = h->clock_n; i-- > 0;) { /* main may have come back to it later */
        ptrdiff_t at = h->clock[i].position;
        if (at < 0 || !holds(use->spans, use->spans_n, (size_t)at))
            continue;
        if (i + 1 < h->clock_n && h->clock[i + 1].time_ms > ceased_ms)
            ceased_ms = h->clock[i + 1].time_ms;
        break;
    }
    return ceased_ms;
}
