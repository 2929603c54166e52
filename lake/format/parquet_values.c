/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/parquet_values.h"

#include <assert.h>

#include "base/limits.h"

/* Integers that are decoded on the stack at once. */
#define PIECE 256
/* What a batch of DELTA_BYTE_ARRAY should take: values that share long prefixes grow as it goes. */
#define BATCH_BYTES (4 * MIB)

uint32_t parquet_type_bytes(enum parquet_type type, uint32_t type_length)
{
    switch (type) {
    case PARQUET_INT32:
    case PARQUET_FLOAT:
        return 4;
    case PARQUET_INT64:
    case PARQUET_DOUBLE:
        return 8;
    case PARQUET_INT96:
        return 12;
    case PARQUET_FIXED_LEN_BYTE_ARRAY:
        return type_length;
    case PARQUET_BOOLEAN:
    case PARQUET_BYTE_ARRAY:
        break;
    }
    return 0;
}

void parquet_values_init(struct parquet_values *v, enum parquet_type type, uint32_t type_length)
{
    *v = (struct parquet_values){.type = type, .length = parquet_type_bytes(type, type_length)};
    arena_init(&v->batch, PARQUET_ROW_BYTES_MAX);
    buf_init(&v->last, PARQUET_ROW_BYTES_MAX);
}

void parquet_values_done(struct parquet_values *v)
{
    arena_done(&v->batch);
    buf_done(&v->last);
}

void parquet_values_dictionary(struct parquet_values *v, const union parquet_value *values,
                               size_t n)
{
    v->dictionary = values;
    v->dictionary_n = n;
}

size_t parquet_values_batch(const struct parquet_values *v)
{
    if (v->encoding != PARQUET_DELTA_BYTE_ARRAY)
        return PARQUET_BATCH;
    size_t n = BATCH_BYTES / (v->last.len + 1);
    return n == 0 ? 1 : n < PARQUET_BATCH ? n : PARQUET_BATCH;
}

static bool is_number(enum parquet_type type)
{
    return type == PARQUET_INT32 || type == PARQUET_INT64 || type == PARQUET_FLOAT ||
           type == PARQUET_DOUBLE;
}

enum parquet_lifetime parquet_values_lifetime(const struct parquet_values *v)
{
    switch (v->encoding) {
    case PARQUET_PLAIN_DICTIONARY:
    case PARQUET_RLE_DICTIONARY:
        return PARQUET_WITH_DICTIONARY;
    case PARQUET_DELTA_BYTE_ARRAY:
    case PARQUET_BYTE_STREAM_SPLIT:
        return PARQUET_UNTIL_NEXT_GET;
    case PARQUET_PLAIN:
    case PARQUET_RLE:
    case PARQUET_BIT_PACKED:
    case PARQUET_DELTA_BINARY_PACKED:
    case PARQUET_DELTA_LENGTH_BYTE_ARRAY:
        break;
    }
    return PARQUET_WITH_PAGE;
}

/* Starting a page */

bool parquet_encoding_fits(unsigned encoding, enum parquet_type type)
{
    switch (encoding) {
    case PARQUET_PLAIN:
        return true;
    case PARQUET_PLAIN_DICTIONARY:
    case PARQUET_RLE_DICTIONARY:
    case PARQUET_RLE:
        return (type == PARQUET_BOOLEAN) == (encoding == PARQUET_RLE);
    case PARQUET_DELTA_BINARY_PACKED:
        return type == PARQUET_INT32 || type == PARQUET_INT64;
    case PARQUET_DELTA_LENGTH_BYTE_ARRAY:
        return type == PARQUET_BYTE_ARRAY;
    case PARQUET_DELTA_BYTE_ARRAY:
        return type == PARQUET_BYTE_ARRAY || type == PARQUET_FIXED_LEN_BYTE_ARRAY;
    case PARQUET_BYTE_STREAM_SPLIT:
        return is_number(type) || type == PARQUET_FIXED_LEN_BYTE_ARRAY;
    default:
        return false;
    }
}

static bool start_dictionary(struct parquet_values *v)
{
    /* The width of indices stands first; a page of nulls alone may have nothing. */
    unsigned width = v->data.n ? (uint8_t)v->data.p[0] : 0;
    parquet_hybrid_init(&v->hybrid, v->data.n ? slice_from(v->data, 1) : v->data, width);
    return width <= 32;
}

static bool start_booleans(struct parquet_values *v)
{
    struct bytes in = bytes_make(v->data.p, v->data.n);
    struct slice runs = v->data.n ? bytes_slice(&in, bytes_le32(&in)) : v->data;
    if (in.bad)
        return false;
    parquet_hybrid_init(&v->hybrid, runs, 1);
    return true;
}

