/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/parquet_page_write.h"

#include <zlib.h>

#include "base/limits.h"
#include "lake/format/thrift_write.h"

void parquet_page_writer_init(struct parquet_page_writer *w, const struct parquet_sink *sink)
{
    *w = (struct parquet_page_writer){.sink = sink};
    buf_init(&w->repetition, PAGE_BYTES_MAX);
    buf_init(&w->definition, PAGE_BYTES_MAX);
    buf_init(&w->values, PAGE_BYTES_MAX);
    buf_init(&w->header, KIB);
    buf_init(&w->plain, PAGE_BYTES_MAX);
    /* What does not compress grows by its codec's bound before it is found out. */
    buf_init(&w->body, 2 * PAGE_BYTES_MAX);
}

void parquet_page_writer_done(struct parquet_page_writer *w)
{
    buf_done(&w->repetition);
    buf_done(&w->definition);
    buf_done(&w->values);
    buf_done(&w->header);
    buf_done(&w->plain);
    buf_done(&w->body);
}

int parquet_page_write_raw(struct parquet_page_writer *w, struct slice bytes, struct err *err)
{
    int rc = bytes.n ? w->sink->write(w->sink->arg, bytes, err) : 0;
    if (rc == 0)
        w->at += bytes.n;
    return rc;
}

void parquet_page_write_chunk(struct parquet_page_writer *w, const struct parquet_node *node,
                              uint32_t codec, struct present_chunk *chunk)
{
    *chunk = (struct present_chunk){.codec = codec};
    w->chunk = chunk;
    w->max_repetition = node->max_repetition;
    w->max_definition = node->max_definition;
}

/* One page, whose uncompressed size is told. */
static int write_page(struct parquet_page_writer *w, struct slice header, struct slice body,
                      uint64_t size, struct err *err)
{
    w->chunk->stored_bytes += header.n + body.n;
    w->chunk->plain_bytes += header.n + size;
    int rc = parquet_page_write_raw(w, header, err);
    return rc < 0 ? rc : parquet_page_write_raw(w, body, err);
}

static void count_encoding(struct parquet_page_writer *w, uint32_t encoding)
{
    if (encoding < 32)
        w->chunk->encodings |= 1U << encoding;
}

static void count_data(struct parquet_page_writer *w, uint32_t encoding, uint32_t cells)
{
    count_encoding(w, encoding);
    w->chunk->cells += cells;
    if (w->chunk->data_offset == 0)
        w->chunk->data_offset = w->at;
}

static void count_dictionary(struct parquet_page_writer *w, uint32_t encoding)
{
    count_encoding(w, encoding);
    w->chunk->dictionary_offset = w->at;
}

/* Headers (parquet.thrift: PageHeader) */

#define FIELD_DATA 5
#define FIELD_DICTIONARY 7
#define FIELD_DATA_V2 8

struct sizes {
    size_t size, repetition, definition; /* uncompressed */
    struct slice body;
    bool compressed;
};

static struct thrift_out begin_header(struct buf *out, enum parquet_page_type type,
                                      const struct sizes *sizes, bool crc)
{
    buf_reset(out);
    struct thrift_out t = thrift_out_make(out);
    thrift_put_int(&t, 1, THRIFT_I32, type);
    thrift_put_int(&t, 2, THRIFT_I32, (int64_t)sizes->size);
    thrift_put_int(&t, 3, THRIFT_I32, (int64_t)sizes->body.n);
    if (crc) {
        uLong sum = crc32(0, (const Bytef *)sizes->body.p, (uInt)sizes->body.n);
        thrift_put_int(&t, 4, THRIFT_I32, (int32_t)sum);
    }
    return t;
}

static void put_v1(struct parquet_page_writer *w, const struct parquet_page_form *form,
                   const struct sizes *sizes)
{
    struct thrift_out t = begin_header(&w->header, PARQUET_PAGE_DATA, sizes, form->crc);
    thrift_put_struct(&t, FIELD_DATA);
    thrift_put_int(&t, 1, THRIFT_I32, w->cells);
    thrift_put_int(&t, 2, THRIFT_I32, form->encoding);
    thrift_put_int(&t, 3, THRIFT_I32, PARQUET_RLE);
    thrift_put_int(&t, 4, THRIFT_I32, PARQUET_RLE);
    thrift_put_end(&t);
    thrift_put_end(&t);
}

