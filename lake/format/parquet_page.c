/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/parquet_page.h"

#include <zlib.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "lake/format/codec.h"
#include "lake/format/parquet_values.h"
#include "lake/format/thrift.h"

#define SIZE_SLACK 128
/* Headers carry a minimum and a maximum, whole strings with some writers. */
#define HEADER_BYTES (64 * KIB)
#define HEADER_BYTES_MAX (16 * MIB)

struct header {
    int32_t type, size, stored_size; /* size: after decompression */
    int32_t values, encoding, definition_encoding, repetition_encoding;
    int32_t definition_bytes, repetition_bytes;
    int32_t nulls, rows; /* of v2 */
    uint32_t crc;
    bool has_crc, has_body, plain; /* plain: a v2 page whose values are not compressed */
};

void parquet_pages_init(struct parquet_pages *p, const struct source *source,
                        const struct parquet_node *leaf)
{
    *p = (struct parquet_pages){.source = source};
    parquet_pages_leaf(p, leaf);
}

void parquet_pages_leaf(struct parquet_pages *p, const struct parquet_node *leaf)
{
    p->repeats = leaf->max_repetition > 0;
    p->optional = leaf->max_definition > 0;
}

void parquet_pages_done(struct parquet_pages *p)
{
    free(p->window.at);
    free(p->page.at);
    free(p->dictionary.at);
    *p = (struct parquet_pages){0};
}

int parquet_pages_start(struct parquet_pages *p, const struct parquet_chunk *chunk,
                        uint64_t data_end, struct err *err)
{
    if (chunk->encrypted)
        return err_set(err, EOPNOTSUPP, "the column is encrypted");
    if (chunk->external)
        return err_set(err, EOPNOTSUPP, "the column's data is in another file");
    if (chunk->offset > data_end || chunk->size_bytes > data_end - chunk->offset)
        return err_set(err, EIO, "%ju bytes at %ju are not in the file, whose data ends at %ju",
                       (uintmax_t)chunk->size_bytes, (uintmax_t)chunk->offset, (uintmax_t)data_end);
    /* Old writers left the dictionary's header out of the size. What ends a chunk is its count of
     * cells; the size bounds what is read ahead. */
    uint64_t after = data_end - chunk->offset - chunk->size_bytes;
    p->at = chunk->offset;
    p->end = chunk->offset + chunk->size_bytes + (after < SIZE_SLACK ? after : SIZE_SLACK);
    p->start = p->filled = 0;
    p->cells_left = chunk->cells;
    p->codec = chunk->codec;
    p->first = true;
    return 0;
}

/* Room for n bytes, the first `keep` of which stay as they are. */
static int make_room(struct parquet_room *room, size_t n, size_t keep, struct err *err)
{
    if (n <= room->size)
        return 0;
    uint8_t *at = malloc(n);
    if (!at)
        return err_set(err, ENOMEM, "out of memory");
    if (keep)
        memcpy(at, room->at, keep);
    free(room->at);
    room->at = at;
    room->size = n;
    return 0;
}

static size_t unused(const struct parquet_pages *p)
{
    return p->filled - p->start;
}

/* The next `want` bytes are in the window, or all that the chunk still has. */
static int fill(struct parquet_pages *p, size_t want, struct err *err)
{
    size_t have = unused(p);
    uint64_t left = p->end - p->at;
    if (have >= want || left == 0)
        return 0;
    if (p->start)
        memmove(p->window.at, p->window.at + p->start, have);
    p->start = 0;
    p->filled = have;
    size_t window = p->source->window_bytes ? p->source->window_bytes : SOURCE_WINDOW_BYTES;
    size_t size = want > window ? want : window;
    if (size - have > left)
        size = have + (size_t)left;
    int rc = make_room(&p->window, size, have, err);
    if (rc == 0)
        rc = p->source->read(p->source->arg, p->at, p->window.at + have, size - have, err);
    if (rc < 0)
        return rc;
    p->at += size - have;
    p->filled = size;
    return 0;
}

/* Headers */

