/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Iceberg driver: tables with a directory `metadata` of metadata files, behind lake/driver.h.
 *
 *   find, newest   which metadata file is the newest one        (a listing, a hint, a catalog)
 *   metadata       what it says                                 (pure)
 *   kept           archived snapshots that the newest metadata has forgotten
 *   history        snapshots, branches, tags and their times
 *   path           where objects lie                            (pure)
 *   schema         columns of a schema: lake/format/shape.h     (pure)
 *   partition      values of partition tuples as texts          (pure)
 *   manifest_list, manifest   which files a snapshot has        (Avro)
 *   deletes        which deletes apply to a data file; extra: how an entry tells them
 *   load           runs found or made
 *   describe       `.tarn/`
 */
#ifndef LAKE_ICEBERG_ICEBERG_H
#define LAKE_ICEBERG_ICEBERG_H

#include "base/lock.h"
#include "lake/driver.h"
#include "lake/iceberg/kept.h"
#include "lake/iceberg/metadata.h"
#include "lake/iceberg/newest.h"

extern const struct driver_ops iceberg_ops;

struct iceberg_delete_files; /* lake/iceberg/delete_files.h */

/* One table: shared by all calls of its driver. Immutable but for what is under the lock. */
struct iceberg_table {
    struct store *store;                       /* borrowed, as is all that is not under the lock */
    const char *prefix;                        /* of the table in the store: "" or ends in `/` */
    struct iceberg_root root;                  /* its location is not set: iceberg_table_root */
    int dirfd;                                 /* for runs and temporary files */
    const struct table_source *source;         /* NULL: the table's directory tells */
    struct iceberg_delete_files *delete_files; /* what is kept of them; under a lock of its own */
    struct lock lock;
    struct iceberg_metadata *newest;   /* lock: that was heard; NULL: none */
    struct iceberg_metadata *metadata; /* lock: the same, with what is archived besides */
    struct history *history;           /* lock: what it says; NULL: not asked yet */
    struct iceberg_heard heard;        /* lock */
    struct iceberg_kept kept;          /* lock */
};

/*
 * The newest metadata that was heard, a new reference. The versions of a history are of it, or of
 * an older one: a snapshot that is not in it has expired since (-ENOENT). -EIO where none was heard
 * yet. Any thread.
 */
int iceberg_table_metadata(struct iceberg_table *t, struct iceberg_metadata **out, struct err *err)
    EXCLUDES(t->lock);

/* Where the table lies by that metadata, from which it borrows. */
struct iceberg_root iceberg_table_root(const struct iceberg_table *t,
                                       const struct iceberg_metadata *m);

#endif
