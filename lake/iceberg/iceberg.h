/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Iceberg driver: tables with `metadata/*.metadata.json`, behind lake/driver.h.
 *
 *   find           which metadata file is the newest one        (a listing, a hint)
 *   metadata       what it says                                 (pure)
 *   history        snapshots, branches, tags and their times
 *   path           where a file is shown, where its object lies (pure)
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
#include "lake/iceberg/path.h"

extern const struct driver_ops iceberg_ops;

struct iceberg_metadata;

/* One table: shared by all calls of its driver. Immutable but for the metadata. */
struct iceberg_table {
    struct store *store;      /* borrowed, as is all but the metadata */
    const char *prefix;       /* of the table in the store: "" or ends in `/` */
    struct iceberg_root root; /* its location is not set: iceberg_table_root */
    int dirfd;                /* for runs and temporary files */
    struct lock lock;
    struct iceberg_metadata *metadata; /* lock: the newest that history() has heard; NULL: none */
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
