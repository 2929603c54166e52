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

struct entry {
    struct slice path;  /* as presented below the table: no `/` in front, no empty component */
    struct slice raw;   /* the object as the metadata names it; often the same bytes as path */
    struct slice extra; /* the driver's own bytes: an ETag, a deletion vector; usually empty. What
                         * follows a newline is no part of the file's identity */
    uint64_t size;
    int64_t mtime_ms;
    int64_t version; /* that added it, or the oldest that is known to hold it */
    uint32_t flags;  /* ENTRY_* */
};

#endif
