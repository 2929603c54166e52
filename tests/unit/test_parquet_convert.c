/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lake/format/parquet_convert.h"

/* A conversion of present.h, or PRESENT_RESCALE by so many digits. */
#define RESCALE(digits) (100 + (digits))

static int convert_leaf(const struct present_leaf *leaf, struct parquet_node from,
                        struct parquet_node to, union parquet_value *values, size_t n, char *bytes)
{
    struct err err = ERR_INIT;
    struct parquet_convert c = {.how = PRESENT_COPY};
    int rc = parquet_convert_init(&c, leaf, &from, &to, &err);
    if (rc == 0)
        rc = parquet_convert_batch(&c, values, n, &err);
    assert_int_equal(rc, -err.code);
    for (size_t i = 0; rc == 0 && i < n && bytes; i++) {
        assert_int_equal(values[i].bytes.n, to.type_length);
        memcpy(bytes + i * to.type_length, values[i].bytes.p, to.type_length);
    }
    parquet_convert_done(&c);
    return rc;
}

static int convert(unsigned how, struct parquet_node from, struct parquet_node to,
                   union parquet_value *values, size_t n, char *bytes)
{
    struct present_leaf leaf = {.how = how < RESCALE(0) ? how : PRESENT_RESCALE,
                                .digits = (uint8_t)(how < RESCALE(0) ? 0 : how - RESCALE(0))};
    return convert_leaf(&leaf, from, to, values, n, bytes);
}

static const struct parquet_node int32 = {.type = PARQUET_INT32}, int64 = {.type = PARQUET_INT64},
                                 real = {.type = PARQUET_DOUBLE}, single = {.type = PARQUET_FLOAT},
                                 string = {.type = PARQUET_BYTE_ARRAY};

static struct parquet_node fixed(uint32_t n)
{
    return (struct parquet_node){.type = PARQUET_FIXED_LEN_BYTE_ARRAY, .type_length = n};
}

/* Aim: the lowest and highest integers, and days before and after the epoch, become what they are
 * in the wider type. */
static void test_numbers(void **state)
{
    (void)state;
    union parquet_value v[] = {{.number = INT32_MIN}, {.number = -1}, {.number = INT32_MAX}};
    assert_int_equal(convert(PRESENT_INT_TO_INT, int32, int64, v, 3, NULL), 0);
    assert_true(v[0].number == INT32_MIN && v[1].number == -1 && v[2].number == INT32_MAX);
    assert_int_equal(convert(PRESENT_INT_TO_DOUBLE, int32, real, v, 3, NULL), 0);
    assert_true(v[0].real == -2147483648.0 && v[1].real == -1.0 && v[2].real == 2147483647.0);
    union parquet_value days[] = {{.number = -1}, {.number = 19000}};
    assert_int_equal(convert(PRESENT_DATE_TO_TIMESTAMP, int32, int64, days, 2, NULL), 0);
    assert_true(days[0].number == -86400000000 && days[1].number == 19000 * 86400000000);
    union parquet_value far = {.number = INT32_MAX};
    assert_int_equal(convert(PRESENT_DATE_TO_TIMESTAMP, int32, int64, &far, 1, NULL), -EOPNOTSUPP);
    union parquet_value f = {.real = (double)0.1F};
    assert_int_equal(convert(PRESENT_FLOAT_TO_DOUBLE, single, real, &f, 1, NULL), 0);
    assert_true(f.real == (double)0.1F);
}

static struct slice int96_of(char to[12], int64_t ns, int32_t day)
{
    memcpy(to, &ns, sizeof ns);
    memcpy(to + sizeof ns, &day, sizeof day);
    return slice_make(to, 12);
}

/* Aim: instants of INT96, before 1970 and beyond what nanoseconds reach in 64 bits, are those of
 * the new type, whose last digit is that of the moment that has begun. */
