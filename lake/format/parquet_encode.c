/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/parquet_encode.h"

#include <assert.h>

#include "base/limits.h"

/* A bit-packed run has so many groups at most, that its head has one byte. */
#define GROUPS_MAX 63
#define MINIBLOCKS 4
#define MINIBLOCK (PARQUET_DELTA_BLOCK / MINIBLOCKS)
/* Integers that are handed on at once. */
#define PIECE 256

/* Packs n values (n * width a multiple of 8) of `width` bits, the lowest first. */
static void pack(uint8_t *to, const uint64_t *values, size_t n, unsigned width)
{
    unsigned __int128 bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < n; i++) {
        bits |= (unsigned __int128)values[i] << have;
        have += width;
        if (have >= 64) {
            uint64_t low = (uint64_t)bits;
            memcpy(to, &low, sizeof low);
            to += sizeof low;
            bits >>= 64;
            have -= 64;
        }
    }
    uint64_t low = (uint64_t)bits;
    memcpy(to, &low, have / 8);
}

/* Hybrid */

void parquet_hybrid_write(struct parquet_hybrid_writer *w, struct buf *out, unsigned width)
{
    assert(width <= 32);
    *w = (struct parquet_hybrid_writer){.out = out, .width = width};
}

static void end_groups(struct parquet_hybrid_writer *w)
{
    if (w->groups && !w->out->failed)
        w->out->data[w->head] = (char)(w->groups << 1 | 1);
    w->groups = 0;
}

/* Packs eight values of `width` bits, which take as many bytes. */
static void pack_group(uint8_t *to, const uint32_t *values, unsigned width)
{
    uint64_t bits = 0;
    unsigned have = 0;
    for (unsigned i = 0; i < PARQUET_GROUP; i++) {
        bits |= (uint64_t)values[i] << have;
        have += width;
        if (have >= 32) {
            uint32_t low = (uint32_t)bits;
            memcpy(to, &low, sizeof low);
            to += sizeof low;
            bits >>= 32;
            have -= 32;
        }
    }
    memcpy(to, &bits, have / 8);
}

static void put_group(struct parquet_hybrid_writer *w, const uint32_t *values)
{
    if (w->groups == GROUPS_MAX)
        end_groups(w);
    if (w->groups == 0) {
        w->head = w->out->len;
        buf_add_char(w->out, 0);
    }
    uint8_t *to = buf_reserve(w->out, w->width);
    if (to) {
        pack_group(to, values, w->width);
        w->out->len += w->width;
    }
    w->groups++;
    w->group_n = 0;
    w->repeats = 0;
}

static void put_run(struct parquet_hybrid_writer *w)
{
    end_groups(w);
    buf_add_varint(w->out, w->repeats << 1);
    buf_add(w->out, &w->value, (w->width + 7) / 8);
    w->group_n = 0;
    w->repeats = 0;
}

/* No run may begin here. */
static bool differ(const uint32_t *values)
{
    uint32_t bits = 0;
    for (unsigned i = 1; i < PARQUET_GROUP; i++)
        bits |= values[i] ^ values[0];
    return bits != 0;
}

void parquet_hybrid_put(struct parquet_hybrid_writer *w, const uint32_t *values, size_t n)
{
    if (w->width == 0) {
        w->repeats += n;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t value = values[i];
        if (w->group_n == 0 && w->repeats == 0 && n - i >= PARQUET_GROUP && differ(values + i)) {
            put_group(w, values + i);
            i += PARQUET_GROUP - 1;
            continue;
        }
        if (value != w->value) {
            if (w->repeats >= PARQUET_GROUP)
                put_run(w);
            w->repeats = 0;
            w->value = value;
        }
        if (++w->repeats >= PARQUET_GROUP) {
            size_t start = i;
            while (i + 1 < n && values[i + 1] == value)
                i++;
            w->repeats += i - start;
            continue;
        }
        w->group[w->group_n++] = value;
        if (w->group_n == PARQUET_GROUP)
            put_group(w, w->group);
    }
}

void parquet_hybrid_end(struct parquet_hybrid_writer *w)
{
    if (w->repeats >= PARQUET_GROUP || (w->width == 0 && w->repeats)) {
        put_run(w);
    } else if (w->group_n) {
        memset(w->group + w->group_n, 0, (PARQUET_GROUP - w->group_n) * sizeof *w->group);
        put_group(w, w->group);
    }
    end_groups(w);
}