/* DataPageHeader, DictionaryPageHeader: their first two fields are alike. */
static void read_v1(struct thrift *t, struct header *h)
{
    struct thrift_field f = THRIFT_STRUCT;
    h->has_body = true;
    while (thrift_next(t, &f))
        switch (f.id) {
        case 1:
            h->values = thrift_i32(t, &f);
            break;
        case 2:
            h->encoding = thrift_i32(t, &f);
            break;
        case 3:
            if (h->type == PARQUET_PAGE_DICTIONARY)
                thrift_skip(t, &f);
            else
                h->definition_encoding = thrift_i32(t, &f);
            break;
        case 4:
            h->repetition_encoding = thrift_i32(t, &f);
            break;
        default:
            thrift_skip(t, &f);
        }
}

static void read_v2(struct thrift *t, struct header *h)
{
    struct thrift_field f = THRIFT_STRUCT;
    h->has_body = true;
    h->definition_bytes = h->repetition_bytes = -1;
    while (thrift_next(t, &f))
        switch (f.id) {
        case 1:
            h->values = thrift_i32(t, &f);
            break;
        case 2:
            h->nulls = thrift_i32(t, &f);
            break;
        case 3:
            h->rows = thrift_i32(t, &f);
            break;
        case 4:
            h->encoding = thrift_i32(t, &f);
            break;
        case 5:
            h->definition_bytes = thrift_i32(t, &f);
            break;
        case 6:
            h->repetition_bytes = thrift_i32(t, &f);
            break;
        case 7:
            h->plain = !thrift_bool(t, &f);
            break;
        default:
            thrift_skip(t, &f);
        }
}

static void read_header(struct thrift *t, struct header *h)
{
    /* Below 0: a field that must be there and is not. */
    *h = (struct header){.type = -1,
                         .size = -1,
                         .stored_size = -1,
                         .values = -1,
                         .encoding = -1,
                         .definition_encoding = PARQUET_RLE,
                         .repetition_encoding = PARQUET_RLE};
    struct thrift_field f = THRIFT_STRUCT;
    while (thrift_next(t, &f)) {
        if (f.id == 1) {
            h->type = thrift_i32(t, &f);
        } else if (f.id == 2) {
            h->size = thrift_i32(t, &f);
        } else if (f.id == 3) {
            h->stored_size = thrift_i32(t, &f);
        } else if (f.id == 4) {
            h->crc = (uint32_t)thrift_i32(t, &f);
            h->has_crc = true;
        } else if ((f.id == 5 && h->type == PARQUET_PAGE_DATA) ||
                   (f.id == 7 && h->type == PARQUET_PAGE_DICTIONARY)) {
            if (thrift_struct(t, &f))
                read_v1(t, h);
        } else if (f.id == 8 && h->type == PARQUET_PAGE_DATA_V2) {
            if (thrift_struct(t, &f))
                read_v2(t, h);
        } else {
            thrift_skip(t, &f);
        }
    }
}

static int check_header(const struct parquet_pages *p, const struct header *h, struct err *err)
{
    if (h->type == PARQUET_PAGE_INDEX && h->stored_size >= 0)
        return 0;
    if (h->type < 0)
        return err_set(err, EIO, "damaged page header: a page of type %d", h->type);
    if (h->type != PARQUET_PAGE_DATA && h->type != PARQUET_PAGE_DICTIONARY &&
        h->type != PARQUET_PAGE_DATA_V2)
        return err_set(err, EOPNOTSUPP, "pages of type %d are not supported", h->type);
    if (!h->has_body || h->size < 0 || h->stored_size < 0 || h->values < 0 || h->encoding < 0 ||
        h->definition_bytes < 0 || h->repetition_bytes < 0 ||
        (int64_t)h->definition_bytes + h->repetition_bytes > h->size)
        return err_set(err, EIO, "damaged page header");
    if ((size_t)h->size > PAGE_BYTES_MAX || (size_t)h->stored_size > PAGE_BYTES_MAX)
        return err_set(err, EOVERFLOW, "a page of %d bytes (%d as stored), permitted are %zu",
                       h->size, h->stored_size, PAGE_BYTES_MAX);
    if (h->type == PARQUET_PAGE_DICTIONARY && !p->first)
        return err_set(err, EIO, "a dictionary page after other pages");
    if (h->type != PARQUET_PAGE_DICTIONARY && (uint64_t)h->values > p->cells_left)
        return err_set(err, EIO, "%d values in a page, of the chunk's only %ju are left", h->values,
                       (uintmax_t)p->cells_left);
    return 0;
}

