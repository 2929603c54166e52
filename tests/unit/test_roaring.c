/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "lake/format/roaring.h"

static unsigned long long seed;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 33) % n;
}

/* A writer of bitmaps that knows one bit a row. */
#define ROWS ((uint32_t)8 * 65536)
struct model {
    uint8_t has[ROWS];
    bool as_runs[ROWS / 65536]; /* which containers are written so */
};

static void put16(struct buf *out, uint32_t v)
{
    buf_add_char(out, (char)(v & 255));
    buf_add_char(out, (char)(v >> 8 & 255));
}

static void put32(struct buf *out, uint32_t v)
{
    put16(out, v & 65535);
    put16(out, v >> 16);
}

static uint32_t count(const struct model *m, uint32_t from, uint32_t to)
{
    uint32_t n = 0;
    for (uint32_t i = from; i < to && i < ROWS; i++)
        n += m->has[i];
    return n;
}

static void put_runs(struct buf *out, const uint8_t *has)
{
    AUTO(buf) struct buf runs = {0};
    buf_init(&runs, MIB);
    uint32_t n = 0;
    for (uint32_t i = 0; i < 65536; i++) {
        uint32_t first = i;
        while (i < 65536 && has[i])
            i++;
        if (i == first)
            continue;
        put16(&runs, first);
        put16(&runs, i - first - 1);
        n++;
    }
    put16(out, n);
    buf_add_slice(out, buf_slice(&runs));
}

static void put_values(struct buf *out, const uint8_t *has, uint32_t n)
{
    for (uint32_t i = 0; n <= 4096 && i < 65536; i++)
        if (has[i])
            put16(out, i);
    for (uint32_t i = 0; n > 4096 && i < 65536; i += 8) {
        unsigned byte = 0;
        for (uint32_t bit = 0; bit < 8; bit++)
            byte |= (unsigned)has[i + bit] << bit;
        buf_add_char(out, (char)byte);
    }
}

/* The model as a standard 32-bit bitmap. */
static void write_model(struct buf *out, const struct model *m)
{
    uint32_t keys[ROWS / 65536], n = 0, runs = 0;
    AUTO(buf) struct buf data = {0};
    AUTO(buf) struct buf places = {0};
    buf_init(&data, 4 * MIB);
    buf_init(&places, MIB);
    for (uint32_t k = 0; k < ROWS / 65536; k++)
        if (count(m, k * 65536, (k + 1) * 65536)) {
            keys[n++] = k;
            runs += m->as_runs[k];
        }
    if (runs) {
        uint32_t flags = 0;
        for (uint32_t i = 0; i < n; i++)
            flags |= (uint32_t)m->as_runs[keys[i]] << i;
        put32(out, 12347 | (n - 1) << 16);
        buf_add_char(out, (char)flags);
    } else {
        put32(out, 12346);
        put32(out, n);
    }
    size_t head = 4 * (size_t)n + (!runs || n >= 4 ? 4 * (size_t)n : 0);
    uint32_t begin = (uint32_t)(out->len + head);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t rows = count(m, keys[i] * 65536, (keys[i] + 1) * 65536);
        put16(out, keys[i]);
        put16(out, rows - 1);
        put32(&places, begin + (uint32_t)data.len);
        if (m->as_runs[keys[i]])
            put_runs(&data, m->has + keys[i] * 65536);
        else
            put_values(&data, m->has + keys[i] * 65536, rows);
    }
    if (!runs || n >= 4)
        buf_add_slice(out, buf_slice(&places));
    buf_add_slice(out, buf_slice(&data));
}

static void check_same(const struct roaring *r, const struct model *m, uint64_t high)
{
    uint64_t row = 0, from = high;
    for (uint32_t i = 0; i < ROWS; i++) {
        if (!m->has[i])
            continue;
        assert_true(roaring_next(r, from, &row));
        assert_int_equal(row, high + i);
        from = row + 1;
    }
    for (int i = 0; i < 200; i++) {
        uint32_t a = random_below(ROWS), b = random_below(ROWS);
        assert_int_equal(roaring_count_between(r, high + a, high + b), a < b ? count(m, a, b) : 0);
        bool any = roaring_next(r, high + a, &row);
        while (a < ROWS && !m->has[a])
            a++;
        assert_int_equal(any && row < high + ROWS, a < ROWS);
        if (a < ROWS)
            assert_int_equal(row, high + a);
    }
}