/* Delta */

static void delta_writer_init(struct parquet_delta_writer *w)
{
    *w = (struct parquet_delta_writer){.n = 0};
    buf_init(&w->blocks, PAGE_BYTES_MAX);
}

static void delta_writer_done(struct parquet_delta_writer *w)
{
    buf_done(&w->blocks);
}

static void delta_write(struct parquet_delta_writer *w, bool narrow)
{
    buf_reset(&w->blocks);
    w->narrow = narrow;
    w->n = 0;
    w->first = w->last = 0;
    w->deltas_n = 0;
}

static void add_zigzag(struct buf *out, int64_t v)
{
    buf_add_varint(out, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

static unsigned bits_of(const uint64_t *values, size_t n)
{
    uint64_t all = 0;
    for (size_t i = 0; i < n; i++)
        all |= values[i];
    return all ? 64 - (unsigned)__builtin_clzll(all) : 0;
}

static void put_block(struct parquet_delta_writer *w)
{
    uint64_t values[PARQUET_DELTA_BLOCK] = {0};
    uint8_t widths[MINIBLOCKS];
    int64_t min = w->deltas[0];
    for (unsigned i = 1; i < w->deltas_n; i++)
        min = w->deltas[i] < min ? w->deltas[i] : min;
    for (unsigned i = 0; i < w->deltas_n; i++)
        values[i] = (uint64_t)w->deltas[i] - (uint64_t)min;
    for (unsigned i = 0; i < MINIBLOCKS; i++)
        widths[i] = (uint8_t)bits_of(values + (size_t)i * MINIBLOCK, MINIBLOCK);
    add_zigzag(&w->blocks, min);
    buf_add(&w->blocks, widths, sizeof widths);
    for (unsigned i = 0; i * MINIBLOCK < w->deltas_n; i++) {
        size_t n = (size_t)widths[i] * MINIBLOCK / 8;
        uint8_t *to = buf_reserve(&w->blocks, n);
        if (to) {
            pack(to, values + (size_t)i * MINIBLOCK, MINIBLOCK, widths[i]);
            w->blocks.len += n;
        }
    }
    w->deltas_n = 0;
}

static void delta_put(struct parquet_delta_writer *w, const int64_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (w->n++ == 0) {
            w->first = w->last = values[i];
            continue;
        }
        uint64_t delta = (uint64_t)values[i] - (uint64_t)w->last;
        w->deltas[w->deltas_n++] = w->narrow ? (int32_t)delta : (int64_t)delta;
        w->last = values[i];
        if (w->deltas_n == PARQUET_DELTA_BLOCK)
            put_block(w);
    }
}

static void delta_end(struct parquet_delta_writer *w, struct buf *out)
{
    if (w->deltas_n)
        put_block(w);
    buf_add_varint(out, PARQUET_DELTA_BLOCK);
    buf_add_varint(out, MINIBLOCKS);
    buf_add_varint(out, w->n);
    add_zigzag(out, w->first);
    buf_add_slice(out, buf_slice(&w->blocks));
    if (w->blocks.failed)
        out->failed = w->blocks.failed;
}

/* Encoder */

void parquet_encoder_init(struct parquet_encoder *e, enum parquet_type type, uint32_t type_length)
{
    *e = (struct parquet_encoder){.type = type, .length = parquet_type_bytes(type, type_length)};
    buf_init(&e->bytes, PAGE_BYTES_MAX);
    buf_init(&e->last, PAGE_BYTES_MAX);
    delta_writer_init(&e->delta);
    delta_writer_init(&e->prefixes);
}

void parquet_encoder_done(struct parquet_encoder *e)
{
    buf_done(&e->bytes);
    buf_done(&e->last);
    delta_writer_done(&e->delta);
    delta_writer_done(&e->prefixes);
}

int parquet_encoder_start(struct parquet_encoder *e, unsigned encoding, unsigned width,
                          struct err *err)
{
    if (!parquet_encoding_fits(encoding, e->type))
        return err_set(err, EOPNOTSUPP, "encoding %u of values of type %u is not supported",
                       encoding, e->type);
    e->encoding = encoding;
    e->n = 0;
    buf_reset(&e->bytes);
    buf_reset(&e->last);
    if (encoding == PARQUET_RLE) {
        static const char size[4] = {0};
        buf_add(&e->bytes, size, sizeof size); /* told at the end */
        parquet_hybrid_write(&e->hybrid, &e->bytes, 1);
    } else if (encoding == PARQUET_PLAIN_DICTIONARY || encoding == PARQUET_RLE_DICTIONARY) {
        buf_add_char(&e->bytes, (char)width);
        parquet_hybrid_write(&e->hybrid, &e->bytes, width);
    }
    delta_write(&e->delta, e->type != PARQUET_INT64); /* lengths have 32 bits */
    delta_write(&e->prefixes, true);
    return 0;
}

static void put_bits(struct parquet_encoder *e, const union parquet_value *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned bit = (unsigned)((e->n + i) % 8);
        if (bit == 0)
            buf_add_char(&e->bytes, 0);
        if (values[i].number && !e->bytes.failed)
            e->bytes.data[e->bytes.len - 1] |= (char)(1U << bit);
    }
}

