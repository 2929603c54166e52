/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archiving a version: everything that it needs is copied into an archive store, and looked at
 * there, before the version exists.
 *
 *   lease ─► what is needed: log, files, deletes ─► objects, side by side ─► list ─► manifest
 *            (the driver tells)                     (lake/archive/put.h)            the version
 * exists ─► the version is loaded from the archive alone and compared ─► lease given back
 *
 * Who is killed anywhere leaves contents that no version names (archive_drop removes them), and no
 * half version. Several may archive into one store at once.
 */
#ifndef LAKE_ARCHIVE_COPY_H
#define LAKE_ARCHIVE_COPY_H

#include "lake/archive/archive.h"
#include "lake/driver.h"

struct archive_copy {
    struct archive *archive;
    /* The version: of a table's driver, at a position of its history. */
    const struct driver_config *config; /* what the driver was opened with */
    struct driver *driver;
    struct history *history;
    size_t position;
    struct snapshot *snapshot; /* of it; of a moment (`files`) without a history */
    struct version version;    /* number: of a moment its time in ms */
    bool plain_http;           /* home is asked without TLS: what no sum proves is read twice */
    unsigned threads;
    /* How far it is, ten times a second on the caller's thread; other than 0 ends it. May be NULL.
     */
    int (*tick)(void *arg, const struct archive_copy *c, struct err *err);
    void *arg;

    _Atomic uint64_t objects, bytes; /* so far, of: */
    uint64_t objects_all, bytes_all; /* what the version needs */
    _Atomic uint64_t written, known; /* bytes that the store took; objects that it had already */
};

/*
 * 0 and the manifest, or 1 where the version is archived already. -ENOENT where home has lost some
 * of it; -EEXIST where a version of that number is archived that is another table's; -EIO where
 * what is read or stored is not what it was. Blocks, for long.
 */
int archive_copy(struct archive_copy *c, struct manifest *out, struct err *err);

#endif