static void fill(struct model *m)
{
    memset(m, 0, sizeof *m);
    for (uint32_t k = 0; k < ROWS / 65536; k++) {
        uint8_t *has = m->has + k * 65536;
        uint32_t kind = random_below(6);
        m->as_runs[k] = random_below(2);
        if (kind == 0) /* few: an array */
            for (uint32_t i = random_below(20); i--;)
                has[random_below(65536)] = 1;
        else if (kind == 1) /* many: a bitmap */
            for (uint32_t i = 0; i < 65536; i++)
                has[i] = random_below(2) == 0;
        else if (kind == 2) /* all, and the ends of the container */
            memset(has, 1, 65536);
        else if (kind == 3)
            has[0] = has[65535] = has[63] = has[64] = 1;
        else if (kind == 4) /* stretches */
            for (uint32_t i = random_below(50); i < 65536; i += random_below(5000) + 1)
                for (uint32_t n = random_below(400); n-- && i < 65536; i++)
                    has[i] = 1;
    }
}

/* Aim: what any writer may have written is read as the set that it wrote. */
static void test_random(void **state)
{
    (void)state;
    static struct model m;
    for (int round = 0; round < 40; round++) {
        AUTO(buf) struct buf bytes = {0};
        AUTO(roaring) struct roaring *r = NULL;
        struct err err = ERR_INIT;
        buf_init(&bytes, 4 * MIB);
        fill(&m);
        write_model(&bytes, &m);
        assert_int_equal(buf_check(&bytes, &err), 0);
        if (roaring_parse(buf_slice(&bytes), &r, &err) < 0)
            fail_msg("%s", err.msg);
        assert_int_equal(roaring_count(r), count(&m, 0, ROWS));
        check_same(r, &m, 0);
    }
}