static void put_v2(struct parquet_page_writer *w, const struct parquet_page_form *form,
                   const struct sizes *sizes)
{
    struct thrift_out t = begin_header(&w->header, PARQUET_PAGE_DATA_V2, sizes, form->crc);
    thrift_put_struct(&t, FIELD_DATA_V2);
    thrift_put_int(&t, 1, THRIFT_I32, w->cells);
    thrift_put_int(&t, 2, THRIFT_I32, w->nulls);
    thrift_put_int(&t, 3, THRIFT_I32, w->rows);
    thrift_put_int(&t, 4, THRIFT_I32, form->encoding);
    thrift_put_int(&t, 5, THRIFT_I32, (int64_t)sizes->definition);
    thrift_put_int(&t, 6, THRIFT_I32, (int64_t)sizes->repetition);
    thrift_put_bool(&t, 7, sizes->compressed);
    thrift_put_end(&t);
    thrift_put_end(&t);
}

/* As stored */

int parquet_page_write_copy(struct parquet_page_writer *w, const struct parquet_page *page,
                            struct err *err)
{
    if (page->dictionary)
        count_dictionary(w, page->encoding);
    else
        count_data(w, page->encoding, page->values);
    return write_page(w, page->header, page->body, page->size, err);
}

int parquet_page_write_head(struct parquet_page_writer *w, const struct parquet_page *page,
                            struct err *err)
{
    struct parquet_page_form form = {page->v2, page->plain, page->has_crc, page->encoding};
    struct sizes sizes = {page->size, page->repetition.n, page->definition.n, page->body,
                          !page->plain};
    w->cells = page->values;
    w->nulls = page->nulls;
    w->rows = page->rows;
    if (page->v2)
        put_v2(w, &form, &sizes);
    else
        put_v1(w, &form, &sizes);
    int rc = buf_check(&w->header, err);
    if (rc < 0)
        return rc;
    count_data(w, page->encoding, page->values);
    return write_page(w, buf_slice(&w->header), page->body, page->size, err);
}

/* Made anew */

int parquet_page_write_dictionary(struct parquet_page_writer *w,
                                  const struct parquet_page_form *form, struct slice data,
                                  uint32_t n, struct err *err)
{
    buf_reset(&w->body);
    int rc = codec_compress(w->chunk->codec, w->effort, data, &w->body, err);
    if (rc < 0)
        return rc;
    struct sizes sizes = {.size = data.n, .body = buf_slice(&w->body)};
    struct thrift_out t = begin_header(&w->header, PARQUET_PAGE_DICTIONARY, &sizes, form->crc);
    thrift_put_struct(&t, FIELD_DICTIONARY);
    thrift_put_int(&t, 1, THRIFT_I32, n);
    thrift_put_int(&t, 2, THRIFT_I32, form->encoding);
    thrift_put_end(&t);
    thrift_put_end(&t);
    rc = buf_check(&w->header, err);
    if (rc < 0)
        return rc;
    count_dictionary(w, form->encoding);
    return write_page(w, buf_slice(&w->header), sizes.body, data.n, err);
}

void parquet_page_write_begin(struct parquet_page_writer *w)
{
    buf_reset(&w->repetition);
    buf_reset(&w->definition);
    buf_reset(&w->values);
    parquet_hybrid_write(&w->repetitions, &w->repetition, parquet_bit_width(w->max_repetition));
    parquet_hybrid_write(&w->definitions, &w->definition, parquet_bit_width(w->max_definition));
    w->cells = w->nulls = w->rows = 0;
}

