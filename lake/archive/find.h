/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which archived object stands for one of home: by its URL, in the lists of the tables that it lies
 * below, and of those that name objects elsewhere. Any thread; blocks.
 */
#ifndef LAKE_ARCHIVE_FIND_H
#define LAKE_ARCHIVE_FIND_H

#include "lake/archive/archive.h"

/* The URL of the table at a prefix of a store, appended: what an archive names it by. */
void archive_table_url(const struct store *s, struct slice prefix, struct buf *out);

struct archive_found {
    struct archive_content content;
    int64_t mtime_ms;
    char etag[ETAG_BYTES_MAX]; /* of home */
};

/*
 * The object of that URL, with that ETag where one is given, of the newest version that has it: 1,
 * 0 it is not archived, -errno where that cannot be told.
 */
int archive_find(struct archive *a, struct slice url, const char *etag, struct archive_found *out,
                 struct err *err);

/* The listing as it was heard lately; an older one where the store cannot be reached. */
int archive_find_listing(struct archive *a, struct archive_listing **out, struct err *err);

/* Some of a listing: [first, end). */
struct archive_places {
    const struct archive_listing *listing;
    size_t first, end;
};

/* Calls take for each version of these, the last first, until it returns other than 0 (returned) or
 * there are no more (0). */
int archive_each_version(struct archive *a, struct archive_places places,
                         int (*take)(void *arg, struct archive_version *v, struct err *err),
                         void *arg, struct err *err);

#endif
