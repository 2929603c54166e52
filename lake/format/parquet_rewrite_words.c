/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/parquet_rewrite_words.h"

#include "base/hash.h"
#include "base/limits.h"
#include "lake/format/parquet_rewrite_chunk.h"

void parquet_words_done(struct parquet_words *d)
{
    free(d->index);
    free(d->order);
    free(d->starts);
    free(d->values);
    free(d->slots);
    *d = (struct parquet_words){.found = false};
}

static int grow(struct parquet_words *d, uint32_t n, struct err *err)
{
    if (n <= d->capacity)
        return 0;
    struct parquet_words more = {.found = d->found, .capacity = n};
    more.index = reallocarray(NULL, n, sizeof *more.index);
    more.order = reallocarray(NULL, n, sizeof *more.order);
    more.starts = reallocarray(NULL, n, sizeof *more.starts);
    more.values = reallocarray(NULL, n, sizeof *more.values);
    parquet_words_done(d);
    *d = more;
    if (d->index && d->order && d->starts && d->values)
        return 0;
    parquet_words_done(d);
    return err_set(err, ENOMEM, "out of memory");
}

/* Forgets the words of the chunk before; there is room for those of the page, which is unpacked. */
static int start_words(struct parquet_chunk_writer *w, const struct parquet_page *page,
                       struct err *err)
{
    struct parquet_words *d = &w->words;
    if (page->values > PARQUET_WORDS_MAX)
        return err_set(err, EOVERFLOW, "a dictionary of %u words, permitted are %u", page->values,
                       PARQUET_WORDS_MAX);
    /* What is allocated goes by bytes that are there. */
    if (w->from->type == PARQUET_BOOLEAN || page->values > page->data.n)
        return err_set(err, EIO, "a damaged dictionary: %u words in %zu bytes", page->values,
                       page->data.n);
    int rc = grow(d, page->values, err);
    if (rc < 0)
        return rc;
    d->stored_n = page->values;
    d->order_n = 0;
    for (uint32_t i = 0; i < d->stored_n; i++)
        d->index[i] = PARQUET_NO_WORD;
    return 0;
}

/* Which words stay */

static int note_indices(struct parquet_chunk_writer *w, size_t n, struct err *err)
{
    struct parquet_words *d = &w->words;
    bool good = parquet_hybrid_get(&w->values.hybrid, w->indices, n);
    for (size_t i = 0; i < n && good; i++) {
        uint32_t word = w->indices[i];
        good = word < d->stored_n;
        if (good && w->kept[i] && d->index[word] == PARQUET_NO_WORD) {
            d->index[word] = d->order_n;
            d->order[d->order_n++] = word;
        }
    }
    return good ? 0 : err_set(err, EIO, "damaged dictionary indices");
}

static int note_cells(struct parquet_chunk_writer *w, const struct parquet_page *page,
                      struct err *err)
{
    bool indexed = parquet_chunk_is_indexed(page->encoding);
    int rc = indexed ? parquet_values_start(&w->values, page->encoding, page->data, err) : 0;
    parquet_chunk_levels(w, page);
    for (uint32_t left = page->values; rc == 0 && left;) {
        uint32_t n = left < PARQUET_BATCH ? left : PARQUET_BATCH;
        size_t cells, values;
        rc = parquet_chunk_cells(w, n, err);
        if (rc == 0)
            parquet_chunk_select(w, n, &cells, &values);
        if (rc == 0 && indexed)
            rc = note_indices(w, values, err);
        left -= n;
    }
    return rc;
}

static int note_page(struct parquet_chunk_writer *w, struct parquet_page *page, struct err *err)
{
    bool flat = w->from->max_repetition == 0;
    if (flat && page->values > w->rows.n - w->row)
        return err_set(err, EIO, "more rows than the row group's %ju", (uintmax_t)w->rows.n);
    if (flat && (!parquet_chunk_is_indexed(page->encoding) ||
                 parquet_rows_gone(&w->rows, w->row, w->row + page->values) == page->values)) {
        w->row += page->values;
        return 0;
    }
    int rc = parquet_pages_unpack(&w->pages, page, err);
    return rc < 0 ? rc : note_cells(w, page, err);
}

int parquet_words_find(struct parquet_chunk_writer *w, size_t group, struct err *err)
{
    struct parquet_words *d = &w->words;
    struct parquet_page page;
    bool more = true;
    d->found = true;
    d->stored_n = d->order_n = 0;
    int rc = parquet_chunk_source(w, group, err);
    while (rc == 0 && more && (rc = parquet_pages_next_stored(&w->pages, &page, err)) > 0) {
        rc = 0;
        if (page.dictionary) {
            rc = parquet_pages_unpack(&w->pages, &page, err);
            if (rc == 0)
                rc = start_words(w, &page, err);
        } else if (d->stored_n) {
            rc = note_page(w, &page, err);
        }
        more = d->order_n < d->stored_n;
        if (rc < 0)
            return err_wrap(err, "page at byte %ju", (uintmax_t)w->pages.page_at);
    }
    w->row = 0;
    w->keep = true;
    return rc < 0 ? rc : 0;
}

/* All rows stay, or words of all: in their order. */
static void keep_all(struct parquet_words *d)
{
    for (uint32_t i = 0; i < d->stored_n; i++)
        d->order[i] = i;
    d->order_n = d->stored_n;
}

