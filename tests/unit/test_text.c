/* SPDX-License-Identifier: Apache-2.0 */
/* Text: UTF-8, percent-encoding, numbers, sizes, durations, parts of paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/text.h"

/* Characters at both ends of each row of Unicode's table 3-7 are well-formed; what lies just
 * outside is not. */
static void test_utf8_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length; /* 0: malformed */
    } cases[] = {
        {"\x01", 1},
        {"\x7f", 1},
        {"\x80", 0},
        {"\xbf", 0},
        {"\xc0\x80", 0},
        {"\xc1\xbf", 0},
        {"\xc2\x80", 2},
        {"\xdf\xbf", 2},
        {"\xc2\x7f", 0},
        {"\xc2\xc0", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xe0\xa0\x80", 3},
        {"\xed\x9f\xbf", 3},
        {"\xed\xa0\x80", 0},
        {"\xed\xbf\xbf", 0},
        {"\xee\x80\x80", 3},
        {"\xef\xbf\xbf", 3},
        {"\xe1\x80\x7f", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf0\x90\x80\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xff", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct slice s = slice_of(cases[i].bytes);
        assert_int_equal(utf8_length(s), cases[i].length);
        assert_int_equal(utf8_valid(s), cases[i].length > 0);
        for (size_t cut = 1; cut < s.n; cut++) /* no prefix of a longer character is one */
            assert_int_equal(utf8_length(slice_make(s.p, cut)), 0);
    }
    assert_int_equal(utf8_length(SLICE_NONE), 0);
    assert_true(utf8_valid(SLICE_NONE));
    assert_true(utf8_valid(SLICE_LIT("a\0b\xc3\xa9")));
    assert_false(utf8_valid(SLICE_LIT("abc\xc3")));
}

/* Percent-decoding happens once, takes both cases of digits, and leaves stray `%` alone. */
static void test_percent_decode(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        struct slice to;
    } cases[] = {
        {"", {NULL, 0}},       {"abc", {"abc", 3}},   {"a%20b", {"a b", 3}},
        {"%2f%2F", {"//", 2}}, {"%2525", {"%25", 3}}, {"%", {"%", 1}},
        {"%4", {"%4", 2}},     {"%zz", {"%zz", 3}},   {"%4g", {"%4g", 3}},
        {"%%41", {"%A", 2}},   {"%00", {"\0", 1}},    {"%C3%A9", {"\xc3\xa9", 2}},
        {"a+b", {"a+b", 3}},   {"100%", {"100%", 4}}, {"%-1", {"%-1", 3}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(buf) struct buf out = {0};
        buf_init(&out, 100);
        text_percent_decode(&out, slice_of(cases[i].from));
        assert_true(slice_eq(buf_slice(&out), cases[i].to));
    }
}

/* Every byte survives encoding and decoding, and the encoded form has only bytes a URI may have. */
static void test_percent_round_trip(void **state)
{
    (void)state;
    unsigned char all[256];
    AUTO(buf) struct buf encoded = {0}, decoded = {0};
    buf_init(&encoded, 1000);
    buf_init(&decoded, 1000);
    for (unsigned i = 0; i < 256; i++)
        all[i] = (unsigned char)i;
    text_percent_encode(&encoded, slice_make(all, sizeof all), "/");
    for (size_t i = 0; i < encoded.len; i++)
        assert_true(strchr("%/-._~", encoded.data[i]) || text_hex_digit(encoded.data[i]) >= 0 ||
                    (encoded.data[i] >= 'G' && encoded.data[i] <= 'Z') ||
                    (encoded.data[i] >= 'g' && encoded.data[i] <= 'z'));
    text_percent_decode(&decoded, buf_slice(&encoded));
    assert_true(slice_eq(buf_slice(&decoded), slice_make(all, sizeof all)));
    buf_reset(&encoded);
    text_percent_encode(&encoded, SLICE_LIT("a/b c\0~\xff"), "/");
    assert_string_equal(encoded.data, "a/b%20c%00~%FF");
}

/* Hex digits are those of ASCII and no others, and bytes come out in lower case. */
static void test_hex(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 100);
    text_hex(&out, "\x00\x1f\xab\xff", 4);
    assert_string_equal(out.data, "001fabff");
    int digits = 0;
    for (int c = -128; c < 128; c++)
        digits += text_hex_digit((char)c) >= 0;
    assert_int_equal(digits, 22);
    assert_int_equal(text_hex_digit('f'), 15);
    assert_int_equal(text_hex_digit('F'), 15);
}

