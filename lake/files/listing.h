/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listing on its way into a run: objects come in any order, some more than once, and leave as
 * files with names (lake/key_name.h), one for each key. What no file can be named by is left out
 * and told in the run's meta.
 *
 *   files_listing_new -> files_listing_add ... -> files_listing_build -> free
 *
 * Bounded memory. Blocks on the disk: workers only. One thread.
 */
#ifndef LAKE_FILES_LISTING_H
#define LAKE_FILES_LISTING_H

#include "cache/store/store.h"
#include "lake/index/build.h"

struct files_listing;

/* dirfd: where temporary files go; borrowed while it lives. */
struct files_listing *files_listing_new(int dirfd, struct err *err);
void files_listing_free(struct files_listing *l);
DEFINE_AUTO(files_listing, struct files_listing *, files_listing_free)

/* Copies an object, whose key below the table's root is `key`. */
int files_listing_add(struct files_listing *l, struct slice key, const struct store_entry *e,
                      struct err *err);

/* What was listed. */
struct files_listed {
    uint64_t fingerprint; /* equal listings, equal fingerprints */
    int64_t newest_ms;    /* modification of the newest object, 0: there is none */
};

/* Gives the files to the build, and what its meta is to meta. Once. */
int files_listing_build(struct files_listing *l, struct index_build *build, struct buf *meta,
                        struct files_listed *out, struct err *err);

/* What an entry's extra bytes tell of its object; no version id: the newest is read. */
struct files_object {
    struct slice etag, version;
    bool readable; /* by its class */
};
struct files_object files_listing_object(struct slice extra);

/* What a run's meta says is left out, appended; nothing where nothing is. */
int files_listing_left_out(struct slice meta, struct buf *out, struct err *err);

#endif
