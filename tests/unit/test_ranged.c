/* SPDX-License-Identifier: Apache-2.0 */
/* Which answers to a ranged read are taken, and which cannot be right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cache/store/ranged.h"

static struct http_answer partial(const char *content_range)
{
    struct http_answer a = {.status = 206};
    strcpy(a.content_range, content_range); /* NOLINT: a test's own text */
    return a;
}

static bool taken(const char *content_range, uint64_t offset, size_t length)
{
    struct ranged_promise out;
    struct http_answer a = partial(content_range);
    return ranged_check(&a, offset, length, &out) == NULL;
}

static void test_a_range_is_taken_to_the_byte(void **state)
{
    (void)state;
    struct ranged_promise out;
    struct http_answer a = partial("bytes 10-14/100");
    assert_null(ranged_check(&a, 10, 5, &out));
    assert_int_equal(out.size, 100);
    assert_int_equal(out.length, 5);
    assert_true(taken("bytes 98-99/100", 98, 5)); /* the object ends */
    assert_false(taken("bytes 10-13/100", 10, 5));
    assert_false(taken("bytes 11-15/100", 10, 5));
    assert_false(taken("bytes 10-15/100", 10, 5));
    assert_false(taken("bytes 10-14/*", 10, 5));
    assert_false(taken("bytes */100", 10, 5));
    assert_false(taken("bytes 14-10/100", 14, 5));
    assert_false(taken("", 10, 5));
    a.has_length = true;
    a.content_length = 4;
    assert_non_null(ranged_check(&a, 10, 5, &out));
}

static void test_a_whole_object_is_taken_where_it_fits(void **state)
{
    (void)state;
    struct ranged_promise out;
    struct http_answer a = {.status = 200, .has_length = true, .content_length = 7};
    assert_null(ranged_check(&a, 0, 8, &out));
    assert_int_equal(out.length, 7);
    assert_non_null(ranged_check(&a, 0, 6, &out));
    assert_non_null(ranged_check(&a, 1, 8, &out));
    a.has_length = false;
    assert_non_null(ranged_check(&a, 0, 8, &out));
    a.status = 204;
    assert_non_null(ranged_check(&a, 0, 8, &out));
}

static void test_past_the_end_there_is_nothing(void **state)
{
    (void)state;
    uint64_t size = 1, told = 60;
    struct http_answer a = {.status = 416};
    assert_null(ranged_past_end(&a, 0, NULL, &size));
    assert_int_equal(size, 0);
    assert_non_null(ranged_past_end(&a, 70, NULL, &size));
    assert_null(ranged_past_end(&a, 70, &told, &size));
    assert_int_equal(size, 60);
    assert_non_null(ranged_past_end(&a, 50, &told, &size));
    a = partial("bytes */80");
    assert_null(ranged_past_end(&a, 80, NULL, &size));
    assert_int_equal(size, 80);
    assert_non_null(ranged_past_end(&a, 79, NULL, &size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_range_is_taken_to_the_byte),
        cmocka_unit_test(test_a_whole_object_is_taken_where_it_fits),
        cmocka_unit_test(test_past_the_end_there_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
