/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lake/format/parquet_encoding.h"

/* Aim: repeated and bit-packed runs follow one another, whatever the size of the batches. */
static void test_hybrid(void **state)
{
    (void)state;
    /* 5 times 6, then 0 to 7 in 3 bits each (the example of Encodings.md). */
    static const struct slice runs = SLICE_LIT("\x0a\x06\x03\x88\xc6\xfa");
    static const uint32_t expected[] = {6, 6, 6, 6, 6, 0, 1, 2, 3, 4, 5, 6, 7};
    for (size_t batch = 1; batch <= 13; batch++) {
        struct parquet_hybrid h;
        parquet_hybrid_init(&h, runs, 3);
        uint32_t got[13];
        for (size_t at = 0; at < 13; at += batch)
            assert_true(parquet_hybrid_get(&h, got + at, batch < 13 - at ? batch : 13 - at));
        assert_memory_equal(got, expected, sizeof expected);
        assert_false(parquet_hybrid_get(&h, got, 1));
    }
}

/* Aim: a last group that is cut off gives the values that it has, and no more. */
static void test_hybrid_cut(void **state)
{
    (void)state;
    struct parquet_hybrid h;
    uint32_t got[8];
    parquet_hybrid_init(&h, SLICE_LIT("\x03\x21\x43"), 4);
    assert_true(parquet_hybrid_get(&h, got, 4));
    assert_int_equal(got[0] + got[1] * 10 + got[2] * 100 + got[3] * 1000, 4321);
    assert_false(parquet_hybrid_get(&h, got, 1));
    parquet_hybrid_init(&h, SLICE_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0);
    assert_false(parquet_hybrid_get(&h, got, 1)); /* a count beyond 64 bits */
    parquet_hybrid_init(&h, SLICE_LIT("\xff\xff\x03"), 0);
    assert_true(parquet_hybrid_get(&h, got, 8));
    assert_int_equal(got[7], 0);
}

/* Aim: widths up to 32 bits are taken from any bit position, up to the last byte. */
static void test_hybrid_widths(void **state)
{
    (void)state;
    for (unsigned width = 1; width <= 32; width++) {
        uint8_t bytes[1 + 32] = {0x03};
        uint32_t got[8];
        for (unsigned i = 0; i < 8; i++) /* value i has its lowest and its highest bit */
            for (unsigned end = 0; end < 2; end++) {
                unsigned bit = i * width + (end ? width - 1 : 0);
                bytes[1 + bit / 8] |= (uint8_t)(1U << (bit % 8));
            }
        struct parquet_hybrid h;
        parquet_hybrid_init(&h, slice_make(bytes, 1 + width), width);
        assert_true(parquet_hybrid_get(&h, got, 8));
        for (unsigned i = 0; i < 8; i++)
            assert_int_equal(got[i], 1U << (width - 1) | 1U);
    }
}

/* Aim: the examples of Encodings.md, and what stands behind the integers. */
static void test_delta(void **state)
{
    (void)state;
    struct parquet_delta d;
    struct slice rest;
    int64_t got[8];
    /* 1 to 5: deltas of 1 in no bits. */
    assert_true(parquet_delta_init(&d, SLICE_LIT("\x80\x01\x04\x05\x02\x02\0\0\0\0rest")));
    assert_true(parquet_delta_rest(&d, &rest) && slice_is(rest, "rest"));
    assert_true(parquet_delta_get(&d, got, 2) && parquet_delta_get(&d, got + 2, 3));
    for (int i = 0; i < 5; i++)
        assert_int_equal(got[i], i + 1);
    assert_false(parquet_delta_get(&d, got, 1));
    /* 7, 5, 3, 1, 2, 3, 4, 5: deltas of at least -2, in 2 bits; the padding is left out. */
    assert_true(parquet_delta_init(&d, SLICE_LIT("\x80\x01\x04\x08\x0e\x03\x02\0\0\0\xc0\x3f")));
    static const int64_t expected[] = {7, 5, 3, 1, 2, 3, 4, 5};
    assert_true(parquet_delta_get(&d, got, 8));
    assert_memory_equal(got, expected, sizeof expected);
}

/* Aim: 64-bit deltas wrap around, from any bit position. */
static void test_delta_wraps(void **state)
{
    (void)state;
    uint8_t bytes[64] = "\x08\x01\x04\x00\x00\x40"; /* blocks of 8, 4 values, 0 first; 64 bits */
    memset(bytes + 6, 0xff, 8);                     /* -1 */
    bytes[6 + 8 + 7] = 0x80;                        /* the lowest number */
    bytes[6 + 16] = 1;
    struct parquet_delta d;
    int64_t got[4];
    assert_true(parquet_delta_init(&d, slice_make(bytes, sizeof bytes)));
    assert_true(parquet_delta_get(&d, got, 4));
    assert_true(got[0] == 0 && got[1] == -1 && got[2] == INT64_MAX && got[3] == INT64_MIN);
}

/* Aim: damaged heads and lists that end early are refused. */
static void test_delta_damaged(void **state)
{
    (void)state;
    static const struct slice heads[] = {
        SLICE_LIT("\x80"),
        SLICE_LIT("\x00\x01\x01\x00"),     /* blocks of 0 */
        SLICE_LIT("\x80\x01\x00\x01\x00"), /* no miniblocks */
        SLICE_LIT("\x80\x01\x03\x01\x00"), /* 128 values in 3 */
        SLICE_LIT("\x80\x01\x20\x01\x00"), /* 4 values in each */
    };
    struct parquet_delta d;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        assert_false(parquet_delta_init(&d, heads[i]));
    struct slice rest;
    int64_t got[8];
    assert_true(parquet_delta_init(&d, SLICE_LIT("\x80\x01\x04\x05\x02")));
    assert_false(parquet_delta_rest(&d, &rest));
    assert_false(parquet_delta_get(&d, got, 5));
    assert_true(parquet_delta_init(&d, SLICE_LIT("\x80\x01\x04\x05\x02\x02\x41\0\0\0")));
    assert_false(parquet_delta_get(&d, got, 5)); /* 65 bits */
    assert_true(parquet_delta_init(&d, slice_make("", 0)));
    assert_true(parquet_delta_get(&d, got, 0));
    assert_false(parquet_delta_get(&d, got, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hybrid),        cmocka_unit_test(test_hybrid_cut),
        cmocka_unit_test(test_hybrid_widths), cmocka_unit_test(test_delta),
        cmocka_unit_test(test_delta_wraps),   cmocka_unit_test(test_delta_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
