/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listing in pages: which of its lines are whose, and what goes on for ever.
 */
#ifndef CACHE_STORE_LISTING_H
#define CACHE_STORE_LISTING_H

#include "cache/store/remote.h"

/* What one page is asked with; keys are whole. */
struct listing_page {
    const char *prefix, *start_after; /* start_after: NULL where not asked for */
    const char *token;                /* that the page before told; NULL: the first page */
    bool recursive;
};

/* How pages are had. */
struct listing_ops {
    /* Fills a page that was just initialised. Blocks. */
    int (*page)(struct remote *r, const struct listing_page *ask, struct s3_page *page,
                struct err *err);
    unsigned empty_max; /* pages without an entry, one after the other */
};

/* As list() of struct store_ops. Blocks: workers and tools only. */
int listing_run(struct remote *r, const struct listing_ops *ops, const struct store_list *req,
                struct err *err);

/* -EINVAL for a prefix that is no directory's. */
int listing_check(const struct store_list *req, struct err *err);

/* Tells one line, if it is anybody's object or directory. */
int listing_emit(const struct remote *r, const struct store_list *req, const struct s3_line *line,
                 struct err *err);

/* listing_ops.page of ListObjectsV2. */
int listing_v2_page(struct remote *r, const struct listing_page *ask, struct s3_page *page,
                    struct err *err);

#endif
