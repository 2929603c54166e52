/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listing in pages, as the ListObjectsV2 of S3's and Google's XML APIs gives it: which of its
 * lines are whose, and what goes on for ever.
 */
#ifndef CACHE_STORE_LISTING_H
#define CACHE_STORE_LISTING_H

#include "cache/store/s3_list.h"
#include "cache/store/sigv4.h"
#include "cache/store/store.h"

/* Of one listing; borrowed for the call. */
struct listing {
    const char *bucket; /* for messages */
    const char *root;   /* of the store: what stands before every key; empty, or ends in `/` */
    /* Asks for one page with these parameters and fills it. Blocks. */
    int (*page)(void *arg, const struct sigv4_parameter *parameters, size_t count,
                struct s3_page *page, struct err *err);
    void *arg;
};

/* As list() of struct store_ops. Blocks: workers and tools only. */
int listing_run(const struct listing *l, const struct store_list *req, struct err *err);

#endif
