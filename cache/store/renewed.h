/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value that ends: a secret that a worker fetches, that is used until shortly before its end,
 * and that is fetched again beside its use.
 *
 *              fetched                     renewed beside its use       not used any more
 *   nothing ------|------------- good -----------------|--------------------|---| ends
 *      ^                                                                    |
 *      '-------------------- rejected by who should take it ----------------'
 *
 * Where a fetch fails, whoever waits is told why, and so is whoever asks in the next second; a
 * value that is still good goes on being used. Values are wiped. Nothing waits but renewed_get and
 * renewed_free. Any thread.
 */
#ifndef CACHE_STORE_RENEWED_H
#define CACHE_STORE_RENEWED_H

#include <stddef.h>
#include <stdint.h>

#include "base/workers.h"

#define RENEWED_BYTES_MAX 65536

struct renewed;

struct renewed_source {
    size_t bytes; /* of one value: a plain struct without pointers, at most RENEWED_BYTES_MAX */
    /*
     * Blocks, on a worker, one call at a time. Fills *out, which was zeroed. *expires_ms: by
     * clock_real_ms; 0, as it was before the call: never.
     */
    int (*fetch)(void *arg, void *out, int64_t *expires_ms, struct err *err);
    void (*free)(void *arg); /* may be NULL */
    void *arg;
};

/*
 * Fetches nothing yet. The workers must be such that nothing runs on them that waits for a value:
 * they would wait for each other. NULL and err where it cannot; source->arg stays the caller's
 * then.
 */
struct renewed *renewed_new(const struct renewed_source *source, struct workers *workers,
                            struct err *err);

/* Waits for a fetch that is under way. Nobody waits for a value any more. */
void renewed_free(struct renewed *r);
DEFINE_AUTO(renewed, struct renewed *, renewed_free)

/* 0 and a copy, which is the caller's to wipe; -EAGAIN: there is none that is good now. */
int renewed_now(struct renewed *r, void *out);

struct renewed_wait {
    void (*done)(struct renewed_wait *w); /* on a worker, under no lock; must not block */
    /* Set before done runs. 0: renewed_now has one now, if it is asked soon. */
    int rc;
    struct err err;
    struct renewed_wait *next; /* private */
};

/* 0: there is one, done will not run. -EINPROGRESS: done will run. */
int renewed_want(struct renewed *r, struct renewed_wait *w);

/* Blocks until there is one. As renewed_now, or as the fetch failed. */
int renewed_get(struct renewed *r, void *out, struct err *err);

/*
 * Who was to take this value says that it has ended: it is used no more. A value that is not the
 * one in use any more, or that came in this second and would come again, changes nothing.
 */
void renewed_reject(struct renewed *r, const void *used);

#endif
