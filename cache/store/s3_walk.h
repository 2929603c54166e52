/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One listing of a bucket, in parts that are fetched at the same time.
 *
 * A part is a range of keys (after, until] and has its pages one after the other. A listing begins
 * as one part and stays so where one page is all. Else parts that have more to come are cut while
 * their next page is on its way:
 *
 *   directories   one request with a delimiter tells which are still to come in the part: they
 *                 become the parts' bounds, evenly; where it tells a full page of them, its last
 * one flat ones     what follows the part's last key in one character: `img_0417` is cut at
 * `img_05`, `img_1`, `j`. A cut behind the last key costs one empty page
 *
 * Any cut is right, as bounds need not be keys; only its worth is a guess. It takes a server that
 * lists in byte order, as S3 does; one that does not is found out, and listed again in one part.
 *
 * Pages are parsed and told on the caller's thread, so a listing needs no threads of its own.
 */
#ifndef CACHE_STORE_S3_WALK_H
#define CACHE_STORE_S3_WALK_H

#include "cache/store/s3_list.h"
#include "cache/store/s3_request.h"

/* Parts of one listing under way at once: what S3 gives one prefix without slowing down. */
#define S3_WALK_PARTS_MAX 16

struct s3_walk {
    struct http *http;
    struct s3_bucket *bucket;
    const char *prefix;      /* whole, as all keys here */
    const char *start_after; /* or NULL */
    bool recursive;
    bool versions; /* ListObjectVersions */
    /*
     * Called for each page of each part, on the calling thread; the page's lines that are not the
     * part's are gone. Of one key all lines come in the same part, in the store's order. `part` is
     * 0 to S3_WALK_PARTS_MAX - 1; `last`: the part ends with this page, and another one may have
     * its number. Other than 0 stops the listing and is returned.
     */
    int (*page)(void *arg, unsigned part, const struct s3_page *page, bool last, struct err *err);
    void *arg;
};

/* Blocks. 0, what page() returned, or -errno: one part that fails fails the listing. Lines may be
 * told twice where a server lists in no order. */
int s3_walk(const struct s3_walk *w, struct err *err);

#endif
