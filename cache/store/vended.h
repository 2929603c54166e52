/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials that somebody else gives out for one store, and gives out anew before they end: a
 * catalog, for where a table lies. They come before all that the store's options say of who asks.
 *
 *   store_options.vended ──► credentials of S3, a token of GCS, a SAS or a token of Azure, each a
 *                            value of cache/store/renewed.h that is fetched by `fetch`
 *
 * Shared by reference, as a store may outlive the mount that opened it. Any thread.
 */
#ifndef CACHE_STORE_VENDED_H
#define CACHE_STORE_VENDED_H

#include "cache/store/credentials.h"
#include "cache/store/oauth.h"

/* A user delegation's SAS has some 700 bytes. */
#define VENDED_SAS_BYTES_MAX 4096

/* What is not told is empty. */
struct vended_secret {
    int64_t expires_ms; /* clock_real_ms; 0: never */
    struct credentials keys;
    struct oauth_token token;
    char sas[VENDED_SAS_BYTES_MAX];
};

struct vended {
    _Atomic unsigned refs;
    /* Blocks, on one of `workers`. *out was zeroed. -EACCES: there are none (any more). */
    int (*fetch)(struct vended *v, struct vended_secret *out, struct err *err);
    void (*free)(struct vended *v);
    /* Nothing that waits for such credentials runs on these. They outlive the last reference. */
    struct workers *workers;
    const char *identity; /* who gives what to whom: two of one identity are interchangeable */
    bool sas;             /* of Azure: it is a SAS, no token */
};

void vended_unref(struct vended *v); /* NULL is fine */

/* Values of struct credentials; of struct oauth_token. NULL and err: out of memory. */
struct renewed *vended_keys(struct vended *v, struct err *err);
struct renewed *vended_tokens(struct vended *v, struct err *err);

#endif