/* Reads the header at the window's start and the bytes of its page behind it. */
static int next_header(struct parquet_pages *p, struct header *h, struct parquet_page *page,
                       struct err *err)
{
    struct thrift t = {.in = {.bad = true}};
    for (size_t want = HEADER_BYTES; t.in.bad && want <= HEADER_BYTES_MAX; want *= 16) {
        int rc = fill(p, want, err);
        if (rc < 0)
            return rc;
        if (unused(p) == 0)
            return err_set(err, EIO, "the chunk ends, %ju values are missing",
                           (uintmax_t)p->cells_left);
        t = thrift_make(slice_make(p->window.at + p->start, unused(p)));
        read_header(&t, h);
    }
    if (t.in.bad)
        return err_set(err, EIO, "damaged page header");
    int rc = check_header(p, h, err);
    if (rc < 0)
        return rc;
    size_t head = (size_t)(t.in.p - p->window.at) - p->start, n = (size_t)h->stored_size;
    if (head + n > unused(p) && head + n - unused(p) > p->end - p->at)
        return err_set(err, EIO, "a page of %zu bytes, the chunk ends before", n);
    rc = fill(p, head + n, err);
    if (rc < 0)
        return rc;
    page->header = slice_make(p->window.at + p->start, head);
    page->body = slice_make(p->window.at + p->start + head, n);
    p->start += head + n;
    return 0;
}

/* Bodies */

/* `from` decompressed to n bytes: in place where nothing is compressed, else in `room`. */
static int unpack(uint32_t codec, struct slice from, struct parquet_room *room, size_t n,
                  struct slice *out, struct err *err)
{
    if (n == 0 || (codec == CODEC_UNCOMPRESSED && from.n == n)) {
        /* Of nothing, some codecs make a byte, and some writers no byte: it is not looked at. */
        *out = slice_make(from.p, n);
        return 0;
    }
    int rc = make_room(room, n, 0, err);
    if (rc == 0)
        rc = codec_decompress(codec, from, room->at, n, err);
    if (rc == 0)
        *out = slice_make(room->at, n);
    return rc;
}

static int unpack_dictionary(struct parquet_pages *p, struct parquet_page *page, struct err *err)
{
    struct slice body = page->body;
    int rc = unpack(p->codec, body, &p->dictionary, page->size, &page->data, err);
    if (rc < 0 || page->data.p != body.p)
        return rc;
    /* It outlives the window. */
    rc = make_room(&p->dictionary, body.n ? body.n : 1, 0, err);
    if (rc < 0)
        return rc;
    memcpy(p->dictionary.at, body.p, page->data.n);
    page->data.p = (const char *)p->dictionary.at;
    return 0;
}

static int unpack_v1(struct parquet_pages *p, struct parquet_page *page, struct err *err)
{
    if ((p->repeats && page->level_encodings[0] != PARQUET_RLE) ||
        (p->optional && page->level_encodings[1] != PARQUET_RLE))
        return err_set(err, EOPNOTSUPP, "level encodings %u and %u are not supported",
                       page->level_encodings[0], page->level_encodings[1]);
    struct slice all = SLICE_NONE;
    int rc = unpack(p->codec, page->body, &p->page, page->size, &all, err);
    if (rc < 0)
        return rc;
    struct bytes in = bytes_make(all.p, all.n);
    page->repetition = page->definition = slice_make(all.p, 0);
    if (p->repeats)
        page->repetition = bytes_slice(&in, bytes_le32(&in));
    if (p->optional)
        page->definition = bytes_slice(&in, bytes_le32(&in));
    if (in.bad)
        return err_set(err, EIO, "the levels are longer than the page's %zu bytes", all.n);
    page->data = slice_make(in.p, bytes_left(&in));
    return 0;
}