static void test_instants(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        int32_t day;
        int64_t micros;
    } cases[] = {
        {0, 2440588, 0},
        {1999, 2440588, 1},
        {86399999999999, 2440587, -1},
        {86399999999001, 2440587, -1},
        {86399999998999, 2440587, -2},
        {0, 2816788, INT64_C(32503680000000000)},  /* 3000-01-01 */
        {0, 1721426, -INT64_C(62135596800000000)}, /* 0001-01-01 */
    };
    struct present_leaf micros = {.how = PRESENT_INT96_TO_TIMESTAMP, .digits = 3};
    struct present_leaf nanos = {.how = PRESENT_INT96_TO_TIMESTAMP};
    struct parquet_node int96 = {.type = PARQUET_INT96, .type_length = 12};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char bytes[12];
        union parquet_value v = {.bytes = int96_of(bytes, cases[i].ns, cases[i].day)};
        assert_int_equal(convert_leaf(&micros, int96, int64, &v, 1, NULL), 0);
        assert_int_equal(v.number, cases[i].micros);
        v.bytes = int96_of(bytes, cases[i].ns, cases[i].day);
        bool far = i >= 5;
        assert_int_equal(convert_leaf(&nanos, int96, int64, &v, 1, NULL), far ? -EOPNOTSUPP : 0);
        assert_true(far || v.number == (cases[i].day - 2440588) * 86400000000000 + cases[i].ns);
    }
}

/* Aim: decimals are multiplied into every physical type, from every one, with their sign. */
static void test_decimals(void **state)
{
    (void)state;
    char bytes[40];
    union parquet_value v[] = {{.number = -1}, {.number = 2}};
    assert_int_equal(convert(RESCALE(2), int32, fixed(3), v, 2, bytes), 0);
    assert_memory_equal(bytes, "\xff\xff\x9c\x00\x00\xc8", 6);
    union parquet_value wide[] = {{.bytes = SLICE_LIT("\xff\x9c")},
                                  {.bytes = SLICE_LIT("")},
                                  {.bytes = SLICE_LIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05")}};
    assert_int_equal(convert(RESCALE(1), string, int64, wide, 3, NULL), 0);
    assert_true(wide[0].number == -1000 && wide[1].number == 0 && wide[2].number == 50);
    union parquet_value long_form[] = {{.bytes = SLICE_LIT("\x80\x00")}};
    assert_int_equal(convert(RESCALE(0), fixed(2), fixed(20), long_form, 1, bytes), 0);
    for (size_t i = 0; i < 18; i++)
        assert_int_equal((unsigned char)bytes[i], 0xff);
    assert_memory_equal(bytes + 18, "\x80\x00", 2);
}

/* Aim: a value that the new type does not hold is refused, at its very edge. */
static void test_decimals_beyond(void **state)
{
    (void)state;
    char bytes[8];
    union parquet_value fits[] = {{.number = 12}, {.number = -12}};
    assert_int_equal(convert(RESCALE(1), int32, fixed(1), fits, 2, bytes), 0);
    assert_true(bytes[0] == 120 && bytes[1] == -120);
    union parquet_value beyond[] = {{.number = 13}};
    assert_int_equal(convert(RESCALE(1), int32, fixed(1), beyond, 1, NULL), -EOPNOTSUPP);
    union parquet_value edge[] = {{.number = INT32_MAX}, {.number = INT32_MIN}};
    assert_int_equal(convert(RESCALE(0), int64, int32, edge, 2, NULL), 0);
    union parquet_value over[] = {{.number = (int64_t)INT32_MAX + 1}};
    assert_int_equal(convert(RESCALE(0), int64, int32, over, 1, NULL), -EOPNOTSUPP);
    union parquet_value huge[] = {{.number = INT64_MAX}};
    assert_int_equal(convert(RESCALE(38), int64, fixed(16), huge, 1, NULL), -EOPNOTSUPP);
    union parquet_value seventeen[] = {
        {.bytes = SLICE_LIT("\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")}};
    assert_int_equal(convert(RESCALE(0), string, fixed(20), seventeen, 1, NULL), -EOPNOTSUPP);
}

/* Aim: types that do not belong to a conversion are refused before any value is looked at. */
static void test_types(void **state)
{
    (void)state;
    assert_int_equal(convert(PRESENT_INT_TO_INT, int64, int32, NULL, 0, NULL), -EOPNOTSUPP);
    assert_int_equal(convert(PRESENT_FLOAT_TO_DOUBLE, int32, real, NULL, 0, NULL), -EOPNOTSUPP);
    assert_int_equal(convert(RESCALE(0), int32, string, NULL, 0, NULL), -EOPNOTSUPP);
    assert_int_equal(convert(RESCALE(39), int32, fixed(16), NULL, 0, NULL), -EOPNOTSUPP);
    assert_int_equal(convert(PRESENT_NULLS, int32, int32, NULL, 0, NULL), -EOPNOTSUPP);
    assert_int_equal(convert(PRESENT_COPY, int32, int32, NULL, 0, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_instants),
        cmocka_unit_test(test_decimals), cmocka_unit_test(test_decimals_beyond),
        cmocka_unit_test(test_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
