/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as a person reads them, and the line of a long command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "tools/human.h"
#include "tools/progress.h"

/* Sizes have a unit, at most three digits before it, and are rounded down. */
static void test_bytes(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {999, "999 B"},
        {1000, "0.9 KiB"},
        {1024, "1.0 KiB"},
        {1535, "1.4 KiB"},
        {99 * 1024 + 1023, "99.9 KiB"},
        {100 * 1024, "100 KiB"},
        {1 << 20, "1.0 MiB"},
        {(uint64_t)20 << 30, "20.0 GiB"},
        {(uint64_t)5 << 40, "5.0 TiB"},
        {UINT64_MAX, "15.9 EiB"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[HUMAN_BYTES];
        assert_string_equal(human_bytes(cases[i].bytes, text), cases[i].text);
    }
}

/* Counts have commas; times have colons; a share is 100 only where nothing is missing. */
static void test_counts_times_shares(void **state)
{
    (void)state;
    char text[HUMAN_BYTES];
    assert_string_equal(human_count(0, text), "0");
    assert_string_equal(human_count(999, text), "999");
    assert_string_equal(human_count(1000, text), "1,000");
    assert_string_equal(human_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
    assert_string_equal(human_seconds(7, text), "0:07");
    assert_string_equal(human_seconds(3599, text), "59:59");
    assert_string_equal(human_seconds(3723, text), "1:02:03");
    assert_int_equal(human_percent(0, 0), 100);
    assert_int_equal(human_percent(999, 1000), 99);
    assert_int_equal(human_percent((uint64_t)1 << 62, (uint64_t)1 << 63), 50);
    assert_int_equal(human_percent(UINT64_MAX - 1, UINT64_MAX) <= 100, 1);
}

/* The line is never wider than it may be, and leaves out what is needed least. */
static void test_width(void **state)
{
    (void)state;
    struct progress_state s = {
        .files = 1040, .files_all = 2000, .bytes = GIB, .bytes_all = 2 * GIB, .rate = 100 * MIB};
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 4096);
    progress_format(&out, &s, 100, true);
    assert_string_equal(out.data, "[================>               ]  50%  1,040/2,000 files  "
                                  "1.0 GiB of 2.0 GiB  100 MiB/s  0:10 left");
    for (unsigned width = 0; width < 200; width++) {
        buf_reset(&out);
        progress_format(&out, &s, width, true);
        assert_true(out.len <= width);
        assert_true(width < 4 || strstr(out.data, "50%"));
        assert_true(width < 20 || strstr(out.data, "0:10 left"));
    }
    buf_reset(&out);
    progress_format(&out, &s, 500, false);
    assert_null(strchr(out.data, '['));
}

/* While it is not known how much there is, the line says what is counted. */
static void test_looking(void **state)
{
    (void)state;
    struct progress_state s = {.files = 12, .word = "looking"};
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 4096);
    progress_format(&out, &s, 80, true);
    assert_string_equal(out.data, "looking  12 files");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_counts_times_shares),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_looking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