/* Numbers, for which there is room at `to`. */
static void put_numbers(enum parquet_type type, char *to, const union parquet_value *values,
                        size_t n)
{
    if (type == PARQUET_INT64 || type == PARQUET_DOUBLE) {
        for (size_t i = 0; i < n; i++, to += 8)
            memcpy(to, &values[i], 8); /* either member begins the union */
    } else if (type == PARQUET_INT32) {
        for (size_t i = 0; i < n; i++, to += 4) {
            int32_t number = (int32_t)values[i].number;
            memcpy(to, &number, sizeof number);
        }
    } else {
        for (size_t i = 0; i < n; i++, to += 4) {
            float real = (float)values[i].real;
            memcpy(to, &real, sizeof real);
        }
    }
}

static void put_plain_strings(struct parquet_encoder *e, const union parquet_value *values,
                              size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        size += sizeof(uint32_t) + values[i].bytes.n;
    char *to = buf_reserve(&e->bytes, size);
    if (!to)
        return;
    for (size_t i = 0; i < n; i++) {
        struct slice value = values[i].bytes;
        uint32_t length = (uint32_t)value.n;
        memcpy(to, &length, sizeof length);
        to += sizeof length;
        if (value.n)
            memcpy(to, value.p, value.n);
        to += value.n;
    }
    e->bytes.len += size;
}

/* Also what is split into streams at the end. */
static void put_plain(struct parquet_encoder *e, const union parquet_value *values, size_t n)
{
    if (e->type == PARQUET_BOOLEAN) {
        put_bits(e, values, n);
    } else if (e->type == PARQUET_BYTE_ARRAY) {
        put_plain_strings(e, values, n);
    } else if (e->type == PARQUET_INT96 || e->type == PARQUET_FIXED_LEN_BYTE_ARRAY) {
        for (size_t i = 0; i < n; i++)
            buf_add_slice(&e->bytes, values[i].bytes);
    } else {
        char *to = buf_reserve(&e->bytes, n * e->length);
        if (!to)
            return;
        put_numbers(e->type, to, values, n);
        e->bytes.len += n * e->length;
    }
}

static void put_booleans(struct parquet_encoder *e, const union parquet_value *values, size_t n)
{
    uint32_t piece[PIECE];
    for (size_t done = 0; done < n;) {
        size_t take = n - done < PIECE ? n - done : PIECE;
        for (size_t i = 0; i < take; i++)
            piece[i] = values[done++].number != 0;
        parquet_hybrid_put(&e->hybrid, piece, take);
    }
}

static void put_deltas(struct parquet_encoder *e, const union parquet_value *values, size_t n)
{
    int64_t piece[PIECE];
    for (size_t done = 0; done < n;) {
        size_t take = n - done < PIECE ? n - done : PIECE;
        for (size_t i = 0; i < take; i++)
            piece[i] = values[done++].number;
        delta_put(&e->delta, piece, take);
    }
}

static size_t shared(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n, i = 0;
    while (i < n && a.p[i] == b.p[i])
        i++;
    return i;
}

/* The lengths of strings and their characters; of DELTA_BYTE_ARRAY without what each shares with
 * the one before. */