/* A delta list of lengths, then the characters. */
static bool start_strings(struct parquet_values *v, struct slice s)
{
    struct slice rest;
    if (!parquet_delta_init(&v->delta, s) || !parquet_delta_rest(&v->delta, &rest))
        return false;
    v->in = bytes_make(rest.p, rest.n);
    return true;
}

int parquet_values_start(struct parquet_values *v, unsigned encoding, struct slice data,
                         struct err *err)
{
    if (!parquet_encoding_fits(encoding, v->type))
        return err_set(err, EOPNOTSUPP, "encoding %u of values of type %u is not supported",
                       encoding, v->type);
    v->encoding = encoding;
    v->data = data;
    v->at = 0;
    v->in = bytes_make(data.p, data.n);
    buf_reset(&v->last);
    struct slice rest;
    bool ok = true;
    switch (v->encoding) {
    case PARQUET_PLAIN_DICTIONARY:
    case PARQUET_RLE_DICTIONARY:
        ok = start_dictionary(v);
        break;
    case PARQUET_RLE:
        ok = start_booleans(v);
        break;
    case PARQUET_DELTA_BINARY_PACKED:
        ok = parquet_delta_init(&v->delta, data);
        break;
    case PARQUET_DELTA_LENGTH_BYTE_ARRAY:
        ok = start_strings(v, data);
        break;
    case PARQUET_DELTA_BYTE_ARRAY:
        ok = parquet_delta_init(&v->prefixes, data) && parquet_delta_rest(&v->prefixes, &rest) &&
             start_strings(v, rest);
        break;
    case PARQUET_BYTE_STREAM_SPLIT:
        ok = data.n % v->length == 0;
        break;
    case PARQUET_PLAIN:
    case PARQUET_BIT_PACKED:
        break;
    }
    return ok ? 0 : err_set(err, EIO, "damaged head of values in encoding %u", encoding);
}

/* Values */

static union parquet_value number_at(enum parquet_type type, const uint8_t *p)
{
    union parquet_value v = {.number = 0};
    int32_t i;
    float f;
    switch (type) {
    case PARQUET_INT32:
        memcpy(&i, p, sizeof i);
        v.number = i;
        break;
    case PARQUET_FLOAT:
        memcpy(&f, p, sizeof f);
        v.real = f;
        break;
    case PARQUET_INT64:
        memcpy(&v.number, p, sizeof v.number);
        break;
    case PARQUET_DOUBLE:
        memcpy(&v.real, p, sizeof v.real);
        break;
    case PARQUET_BOOLEAN:
    case PARQUET_INT96:
    case PARQUET_BYTE_ARRAY:
    case PARQUET_FIXED_LEN_BYTE_ARRAY:
        assert(!"not a number");
    }
    return v;
}

static bool get_bits(struct parquet_values *v, union parquet_value *out, size_t n)
{
    if (n > v->data.n * 8 - v->at)
        return false;
    for (size_t i = 0; i < n; i++, v->at++)
        out[i].number = (uint8_t)v->data.p[v->at / 8] >> (v->at % 8) & 1;
    return true;
}

static bool get_plain(struct parquet_values *v, union parquet_value *out, size_t n)
{
    if (v->type == PARQUET_BOOLEAN)
        return get_bits(v, out, n);
    if (v->type == PARQUET_BYTE_ARRAY) {
        for (size_t i = 0; i < n; i++)
            out[i].bytes = bytes_slice(&v->in, bytes_le32(&v->in));
        return !v->in.bad;
    }
    const uint8_t *p = bytes_take(&v->in, n * v->length);
    if (!p)
        return false;
    bool number = is_number(v->type);
    for (size_t i = 0; i < n; i++, p += v->length)
        if (number)
            out[i] = number_at(v->type, p);
        else
            out[i].bytes = slice_make(p, v->length);
    return true;
}

static bool get_hybrid(struct parquet_values *v, union parquet_value *out, size_t n)
{
    uint32_t piece[PIECE];
    for (size_t done = 0; done < n;) {
        size_t take = n - done < PIECE ? n - done : PIECE;
        if (!parquet_hybrid_get(&v->hybrid, piece, take))
            return false;
        for (size_t i = 0; i < take; i++, done++)
            if (v->encoding == PARQUET_RLE)
                out[done].number = piece[i];
            else if (piece[i] < v->dictionary_n)
                out[done] = v->dictionary[piece[i]];
            else
                return false;
    }
    return true;
}

static bool get_deltas(struct parquet_values *v, union parquet_value *out, size_t n)
{
    int64_t piece[PIECE];
    for (size_t done = 0; done < n;) {
        size_t take = n - done < PIECE ? n - done : PIECE;
        if (!parquet_delta_get(&v->delta, piece, take))
            return false;
        /* Of 32-bit columns only the low half is meant: their deltas wrap there. */
        for (size_t i = 0; i < take; i++, done++)
            out[done].number = v->type == PARQUET_INT32 ? (int32_t)piece[i] : piece[i];
    }
    return true;
}

