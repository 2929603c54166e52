/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of column chunks, written one after the other to a sink; the counterpart of parquet_page.h.
 *
 *   init -> chunk -> [dictionary] -> { copy | head | begin, levels, ..., end } ... -> chunk ... ->
 * done
 *
 * What is written is counted in a struct present_chunk, from which the footer is made. Memory: one
 * page three times (its values, with its levels, compressed). Pure but for the sink; one thread.
 */
#ifndef LAKE_FORMAT_PARQUET_PAGE_WRITE_H
#define LAKE_FORMAT_PARQUET_PAGE_WRITE_H

#include "lake/format/codec.h"
#include "lake/format/parquet_encode.h"
#include "lake/format/parquet_page.h"
#include "lake/format/present.h"

/* Where the bytes go, in order. write: all of them, 0 or -errno. rewind: what was written is
 * forgotten, and it begins anew; NULL: it cannot. */
struct parquet_sink {
    int (*write)(void *arg, struct slice bytes, struct err *err);
    int (*rewind)(void *arg, struct err *err);
    void *arg;
};

struct parquet_page_writer {
    const struct parquet_sink *sink;
    uint64_t at; /* bytes written */
    enum codec_effort effort;
    /* Of the chunk. */
    struct present_chunk *chunk;
    uint8_t max_repetition, max_definition;
    /* Of the page. */
    uint32_t cells, nulls, rows;
    struct buf repetition, definition, values;
    struct parquet_hybrid_writer repetitions, definitions;
    struct buf header, plain, body;
};

/* Everything is written to the sink, which is borrowed. */
void parquet_page_writer_init(struct parquet_page_writer *w, const struct parquet_sink *sink);
void parquet_page_writer_done(struct parquet_page_writer *w);
DEFINE_AUTO_DONE(parquet_page_writer, struct parquet_page_writer, parquet_page_writer_done)

/* Bytes of our own between pages. */
int parquet_page_write_raw(struct parquet_page_writer *w, struct slice bytes, struct err *err);

/* The pages that follow are those of a chunk of that node; counted in `chunk`, borrowed. */
void parquet_page_write_chunk(struct parquet_page_writer *w, const struct parquet_node *node,
                              uint32_t codec, struct present_chunk *chunk);

/* How a page is to be written. */
struct parquet_page_form {
    bool v2, plain, crc; /* as in struct parquet_page */
    uint32_t encoding;   /* enum parquet_encoding */
};

/* A page as it is stored, header included. */
int parquet_page_write_copy(struct parquet_page_writer *w, const struct parquet_page *page,
                            struct err *err);

/* A data page as it is stored, but for what its header says of the values (statistics). */
int parquet_page_write_head(struct parquet_page_writer *w, const struct parquet_page *page,
                            struct err *err);

/* The dictionary: `data` are n values. */
int parquet_page_write_dictionary(struct parquet_page_writer *w,
                                  const struct parquet_page_form *form, struct slice data,
                                  uint32_t n, struct err *err);

/*
 * A data page: its levels, batch after batch, then its values, which the caller appends to
 * w->values between begin and end. Levels that the leaf does not have may be NULL.
 */
void parquet_page_write_begin(struct parquet_page_writer *w);
void parquet_page_write_levels(struct parquet_page_writer *w, const uint32_t *repetition,
                               const uint32_t *definition, size_t n);
int parquet_page_write_end(struct parquet_page_writer *w, const struct parquet_page_form *form,
                           struct err *err);

#endif
