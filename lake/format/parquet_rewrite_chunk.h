/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One column chunk of a presented file: the stored one without the rows that are gone, and with its
 * values converted and masked. Of each page, by its rows:
 *
 *   all stay, not converted   copied as it is stored
 *   all are gone              left out
 *   else                      its cells go through in batches: levels and values of rows that stay
 *                             are encoded again as they were, dictionary indices as indices
 *
 * Where words of the dictionary get other indices (parquet_rewrite_words.h), pages of indices are
 * encoded again in any case.
 *
 * Rows of repeated leaves are counted by their repetition levels; a row may go on over pages.
 */
#ifndef LAKE_FORMAT_PARQUET_REWRITE_CHUNK_H
#define LAKE_FORMAT_PARQUET_REWRITE_CHUNK_H

#include "lake/format/parquet_convert.h"
#include "lake/format/parquet_page_write.h"
#include "lake/format/parquet_rewrite_words.h"

/* The rows of a row group. */
struct parquet_rows {
    uint64_t n, kept;     /* kept > 0 */
    const uint64_t *gone; /* a bit for each; NULL: all stay */
};

struct parquet_chunk_writer {
    const struct present_plan *plan;
    struct parquet_page_writer out;
    bool compact; /* values that become wider are written so that they take less room */
    bool tight;   /* so is whatever is not copied: compressed well, where it was quickly */
    struct parquet_pages pages;
    struct parquet_values values;
    struct parquet_encoder encoder;
    struct parquet_convert convert;
    struct parquet_words words;
    bool prune;        /* words that only rows have which are gone are left out */
    uint64_t consumed; /* bytes of the stored file's pages that were gone through */
    /* Of the chunk. */
    const struct present_leaf *leaf;
    const struct parquet_node *from, *to; /* from: of its source */
    struct parquet_rows rows;
    uint64_t row; /* the next one to begin */
    bool keep;    /* the row that is open stays */
    bool touched; /* some page is not as it was stored */
    uint32_t dictionary_n;
    /* Of the page. */
    struct parquet_hybrid repetitions, definitions;
    /* One batch. */
    uint32_t repetition[PARQUET_BATCH], definition[PARQUET_BATCH], indices[PARQUET_BATCH];
    bool kept[PARQUET_BATCH];
    bool all_present; /* each cell has a value */
    union parquet_value batch[PARQUET_BATCH];
};

/* Source, plan and sink are borrowed. NULL: out of memory. */
struct parquet_chunk_writer *parquet_chunk_writer_new(const struct source *source,
                                                      const struct present_plan *plan,
                                                      const struct parquet_sink *sink);
void parquet_chunk_writer_free(struct parquet_chunk_writer *w);
DEFINE_AUTO(parquet_chunk_writer, struct parquet_chunk_writer *, parquet_chunk_writer_free)

/* Writes leaf `leaf` of the plan, of the stored row group `group`. Errors as parquet_rewrite.h. */
int parquet_chunk_write(struct parquet_chunk_writer *w, size_t group, size_t leaf,
                        const struct parquet_rows *rows, struct present_chunk *chunk,
                        struct err *err);

/* What parquet_fill.c and parquet_rewrite_words.c take of it. */

/* How many of the rows from .. to - 1 are gone. */
uint64_t parquet_rows_gone(const struct parquet_rows *rows, uint64_t from, uint64_t to);
bool parquet_chunk_is_indexed(uint32_t encoding);
/* Pages may stay compressed as they are. */
bool parquet_chunk_keeps_codec(const struct parquet_chunk_writer *w);

/* Starts the source's pages. */
int parquet_chunk_source(struct parquet_chunk_writer *w, size_t group, struct err *err);
/* Starts a page, unpacked. */
void parquet_chunk_levels(struct parquet_chunk_writer *w, const struct parquet_page *page);
/* The next n (at most PARQUET_BATCH) cells of the page: their levels, and which of them stay. */
int parquet_chunk_cells(struct parquet_chunk_writer *w, size_t n, struct err *err);
/* The levels of those cells are the first *cells afterwards; kept[] is of their *values values. */
void parquet_chunk_select(struct parquet_chunk_writer *w, size_t n, size_t *cells, size_t *values);
/* After the last page: -EIO where the pages had fewer rows than the row group. */
int parquet_chunk_all_rows(const struct parquet_chunk_writer *w, struct err *err);

#endif
