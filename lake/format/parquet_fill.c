/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/parquet_fill.h"

#include "base/limits.h"

/* Cells of a page that is made of nothing: its levels are one run. */
#define CELLS_MAX ((uint64_t)1 << 20)
/* What stands in the dictionary of a constant has index 0; readers know indices of a bit best. */
#define INDEX_BITS 1

/* A constant's values: booleans as runs, others by a dictionary of one word. */
static bool has_dictionary(const struct parquet_chunk_writer *w)
{
    return w->leaf->how == PRESENT_CONSTANT && w->to->type != PARQUET_BOOLEAN;
}

static uint32_t encoding_of(const struct parquet_chunk_writer *w)
{
    if (w->leaf->how == PRESENT_NULLS)
        return PARQUET_PLAIN;
    return has_dictionary(w) ? PARQUET_RLE_DICTIONARY : PARQUET_RLE;
}

static int write_word(struct parquet_chunk_writer *w, struct err *err)
{
    struct parquet_page_form form = {.encoding = PARQUET_PLAIN};
    struct slice constant = w->leaf->constant;
    buf_reset(&w->out.values);
    if (w->to->type == PARQUET_BYTE_ARRAY) {
        uint32_t n = (uint32_t)constant.n;
        buf_add(&w->out.values, &n, sizeof n);
    }
    buf_add_slice(&w->out.values, constant);
    int rc = buf_check(&w->out.values, err);
    return rc < 0
               ? rc
               : parquet_page_write_dictionary(&w->out, &form, buf_slice(&w->out.values), 1, err);
}

static int begin(struct parquet_chunk_writer *w, struct err *err)
{
    parquet_page_write_begin(&w->out);
    return parquet_encoder_start(&w->encoder, encoding_of(w), INDEX_BITS, err);
}

/* n cells, whose levels are in the batch's arrays. */
static void put(struct parquet_chunk_writer *w, size_t n)
{
    parquet_page_write_levels(&w->out, w->repetition, w->definition, n);
    if (w->leaf->how == PRESENT_NULLS)
        return;
    size_t values = 0;
    for (size_t i = 0; i < n; i++)
        values += w->definition[i] == w->to->max_definition;
    bool truth = w->leaf->constant.n && w->leaf->constant.p[0];
    for (size_t i = 0; i < values; i++) {
        w->indices[i] = 0;
        w->batch[i].number = truth;
    }
    if (has_dictionary(w))
        parquet_encoder_indices(&w->encoder, w->indices, values);
    else
        parquet_encoder_put(&w->encoder, w->batch, values);
}

static int end(struct parquet_chunk_writer *w, const struct parquet_page *like, struct err *err)
{
    struct parquet_page_form form = {.encoding = encoding_of(w)};
    if (like) {
        form.v2 = like->v2;
        form.crc = like->has_crc;
    }
    int rc = parquet_encoder_end(&w->encoder, &w->out.values, err);
    return rc == 0 && w->out.cells ? parquet_page_write_end(&w->out, &form, err) : rc;
}

/* One cell a row. */
static int fill_rows(struct parquet_chunk_writer *w, struct err *err)
{
    for (size_t i = 0; i < PARQUET_BATCH; i++) {
        w->repetition[i] = 0;
        w->definition[i] = w->leaf->definition;
    }
    int rc = 0;
    for (uint64_t left = w->rows.kept; rc == 0 && left;) {
        uint64_t cells = left < CELLS_MAX ? left : CELLS_MAX;
        rc = begin(w, err);
        for (uint64_t done = 0; rc == 0 && done < cells;) {
            size_t n = cells - done < PARQUET_BATCH ? (size_t)(cells - done) : PARQUET_BATCH;
            put(w, n);
            done += n;
        }
        if (rc == 0)
            rc = end(w, NULL, err);
        left -= cells;
    }
    return rc;
}

/* The batch's cells become those of what is missing; how many there are. */
static size_t map_cells(struct parquet_chunk_writer *w, size_t n)
{
    const struct present_leaf *leaf = w->leaf;
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t repetition = w->from->max_repetition ? w->repetition[i] : 0;
        uint32_t definition = w->from->max_definition ? w->definition[i] : 0;
        bool kept = w->kept[i] && repetition <= leaf->repetition;
        w->repetition[out] = repetition;
        w->definition[out] = definition >= leaf->parent ? leaf->definition : definition;
        out += kept;
    }
    return out;
}

/* One page for each of the source's. */
static int fill_page(struct parquet_chunk_writer *w, struct parquet_page *page, struct err *err)
{
    int rc = parquet_pages_unpack(&w->pages, page, err);
    if (rc == 0)
        rc = begin(w, err);
    parquet_chunk_levels(w, page);
    for (uint32_t left = page->values; rc == 0 && left;) {
        uint32_t n = left < PARQUET_BATCH ? left : PARQUET_BATCH;
        rc = parquet_chunk_cells(w, n, err);
        if (rc == 0)
            put(w, map_cells(w, n));
        left -= n;
    }
    return rc < 0 ? rc : end(w, page, err);
}

static int fill_like(struct parquet_chunk_writer *w, size_t group, struct err *err)
{
    struct parquet_page page;
    int rc = parquet_chunk_source(w, group, err);
    if (rc < 0)
        return rc;
    while ((rc = parquet_pages_next_stored(&w->pages, &page, err)) > 0) {
        rc = page.dictionary ? 0 : fill_page(w, &page, err);
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? rc : parquet_chunk_all_rows(w, err);
}

int parquet_fill(struct parquet_chunk_writer *w, size_t group, struct err *err)
{
    parquet_encoder_done(&w->encoder);
    parquet_encoder_init(&w->encoder, w->to->type, w->to->type_length);
    int rc = has_dictionary(w) ? write_word(w, err) : 0;
    if (rc < 0)
        return rc;
    return w->leaf->source == PARQUET_NO_LEAF ? fill_rows(w, err) : fill_like(w, group, err);
}
