/* SPDX-License-Identifier: Apache-2.0 */
/* Writing sections of a run page by page, with the pages' checksums. Internal to run_writer.c. */
#ifndef LAKE_INDEX_PAGE_STREAM_H
#define LAKE_INDEX_PAGE_STREAM_H

#include "base/limits.h"
#include "lake/index/run.h"
#include "lake/index/run_format.h"

#define PAGE_STREAM_BYTES (16 * RUN_PAGE_BYTES)

/* The file, and the checksums of its pages as far as they are written. */
struct page_sums {
    int fd;
    uint32_t *at; /* the owner's, to be freed */
    size_t capacity;
};

/* A section that is being written. Several may be at a time, in different places. */
struct page_stream {
    uint64_t first_page, page; /* of the section; that the buffer goes to */
    uint64_t bytes;            /* put so far */
    size_t fill;
    uint8_t buffer[PAGE_STREAM_BYTES];
};

void page_stream_begin(struct page_stream *s, uint64_t page);
int page_stream_put(struct page_sums *sums, struct page_stream *s, const void *data, size_t n,
                    struct err *err);
/* Writes what is left, filled up with zeros; s->page is the page behind it then. */
int page_stream_end(struct page_sums *sums, struct page_stream *s, struct err *err);

#endif
