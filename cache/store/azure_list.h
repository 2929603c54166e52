/* SPDX-License-Identifier: Apache-2.0 */
/* The XML that Azure answers List Blobs with. Pure. */
#ifndef CACHE_STORE_AZURE_LIST_H
#define CACHE_STORE_AZURE_LIST_H

#include "base/arena.h"
#include "base/limits.h"
#include "base/vec.h"

#define AZURE_PAGE_ENTRIES_MAX 5000
/* As many entries with names of 1,024 characters, metadata of 8 KiB and their frame. */
#define AZURE_PAGE_BYTES_MAX (64 * MIB)

struct azure_line {
    struct slice name; /* whole, with the store's prefix */
    bool is_prefix;
    bool is_directory; /* an entry that stands for a directory and is nobody's object */
    uint64_t size;
    int64_t mtime_ms;  /* 0: not told */
    struct slice etag; /* with quotes, as the field ETag has it; empty: not told */
};

/* One page; everything lives in its arena. */
struct azure_page {
    struct arena arena;
    VEC(struct azure_line) lines;
    char *marker; /* of the next page; NULL: there is none */
};

void azure_page_init(struct azure_page *page);
void azure_page_done(struct azure_page *page);
DEFINE_AUTO_DONE(azure_page, struct azure_page, azure_page_done)

/* Fills a page that was just initialised. -EIO for what is no such page. */
int azure_page_parse(struct slice xml, struct azure_page *page, struct err *err);

#endif
