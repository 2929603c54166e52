/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer writes, the reader reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lake/format/thrift_write.h"

/* Aim: every type comes back with its value, by short and by long field ids, also descending. */
static void test_values(void **state)
{
    (void)state;
    AUTO(buf) struct buf bytes = {0};
    buf_init(&bytes, 1000);
    struct thrift_out out = thrift_out_make(&bytes);
    thrift_put_bool(&out, 1, true);
    thrift_put_bool(&out, 2, false);
    thrift_put_byte(&out, 3, -1);
    thrift_put_int(&out, 4, THRIFT_I32, INT32_MIN);
    thrift_put_int(&out, 1000, THRIFT_I64, INT64_MAX);
    thrift_put_binary(&out, 7, SLICE_LIT("hi"));
    thrift_put_raw(&out, 8, THRIFT_STRUCT_TYPE, SLICE_LIT("\x15\x02\x00"));
    thrift_put_end(&out);
    assert_int_equal(buf_check(&bytes, NULL), 0);

    struct thrift t = thrift_make(buf_slice(&bytes));
    struct thrift_field f = THRIFT_STRUCT;
    assert_true(thrift_next(&t, &f) && f.id == 1 && thrift_bool(&t, &f));
    assert_true(thrift_next(&t, &f) && f.id == 2 && !thrift_bool(&t, &f));
    assert_true(thrift_next(&t, &f) && f.id == 3 && thrift_int(&t, &f) == -1);
    assert_true(thrift_next(&t, &f) && f.id == 4 && thrift_i32(&t, &f) == INT32_MIN);
    assert_true(thrift_next(&t, &f) && f.id == 1000 && thrift_int(&t, &f) == INT64_MAX);
    assert_true(thrift_next(&t, &f) && f.id == 7 && slice_is(thrift_binary(&t, &f), "hi"));
    assert_true(thrift_next(&t, &f) && f.id == 8);
    assert_true(slice_eq(thrift_raw(&t, &f), SLICE_LIT("\x15\x02\x00")));
    assert_false(thrift_next(&t, &f) || t.in.bad);
    assert_int_equal(bytes_left(&t.in), 0);
}

/* Aim: structs in structs and lists of any length are read as they were written. */
static void test_nested(void **state)
{
    (void)state;
    for (size_t n = 0; n < 40; n++) {
        AUTO(buf) struct buf bytes = {0};
        buf_init(&bytes, 1000);
        struct thrift_out out = thrift_out_make(&bytes);
        thrift_put_struct(&out, 20);
        thrift_put_list(&out, 2, THRIFT_STRUCT_TYPE, n);
        for (size_t i = 0; i < n; i++) {
            thrift_put_item(&out);
            thrift_put_int(&out, 3, THRIFT_I64, (int64_t)i * 1000);
            thrift_put_end(&out);
        }
        thrift_put_int(&out, 3, THRIFT_I32, 5);
        thrift_put_end(&out);
        thrift_put_bool(&out, 21, true);
        thrift_put_end(&out);
        assert_int_equal(buf_check(&bytes, NULL), 0);

        struct thrift t = thrift_make(buf_slice(&bytes));
        struct thrift_field f = THRIFT_STRUCT, inner = THRIFT_STRUCT;
        assert_true(thrift_next(&t, &f) && f.id == 20 && thrift_struct(&t, &f));
        assert_true(thrift_next(&t, &inner) && inner.id == 2);
        assert_int_equal(thrift_structs(&t, &inner), n);
        for (size_t i = 0; i < n; i++) {
            struct thrift_field item = THRIFT_STRUCT;
            assert_true(thrift_next(&t, &item) && item.id == 3);
            assert_int_equal(thrift_int(&t, &item), i * 1000);
            assert_false(thrift_next(&t, &item));
        }
        assert_true(thrift_next(&t, &inner) && inner.id == 3 && thrift_i32(&t, &inner) == 5);
        assert_false(thrift_next(&t, &inner));
        assert_true(thrift_next(&t, &f) && f.id == 21 && thrift_bool(&t, &f));
        assert_false(thrift_next(&t, &f) || t.in.bad);
        assert_int_equal(bytes_left(&t.in), 0);
    }
}

/* Aim: lists of numbers and of strings are passed over exactly. */
static void test_items(void **state)
{
    (void)state;
    AUTO(buf) struct buf bytes = {0};
    buf_init(&bytes, 1000);
    struct thrift_out out = thrift_out_make(&bytes);
    thrift_put_list(&out, 1, THRIFT_I32, 2);
    thrift_put_item_int(&out, -5);
    thrift_put_item_int(&out, 100000);
    thrift_put_list(&out, 2, THRIFT_BINARY, 2);
    thrift_put_item_binary(&out, SLICE_LIT(""));
    thrift_put_item_binary(&out, SLICE_LIT("abc"));
    thrift_put_end(&out);
    assert_true(slice_eq(buf_slice(&bytes), SLICE_LIT("\x19\x25\x09\xc0\x9a\x0c"
                                                      "\x19\x28\x00\x03"
                                                      "abc\x00")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
