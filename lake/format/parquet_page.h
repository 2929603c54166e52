/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages of one column chunk, in order: header, checksum, decompression, and the split into
 * levels and values.
 *
 *   file    ...[header|page][header|page]...      read through a window of about 1 MiB
 *   v1      compressed( length|repetition, length|definition, values )
 *   v2      repetition, definition, compressed( values )
 *
 * Memory: the window (a page, where that is larger), one decompressed page, one dictionary page.
 * Init once per leaf, start once per row group. One thread.
 */
#ifndef LAKE_FORMAT_PARQUET_PAGE_H
#define LAKE_FORMAT_PARQUET_PAGE_H

#include "lake/format/parquet_footer.h"

/* parquet.thrift: enum PageType. */
enum parquet_page_type {
    PARQUET_PAGE_DATA,
    PARQUET_PAGE_INDEX,
    PARQUET_PAGE_DICTIONARY,
    PARQUET_PAGE_DATA_V2,
};

struct parquet_room {
    uint8_t *at;
    size_t size;
};

struct parquet_pages {
    const struct source *source;
    uint64_t end;         /* of the chunk */
    uint64_t page_at;     /* of the last page, in the file */
    uint64_t at;          /* the file's next byte that is not in the window */
    size_t start, filled; /* of the window: what lies between was not used yet */
    uint64_t cells_left;  /* of the chunk, in pages that come yet */
    uint32_t codec;
    bool repeats, optional; /* pages have repetition, definition levels */
    bool first;             /* no page was read yet */
    struct parquet_room window, page, dictionary;
};

struct parquet_page {
    bool dictionary;             /* else a data page */
    bool v2;                     /* a data page of the second version */
    bool plain;                  /* of v2: whatever the codec, the values are not compressed */
    bool has_crc;                /* and it was right */
    uint32_t values;             /* cells of a data page, values of a dictionary */
    uint32_t encoding;           /* enum parquet_encoding, or a number that is not known */
    uint32_t nulls, rows;        /* of v2, as the header says */
    uint32_t level_encodings[2]; /* of repetition and definition, in v1 */
    uint32_t size;               /* uncompressed, levels included, without header */
    struct slice header, body;   /* as stored; until the next page */
    /* Valid until the next page; a dictionary's data until the next start. Never NULL. Of v1 only
     * there after parquet_pages_unpack, as the data of v2. */
    struct slice repetition, definition, data;
};

void parquet_pages_init(struct parquet_pages *p, const struct source *source,
                        const struct parquet_node *leaf);
void parquet_pages_done(struct parquet_pages *p);

/* Goes on with another leaf of the same file; the memory is used again. */
void parquet_pages_leaf(struct parquet_pages *p, const struct parquet_node *leaf);

/* Goes to the start of a chunk, whose bytes must lie before data_end in the file. */
int parquet_pages_start(struct parquet_pages *p, const struct parquet_chunk *chunk,
                        uint64_t data_end, struct err *err);

/* The next page: 1, 0 at the end (all the chunk's cells were given), or -errno as parquet.h. Of the
 * last one `header` and `body` may be empty: what is as it is stored is not kept. */
int parquet_pages_next(struct parquet_pages *p, struct parquet_page *page, struct err *err);

/* The same in two steps: the page as it is stored, and, where it is wanted, what is in it. */
int parquet_pages_next_stored(struct parquet_pages *p, struct parquet_page *page, struct err *err);
int parquet_pages_unpack(struct parquet_pages *p, struct parquet_page *page, struct err *err);

#endif
