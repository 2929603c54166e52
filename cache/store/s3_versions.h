/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses of an object's versions the one that was there at a moment: the newest that is not later,
 * where that is no deletion. Of two with one time the latest of all counts, else the one that the
 * store tells first. Pure but for emit.
 */
#ifndef CACHE_STORE_S3_VERSIONS_H
#define CACHE_STORE_S3_VERSIONS_H

#include "base/buf.h"
#include "cache/store/s3_list.h"

/* The choice among one part's lines; its page may end inside a key. */
struct s3_choice {
    int64_t time_ms;
    int (*emit)(void *arg, const struct s3_line *line, struct err *err);
    void *arg;
    struct s3_line best; /* of `key`, with texts in the buffers; mtime_ms 0: none yet */
    struct buf key, etag, version, class;
};

void s3_choice_init(struct s3_choice *c, int64_t time_ms,
                    int (*emit)(void *arg, const struct s3_line *line, struct err *err), void *arg);
void s3_choice_done(struct s3_choice *c);

/*
 * Takes a page of versions, whose lines are in order of keys, and emits what is chosen for sure;
 * with `last` all of it, and the choice begins anew. -ENOENT where the bucket kept no versions
 * then: an object without a version id of its own was written later, maybe over another one. What
 * emit returns other than 0 is returned.
 */
int s3_choose(struct s3_choice *c, const struct s3_page *page, bool last, struct err *err);

#endif
