/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/driver.h"

static struct history *sample(void)
{
    static const struct version versions[] = {{3, 100, 1}, {4, 200, 1}, {5, 200, 1}, {9, 150, 1}};
    struct history *h = history_new(4, NULL);
    assert_non_null(h);
    memcpy(h->at, versions, sizeof versions);
    return h;
}

/* Aim: versions are found by number, with gaps between them. */
static void test_find(void **state)
{
    (void)state;
    AUTO(history) struct history *h = sample();
    assert_int_equal(history_find(h, 3), 0);
    assert_int_equal(history_find(h, 5), 2);
    assert_int_equal(history_find(h, 9), 3);
    assert_int_equal(history_find(h, 2), -1);
    assert_int_equal(history_find(h, 7), -1);
    assert_int_equal(history_find(h, 10), -1);
}

/* Aim: a time gives the greatest version that is not later, even where times step back. */
static void test_at(void **state)
{
    (void)state;
    AUTO(history) struct history *h = sample();
    assert_int_equal(history_at(h, 99), -1);
    assert_int_equal(history_at(h, 100), 0);
    assert_int_equal(history_at(h, 149), 0);
    assert_int_equal(history_at(h, 150), 3);
    assert_int_equal(history_at(h, INT64_MAX), 3);
}

/* Aim: an empty history answers, references are counted, and the size is bounded. */
static void test_life(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct history *h = history_new(0, &err);
    assert_non_null(h);
    assert_int_equal(history_find(h, 0), -1);
    assert_int_equal(history_at(h, INT64_MAX), -1);
    assert_ptr_equal(history_ref(h), h);
    history_unref(h);
    history_unref(h);
    history_unref(NULL);
    assert_null(history_new(VERSIONS_MAX + 1, &err));
    assert_int_equal(err.code, EOVERFLOW);
}

/* Aim: limits and damaged files are told as EIO with their reason, other errors as they are. */
static void test_refuse(void **state)
{
    (void)state;
    static const int codes[][2] = {
        {EOVERFLOW, EIO}, {EBADMSG, EIO}, {ENOMEM, ENOMEM}, {EOPNOTSUPP, EOPNOTSUPP}};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        struct err from = ERR_INIT, to = ERR_INIT;
        (void)err_set(&from, codes[i][0], "a reason");
        assert_int_equal(driver_refuse(&to, &from), -codes[i][1]);
        assert_int_equal(to.code, codes[i][1]);
        assert_string_equal(to.msg, "a reason");
        assert_int_equal(driver_refuse(NULL, &from), -codes[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find), cmocka_unit_test(test_at),
                                       cmocka_unit_test(test_life), cmocka_unit_test(test_refuse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