static int unpack_v2(struct parquet_pages *p, struct parquet_page *page, struct err *err)
{
    size_t levels = page->repetition.n + page->definition.n;
    return unpack(page->plain ? CODEC_UNCOMPRESSED : p->codec, slice_from(page->body, levels),
                  &p->page, page->size - levels, &page->data, err);
}

/* The levels of v2 stand before what is compressed. */
static int find_levels(const struct header *h, struct parquet_page *page, struct err *err)
{
    size_t repetition = (size_t)h->repetition_bytes, definition = (size_t)h->definition_bytes;
    if (repetition + definition > page->body.n)
        return err_set(err, EIO, "the levels are longer than the page's %zu bytes", page->body.n);
    page->repetition = slice_make(page->body.p, repetition);
    page->definition = slice_make(page->body.p + repetition, definition);
    return 0;
}

static int read_page(struct parquet_pages *p, struct parquet_page *page, struct err *err)
{
    struct header h;
    *page = (struct parquet_page){.dictionary = false};
    do {
        int rc = next_header(p, &h, page, err);
        if (rc < 0)
            return rc;
    } while (h.type == PARQUET_PAGE_INDEX);
    struct slice body = page->body;
    uint32_t crc = h.has_crc ? (uint32_t)crc32(0, (const Bytef *)body.p, (uInt)body.n) : 0;
    if (crc != h.crc)
        return err_set(err, EIO, "checksum %08x, its bytes have %08x", h.crc, crc);
    page->dictionary = h.type == PARQUET_PAGE_DICTIONARY;
    page->v2 = h.type == PARQUET_PAGE_DATA_V2;
    page->plain = h.plain;
    page->has_crc = h.has_crc;
    page->values = (uint32_t)h.values;
    page->encoding = (uint32_t)h.encoding;
    page->nulls = (uint32_t)h.nulls;
    page->rows = (uint32_t)h.rows;
    page->level_encodings[0] = (uint32_t)h.repetition_encoding;
    page->level_encodings[1] = (uint32_t)h.definition_encoding;
    page->size = (uint32_t)h.size;
    p->first = false;
    if (!page->dictionary)
        p->cells_left -= page->values;
    return page->v2 ? find_levels(&h, page, err) : 0;
}

int parquet_pages_next_stored(struct parquet_pages *p, struct parquet_page *page, struct err *err)
{
    if (p->cells_left == 0)
        return 0;
    p->page_at = p->at - unused(p);
    int rc = read_page(p, page, err);
    return rc < 0 ? err_wrap(err, "page at byte %ju", (uintmax_t)p->page_at) : 1;
}

int parquet_pages_unpack(struct parquet_pages *p, struct parquet_page *page, struct err *err)
{
    int rc = page->dictionary ? unpack_dictionary(p, page, err)
             : page->v2       ? unpack_v2(p, page, err)
                              : unpack_v1(p, page, err);
    return rc < 0 ? err_wrap(err, "page at byte %ju", (uintmax_t)p->page_at) : 0;
}

static bool is_in(const struct parquet_room *room, struct slice s)
{
    return s.n && (const uint8_t *)s.p >= room->at && (const uint8_t *)s.p < room->at + room->size;
}

/* The chunk's last page is unpacked: a window as large as all its pages is not kept beside it. */
static void leave_window(struct parquet_pages *p, struct parquet_page *page)
{
    if (is_in(&p->window, page->data) || is_in(&p->window, page->definition) ||
        is_in(&p->window, page->repetition))
        return;
    free(p->window.at);
    p->window = (struct parquet_room){0};
    p->start = p->filled = 0;
    page->header = page->body = SLICE_NONE;
}

int parquet_pages_next(struct parquet_pages *p, struct parquet_page *page, struct err *err)
{
    int rc = parquet_pages_next_stored(p, page, err);
    if (rc <= 0)
        return rc;
    rc = parquet_pages_unpack(p, page, err);
    if (rc == 0 && p->cells_left == 0)
        leave_window(p, page);
    return rc < 0 ? rc : 1;
}
