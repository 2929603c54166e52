/* SPDX-License-Identifier: Apache-2.0 */
/* What masks make of values; of whole files it is tests/e2e/test_mask.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/text.h"
#include "lake/format/mask.h"
#include "lake/format/parquet_schema.h"

static const uint8_t salt[SHAPE_SALT_BYTES] = {9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
                                               9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};

static struct mask mask_of(enum shape_mask how, enum shape_type of, enum parquet_type type,
                           enum parquet_unit unit)
{
    struct mask m;
    struct err err = ERR_INIT;
    struct mask_rule rule = {.how = (uint8_t)how,
                             .of = (uint8_t)of,
                             .type = (uint8_t)type,
                             .unit = (uint8_t)unit,
                             .salt = salt};
    assert_int_equal(mask_init(&m, &rule, &err), 0);
    return m;
}

static void check_text(enum shape_mask how, struct slice text, const char *expected)
{
    AUTO(mask) struct mask m = mask_of(how, SHAPE_STRING, PARQUET_BYTE_ARRAY, 0);
    union parquet_value v[2] = {{.bytes = text}, {.bytes = text}};
    assert_int_equal(mask_batch(&m, v, 2, NULL), 0);
    for (int i = 0; i < 2; i++)
        if (!slice_is(v[i].bytes, expected))
            fail_msg("%s: \"%.*s\", expected \"%s\"", shape_mask_name(how), SLICE_FMT(v[i].bytes),
                     expected);
}

/* Aim: digits become n, everything but six signs x; four characters are shown at either end, and
 * short text as it is. */
static void test_text(void **state)
{
    (void)state;
    check_text(SHAPE_MASK_ALPHANUM, SLICE_LIT("prashant010696@gmail.com"),
               "xxxxxxxxnnnnnn@xxxxx.xxx");
    check_text(SHAPE_MASK_ALPHANUM, SLICE_LIT("(a),.-@ 9/:;<=>?[_`{"), "(x),.-@xnxxxxxxxxxxx");
    check_text(SHAPE_MASK_ALPHANUM, SLICE_LIT("ä漢😀٣"), "xxxx");
    check_text(SHAPE_MASK_FIRST_4, SLICE_LIT("prashant010696@gmail.com"),
               "prasxxxxnnnnnn@xxxxx.xxx");
    check_text(SHAPE_MASK_LAST_4, SLICE_LIT("4111-1111-1111-4444"), "nnnn-nnnn-nnnn-4444");
    check_text(SHAPE_MASK_FIRST_4, SLICE_LIT("ä漢😀1ä漢😀1"), "ä漢😀1xxxn");
    check_text(SHAPE_MASK_LAST_4, SLICE_LIT("ä漢😀1ä漢😀1"), "xxxnä漢😀1");
    for (int i = 0; i < 2; i++) {
        enum shape_mask how = i ? SHAPE_MASK_FIRST_4 : SHAPE_MASK_LAST_4;
        check_text(how, SLICE_LIT("ä漢😀1"), "ä漢😀1");
        check_text(how, SLICE_LIT("a"), "a");
        check_text(how, SLICE_LIT(""), "");
    }
}

/* Aim: a byte that is no character is shown by no mask, wherever it stands, and what comes out is
 * text of as many characters. */
static void test_bytes_that_are_no_text(void **state)
{
    (void)state;
    static const enum shape_mask all[] = {SHAPE_MASK_ALPHANUM, SHAPE_MASK_FIRST_4,
                                          SHAPE_MASK_LAST_4};
    check_text(SHAPE_MASK_FIRST_4, SLICE_LIT("\xff\xc3\x28zz"), "xx(zx");
    check_text(SHAPE_MASK_LAST_4, SLICE_LIT("zz\xed\xa0\x80"), "xzxxx");
    check_text(SHAPE_MASK_LAST_4, SLICE_LIT("\x80"), "x");
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++) {
            char text[3] = {(char)a, (char)b, 'q'};
            struct slice s = slice_make(text, sizeof text);
            for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                AUTO(mask) struct mask m = mask_of(all[i], SHAPE_STRING, PARQUET_BYTE_ARRAY, 0);
                union parquet_value v = {.bytes = s};
                assert_int_equal(mask_batch(&m, &v, 1, NULL), 0);
                assert_true(utf8_valid(v.bytes));
                assert_true(v.bytes.n <= s.n);
                bool shown = all[i] != SHAPE_MASK_ALPHANUM && utf8_valid(s);
                assert_true(!shown || slice_eq(v.bytes, s));
            }
        }
}

static bool leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static void check_day(struct mask *year, struct mask *month, int64_t day, int64_t of_year,
                      int64_t of_month)
{
    union parquet_value v = {.number = day};
    assert_int_equal(mask_batch(year, &v, 1, NULL), 0);
    assert_int_equal(v.number, of_year);
    v.number = day;
    assert_int_equal(mask_batch(month, &v, 1, NULL), 0);
    assert_int_equal(v.number, of_month);
}

