/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/parquet_rewrite_chunk.h"

#include "base/limits.h"
#include "lake/format/parquet_fill.h"

struct parquet_chunk_writer *parquet_chunk_writer_new(const struct source *source,
                                                      const struct present_plan *plan,
                                                      const struct parquet_sink *sink)
{
    struct parquet_chunk_writer *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->plan = plan;
    w->prune = plan->confined && plan->deletes;
    parquet_page_writer_init(&w->out, sink);
    parquet_pages_init(&w->pages, source, &plan->stored->nodes[0]);
    return w;
}

void parquet_chunk_writer_free(struct parquet_chunk_writer *w)
{
    if (!w)
        return;
    parquet_page_writer_done(&w->out);
    parquet_pages_done(&w->pages);
    parquet_values_done(&w->values);
    parquet_encoder_done(&w->encoder);
    parquet_convert_done(&w->convert);
    parquet_words_done(&w->words);
    free(w);
}

/* Rows */

static bool is_gone(const struct parquet_rows *rows, uint64_t row)
{
    return rows->gone && (rows->gone[row / 64] >> (row % 64) & 1);
}

uint64_t parquet_rows_gone(const struct parquet_rows *rows, uint64_t from, uint64_t to)
{
    uint64_t n = 0;
    if (!rows->gone || from >= to)
        return 0;
    uint64_t first = from / 64, last = (to - 1) / 64;
    for (uint64_t i = first; i <= last; i++) {
        uint64_t bits = rows->gone[i];
        if (i == first)
            bits &= ~0ULL << (from % 64);
        if (i == last)
            bits &= ~0ULL >> (63 - (to - 1) % 64);
        n += (uint64_t)__builtin_popcountll(bits);
    }
    return n;
}

/* Flat leaves: a cell is a row. */
static int mark_flat(struct parquet_chunk_writer *w, size_t n, struct err *err)
{
    if (n > w->rows.n - w->row)
        return err_set(err, EIO, "more rows than the row group's %ju", (uintmax_t)w->rows.n);
    if (!w->rows.gone)
        memset(w->kept, true, n * sizeof *w->kept);
    else
        for (size_t done = 0; done < n;) {
            unsigned bit = (unsigned)((w->row + done) % 64);
            uint64_t stay = ~w->rows.gone[(w->row + done) / 64] >> bit;
            size_t take = 64 - bit < n - done ? 64 - bit : n - done;
            for (size_t i = 0; i < take; i++)
                w->kept[done + i] = stay >> i & 1;
            done += take;
        }
    w->row += n;
    return 0;
}

static int mark_repeated(struct parquet_chunk_writer *w, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (w->repetition[i] == 0) {
            if (w->row == w->rows.n)
                return err_set(err, EIO, "more rows than the row group's %ju",
                               (uintmax_t)w->rows.n);
            w->keep = !is_gone(&w->rows, w->row++);
        } else if (w->row == 0) {
            return err_set(err, EIO, "the row group begins inside a row");
        }
        w->kept[i] = w->keep;
    }
    return 0;
}

/* Cells */

void parquet_chunk_levels(struct parquet_chunk_writer *w, const struct parquet_page *page)
{
    parquet_hybrid_init(&w->repetitions, page->repetition,
                        parquet_bit_width(w->from->max_repetition));
    parquet_hybrid_init(&w->definitions, page->definition,
                        parquet_bit_width(w->from->max_definition));
}

/* *lowest: of them. */
static int get_levels(struct parquet_hybrid *h, uint32_t *out, size_t n, uint32_t max,
                      uint32_t *lowest, struct err *err)
{
    uint32_t highest = 0, low = UINT32_MAX;
    if (!parquet_hybrid_get(h, out, n))
        return err_set(err, EIO, "fewer levels than values");
    for (size_t i = 0; i < n; i++) {
        highest = out[i] > highest ? out[i] : highest;
        low = out[i] < low ? out[i] : low;
    }
    *lowest = low;
    return highest > max ? err_set(err, EIO, "level %u, the schema has %u", highest, max) : 0;
}

int parquet_chunk_cells(struct parquet_chunk_writer *w, size_t n, struct err *err)
{
    uint32_t lowest = 0;
    int rc = 0;
    if (w->from->max_repetition)
        rc = get_levels(&w->repetitions, w->repetition, n, w->from->max_repetition, &lowest, err);
    lowest = 0;
    if (rc == 0 && w->from->max_definition)
        rc = get_levels(&w->definitions, w->definition, n, w->from->max_definition, &lowest, err);
    if (rc < 0)
        return rc;
    w->all_present = lowest == w->from->max_definition;
    return w->from->max_repetition ? mark_repeated(w, n, err) : mark_flat(w, n, err);
}

