/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: codes, messages, context, and callers that want no message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "base/err.h"

/* A set error has its code and message, and returns the code below 0. */
static void test_set(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(err_set(&err, ENOENT, "%s: %d", "x", 5), -ENOENT);
    assert_int_equal(err.code, ENOENT);
    assert_string_equal(err.msg, "x: 5");
}

/* A code that is none, as a library may leave it, becomes EIO, so that no failure looks like
 * success. */
static void test_no_code_is_eio(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_int_equal(err_set(&err, 0, "x"), -EIO);
    assert_int_equal(err.code, EIO);
    assert_int_equal(err_set(&err, -ENOENT, "x"), -EIO);
    assert_int_equal(err_set(NULL, 0, "x"), -EIO);
}

/* Context goes before the message, as often as it is wrapped; the code stays. */
static void test_wrap(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    (void)err_set(&err, EACCES, "HTTP 403");
    assert_int_equal(err_wrap(&err, "key %s", "a"), -EACCES);
    assert_int_equal(err_wrap(&err, "table %s", "t"), -EACCES);
    assert_string_equal(err.msg, "table t: key a: HTTP 403");
    struct err unset = ERR_INIT;
    assert_int_equal(err_wrap(&unset, "x"), -EIO);
    assert_int_equal(unset.code, EIO);
}

/* Without a place for the message the code is the same. */
static void test_null_keeps_the_code(void **state)
{
    (void)state;
    struct err from = ERR_INIT;
    assert_int_equal(err_set(NULL, ENOSPC, "x"), -ENOSPC);
    assert_int_equal(err_wrap(NULL, "x"), -EIO);
    (void)err_set(&from, EROFS, "x");
    assert_int_equal(err_copy(NULL, &from), -EROFS);
}

/* Messages and contexts that are too long are cut and still end in a zero. */
static void test_long_messages_are_cut(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct err err = ERR_INIT, copy = ERR_INIT;
    (void)err_set(&err, EIO, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    (void)err_wrap(&err, "table");
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_memory_equal(err.msg, "table: xxx", 10);
    (void)err_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_int_equal(err_copy(&copy, &err), -EIO);
    assert_string_equal(copy.msg, err.msg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_no_code_is_eio),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_null_keeps_the_code),
        cmocka_unit_test(test_long_messages_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