/* Aim: every day of the years -1,000 to 5,000 becomes the first of its year and of its month. */
static void test_dates(void **state)
{
    (void)state;
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    AUTO(mask) struct mask year = mask_of(SHAPE_MASK_YEAR, SHAPE_DATE, PARQUET_INT32, 0);
    AUTO(mask) struct mask month = mask_of(SHAPE_MASK_MONTH, SHAPE_DATE, PARQUET_INT32, 0);
    int64_t day = 0;
    for (int64_t y = 1969; y >= -1000; y--)
        day -= 365 + leap(y);
    for (int64_t y = -1000; y < 5000; y++) {
        int64_t first = day, of_month = day;
        for (int m = 0; m < 12; m++) {
            int n = days[m] + (m == 1 && leap(y));
            for (int d = 0; d < n; d++)
                check_day(&year, &month, day++, first, of_month);
            of_month = day;
        }
        if (y == 1969)
            assert_int_equal(day, 0);
    }
}

/* Aim: instants of each unit are cut to the day before the period's first; what has no first
 * instant in its type is refused. */
static void test_timestamps(void **state)
{
    (void)state;
    static const struct {
        enum parquet_unit unit;
        int64_t second;
    } units[] = {{PARQUET_MILLIS, 1000}, {PARQUET_MICROS, 1000000}, {PARQUET_NANOS, 1000000000}};
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        int64_t second = units[i].second, day = 86400 * second;
        AUTO(mask)
        struct mask m = mask_of(SHAPE_MASK_YEAR, SHAPE_TIMESTAMP, PARQUET_INT64, units[i].unit);
        union parquet_value v[] = {{.number = -1}, {.number = 0}, {.number = 400 * day + 1}};
        assert_int_equal(mask_batch(&m, v, 3, NULL), 0);
        assert_int_equal(v[0].number, -365 * day);
        assert_int_equal(v[1].number, 0);
        assert_int_equal(v[2].number, 365 * day);
        union parquet_value low = {.number = INT64_MIN};
        struct err err = ERR_INIT;
        int rc = mask_batch(&m, &low, 1, &err);
        assert_int_equal(rc, -EOPNOTSUPP);
    }
    AUTO(mask) struct mask date = mask_of(SHAPE_MASK_MONTH, SHAPE_DATE, PARQUET_INT32, 0);
    union parquet_value low = {.number = INT32_MIN};
    assert_int_equal(mask_batch(&date, &low, 1, NULL), -EOPNOTSUPP);
}

static void put_int96(char *to, int64_t nanoseconds, int32_t julian)
{
    memcpy(to, &nanoseconds, 8);
    memcpy(to + 8, &julian, 4);
}

/* Aim: days of the Julian calendar, by which old writers counted, are refused, not cut wrongly. */
static void test_julian_days(void **state)
{
    (void)state;
    AUTO(mask) struct mask m = mask_of(SHAPE_MASK_MONTH, SHAPE_DATE, PARQUET_INT32, 0);
    m.rule.hybrid = true;
    union parquet_value v = {.number = -141427 + 17}; /* 1582-11-01 */
    assert_int_equal(mask_batch(&m, &v, 1, NULL), 0);
    assert_int_equal(v.number, -141427 + 17);
    v.number = -141427 + 16;
    assert_int_equal(mask_batch(&m, &v, 1, NULL), -EOPNOTSUPP);
    m.rule.hybrid = false;
    v.number = -141427 + 16;
    assert_int_equal(mask_batch(&m, &v, 1, NULL), 0);
    assert_int_equal(v.number, -141427 - 14);
}

