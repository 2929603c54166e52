/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lake/delta/retention.h"

#define DAY INT64_C(86400000)

static int64_t period(const char *text)
{
    struct delta_pair pair = {SLICE_LIT("delta.deletedFileRetentionDuration"), slice_of(text),
                              false};
    struct delta_map map = {&pair, 1};
    return delta_retention_period(&map);
}

/* Aim: intervals as engines write them; what is none of them is the default, a week. */
static void test_period(void **state)
{
    (void)state;
    struct delta_map none = {NULL, 0};
    assert_int_equal(delta_retention_period(&none), 7 * DAY);
    assert_int_equal(period("interval 1 week"), 7 * DAY);
    assert_int_equal(period("interval 30 days"), 30 * DAY);
    assert_int_equal(period("INTERVAL 1 day"), 7 * DAY);
    assert_int_equal(period("interval 168 hours"), 7 * DAY);
    assert_int_equal(period("interval 1 day 12 hours"), DAY + DAY / 2);
    assert_int_equal(period("2 weeks"), 14 * DAY);
    assert_int_equal(period("interval 0 seconds"), 0);
    assert_int_equal(period("interval 5 milliseconds"), 5);
    assert_int_equal(period("interval"), 7 * DAY);
    assert_int_equal(period("interval 3"), 7 * DAY);
    assert_int_equal(period("interval days"), 7 * DAY);
    assert_int_equal(period("interval 3 lightyears"), 7 * DAY);
    assert_int_equal(period("interval -3 days"), 7 * DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_period)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
