/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking after an archive store: reading back what is in it, and removing versions with what no
 * other version needs. Blocks; one thread calls.
 */
#ifndef LAKE_ARCHIVE_DROP_H
#define LAKE_ARCHIVE_DROP_H

#include "lake/archive/archive.h"

struct archive_report {
    uint64_t objects, bytes; /* looked at; stored bytes */
    uint64_t damaged, missing;
    uint64_t removed, removed_bytes;
};

/* Tells of what is wrong. One thread at a time. */
struct archive_listener {
    void (*wrong)(void *arg, const char *what);
    /* How far it is, now and then on the caller's thread; other than 0 ends the work. */
    int (*tick)(void *arg, const struct archive_report *r, struct err *err);
    void *arg;
    unsigned threads;
};

/*
 * Reads back every object of these versions, each content once, and compares it. What is wrong is
 * told and counted: -EIO in the end.
 */
int archive_verify_versions(struct archive *a, struct archive_version *const *versions, size_t n,
                            const struct archive_listener *l, struct archive_report *out,
                            struct err *err);

/* Takes a version away: it does not exist any more, and its contents are left. -ENOENT. */
int archive_drop_version(struct archive *a, const struct archive_place *place, struct err *err);

/*
 * Removes every content that no version needs: of versions that were dropped, and of archivers that
 * were killed. -EBUSY where somebody archives: it can be done later.
 */
int archive_sweep(struct archive *a, const struct archive_listener *l, struct archive_report *out,
                  struct err *err);

#endif