/* Aim: INT96 is nanoseconds of a Julian day; also where these are a day or more, or negative. */
static void test_int96(void **state)
{
    (void)state;
    AUTO(mask) struct mask m = mask_of(SHAPE_MASK_MONTH, SHAPE_TIMESTAMP_LOCAL, PARQUET_INT96, 0);
    char stored[4][12], expected[4][12];
    union parquet_value v[4];
    put_int96(stored[0], 5, 2440588 + 30);
    put_int96(stored[1], INT64_C(86400000000000), 2440588 + 30);
    put_int96(stored[2], -1, 2440588);
    put_int96(stored[3], 7, 2440588 - 1);
    put_int96(expected[0], 0, 2440588);
    put_int96(expected[1], 0, 2440588 + 31);
    put_int96(expected[2], 0, 2440588 - 31);
    put_int96(expected[3], 0, 2440588 - 31);
    for (int i = 0; i < 4; i++)
        v[i].bytes = slice_make(stored[i], 12);
    assert_int_equal(mask_batch(&m, v, 4, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_true(slice_eq(v[i].bytes, slice_make(expected[i], 12)));
}

/* Aim: hashes are SHA-256 of text, bytes and little-endian numbers, behind the salt where there is
 * one; numbers are its first bytes. */
static void test_hashes(void **state)
{
    (void)state;
    static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    check_text(SHAPE_MASK_SHA256, SLICE_LIT("abc"), abc);
    check_text(SHAPE_MASK_SHA256, SLICE_LIT(""),
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_text(SHAPE_MASK_SHA256_LOCAL, SLICE_LIT("abc"),
               "5d79ea65a238a2dc4a69d1a337506ed34e36229a5bee9fb3f2f0eabd34efde38");
    AUTO(mask) struct mask bytes = mask_of(SHAPE_MASK_SHA256, SHAPE_BINARY, PARQUET_BYTE_ARRAY, 0);
    union parquet_value v = {.bytes = SLICE_LIT("abc")};
    assert_int_equal(mask_batch(&bytes, &v, 1, NULL), 0);
    assert_int_equal(v.bytes.n, 32);
    assert_memory_equal(v.bytes.p, "\xba\x78\x16\xbf\x8f\x01\xcf\xea", 8);
    AUTO(mask) struct mask narrow = mask_of(SHAPE_MASK_SHA256, SHAPE_INT32, PARQUET_INT32, 0);
    AUTO(mask) struct mask wide = mask_of(SHAPE_MASK_SHA256, SHAPE_INT64, PARQUET_INT64, 0);
    v.number = -2;
    assert_int_equal(mask_batch(&narrow, &v, 1, NULL), 0);
    assert_int_equal(v.number, 562832564);
    v.number = -2;
    assert_int_equal(mask_batch(&wide, &v, 1, NULL), 0);
    assert_true(v.number == INT64_C(3420053507569333121));
}

/* Aim: what is not held as its mask knows it is refused. */
static void test_refused(void **state)
{
    (void)state;
    static const struct mask_rule rules[] = {
        {SHAPE_MASK_NULL, SHAPE_STRING, PARQUET_BYTE_ARRAY, 0, false, salt},
        {SHAPE_MASK_FIRST_4, SHAPE_STRING, PARQUET_INT32, 0, false, salt},
        {SHAPE_MASK_YEAR, SHAPE_TIMESTAMP, PARQUET_INT64, 0, false, salt},
        {SHAPE_MASK_YEAR, SHAPE_DATE, PARQUET_INT64, PARQUET_MICROS, false, salt},
        {SHAPE_MASK_SHA256, SHAPE_INT32, PARQUET_INT64, 0, false, salt},
        {SHAPE_MASK_SHA256_LOCAL, SHAPE_STRING, PARQUET_BYTE_ARRAY, 0, false, NULL},
        {77, SHAPE_STRING, PARQUET_BYTE_ARRAY, 0, false, salt},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        struct mask m;
        struct err err = ERR_INIT;
        assert_int_equal(mask_init(&m, &rules[i], &err), -EOPNOTSUPP);
        assert_true(err.msg[0]);
    }
}

static void check_fixed(enum shape_type type, uint32_t bytes, struct slice expected)
{
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 100);
    mask_fixed_value(&(struct shape_field){.type = (uint8_t)type}, bytes, &out);
    assert_true(slice_eq(buf_slice(&out), expected));
}

/* Aim: the fixed values are those of the specification, in Parquet's PLAIN encoding. */
static void test_fixed(void **state)
{
    (void)state;
    int32_t number = 999999999, date = 2932896;
    int64_t wide = 999999999, micros = INT64_C(253402214400000000),
            nanos = INT64_C(9214560000000000000);
    check_fixed(SHAPE_INT32, 4, slice_make(&number, 4));
    check_fixed(SHAPE_INT64, 8, slice_make(&wide, 8));
    check_fixed(SHAPE_DATE, 4, slice_make(&date, 4));
    check_fixed(SHAPE_TIMESTAMP, 8, slice_make(&micros, 8));
    check_fixed(SHAPE_TIMESTAMP_LOCAL, 8, slice_make(&micros, 8));
    check_fixed(SHAPE_TIMESTAMP_NS, 8, slice_make(&nanos, 8));
    check_fixed(SHAPE_STRING, 0, SLICE_LIT("XXXXXXXX"));
    check_fixed(SHAPE_BINARY, 0, SLICE_LIT(""));
    check_fixed(SHAPE_DECIMAL, 5, SLICE_LIT("\0\0\0\0\0"));
    check_fixed(SHAPE_DOUBLE, 8, SLICE_LIT("\0\0\0\0\0\0\0\0"));
    check_fixed(SHAPE_BOOLEAN, 1, SLICE_LIT("\0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_dates),       cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_julian_days), cmocka_unit_test(test_int96),
        cmocka_unit_test(test_hashes),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
