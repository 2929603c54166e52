/* SPDX-License-Identifier: Apache-2.0 */
/* Instants: every spelling that is taken, what is refused, and the way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <time.h>

#include "base/clock.h"
#include "base/instant.h"

#define MARCH INT64_C(1772323200000) /* 2026-03-01T00:00:00Z */
#define HALF_PAST_NINE (MARCH + INT64_C(34200000))

/* Every spelling of one instant gives the same milliseconds. */
static void test_spellings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"2026-03-01", MARCH},
        {"2026-03-01T00:00", MARCH},
        {"2026-03-01T09:30:00", HALF_PAST_NINE},
        {"2026-03-01T09:30", HALF_PAST_NINE},
        {"2026-03-01T0930", HALF_PAST_NINE},
        {"2026-03-01T093000", HALF_PAST_NINE},
        {"2026-03-01T093000Z", HALF_PAST_NINE},
        {"2026-03-01t09:30:00z", HALF_PAST_NINE},
        {"2026-03-01 09:30:00", HALF_PAST_NINE},
        {"2026-03-01T09:30:00.1", HALF_PAST_NINE + 100},
        {"2026-03-01T09:30:00.12Z", HALF_PAST_NINE + 120},
        {"2026-03-01T093000.123Z", HALF_PAST_NINE + 123},
        {"2026-03-01T09:30:00.123999999Z", HALF_PAST_NINE + 123},
        {"2026-03-01T10:30:00+01:00", HALF_PAST_NINE},
        {"2026-03-01T10:30:00+0100", HALF_PAST_NINE},
        {"2026-03-01T10:30:00+01", HALF_PAST_NINE},
        {"2026-03-01T04:00-05:30", HALF_PAST_NINE},
        {"2026-03-01T103000.5+0100", HALF_PAST_NINE + 500},
        {"2026-02-28T23:30:00-10:00", HALF_PAST_NINE},
        {"1970-01-01T00:00:00-00:00", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t ms = -1;
        if (!instant_parse(slice_of(cases[i].text), &ms))
            fail_msg("%s is refused", cases[i].text);
        assert_int_equal(ms, cases[i].ms);
    }
}

/* What is no complete date or time, or has a field out of its bounds, is refused and writes
 * nothing. */
static void test_malformed(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "2026",
        "2026-03",
        "2026-3-1",
        "20260301",
        "26-03-01",
        "12026-03-01",
        "-2026-03-01",
        "2026-00-01",
        "2026-13-01",
        "2026-03-00",
        "2026-03-32",
        "2026-04-31",
        "2026-03-01T",
        "2026-03-01T09",
        "2026-03-01T9:30",
        "2026-03-01T24:00:00",
        "2026-03-01T09:60:00",
        "2026-03-01T09:30:60",
        "2026-03-01T09:3000",
        "2026-03-01T0930:00",
        "2026-03-01T09:30.5",
        "2026-03-01T09:30:00.",
        "2026-03-01T09:30:00,5",
        "2026-03-01T09:30:00 Z",
        "2026-03-01T09:30:00ZZ",
        "2026-03-01T09:30:00+",
        "2026-03-01T09:30:00+1",
        "2026-03-01T09:30:00+01:",
        "2026-03-01T09:30:00+01:0",
        "2026-03-01T09:30:00+24:00",
        "2026-03-01T09:30:00+01:60",
        "2026-03-01T09:30:00+01:00x",
        "2026-03-01Z",
        "2026-03-01 ",
        " 2026-03-01",
        "2026/03/01",
        "2026-+3-01",
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t ms = -1;
        if (instant_parse(slice_of(cases[i]), &ms))
            fail_msg("%s is taken", cases[i]);
        assert_int_equal(ms, -1);
    }
}

/* February has 29 days in the years that the Gregorian rule names, and in no other. */
static void test_leap_years(void **state)
{
    (void)state;
    static const struct {
        const char *day;
        bool exists;
    } cases[] = {
        {"2024-02-29", true},  {"2023-02-29", false}, {"1900-02-29", false}, {"2000-02-29", true},
        {"2100-02-29", false}, {"2400-02-29", true},  {"0000-02-29", true},  {"2024-02-30", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t ms;
        assert_int_equal(instant_parse(slice_of(cases[i].day), &ms), cases[i].exists);
    }
}

static void check_format(int64_t ms, const char *text)
{
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 100);
    instant_format(&out, ms);
    assert_string_equal(out.data, text);
}