/* How many rows begin in the page, by its repetition levels, and whether it begins inside one. */
static int count_rows(struct parquet_chunk_writer *w, const struct parquet_page *page,
                      uint64_t *rows, bool *goes_on, struct err *err)
{
    struct parquet_hybrid h;
    uint64_t n = 0;
    *goes_on = true;
    parquet_hybrid_init(&h, page->repetition, parquet_bit_width(w->from->max_repetition));
    for (uint32_t done = 0; done < page->values;) {
        uint32_t take = page->values - done < PARQUET_BATCH ? page->values - done : PARQUET_BATCH;
        uint32_t lowest;
        int rc = get_levels(&h, w->repetition, take, w->from->max_repetition, &lowest, err);
        if (rc < 0)
            return rc;
        for (uint32_t i = 0; i < take; i++)
            n += w->repetition[i] == 0;
        if (done == 0)
            *goes_on = w->repetition[0] > 0;
        done += take;
    }
    *rows = n;
    return 0;
}

bool parquet_chunk_is_indexed(uint32_t encoding)
{
    return encoding == PARQUET_PLAIN_DICTIONARY || encoding == PARQUET_RLE_DICTIONARY;
}

void parquet_chunk_select(struct parquet_chunk_writer *w, size_t n, size_t *cells, size_t *values)
{
    bool repeated = w->from->max_repetition > 0, sparse = !w->all_present;
    uint32_t max = w->from->max_definition;
    size_t out = 0, present = sparse ? 0 : n;
    for (size_t i = 0; i < n && (repeated || sparse); i++) {
        bool kept = w->kept[i];
        if (sparse) {
            uint32_t definition = w->definition[i];
            w->definition[out] = definition;
            w->kept[present] = kept;
            present += definition == max;
        }
        if (repeated)
            w->repetition[out] = w->repetition[i];
        out += kept;
    }
    for (size_t i = 0; i < n && !repeated && !sparse; i++)
        out += w->kept[i];
    *cells = out;
    *values = present;
}

static int put_indices(struct parquet_chunk_writer *w, size_t n, struct err *err)
{
    size_t out = 0;
    bool good = parquet_hybrid_get(&w->values.hybrid, w->indices, n);
    for (size_t i = 0; i < n && good; i++) {
        uint32_t index = w->indices[i];
        good = index < w->dictionary_n;
        w->indices[out] = index;
        out += w->kept[i];
    }
    if (good && w->words.mapped)
        good = parquet_words_map(&w->words, w->indices, out);
    if (!good)
        return err_set(err, EIO, "damaged dictionary indices");
    parquet_encoder_indices(&w->encoder, w->indices, out);
    return 0;
}

/* Values that need not even be looked at. */
static int put_plain(struct parquet_chunk_writer *w, size_t n, struct err *err)
{
    const uint8_t *plain = parquet_values_plain(&w->values, n);
    if (!plain)
        return err_set(err, EIO, "damaged values in encoding %u", PARQUET_PLAIN);
    parquet_encoder_select(&w->encoder, plain, w->kept, n);
    return 0;
}

static int put_values(struct parquet_chunk_writer *w, size_t n, struct err *err)
{
    if (w->leaf->how == PRESENT_COPY && w->values.encoding == PARQUET_PLAIN && w->values.length)
        return put_plain(w, n, err);
    int rc = parquet_values_get(&w->values, w->batch, n, err);
    if (rc < 0)
        return rc;
    if (w->rows.gone) {
        size_t out = 0;
        for (size_t i = 0; i < n; i++) {
            w->batch[out] = w->batch[i];
            out += w->kept[i];
        }
        n = out;
    }
    rc = parquet_convert_batch(&w->convert, w->batch, n, err);
    if (rc == 0)
        parquet_encoder_put(&w->encoder, w->batch, n);
    return rc;
}

/* Pages */

bool parquet_chunk_keeps_codec(const struct parquet_chunk_writer *w)
{
    return w->out.chunk->codec == w->pages.codec;
}

/* The encoding of the new type's values: the old one where it can be. */
static uint32_t new_encoding(const struct parquet_chunk_writer *w, uint32_t old)
{
    if (w->leaf->how == PRESENT_COPY || parquet_chunk_is_indexed(old))
        return old;
    if (w->compact && w->to->type == PARQUET_INT64)
        return PARQUET_DELTA_BINARY_PACKED;
    if (w->compact && w->to->type == PARQUET_DOUBLE)
        return PARQUET_BYTE_STREAM_SPLIT;
    if (w->compact && w->to->type == PARQUET_FIXED_LEN_BYTE_ARRAY)
        return PARQUET_DELTA_BYTE_ARRAY;
    /* Fewer readers know bytes that are split than numbers. */
    bool widely_known = old != PARQUET_BYTE_STREAM_SPLIT || w->to->type == w->from->type ||
                        w->to->type != PARQUET_FIXED_LEN_BYTE_ARRAY;
    return widely_known && parquet_encoding_fits(old, w->to->type) ? old : PARQUET_PLAIN;
}

