/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "lake/format/thrift.h"

/* Aim: every type is read with its value, by short and by long field ids. */
static void test_values(void **state)
{
    (void)state;
    struct thrift t = thrift_make(SLICE_LIT("\x11"                 /* 1: true */
                                            "\x12"                 /* 2: false */
                                            "\x13\xff"             /* 3: i8 -1 */
                                            "\x15\x03"             /* 4: i32 -2 */
                                            "\x06\xd0\x0f\x80\x02" /* 1000: i64 128 */
                                            "\x18\x02hi"           /* 1001: "hi" */
                                            "\x1c\x15\x02\x00"     /* 1002: {1: 1} */
                                            "\x00rest"));
    struct thrift_field f = THRIFT_STRUCT;
    assert_true(thrift_next(&t, &f) && f.id == 1 && thrift_bool(&t, &f));
    assert_true(thrift_next(&t, &f) && f.id == 2 && !thrift_bool(&t, &f));
    assert_true(thrift_next(&t, &f) && f.id == 3 && thrift_int(&t, &f) == -1);
    assert_true(thrift_next(&t, &f) && f.id == 4 && thrift_i32(&t, &f) == -2);
    assert_true(thrift_next(&t, &f) && f.id == 1000 && thrift_int(&t, &f) == 128);
    assert_true(thrift_next(&t, &f) && f.id == 1001 && slice_is(thrift_binary(&t, &f), "hi"));
    assert_true(thrift_next(&t, &f) && f.id == 1002 && thrift_struct(&t, &f));
    struct thrift_field inner = THRIFT_STRUCT;
    assert_true(thrift_next(&t, &inner) && inner.id == 1 && thrift_int(&t, &inner) == 1);
    assert_false(thrift_next(&t, &inner));
    assert_false(thrift_next(&t, &f));
    assert_false(t.in.bad);
    assert_int_equal(bytes_left(&t.in), 4);
}

/* Aim: lists of structs are counted, and each element is a struct of its own. */
static void test_structs(void **state)
{
    (void)state;
    struct thrift t = thrift_make(SLICE_LIT("\x19\x2c\x15\x02\x00\x15\x04\x00\x00"));
    struct thrift_field f = THRIFT_STRUCT;
    assert_true(thrift_next(&t, &f));
    assert_int_equal(thrift_structs(&t, &f), 2);
    for (int i = 1; i <= 2; i++) {
        struct thrift_field e = THRIFT_STRUCT;
        assert_true(thrift_next(&t, &e));
        assert_int_equal(thrift_int(&t, &e), i);
        assert_false(thrift_next(&t, &e));
    }
    assert_false(thrift_next(&t, &f) || t.in.bad);
}

/* Aim: a value of any type is passed over exactly. */
static void test_skip(void **state)
{
    (void)state;
    static const struct slice fields[] = {
        SLICE_LIT("\x11"),
        SLICE_LIT("\x13\x01"),
        SLICE_LIT("\x14\x80\x01"),
        SLICE_LIT("\x16\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        SLICE_LIT("\x17"
                  "12345678"),
        SLICE_LIT("\x18\x03"
                  "abc"),
        SLICE_LIT("\x19\x31\x01\x02\x01"),          /* list of booleans */
        SLICE_LIT("\x1a\xf5\x02\x02\x04"),          /* set of i32, long head */
        SLICE_LIT("\x1b\x00"),                      /* empty map */
        SLICE_LIT("\x1b\x01\x8c\x01k\x15\x02\x00"), /* map of strings to structs */
        SLICE_LIT("\x1c\x1c\x11\x00\x19\x08\x00"),  /* nested structs, empty list */
        SLICE_LIT("\x1d"
                  "0123456789abcdef"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        struct thrift t = thrift_make(fields[i]);
        struct thrift_field f = THRIFT_STRUCT;
        assert_true(thrift_next(&t, &f));
        thrift_skip(&t, &f);
        assert_false(t.in.bad);
        assert_int_equal(bytes_left(&t.in), 0);
        for (size_t n = 1; n < fields[i].n; n++) {
            t = thrift_make(slice_make(fields[i].p, n));
            f = (struct thrift_field)THRIFT_STRUCT;
            assert_true(thrift_next(&t, &f));
            thrift_skip(&t, &f);
            assert_true(t.in.bad);
        }
    }
}

/* Aim: deep nesting, counts beyond the input, wrong types and unknown types are errors. */
static void test_hostile(void **state)
{
    (void)state;
    char deep[10000];
    memset(deep, 0x1c, sizeof deep);
    struct thrift t = thrift_make(slice_make(deep, sizeof deep));
    struct thrift_field f = THRIFT_STRUCT;
    assert_true(thrift_next(&t, &f));
    thrift_skip(&t, &f);
    assert_true(t.in.bad);
    assert_true(bytes_left(&t.in) > sizeof deep - 2 * THRIFT_DEPTH_MAX);

    static const struct slice bad[] = {
        SLICE_LIT("\x19\xfc\xff\xff\xff\xff\x0f\x00"), /* a list of 4 billion structs */
        SLICE_LIT("\x19\x15\x00"),                     /* a list of integers */
        SLICE_LIT("\x15\x02"),                         /* an integer */
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        t = thrift_make(bad[i]);
        f = (struct thrift_field)THRIFT_STRUCT;
        assert_true(thrift_next(&t, &f));
        assert_int_equal(thrift_structs(&t, &f), 0);
        assert_true(t.in.bad);
        assert_false(thrift_next(&t, &f));
    }
    t = thrift_make(SLICE_LIT("\x16\x80\x80\x80\x80\x20")); /* 2^32 */
    f = (struct thrift_field)THRIFT_STRUCT;
    assert_true(thrift_next(&t, &f));
    assert_int_equal(thrift_i32(&t, &f), 0);
    assert_true(t.in.bad);
    t = thrift_make(SLICE_LIT("\x1e\x00"));
    f = (struct thrift_field)THRIFT_STRUCT;
    assert_false(thrift_next(&t, &f));
    assert_true(t.in.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_structs),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
