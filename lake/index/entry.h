/* SPDX-License-Identifier: Apache-2.0 */
/* One file of a snapshot, as an index holds it. Slices are borrowed. */
#ifndef LAKE_INDEX_ENTRY_H
#define LAKE_INDEX_ENTRY_H

#include "base/slice.h"

/* The path was built from partition values, not taken from the metadata (design.md section 2). */
#define ENTRY_BUILT 1U
/* A built path that another file has too: `~` and 8 hex digits of the raw name's hash were put in.
 */
#define ENTRY_RENAMED 2U
/* The metadata proves that the file is presented as its object is: no rows are deleted, its columns
 * are the version's. Without it nobody knows before the footer is read. */
#define ENTRY_AS_STORED 4U
/* Some of its rows are deleted: `extra` tells the driver which. */
#define ENTRY_DELETES 8U
#define ENTRY_ALL 15U

struct entry {
    struct slice path;  /* as presented below the table: no `/` in front, no empty component */
    struct slice raw;   /* the object as the metadata names it; often the same bytes as path */
    struct slice extra; /* the driver's own bytes: an ETag, a deletion vector; usually empty. What
                         * follows a newline is no part of the file's identity */
    uint64_t size;
    int64_t mtime_ms; /* that is shown: the object's, or of the commit that changed what is left of
                       * its rows */
    int64_t version;  /* that added it, or the oldest that is known to hold it */
    uint32_t flags;   /* ENTRY_* */
};

#endif