/* The page's cells, decoded, without rows that are gone, and encoded again. */
static int rewrite_page(struct parquet_chunk_writer *w, const struct parquet_page *page,
                        struct err *err)
{
    struct parquet_page_form form = {page->v2, page->plain && parquet_chunk_keeps_codec(w),
                                     page->has_crc, new_encoding(w, page->encoding)};
    bool indexed = parquet_chunk_is_indexed(page->encoding);
    int rc = parquet_values_start(&w->values, page->encoding, page->data, err);
    unsigned width = w->words.mapped ? parquet_words_width(&w->words) : w->values.hybrid.width;
    if (rc == 0)
        rc = parquet_encoder_start(&w->encoder, form.encoding, indexed ? width : 0, err);
    parquet_chunk_levels(w, page);
    parquet_page_write_begin(&w->out);
    for (uint32_t left = page->values; rc == 0 && left;) {
        size_t n = parquet_values_batch(&w->values), cells, values;
        n = n < left ? n : left;
        rc = parquet_chunk_cells(w, n, err);
        if (rc < 0)
            return rc;
        parquet_chunk_select(w, n, &cells, &values);
        parquet_page_write_levels(&w->out, w->repetition, w->definition, cells);
        rc = indexed ? put_indices(w, values, err) : put_values(w, values, err);
        left -= (uint32_t)n;
    }
    if (rc == 0)
        rc = parquet_encoder_end(&w->encoder, &w->out.values, err);
    if (rc == 0 && w->out.cells)
        rc = parquet_page_write_end(&w->out, &form, err);
    return rc;
}

/* A page of which all rows stay. */
static int keep_page(struct parquet_chunk_writer *w, struct parquet_page *page, struct err *err)
{
    if (w->leaf->how == PRESENT_COPY)
        return parquet_page_write_copy(&w->out, page, err);
    return parquet_page_write_head(&w->out, page, err);
}

static bool keeps_pages(const struct parquet_chunk_writer *w, const struct parquet_page *page)
{
    if (!parquet_chunk_keeps_codec(w))
        return false;
    return parquet_chunk_is_indexed(page->encoding) ? !w->words.mapped
                                                    : w->leaf->how == PRESENT_COPY;
}

/* Whatever pages come. */
static bool keeps_all_pages(const struct parquet_chunk_writer *w)
{
    return parquet_chunk_keeps_codec(w) && w->leaf->how == PRESENT_COPY && !w->words.mapped;
}

static int write_data(struct parquet_chunk_writer *w, struct parquet_page *page, struct err *err)
{
    bool repeated = w->from->max_repetition > 0, unpacked = false, goes_on = false;
    bool keeps = keeps_pages(w, page);
    uint64_t rows = page->values;
    int rc = 0;
    if (repeated && keeps_all_pages(w) && w->keep &&
        parquet_rows_gone(&w->rows, w->row, w->rows.n) == 0) {
        w->row = w->rows.n; /* whatever comes, stays: not counted any more */
        w->keep = true;
        return keep_page(w, page, err);
    }
    if (repeated) {
        rc = page->v2 ? 0 : parquet_pages_unpack(&w->pages, page, err);
        unpacked = !page->v2;
        if (rc == 0)
            rc = count_rows(w, page, &rows, &goes_on, err);
        if (rc < 0)
            return rc;
    }
    if (rows > w->rows.n - w->row)
        return err_set(err, EIO, "more rows than the row group's %ju", (uintmax_t)w->rows.n);
    uint64_t gone = parquet_rows_gone(&w->rows, w->row, w->row + rows);
    if (keeps && gone == 0 && (!goes_on || w->keep)) {
        w->row += rows;
        w->keep = true;
        return keep_page(w, page, err);
    }
    w->touched = true;
    if (gone == rows && (!goes_on || !w->keep)) {
        w->row += rows;
        w->keep = false;
        return 0;
    }
    rc = unpacked ? 0 : parquet_pages_unpack(&w->pages, page, err);
    return rc < 0 ? rc : rewrite_page(w, page, err);
}

static int write_dictionary(struct parquet_chunk_writer *w, struct parquet_page *page,
                            struct err *err)
{
    if (page->encoding != PARQUET_PLAIN && page->encoding != PARQUET_PLAIN_DICTIONARY)
        return err_set(err, EOPNOTSUPP, "a dictionary in encoding %u is not supported",
                       page->encoding);
    w->dictionary_n = page->values;
    return parquet_words_write(w, page, err);
}

/* Chunks */

