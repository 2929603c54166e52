/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest metadata of a table: asked of its catalog, or found in its directory
 * (lake/iceberg/find.h), and read only where it is another one than what was heard before.
 *
 * Of several files of which the names do not tell which is the newest, it is the one that was
 * written last by its own word (last-updated-ms), and of those the one with the greater name.
 */
#ifndef LAKE_ICEBERG_NEWEST_H
#define LAKE_ICEBERG_NEWEST_H

#include "base/limits.h"
#include "lake/driver.h"
#include "lake/iceberg/metadata.h"
#include "lake/iceberg/path.h"

/* What was heard: the same mark is the same metadata. */
struct iceberg_heard {
    uint64_t mark;             /* 0: nothing yet */
    char etag[ETAG_BYTES_MAX]; /* of the catalog's answer; empty: not told */
};

/* Who is asked; borrowed. */
struct iceberg_asked {
    struct store *store;
    const char *prefix;
    const struct iceberg_root *root;   /* for files that a catalog names */
    const struct table_source *source; /* NULL: the directory */
};

/*
 * *out: the metadata, a new reference, and *heard what to compare the next answer with; or NULL
 * where it is what was heard (as it comes in *heard). Blocks; any thread. -EBADMSG where what is
 * there is damaged, -EOPNOTSUPP a format version that is not read, -ENOENT the catalog has no such
 * table; the store's.
 */
int iceberg_newest(const struct iceberg_asked *asked, struct iceberg_heard *heard,
                   struct iceberg_metadata **out, struct err *err);

/* One metadata file, by its key: -EBADMSG where it is damaged; the store's. Blocks. */
int iceberg_newest_read(struct store *store, const char *key, struct iceberg_metadata **out,
                        struct err *err);

#endif
