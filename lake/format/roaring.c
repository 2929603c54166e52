/* SPDX-License-Identifier: Apache-2.0 */
#include <zlib.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "lake/format/roaring_private.h"

/* The first bytes of a 32-bit bitmap: without run containers, and (in its low half) with them. */
#define COOKIE_PLAIN 12346U
#define COOKIE_RUNS 12347U
/* With run containers, fewer containers than this have no table of their places. */
#define PLACES_FROM 4U
#define CONTAINERS32_MAX 65536U
#define ARRAY_MAGIC 1681511377U
/* Big-endian, as the protocol's own example has it: the bitmaps' sizes, and no keys. */
#define ARRAY_MAGIC_BIG 1681511376U
/* Around a stored array. */
#define LENGTH_BYTES 4U
#define CRC_BYTES 4U
/* Keys of a RoaringBitmapArray are Java's ints: rows are below 2^63. */
#define BITMAPS_MAX ((uint64_t)1 << 31)

void roaring_free(struct roaring *r)
{
    if (!r)
        return;
    vec_done(&r->containers);
    free(r->bytes);
    free(r);
}

size_t roaring_container_bytes(const struct container *c)
{
    return c->kind == CONTAINER_RUNS     ? (size_t)4 * c->n
           : c->kind == CONTAINER_BITMAP ? CONTAINER_ROWS / 8
                                         : (size_t)2 * c->rows;
}

size_t roaring_bytes(const struct roaring *r)
{
    size_t bytes = sizeof *r + r->containers.capacity * sizeof *r->containers.at;
    for (size_t i = 0; i < r->containers.n; i++)
        bytes += roaring_container_bytes(&r->containers.at[i]);
    return bytes;
}

uint64_t roaring_count(const struct roaring *r)
{
    return r->rows;
}

static uint16_t le16(const uint8_t *p, size_t i)
{
    uint16_t v;
    memcpy(&v, p + 2 * i, sizeof v);
    return v;
}

static uint64_t le64(const uint8_t *p, size_t i)
{
    uint64_t v;
    memcpy(&v, p + 8 * i, sizeof v);
    return v;
}

/* First and last value of a run. */
static uint32_t run_first(const struct container *c, size_t i)
{
    return le16(c->data, 2 * i);
}
static uint32_t run_last(const struct container *c, size_t i)
{
    return run_first(c, i) + le16(c->data, 2 * i + 1);
}

static bool array_ascends(const struct container *c)
{
    for (size_t i = 1; i < c->rows; i++)
        if (le16(c->data, i) <= le16(c->data, i - 1))
            return false;
    return true;
}

static bool bitmap_counts(const struct container *c)
{
    uint32_t rows = 0;
    for (size_t i = 0; i < WORDS; i++)
        rows += (uint32_t)__builtin_popcountll(le64(c->data, i));
    return rows == c->rows;
}

static bool runs_ascend(const struct container *c)
{
    uint32_t rows = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (run_last(c, i) >= CONTAINER_ROWS || (i && run_first(c, i) <= run_last(c, i - 1)))
            return false;
        rows += run_last(c, i) - run_first(c, i) + 1;
    }
    return rows == c->rows;
}

static int damaged(const char *what, struct err *err)
{
    return err_set(err, EIO, "a roaring bitmap: %s", what);
}

/* Takes one container's data. */
static int take_data(struct bytes *b, struct container *c, bool runs, struct err *err)
{
    const uint8_t *n = runs ? bytes_take(b, 2) : NULL;
    c->kind = runs ? CONTAINER_RUNS : c->rows > ARRAY_MAX ? CONTAINER_BITMAP : CONTAINER_ARRAY;
    c->n = n ? le16(n, 0) : 0;
    switch ((enum container_kind)c->kind) {
    case CONTAINER_ARRAY:
        c->data = bytes_take(b, (size_t)2 * c->rows);
        return c->data && !array_ascends(c) ? damaged("values do not ascend", err) : 0;
    case CONTAINER_BITMAP:
        c->data = bytes_take(b, CONTAINER_ROWS / 8);
        return c->data && !bitmap_counts(c) ? damaged("a container's count is wrong", err) : 0;
    case CONTAINER_RUNS:
        c->data = bytes_take(b, (size_t)4 * c->n);
        return c->data && !runs_ascend(c) ? damaged("a container's runs are wrong", err) : 0;
    }
    return 0;
}