int parquet_chunk_source(struct parquet_chunk_writer *w, size_t group, struct err *err)
{
    parquet_pages_leaf(&w->pages, w->from);
    return parquet_pages_start(&w->pages, &w->plan->stored->chunks[group][w->leaf->source],
                               w->plan->object_bytes, err);
}

int parquet_chunk_all_rows(const struct parquet_chunk_writer *w, struct err *err)
{
    if (w->row != w->rows.n)
        return err_set(err, EIO, "%ju rows of the row group's %ju", (uintmax_t)w->row,
                       (uintmax_t)w->rows.n);
    return 0;
}

/* Of numbers that stay as they are only the bits matter: a NaN's, too. */
static enum parquet_type bits_type(enum parquet_type type)
{
    return type == PARQUET_FLOAT ? PARQUET_INT32 : type == PARQUET_DOUBLE ? PARQUET_INT64 : type;
}

static int start_values(struct parquet_chunk_writer *w, struct err *err)
{
    bool copy = w->leaf->how == PRESENT_COPY;
    enum parquet_type from = w->from->type, to = w->to->type;
    parquet_values_done(&w->values);
    parquet_encoder_done(&w->encoder);
    parquet_convert_done(&w->convert);
    parquet_values_init(&w->values, copy ? bits_type(from) : from, w->from->type_length);
    parquet_encoder_init(&w->encoder, copy ? bits_type(to) : to, w->to->type_length);
    return parquet_convert_init(&w->convert, w->leaf, w->from, w->to, err);
}

static int write_pages(struct parquet_chunk_writer *w, size_t group, struct err *err)
{
    struct parquet_page page;
    int rc = start_values(w, err);
    if (rc == 0 && w->prune)
        rc = parquet_words_find(w, group, err);
    if (rc == 0)
        rc = parquet_chunk_source(w, group, err);
    if (rc < 0)
        return rc;
    w->touched = w->leaf->how != PRESENT_COPY || !parquet_chunk_keeps_codec(w);
    while ((rc = parquet_pages_next_stored(&w->pages, &page, err)) > 0) {
        rc = page.dictionary ? write_dictionary(w, &page, err) : write_data(w, &page, err);
        if (rc < 0)
            return err_wrap(err, "page at byte %ju", (uintmax_t)w->pages.page_at);
        w->consumed += page.header.n + page.body.n;
    }
    w->out.chunk->untouched = !w->touched;
    return rc < 0 ? rc : parquet_chunk_all_rows(w, err);
}

/* What must take less room is compressed well. What is slow to compress is written by a codec that
 * is not, as long as there is room; so are hashes of text, of which there is nothing but their
 * digits to compress. In those of numbers there is nothing. */
static uint32_t new_codec(const struct parquet_chunk_writer *w, uint32_t old)
{
    bool fast = old == CODEC_UNCOMPRESSED || old == CODEC_SNAPPY || old == CODEC_LZ4 ||
                old == CODEC_LZ4_RAW;
    bool slow = old == CODEC_GZIP || old == CODEC_BROTLI;
    bool converts = w->leaf->how != PRESENT_COPY;
    bool changes = w->rows.gone || w->prune || converts;
    bool better = (w->compact && converts) || (w->tight && changes);
    bool digits = mask_is_hash(w->leaf->mask.how) && w->to->type == PARQUET_BYTE_ARRAY;
    bool other = digits || (fast && better) || (slow && changes && !w->tight);
    return other ? CODEC_ZSTD : old;
}

int parquet_chunk_write(struct parquet_chunk_writer *w, size_t group, size_t leaf,
                        const struct parquet_rows *rows, struct present_chunk *chunk,
                        struct err *err)
{
    const struct parquet_footer *stored = w->plan->stored;
    w->leaf = &w->plan->leaves[leaf];
    w->to = &w->plan->nodes[w->leaf->node];
    w->rows = *rows;
    w->row = 0;
    w->keep = true;
    w->dictionary_n = 0;
    w->words.found = w->words.mapped = false;
    w->from = NULL;
    uint32_t codec = CODEC_UNCOMPRESSED;
    if (w->leaf->source != PARQUET_NO_LEAF) {
        w->from = &stored->nodes[stored->leaves[w->leaf->source]];
        codec = new_codec(w, stored->chunks[group][w->leaf->source].codec);
        int rc = codec_check(codec, err);
        if (rc < 0)
            return rc;
    }
    if (mask_is_hash(w->leaf->mask.how))
        w->out.effort = w->tight ? CODEC_QUICK : CODEC_DIGITS;
    parquet_page_write_chunk(&w->out, w->to, codec, chunk);
    bool fill = w->leaf->how == PRESENT_NULLS || w->leaf->how == PRESENT_CONSTANT;
    return fill ? parquet_fill(w, group, err) : write_pages(w, group, err);
}