/* Instants come out in the canonical spelling, before 1970 and at the ends of the calendar too. */
static void test_formats(void **state)
{
    (void)state;
    check_format(0, "1970-01-01T00:00:00Z");
    check_format(HALF_PAST_NINE + 123, "2026-03-01T09:30:00.123Z");
    check_format(HALF_PAST_NINE + 7, "2026-03-01T09:30:00.007Z");
    check_format(-1, "1969-12-31T23:59:59.999Z");
    check_format(INT64_C(951782400000), "2000-02-29T00:00:00Z");
    check_format(INT64_C(253402300799999), "9999-12-31T23:59:59.999Z");
    check_format(-INT64_C(62167219200000), "0000-01-01T00:00:00Z");
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 100);
    instant_format_basic(&out, HALF_PAST_NINE + 123);
    assert_string_equal(out.data, "20260301T093000Z");
}

/* Times that a damaged log may hold are formatted without overflow. */
static void test_extremes_are_formatted(void **state)
{
    (void)state;
    check_format(INT64_MAX, "292278994-08-17T07:12:55.807Z");
    check_format(INT64_MIN, "-292275055-05-16T16:47:04.192Z");
}

/* 17 digits are one instant to the millisecond, and nothing shorter, longer or out of bounds. */
static void test_digits17(void **state)
{
    (void)state;
    int64_t ms = -1;
    assert_true(instant_parse_digits17(SLICE_LIT("20260301093000123"), &ms));
    assert_int_equal(ms, HALF_PAST_NINE + 123);
    ms = -1;
    static const char *const bad[] = {"",
                                      "2026030109300012",
                                      "202603010930001234",
                                      "2026030109300012x",
                                      "20261301093000123",
                                      "20260230093000123",
                                      "20260301243000123",
                                      "99999999999999999"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(instant_parse_digits17(slice_of(bad[i]), &ms));
    assert_int_equal(ms, -1);
}

/* HTTP dates are taken in the fixed form of RFC 9110 alone. */
static void test_http_dates(void **state)
{
    (void)state;
    int64_t ms = -1;
    assert_true(instant_parse_http(SLICE_LIT("Sun, 06 Nov 1994 08:49:37 GMT"), &ms));
    assert_int_equal(ms, INT64_C(784111777000));
    assert_true(instant_parse_http(SLICE_LIT("Thu, 31 Dec 2026 23:59:59 GMT"), &ms));
    assert_int_equal(ms, INT64_C(1798761599000));
    ms = -1;
    static const char *const bad[] = {"",
                                      "Sunday, 06-Nov-94 08:49:37 GMT",
                                      "Sun Nov  6 08:49:37 1994",
                                      "Sun, 06 Nov 1994 08:49:37 UTC",
                                      "Sun, 06 Nox 1994 08:49:37 GMT",
                                      "Sun, 31 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 ovD 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 GMTx"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(instant_parse_http(slice_of(bad[i]), &ms));
    assert_int_equal(ms, -1);
}

/* What is written as an HTTP date is read as the same second, on every day of the week. */
static void test_http_dates_are_written(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 64);
    instant_format_http(&out, 1435361952000);
    assert_string_equal(out.data, "Fri, 26 Jun 2015 23:39:12 GMT");
    buf_reset(&out);
    instant_format_http(&out, -1);
    assert_string_equal(out.data, "Wed, 31 Dec 1969 23:59:59 GMT");
    for (int64_t ms = 0; ms < INT64_C(86400000) * 800; ms += 86399000) {
        int64_t again = -1;
        buf_reset(&out);
        instant_format_http(&out, ms);
        assert_true(instant_parse_http(buf_slice(&out), &again));
        assert_int_equal(again, ms);
    }
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 11;
}

/* Random instants of the years 0 to 9999 survive formatting and parsing, and agree with libc. */
static void test_round_trip(void **state)
{
    (void)state;
    const int64_t first = -INT64_C(62167219200000), last = INT64_C(253402300799999);
    uint64_t seed = (uint64_t)clock_real_ms();
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 100000; i++) {
        int64_t ms = first + (int64_t)(next_random(&seed) % (uint64_t)(last - first + 1)), back;
        AUTO(buf) struct buf out = {0};
        buf_init(&out, 100);
        instant_format(&out, ms);
        assert_true(instant_parse(buf_slice(&out), &back));
        assert_int_equal(back, ms);
        time_t seconds = (time_t)((ms - ((ms % 1000) + 1000) % 1000) / 1000);
        struct tm tm;
        char text[64];
        assert_non_null(gmtime_r(&seconds, &tm));
        (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
                       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        assert_true(slice_starts(buf_slice(&out), slice_of(text)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_leap_years),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_extremes_are_formatted),
        cmocka_unit_test(test_digits17),
        cmocka_unit_test(test_http_dates),
        cmocka_unit_test(test_http_dates_are_written),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
