/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dictionary of a chunk, made anew where its words may not stay as they are:
 *
 *   converted   each word becomes another one, in its place
 *   masked      words that become equal are one
 *   confined    only words of rows that stay, in the order in which these rows have them, so that
 *               neither words nor their order tell of others. The chunk's pages are gone through
 *               once more before, until every word was met
 *
 * Memory: 28 bytes for each stored word, of which there are at most PARQUET_WORDS_MAX then.
 */
#ifndef LAKE_FORMAT_PARQUET_REWRITE_WORDS_H
#define LAKE_FORMAT_PARQUET_REWRITE_WORDS_H

#include "lake/format/parquet_page.h"
#include "lake/format/parquet_values.h"

#define PARQUET_WORDS_MAX ((uint32_t)1 << 24)
#define PARQUET_NO_WORD UINT32_MAX

struct parquet_chunk_writer;

struct parquet_words {
    bool found;        /* those of rows that stay are in `order` */
    bool mapped;       /* indices change: `index` */
    uint32_t stored_n; /* words of the stored dictionary */
    uint32_t n;        /* of the new one */
    uint32_t capacity; /* stored words for which there is room below */
    uint32_t *index;   /* by stored word: the new one, or PARQUET_NO_WORD */
    uint32_t *order;   /* stored words that stay, in their new order */
    uint32_t order_n;
    uint32_t *starts;            /* of new words in the page */
    union parquet_value *values; /* by stored word */
    uint32_t *slots;             /* a hash table of new words */
    size_t slots_n;              /* a power of two */
};

void parquet_words_done(struct parquet_words *d);

/* Before the chunk's pages are written: which words rows that stay have. */
int parquet_words_find(struct parquet_chunk_writer *w, size_t group, struct err *err);

/* Writes the dictionary; `page` as stored. -EOVERFLOW over PARQUET_WORDS_MAX. */
int parquet_words_write(struct parquet_chunk_writer *w, struct parquet_page *page, struct err *err);

/* Bits of the new indices, and n indices of cells that stay, which become the new ones; false where
 * one has no word. */
unsigned parquet_words_width(const struct parquet_words *d);
bool parquet_words_map(const struct parquet_words *d, uint32_t *indices, size_t n);

#endif