static void put_strings(struct parquet_encoder *e, const union parquet_value *values, size_t n)
{
    bool share = e->encoding == PARQUET_DELTA_BYTE_ARRAY;
    struct slice last = buf_slice(&e->last);
    for (size_t i = 0; i < n; i++) {
        struct slice value = values[i].bytes;
        int64_t prefix = 0, length;
        if (share) {
            prefix = (int64_t)shared(last, value);
            delta_put(&e->prefixes, &prefix, 1);
        }
        length = (int64_t)value.n - prefix;
        delta_put(&e->delta, &length, 1);
        buf_add_slice(&e->bytes, slice_from(value, (size_t)prefix));
        last = value;
    }
    if (share && n) {
        buf_reset(&e->last);
        buf_add_slice(&e->last, last);
    }
}

void parquet_encoder_put(struct parquet_encoder *e, const union parquet_value *values, size_t n)
{
    switch (e->encoding) {
    case PARQUET_PLAIN:
    case PARQUET_BYTE_STREAM_SPLIT:
        put_plain(e, values, n);
        break;
    case PARQUET_RLE:
        put_booleans(e, values, n);
        break;
    case PARQUET_DELTA_BINARY_PACKED:
        put_deltas(e, values, n);
        break;
    case PARQUET_DELTA_LENGTH_BYTE_ARRAY:
    case PARQUET_DELTA_BYTE_ARRAY:
        put_strings(e, values, n);
        break;
    case PARQUET_PLAIN_DICTIONARY:
    case PARQUET_RLE_DICTIONARY:
    case PARQUET_BIT_PACKED:
        assert(!"not started with an encoding of values");
    }
    e->n += n;
}

void parquet_encoder_select(struct parquet_encoder *e, const uint8_t *plain, const bool *kept,
                            size_t n)
{
    size_t length = e->length;
    char *to = buf_reserve(&e->bytes, n * length);
    if (!to)
        return;
    /* One that is not kept is overwritten by the next. */
    if (length == 8)
        for (size_t i = 0; i < n; i++, plain += 8) {
            memcpy(to, plain, 8);
            to += kept[i] ? 8 : 0;
        }
    else if (length == 4)
        for (size_t i = 0; i < n; i++, plain += 4) {
            memcpy(to, plain, 4);
            to += kept[i] ? 4 : 0;
        }
    else
        for (size_t i = 0; i < n; i++, plain += length) {
            memcpy(to, plain, length);
            to += kept[i] ? length : 0;
        }
    size_t size = (size_t)(to - (e->bytes.data + e->bytes.len));
    e->n += size / length;
    e->bytes.len += size;
}

void parquet_encoder_indices(struct parquet_encoder *e, const uint32_t *indices, size_t n)
{
    parquet_hybrid_put(&e->hybrid, indices, n);
    e->n += n;
}

/* The first bytes of all values, then the second ones, ... */
static void split(const struct parquet_encoder *e, struct buf *out)
{
    size_t n = e->bytes.len / e->length;
    char *to = buf_reserve(out, e->bytes.len);
    if (!to)
        return;
    for (size_t j = 0; j < e->length; j++)
        for (size_t i = 0; i < n; i++)
            *to++ = e->bytes.data[i * e->length + j];
    out->len += n * e->length;
}

int parquet_encoder_end(struct parquet_encoder *e, struct buf *out, struct err *err)
{
    uint32_t size;
    switch (e->encoding) {
    case PARQUET_RLE:
        parquet_hybrid_end(&e->hybrid);
        size = (uint32_t)(e->bytes.len - sizeof size);
        if (!e->bytes.failed)
            memcpy(e->bytes.data, &size, sizeof size);
        break;
    case PARQUET_PLAIN_DICTIONARY:
    case PARQUET_RLE_DICTIONARY:
        parquet_hybrid_end(&e->hybrid);
        break;
    case PARQUET_DELTA_BYTE_ARRAY:
        delta_end(&e->prefixes, out);
        delta_end(&e->delta, out);
        break;
    case PARQUET_DELTA_LENGTH_BYTE_ARRAY:
    case PARQUET_DELTA_BINARY_PACKED:
        delta_end(&e->delta, out);
        break;
    case PARQUET_BYTE_STREAM_SPLIT:
        split(e, out);
        break;
    case PARQUET_PLAIN:
    case PARQUET_BIT_PACKED:
        break;
    }
    if (e->encoding != PARQUET_BYTE_STREAM_SPLIT)
        buf_add_slice(out, buf_slice(&e->bytes));
    int rc = buf_check(&e->bytes, err);
    if (rc == 0)
        rc = buf_check(&e->last, err);
    return rc < 0 ? rc : buf_check(out, err);
}