/* Aim: an array of bitmaps holds rows beyond 32 bits, each under its key; empty ones do no harm. */
static void test_array(void **state)
{
    (void)state;
    static struct model m[2];
    static const uint32_t highs[] = {0, 3, 0x7fffffff};
    AUTO(buf) struct buf bytes = {0};
    AUTO(roaring) struct roaring *r = NULL;
    struct err err = ERR_INIT;
    uint64_t row;
    buf_init(&bytes, 8 * MIB);
    fill(&m[0]);
    m[1].has[7] = m[1].has[70000] = 1;
    put32(&bytes, 1681511377);
    put32(&bytes, 3);
    put32(&bytes, 0);
    for (int i = 0; i < 3; i++) {
        AUTO(buf) struct buf one = {0};
        buf_init(&one, 4 * MIB);
        put32(&bytes, highs[i]);
        if (i == 1)
            buf_add(&one, "\x3a\x30\0\0\0\0\0\0", 8); /* none */
        else
            write_model(&one, &m[i / 2]);
        buf_add_slice(&bytes, buf_slice(&one));
    }
    if (roaring_parse_array(buf_slice(&bytes), &r, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(roaring_count(r), count(&m[0], 0, ROWS) + 2);
    check_same(r, &m[0], 0);
    check_same(r, &m[1], (uint64_t)0x7fffffff << 32);
    assert_true(roaring_next(r, ROWS, &row));
    assert_int_equal(row, ((uint64_t)0x7fffffff << 32) + 7);
    assert_false(roaring_next(r, ((uint64_t)0x7fffffff << 32) + 70001, &row));
    assert_false(roaring_next(r, UINT64_MAX, &row));
}

/* Aim: a bitmap that lacks its last bytes, or has more, is refused at every length. */
static void test_cut(void **state)
{
    (void)state;
    static struct model m;
    AUTO(buf) struct buf bytes = {0};
    struct roaring *r = NULL;
    buf_init(&bytes, MIB);
    m.has[1] = m.has[5] = m.has[65536 + 9] = 1;
    for (uint32_t i = 131072; i < 131172; i++)
        m.has[i] = 1;
    m.as_runs[2] = true;
    write_model(&bytes, &m);
    for (size_t n = 0; n < bytes.len; n++)
        assert_int_equal(roaring_parse(slice_make(bytes.data, n), &r, NULL), -EIO);
    buf_add_char(&bytes, 0);
    assert_int_equal(roaring_parse(buf_slice(&bytes), &r, NULL), -EIO);
    assert_null(r);
}

/* Aim: what contradicts itself is refused: nobody's rows are deleted by damage. */
static void test_damage(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        struct slice bytes;
    } cases[] = {
        {"no cookie", SLICE_LIT("\x3c\x30\0\0\0\0\0\0")},
        {"65537 containers", SLICE_LIT("\x3a\x30\0\0\x01\0\x01\0")},
        {"values that do not ascend",
         SLICE_LIT("\x3a\x30\0\0\x01\0\0\0\0\0\x01\0\x10\0\0\0\x05\0\x05\0")},
        {"keys that do not ascend",
         SLICE_LIT("\x3a\x30\0\0\x02\0\0\0\x01\0\0\0\x01\0\0\0\x18\0\0\0\x1a\0\0\0\x05\0\x06\0")},
        {"a run past the end", SLICE_LIT("\x3b\x30\0\0\x01\0\0\x01\0\x01\0\xff\xff\x01\0")},
        {"a run that counts otherwise", SLICE_LIT("\x3b\x30\0\0\x01\0\0\x05\0\x01\0\x07\0\x01\0")},
    };
    struct roaring *r = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (roaring_parse(cases[i].bytes, &r, NULL) != -EIO)
            fail_msg("%s: taken", cases[i].why);
    static char big[16 + 8192] = "\x3a\x30\0\0\x01\0\0\0\0\0\x00\x20\x10\0\0"; /* 8193, has none */
    assert_int_equal(roaring_parse(slice_make(big, sizeof big), &r, NULL), -EIO);
    static char huge[ROARING_BYTES_MAX + 1];
    assert_int_equal(roaring_parse(slice_make(huge, sizeof huge), &r, NULL), -EOVERFLOW);
    assert_int_equal(roaring_parse_array(SLICE_LIT("\xd0\xd3\x39\x64\0\0\0\0\0\0\0\0"), &r, NULL),
                     -EIO); /* of no magic number */
    assert_null(r);
}

/* The rows of both bitmaps are those of the model. */
static void check_rows(const struct roaring *r, const struct model *m)
{
    uint64_t row = 0, n = 0;
    for (uint32_t i = 0; i < ROWS; i++)
        if (m->has[i]) {
            assert_true(roaring_next(r, row, &row));
            assert_int_equal(row++, i);
            n++;
            if (i % 977 == 0)
                assert_int_equal(roaring_count_between(r, 0, i), n - 1);
        }
    assert_false(roaring_next(r, row, &row));
    assert_int_equal(roaring_count(r), n);
}

/* Sets of our own: few rows, many, all, in runs; built from words at any row, and from ranges. */
static void build_random(struct model *m, struct roaring **out)
{
    AUTO(roaring_builder) struct roaring_builder *b = roaring_builder_new(NULL);
    assert_non_null(b);
    memset(m, 0, sizeof *m);
    for (uint32_t row = random_below(100); row < ROWS - 64;) {
        uint32_t n = 1 + random_below(64), kind = random_below(4);
        uint64_t bits = kind == 0   ? 0
                        : kind == 1 ? 1ULL << random_below(n)
                                    : (uint64_t)random_below(UINT32_MAX) << random_below(32);
        bits &= ~0ULL >> (64 - n);
        if (kind == 3 && random_below(20) == 0) {
            n = 1 + random_below(200000);
            n = n < ROWS - row ? n : ROWS - row;
            assert_int_equal(roaring_builder_add_range(b, row, row + n, NULL), 0);
            memset(m->has + row, 1, n);
        } else {
            assert_int_equal(roaring_builder_add(b, row, bits, NULL), 0);
            for (uint32_t i = 0; i < n; i++)
                m->has[row + i] = bits >> i & 1;
        }
        row += n + (random_below(50) == 0 ? random_below(100000) : 0);
    }
    assert_int_equal(roaring_builder_end(b, out, NULL), 0);
}

static void test_built(void **state)
{
    (void)state;
    struct model *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    assert_non_null(a);
    assert_non_null(b);
    for (int round = 0; round < 10; round++) {
        AUTO(roaring) struct roaring *x = NULL, *y = NULL, *both = NULL;
        build_random(a, &x);
        build_random(b, &y);
        check_rows(x, a);
        check_rows(y, b);
        assert_int_equal(roaring_union(x, y, &both, NULL), 0);
        for (uint32_t i = 0; i < ROWS; i++)
            a->has[i] |= b->has[i];
        check_rows(both, a);
    }
    free(a);
    free(b);
}

/* Nothing, and more than any file has. */
static void test_built_limits(void **state)
{
    (void)state;
    AUTO(roaring_builder) struct roaring_builder *b = roaring_builder_new(NULL);
    AUTO(roaring) struct roaring *none = NULL, *both = NULL;
    uint64_t row;
    assert_int_equal(roaring_builder_end(b, &none, NULL), 0);
    assert_int_equal(roaring_count(none), 0);
    assert_false(roaring_next(none, 0, &row));
    assert_int_equal(roaring_union(none, none, &both, NULL), 0);
    assert_int_equal(roaring_count(both), 0);
    assert_int_equal(roaring_builder_add_range(b, 0, UINT64_MAX, NULL), -EOVERFLOW);
}

int main(void)
{
    const char *from = getenv("SEED");
    seed = from ? strtoull(from, NULL, 10) : (unsigned long long)time(NULL);
    printf("SEED=%llu\n", seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random), cmocka_unit_test(test_array),
        cmocka_unit_test(test_cut),    cmocka_unit_test(test_damage),
        cmocka_unit_test(test_built),  cmocka_unit_test(test_built_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