void parquet_page_write_levels(struct parquet_page_writer *w, const uint32_t *repetition,
                               const uint32_t *definition, size_t n)
{
    uint32_t rows = 0, nulls = 0;
    w->cells += (uint32_t)n;
    if (w->max_repetition) {
        parquet_hybrid_put(&w->repetitions, repetition, n);
        for (size_t i = 0; i < n; i++)
            rows += repetition[i] == 0;
    } else {
        rows = (uint32_t)n;
    }
    if (w->max_definition) {
        parquet_hybrid_put(&w->definitions, definition, n);
        for (size_t i = 0; i < n; i++)
            nulls += definition[i] != w->max_definition;
    }
    w->rows += rows;
    w->nulls += nulls;
}

/* Of v1: the levels behind their lengths, then the values, compressed together. */
static int pack_v1(struct parquet_page_writer *w, struct sizes *sizes, struct err *err)
{
    struct slice all = buf_slice(&w->values);
    if (w->max_repetition || w->max_definition) {
        uint32_t n;
        buf_reset(&w->plain);
        if (w->max_repetition) {
            n = (uint32_t)w->repetition.len;
            buf_add(&w->plain, &n, sizeof n);
            buf_add_slice(&w->plain, buf_slice(&w->repetition));
        }
        if (w->max_definition) {
            n = (uint32_t)w->definition.len;
            buf_add(&w->plain, &n, sizeof n);
            buf_add_slice(&w->plain, buf_slice(&w->definition));
        }
        buf_add_slice(&w->plain, all);
        int rc = buf_check(&w->plain, err);
        if (rc < 0)
            return rc;
        all = buf_slice(&w->plain);
    }
    sizes->size = all.n;
    if (w->chunk->codec == CODEC_UNCOMPRESSED) {
        sizes->body = all;
        return 0;
    }
    buf_reset(&w->body);
    int rc = codec_compress(w->chunk->codec, w->effort, all, &w->body, err);
    sizes->body = buf_slice(&w->body);
    return rc;
}

/* Of v2: the levels bare, then the values, compressed where there are some. */
static int pack_v2(struct parquet_page_writer *w, bool plain, struct sizes *sizes, struct err *err)
{
    sizes->repetition = w->repetition.len;
    sizes->definition = w->definition.len;
    sizes->size = w->repetition.len + w->definition.len + w->values.len;
    sizes->compressed = !plain && w->chunk->codec != CODEC_UNCOMPRESSED && w->values.len > 0;
    buf_reset(&w->body);
    buf_add_slice(&w->body, buf_slice(&w->repetition));
    buf_add_slice(&w->body, buf_slice(&w->definition));
    int rc = codec_compress(sizes->compressed ? w->chunk->codec : CODEC_UNCOMPRESSED, w->effort,
                            buf_slice(&w->values), &w->body, err);
    sizes->body = buf_slice(&w->body);
    return rc;
}

int parquet_page_write_end(struct parquet_page_writer *w, const struct parquet_page_form *form,
                           struct err *err)
{
    struct sizes sizes = {.size = 0};
    parquet_hybrid_end(&w->repetitions);
    parquet_hybrid_end(&w->definitions);
    int rc = buf_check(&w->repetition, err);
    if (rc == 0)
        rc = buf_check(&w->definition, err);
    if (rc == 0)
        rc = buf_check(&w->values, err);
    if (rc == 0)
        rc = form->v2 ? pack_v2(w, form->plain, &sizes, err) : pack_v1(w, &sizes, err);
    if (rc < 0)
        return rc;
    if (sizes.size > PAGE_BYTES_MAX || sizes.body.n > PAGE_BYTES_MAX)
        return err_set(err, EOVERFLOW, "a page of %zu bytes (%zu as stored), permitted are %zu",
                       sizes.size, sizes.body.n, PAGE_BYTES_MAX);
    if (form->v2)
        put_v2(w, form, &sizes);
    else
        put_v1(w, form, &sizes);
    rc = buf_check(&w->header, err);
    if (rc < 0)
        return rc;
    count_data(w, form->encoding, w->cells);
    return write_page(w, buf_slice(&w->header), sizes.body, sizes.size, err);
}