int roaring_add_container(struct roaring *r, const struct container *c, struct err *err)
{
    const struct container *last = r->containers.n ? &r->containers.at[r->containers.n - 1] : NULL;
    if (last && c->key <= last->key)
        return damaged("containers do not ascend", err);
    int rc = vec_push(&r->containers, *c);
    if (rc == -EOVERFLOW)
        return err_set(err, EOVERFLOW, "a roaring bitmap of more than %zu containers",
                       r->containers.max);
    if (rc < 0)
        return err_set(err, -rc, "a roaring bitmap: out of memory");
    r->rows += c->rows;
    return 0;
}

/* Takes one 32-bit bitmap, whose rows begin at high << 32. */
static int take_bitmap(struct roaring *r, struct bytes *b, uint64_t high, struct err *err)
{
    uint32_t cookie = bytes_le32(b), n = 0;
    const uint8_t *run_flags = NULL;
    if ((cookie & 0xffff) == COOKIE_RUNS) {
        n = (cookie >> 16) + 1;
        run_flags = bytes_take(b, (n + 7) / 8);
    } else if (cookie == COOKIE_PLAIN) {
        n = bytes_le32(b);
    } else if (!b->bad) {
        return damaged("it does not begin as one", err);
    }
    if (n > CONTAINERS32_MAX)
        return damaged("too many containers", err);
    const uint8_t *heads = bytes_take(b, (size_t)4 * n);
    /* Data follow one another, so their places are known without the table. */
    if (!run_flags || n >= PLACES_FROM)
        (void)bytes_take(b, (size_t)4 * n);
    for (uint32_t i = 0; i < n && !b->bad; i++) {
        struct container c = {.key = high << 16 | le16(heads, (size_t)2 * i),
                              .before = r->rows,
                              .rows = (uint32_t)le16(heads, (size_t)2 * i + 1) + 1};
        int rc = take_data(b, &c, run_flags && run_flags[i / 8] >> i % 8 & 1, err);
        if (rc == 0 && !b->bad)
            rc = roaring_add_container(r, &c, err);
        if (rc < 0)
            return rc;
    }
    return b->bad ? damaged("it is cut off", err) : 0;
}

static int take_array_big(struct roaring *r, struct bytes *b, struct err *err)
{
    uint32_t n = __builtin_bswap32(bytes_le32(b));
    int rc = b->bad || n >= BITMAPS_MAX ? damaged("too many bitmaps", err) : 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        struct slice bitmap = bytes_slice(b, __builtin_bswap32(bytes_le32(b)));
        struct bytes inner = bytes_make(bitmap.p, bitmap.n);
        rc = take_bitmap(r, &inner, i, err);
        if (rc == 0 && bytes_left(&inner))
            rc = damaged("a bitmap's size is wrong", err);
    }
    return rc;
}

