/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lake/archive/overlay.h share. */
#ifndef LAKE_ARCHIVE_OVERLAY_PRIVATE_H
#define LAKE_ARCHIVE_OVERLAY_PRIVATE_H

#include "base/lock.h"
#include "base/workers.h"
#include "lake/archive/find.h"
#include "lake/archive/overlay.h"

#define LOST_SLOTS 4096

/* A key that home did not have lately: it is looked for in the archive at once. */
struct lost {
    uint64_t hash;
    int64_t until_ms;
};

struct overlay {
    struct store store;
    struct store_ops ops; /* immutable, as are the next three: those that home has */
    struct store *home;   /* NULL: there is none, everything is the archive's */
    struct archive *archive;
    bool owns_archive;
    struct workers *local;   /* the archive store's own, of a directory; NULL: it needs none */
    struct lock lock;        /* the rest */
    struct workers *workers; /* NULL: nothing was looked for yet */
    struct job refresh;      /* hears anew what is archived */
    bool refreshing;
    struct lost lost[LOST_SLOTS];
};

static inline struct overlay *overlay_of(struct store *s)
{
    return CONTAINER_OF(s, struct overlay, store);
}

/*
 * A store like `like` (its URL and home) without its bytes: all of it is the archive's, which is
 * borrowed. For who wants to know whether a version can be had from there alone.
 */
struct store *archive_alone(struct archive *a, const struct store *like, struct err *err);

/*
 * What is archived, for listings: as it was heard last, and heard anew aside where that is old, so
 * that nobody who lists what home has waits for the archive but the first one.
 */
int overlay_listing(struct overlay *o, struct archive_listing **out, struct err *err);

/* Listings of overlays, as the store's ops. */
int overlay_list(struct store *s, const struct store_list *req, struct err *err);
int overlay_list_at(struct store *s, const struct store_list *req, int64_t time_ms,
                    struct err *err);

/* Versions that are archived, likewise. */
int overlay_kept(struct store *s, const char *prefix, int (*emit)(void *arg, int64_t version),
                 void *arg, struct err *err);
int overlay_kept_log(struct store *s, const char *prefix, int64_t version,
                     int (*emit)(void *arg, const struct store_entry *entry), void *arg,
                     struct err *err);

#endif