/* Integers are taken up to their bounds, and only where the whole text is one. */
static void test_integers(void **state)
{
    (void)state;
    uint64_t u = 7;
    int64_t i = 7;
    static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "0x1", "1.0", "--1", "1-"};
    for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
        assert_false(text_parse_u64(slice_of(bad[k]), UINT64_MAX, &u));
        assert_false(text_parse_i64(slice_of(bad[k]), &i));
    }
    assert_false(text_parse_u64(SLICE_LIT("-1"), UINT64_MAX, &u));
    assert_false(text_parse_u64(SLICE_LIT("101"), 100, &u));
    assert_false(text_parse_u64(SLICE_LIT("18446744073709551616"), UINT64_MAX, &u));
    assert_false(text_parse_u64(SLICE_LIT("99999999999999999999"), UINT64_MAX, &u));
    assert_false(text_parse_i64(SLICE_LIT("9223372036854775808"), &i));
    assert_false(text_parse_i64(SLICE_LIT("-9223372036854775809"), &i));
    assert_int_equal(u, 7);
    assert_int_equal(i, 7);
    assert_true(text_parse_u64(SLICE_LIT("100"), 100, &u) && u == 100);
    assert_true(text_parse_u64(SLICE_LIT("007"), 100, &u) && u == 7);
    assert_true(text_parse_u64(SLICE_LIT("18446744073709551615"), UINT64_MAX, &u));
    assert_true(u == UINT64_MAX);
    assert_true(text_parse_i64(SLICE_LIT("9223372036854775807"), &i) && i == INT64_MAX);
    assert_true(text_parse_i64(SLICE_LIT("-9223372036854775808"), &i) && i == INT64_MIN);
}

/* Sizes take the usual units in the usual spellings; what would not fit is refused. */
static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"12", 12},
        {"12B", 12},
        {"1k", 1024},
        {"1K", 1024},
        {"1kB", 1024},
        {"1KiB", 1024},
        {"500M", UINT64_C(500) << 20},
        {"20G", UINT64_C(20) << 30},
        {"2TiB", UINT64_C(2) << 40},
        {"16777215T", UINT64_C(16777215) << 40},
    };
    static const char *const bad[] = {"",          "G",    "-1",  "1.5G",  "1P",
                                      "1KK",       "1Gi",  "1 G", "G1",    "1Bk",
                                      "16777216T", "1KIB", "1iB", "1\xcb", "0x10"};
    uint64_t bytes = 0;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_true(text_parse_size(slice_of(good[i].text), &bytes));
        assert_true(bytes == good[i].bytes);
    }
    bytes = 7;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(text_parse_size(slice_of(bad[i]), &bytes));
    assert_true(bytes == 7);
}

/* Durations take decimals and units, to the millisecond; the longest is taken without overflow. */
static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"0", 0},         {"60", 60000},       {"0.5", 500},      {"0.0005", 0},
        {"1.25s", 1250},  {"5m", 300000},      {"0.5m", 30000},   {"2h", 7200000},
        {"1d", 86400000}, {"1.5d", 129600000}, {"0.999999", 999}, {"0.001s", 1},
    };
    static const char *const bad[] = {"",
                                      "s",
                                      "-1",
                                      "1.",
                                      ".5",
                                      "1e3",
                                      "1.2.3",
                                      "5 m",
                                      "5w",
                                      "1ms",
                                      "5mm",
                                      "+1",
                                      "0.1234567",
                                      "1,5",
                                      "inf",
                                      "106751991167300",
                                      "99999999999999999999d"};
    int64_t ms = 0;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_true(text_parse_duration_ms(slice_of(good[i].text), &ms));
        assert_int_equal(ms, good[i].ms);
    }
    ms = 7;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(text_parse_duration_ms(slice_of(bad[i]), &ms));
    assert_int_equal(ms, 7);
    assert_true(text_parse_duration_ms(SLICE_LIT("106751991166.999999d"), &ms));
    assert_true(ms > INT64_MAX / 86400000 * 86400000 - 2 * INT64_C(86400000));
}

/* A path falls into its directory and its name, with and without slashes. */
static void test_parts_of_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path, *directory, *name;
    } cases[] = {
        {"", "", ""},    {"a", "", "a"},        {"a/b", "a", "b"},
        {"/a", "", "a"}, {"a/b/c", "a/b", "c"}, {"a/", "a", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_true(slice_is(text_dirname(slice_of(cases[i].path)), cases[i].directory));
        assert_true(slice_is(text_basename(slice_of(cases[i].path)), cases[i].name));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_bounds),        cmocka_unit_test(test_percent_decode),
        cmocka_unit_test(test_percent_round_trip), cmocka_unit_test(test_hex),
        cmocka_unit_test(test_integers),           cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_durations),          cmocka_unit_test(test_parts_of_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