static int take_array(struct roaring *r, struct bytes *b, struct err *err)
{
    uint32_t magic = bytes_le32(b);
    if (__builtin_bswap32(magic) == ARRAY_MAGIC_BIG)
        return take_array_big(r, b, err);
    uint64_t n = bytes_le64(b);
    if (b->bad || magic != ARRAY_MAGIC)
        return damaged("no RoaringBitmapArray", err);
    if (n > BITMAPS_MAX)
        return damaged("too many bitmaps", err);
    for (uint64_t i = 0; i < n; i++) {
        uint32_t high = bytes_le32(b);
        if (high >= BITMAPS_MAX)
            return damaged("a row number of 64 bits", err);
        int rc = take_bitmap(r, b, high, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

struct roaring *roaring_new(struct slice bytes, struct err *err)
{
    struct roaring *r = calloc(1, sizeof *r);
    uint8_t *copy = malloc(bytes.n ? bytes.n : 1);
    if (!r || !copy) {
        free(r);
        free(copy);
        (void)err_set(err, ENOMEM, "a roaring bitmap: out of memory");
        return NULL;
    }
    if (bytes.n)
        memcpy(copy, bytes.p, bytes.n);
    r->bytes = copy;
    r->containers.max = ROARING_CONTAINERS_MAX;
    return r;
}

static int parse(struct slice bytes, bool array, struct roaring **out, struct err *err)
{
    if (bytes.n > ROARING_BYTES_MAX)
        return err_set(err, EOVERFLOW, "a roaring bitmap of %zu bytes, over %zu", bytes.n,
                       ROARING_BYTES_MAX);
    AUTO(roaring) struct roaring *r = roaring_new(bytes, err);
    if (!r)
        return -ENOMEM;
    struct bytes b = bytes_make(r->bytes, bytes.n);
    int rc = array ? take_array(r, &b, err) : take_bitmap(r, &b, 0, err);
    if (rc < 0)
        return rc;
    if (bytes_left(&b))
        return damaged("something follows it", err);
    *out = STEAL(r);
    return 0;
}

int roaring_parse(struct slice bytes, struct roaring **out, struct err *err)
{
    return parse(bytes, false, out, err);
}

int roaring_parse_array(struct slice bytes, struct roaring **out, struct err *err)
{
    return parse(bytes, true, out, err);
}

static uint32_t be32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

int roaring_parse_framed(struct slice framed, struct roaring **out, struct err *err)
{
    if (framed.n < LENGTH_BYTES + CRC_BYTES)
        return err_set(err, EIO, "a deletion vector in %zu bytes", framed.n);
    size_t n = framed.n - LENGTH_BYTES - CRC_BYTES;
    if (be32(framed.p) != n)
        return err_set(err, EIO, "a deletion vector of %u bytes in a frame for %zu", be32(framed.p),
                       n);
    struct slice bytes = slice_make(framed.p + LENGTH_BYTES, n);
    if (be32(bytes.p + n) != (uint32_t)crc32_z(0, (const Bytef *)bytes.p, n))
        return err_set(err, EIO, "a deletion vector's checksum is wrong");
    return roaring_parse_array(bytes, out, err);
}

/* Position of the first container whose key is not below, or n. */
static size_t find_container(const struct roaring *r, uint64_t key)
{
    size_t low = 0, high = r->containers.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->containers.at[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Position of the first value of an array (or last value of a run) that is not below. */
static size_t find_value(const struct container *c, uint32_t value)
{
    size_t low = 0, high = c->kind == CONTAINER_RUNS ? c->n : c->rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint32_t at = c->kind == CONTAINER_RUNS ? run_last(c, middle) : le16(c->data, middle);
        if (at < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t roaring_next_value(const struct container *c, uint32_t from)
{
    size_t i;
    switch ((enum container_kind)c->kind) {
    case CONTAINER_ARRAY:
        i = find_value(c, from);
        return i < c->rows ? le16(c->data, i) : CONTAINER_ROWS;
    case CONTAINER_RUNS:
        i = find_value(c, from);
        if (i == c->n)
            return CONTAINER_ROWS;
        return run_first(c, i) > from ? run_first(c, i) : from;
    case CONTAINER_BITMAP:
        break;
    }
    i = from / 64;
    uint64_t word = le64(c->data, i) & (UINT64_MAX << from % 64);
    while (word == 0 && ++i < WORDS)
        word = le64(c->data, i);
    return word ? (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(word) : CONTAINER_ROWS;
}

bool roaring_next(const struct roaring *r, uint64_t from, uint64_t *row)
{
    size_t i = find_container(r, from >> 16);
    uint32_t low = 0;
    if (i < r->containers.n && r->containers.at[i].key == from >> 16)
        low = (uint32_t)(from & (CONTAINER_ROWS - 1));
    for (; i < r->containers.n; i++, low = 0) {
        const struct container *c = &r->containers.at[i];
        uint32_t value = roaring_next_value(c, low);
        if (value < CONTAINER_ROWS) {
            *row = c->key << 16 | value;
            return true;
        }
    }
    return false;
}

/* Values of the container that are below. */
static uint64_t count_below(const struct container *c, uint32_t value)
{
    size_t i;
    uint64_t rows = 0;
    switch ((enum container_kind)c->kind) {
    case CONTAINER_ARRAY:
        return find_value(c, value);
    case CONTAINER_RUNS:
        for (i = 0; i < c->n && run_last(c, i) < value; i++)
            rows += run_last(c, i) - run_first(c, i) + 1;
        return i < c->n && run_first(c, i) < value ? rows + value - run_first(c, i) : rows;
    case CONTAINER_BITMAP:
        break;
    }
    for (i = 0; i < value / 64; i++)
        rows += (uint64_t)__builtin_popcountll(le64(c->data, i));
    uint64_t rest = value % 64 ? le64(c->data, i) & ~(UINT64_MAX << value % 64) : 0;
    return rows + (uint64_t)__builtin_popcountll(rest);
}

static uint64_t rows_below(const struct roaring *r, uint64_t row)
{
    size_t i = find_container(r, row >> 16);
    if (i == r->containers.n)
        return r->rows;
    const struct container *c = &r->containers.at[i];
    bool inside = c->key == row >> 16;
    return c->before + (inside ? count_below(c, (uint32_t)(row & (CONTAINER_ROWS - 1))) : 0);
}

uint64_t roaring_count_between(const struct roaring *r, uint64_t from, uint64_t to)
{
    return from < to ? rows_below(r, to) - rows_below(r, from) : 0;
}