static bool in_order(const struct parquet_words *d)
{
    for (uint32_t i = 0; i < d->order_n; i++)
        if (d->order[i] != i)
            return false;
    return d->order_n == d->stored_n;
}

/* The new page */

static int read_words(struct parquet_chunk_writer *w, struct parquet_page *page, struct err *err)
{
    int rc = parquet_values_start(&w->values, PARQUET_PLAIN, page->data, err);
    for (uint32_t done = 0; rc == 0 && done < page->values;) {
        uint32_t n = page->values - done < PARQUET_BATCH ? page->values - done : PARQUET_BATCH;
        rc = parquet_values_get(&w->values, w->words.values + done, n, err);
        done += n;
    }
    return rc;
}

static int start_slots(struct parquet_words *d, struct err *err)
{
    size_t n = 16;
    while (n < 2 * (size_t)d->order_n)
        n *= 2;
    free(d->slots);
    d->slots_n = n;
    d->slots = reallocarray(NULL, n, sizeof *d->slots);
    if (!d->slots)
        return err_set(err, ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        d->slots[i] = PARQUET_NO_WORD;
    return 0;
}

/* New words lie one behind the other; the last one ends at `end`. */
static struct slice word_at(const struct parquet_words *d, const char *page, uint32_t i, size_t end)
{
    size_t to = i + 1 < d->n ? d->starts[i + 1] : end;
    return slice_make(page + d->starts[i], to - d->starts[i]);
}

/* Where the word is, or belongs. */
static uint32_t *find_slot(struct parquet_words *d, const char *page, struct slice word)
{
    size_t at = hash64(0, word) & (d->slots_n - 1);
    size_t end = (size_t)(word.p - page);
    while (d->slots[at] != PARQUET_NO_WORD && !slice_eq(word_at(d, page, d->slots[at], end), word))
        at = (at + 1) & (d->slots_n - 1);
    return &d->slots[at];
}

/* Appends a word, or finds the one that is equal, where they are looked for. */
static uint32_t put_word(struct parquet_chunk_writer *w, const union parquet_value *value)
{
    struct parquet_words *d = &w->words;
    struct buf *page = &w->encoder.bytes;
    size_t start = page->len;
    parquet_encoder_put(&w->encoder, value, 1);
    if (page->failed) /* told at the end */
        return 0;
    if (w->convert.masks) {
        struct slice word = slice_make(page->data + start, page->len - start);
        uint32_t *slot = find_slot(d, page->data, word);
        if (*slot != PARQUET_NO_WORD) {
            page->len = start;
            return *slot;
        }
        *slot = d->n;
    }
    d->starts[d->n] = (uint32_t)start;
    return d->n++;
}

static int put_words(struct parquet_chunk_writer *w, struct err *err)
{
    struct parquet_words *d = &w->words;
    int rc = parquet_encoder_start(&w->encoder, PARQUET_PLAIN, 0, err);
    d->n = 0;
    d->mapped = d->order_n < d->stored_n;
    for (uint32_t done = 0; rc == 0 && done < d->order_n;) {
        uint32_t n = d->order_n - done < PARQUET_BATCH ? d->order_n - done : PARQUET_BATCH;
        for (uint32_t i = 0; i < n; i++)
            w->batch[i] = d->values[d->order[done + i]];
        rc = parquet_convert_batch(&w->convert, w->batch, n, err);
        for (uint32_t i = 0; rc == 0 && i < n; i++) {
            uint32_t stored = d->order[done + i];
            d->index[stored] = put_word(w, &w->batch[i]);
            d->mapped |= d->index[stored] != stored;
        }
        done += n;
    }
    buf_reset(&w->out.values);
    return rc < 0 ? rc : parquet_encoder_end(&w->encoder, &w->out.values, err);
}

int parquet_words_write(struct parquet_chunk_writer *w, struct parquet_page *page, struct err *err)
{
    struct parquet_words *d = &w->words;
    struct parquet_page_form form = {.crc = page->has_crc, .encoding = page->encoding};
    d->mapped = false;
    if (d->found && page->values != d->stored_n)
        return err_set(err, EIO, "the dictionary has changed");
    bool copy = w->leaf->how == PRESENT_COPY && parquet_chunk_keeps_codec(w);
    if (copy && (!d->found || in_order(d)))
        return parquet_page_write_copy(&w->out, page, err);
    int rc = parquet_pages_unpack(&w->pages, page, err);
    if (rc == 0 && !d->found)
        rc = start_words(w, page, err);
    if (rc == 0 && !d->found)
        keep_all(d);
    if (rc == 0)
        rc = read_words(w, page, err);
    if (rc == 0)
        rc = start_slots(d, err);
    if (rc == 0)
        rc = put_words(w, err);
    if (rc < 0)
        return rc;
    w->touched |= d->mapped;
    return parquet_page_write_dictionary(&w->out, &form, buf_slice(&w->out.values), d->n, err);
}

/* Indices */

unsigned parquet_words_width(const struct parquet_words *d)
{
    return d->n > 2 ? parquet_bit_width(d->n - 1) : 1;
}

bool parquet_words_map(const struct parquet_words *d, uint32_t *indices, size_t n)
{
    bool good = true;
    for (size_t i = 0; i < n; i++) {
        indices[i] = d->index[indices[i]];
        good &= indices[i] != PARQUET_NO_WORD;
    }
    return good;
}
