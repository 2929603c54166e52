/* SPDX-License-Identifier: Apache-2.0 */
/* What a version needs: its log, the objects of its files, and those that its deletes are in. */
#ifndef LAKE_ARCHIVE_NEEDED_H
#define LAKE_ARCHIVE_NEEDED_H

#include "lake/archive/copy.h"

#define NEEDED_MAX ((size_t)1 << 26)

struct needed {
    char *name; /* as a list has it */
    char *key, *etag, *version;
    struct store *store;
    uint64_t size; /* UINT64_MAX: not told */
    enum archive_kind kind;
    /* set when it is archived */
    struct archive_content content;
    int64_t mtime_ms;
    char *etag_read;
};

struct needed_list {
    struct needed *at;
    size_t n, capacity, max;
    uint64_t bytes; /* of those whose size is told */
    bool outside;   /* some lie outside of the table's directory */
};

void needed_done(struct needed_list *l);
DEFINE_AUTO_DONE(needed, struct needed_list, needed_done)

/* In order of names, no name twice. Blocks. */
int needed_find(const struct archive_copy *c, struct slice table_url, struct needed_list *out,
                struct err *err);

#endif