/* Lengths in the delta encodings have 32 bits; what is negative is longer than any page. */
static size_t length_of(int64_t v)
{
    return (size_t)(int32_t)v;
}

static bool get_strings(struct parquet_values *v, union parquet_value *out, size_t n)
{
    int64_t piece[PIECE];
    for (size_t done = 0; done < n;) {
        size_t take = n - done < PIECE ? n - done : PIECE;
        if (!parquet_delta_get(&v->delta, piece, take))
            return false;
        for (size_t i = 0; i < take; i++)
            out[done++].bytes = bytes_slice(&v->in, length_of(piece[i]));
    }
    return !v->in.bad;
}

/* One value of DELTA_BYTE_ARRAY: the first bytes of the one before, then its own. */
static int join(struct parquet_values *v, struct slice *value, size_t prefix, struct slice suffix)
{
    if (v->in.bad || prefix > value->n || (v->length && prefix + suffix.n != v->length))
        return -EIO;
    if (prefix == 0) {
        *value = suffix;
        return 0;
    }
    char *to = arena_alloc(&v->batch, prefix + suffix.n);
    if (!to)
        return -EOVERFLOW;
    memcpy(to, value->p, prefix);
    if (suffix.n)
        memcpy(to + prefix, suffix.p, suffix.n);
    *value = slice_make(to, prefix + suffix.n);
    return 0;
}

static int get_joined(struct parquet_values *v, union parquet_value *out, size_t n)
{
    int64_t prefixes[PIECE], lengths[PIECE];
    struct slice value = buf_slice(&v->last);
    arena_reset(&v->batch);
    for (size_t done = 0; done < n;) {
        size_t take = n - done < PIECE ? n - done : PIECE;
        if (!parquet_delta_get(&v->prefixes, prefixes, take) ||
            !parquet_delta_get(&v->delta, lengths, take))
            return -EIO;
        for (size_t i = 0; i < take; i++) {
            struct slice suffix = bytes_slice(&v->in, length_of(lengths[i]));
            int rc = join(v, &value, length_of(prefixes[i]), suffix);
            if (rc < 0)
                return rc;
            out[done++].bytes = value;
        }
    }
    /* The batch's memory is used again before the next value looks back at this one. */
    if (n) {
        buf_reset(&v->last);
        buf_add_slice(&v->last, value);
    }
    return v->last.failed ? -v->last.failed : 0;
}

static int get_split(struct parquet_values *v, union parquet_value *out, size_t n)
{
    size_t count = v->data.n / v->length;
    if (n > count - v->at)
        return -EIO;
    arena_reset(&v->batch);
    uint8_t number[8];
    for (size_t i = 0; i < n; i++, v->at++) {
        uint8_t *to = number;
        if (!is_number(v->type) && !(to = arena_alloc(&v->batch, v->length)))
            return -EOVERFLOW;
        for (size_t j = 0; j < v->length; j++)
            to[j] = (uint8_t)v->data.p[j * count + v->at];
        if (to == number)
            out[i] = number_at(v->type, number);
        else
            out[i].bytes = slice_make(to, v->length);
    }
    return 0;
}

int parquet_values_get(struct parquet_values *v, union parquet_value *out, size_t n,
                       struct err *err)
{
    assert(n <= PARQUET_BATCH);
    int rc = 0;
    switch (v->encoding) {
    case PARQUET_PLAIN:
        rc = get_plain(v, out, n) ? 0 : -EIO;
        break;
    case PARQUET_PLAIN_DICTIONARY:
    case PARQUET_RLE_DICTIONARY:
    case PARQUET_RLE:
        rc = get_hybrid(v, out, n) ? 0 : -EIO;
        break;
    case PARQUET_DELTA_BINARY_PACKED:
        rc = get_deltas(v, out, n) ? 0 : -EIO;
        break;
    case PARQUET_DELTA_LENGTH_BYTE_ARRAY:
        rc = get_strings(v, out, n) ? 0 : -EIO;
        break;
    case PARQUET_DELTA_BYTE_ARRAY:
        rc = get_joined(v, out, n);
        break;
    case PARQUET_BYTE_STREAM_SPLIT:
        rc = get_split(v, out, n);
        break;
    case PARQUET_BIT_PACKED:
        assert(!"not permitted by parquet_values_start");
    }
    if (rc == -EOVERFLOW)
        return err_set(err, EOVERFLOW, "a batch of values takes more than %zu bytes",
                       PARQUET_ROW_BYTES_MAX);
    return rc < 0 ? err_set(err, -rc, "damaged values in encoding %u", v->encoding) : 0;
}

const uint8_t *parquet_values_plain(struct parquet_values *v, size_t n)
{
    assert(v->encoding == PARQUET_PLAIN && v->length);
    return bytes_take(&v->in, n * v->length);
}
