/* SPDX-License-Identifier: Apache-2.0 */
/* Growable buffers: what is appended, the maximum, errors that stick. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"

/* Appends of every kind come out one after the other, followed by a zero that does not count. */
static void test_appends_in_order(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = {0};
    buf_init(&b, 1000);
    buf_add(&b, "ab", 2);
    buf_add_slice(&b, SLICE_LIT("cd"));
    buf_add_slice(&b, SLICE_NONE);
    buf_add_str(&b, "ef");
    buf_add_char(&b, 'g');
    buf_addf(&b, "-%d-%s", 42, "x");
    assert_int_equal(buf_check(&b, NULL), 0);
    assert_int_equal(b.len, 12);
    assert_string_equal(b.data, "abcdefg-42-x");
}

/* Growth over many doublings keeps every byte, and the invariants of the header hold throughout. */
static void test_growth_keeps_bytes(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = {0};
    buf_init(&b, 100000);
    for (unsigned i = 0; i < 100000; i++) {
        buf_add_char(&b, (char)(i * 31));
        assert_true(b.len < b.cap && b.len <= b.max && b.data[b.len] == '\0');
    }
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(b.data[i], (char)(i * 31));
}

/* Exactly the maximum fits; one byte more fails, and everything after it too, even what would fit.
 */
static void test_maximum_is_exact_and_failure_sticks(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(buf) struct buf b = {0};
    buf_init(&b, 4);
    buf_add_str(&b, "abcd");
    assert_int_equal(buf_check(&b, &err), 0);
    buf_add_char(&b, 'e');
    assert_int_equal(buf_check(&b, &err), -EOVERFLOW);
    assert_non_null(strstr(err.msg, "4 bytes"));
    buf_add(&b, "", 0);
    buf_addf(&b, "%s", "");
    assert_null(buf_reserve(&b, 0));
    assert_null(buf_steal_str(&b));
    assert_string_equal(b.data, "abcd");
    buf_reset(&b);
    assert_int_equal(buf_check(&b, &err), 0);
    assert_string_equal(b.data, "");
    buf_addf(&b, "%d", 1234);
    assert_string_equal(b.data, "1234");
    buf_addf(&b, "%d", 5);
    assert_int_equal(buf_check(&b, NULL), -EOVERFLOW);
}

/* Room that was reserved is counted when it is used, and a size near the largest is refused. */
static void test_reserve(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = {0};
    buf_init(&b, 1000);
    char *room = buf_reserve(&b, 1000);
    assert_non_null(room);
    assert_int_equal(b.len, 0);
    memset(room, 'x', 1000);
    b.len += 1000;
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_int_equal(b.failed, EOVERFLOW);
}

/* A stolen string is the caller's, and the buffer goes on as an empty one. */
static void test_steal(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = {0};
    buf_init(&b, 10);
    AUTO_FREE char *empty = buf_steal_str(&b);
    assert_string_equal(empty, "");
    buf_add_str(&b, "one");
    AUTO_FREE char *one = buf_steal_str(&b);
    assert_null(b.data);
    buf_add_str(&b, "two");
    assert_string_equal(one, "one");
    assert_string_equal(b.data, "two");
}

/* Numbers have the bytes that readers of them expect. */
static void test_binary_numbers(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = {0};
    buf_init(&b, 100);
    buf_add_le64(&b, UINT64_C(0x0102030405060708));
    buf_add_varint(&b, 0);
    buf_add_varint(&b, 127);
    buf_add_varint(&b, 300);
    buf_add_varint(&b, UINT64_MAX);
    assert_int_equal(b.len, 8 + 1 + 1 + 2 + 10);
    assert_memory_equal(b.data,
                        "\x08\x07\x06\x05\x04\x03\x02\x01\x00\x7f\xac\x02"
                        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                        b.len);
}

/* Any bytes become a JSON string that is valid UTF-8: escaped where JSON wants it, replaced where
 * they are no text. */
static void test_json_strings(void **state)
{
    (void)state;
    static const struct {
        struct slice text;
        const char *json;
    } cases[] = {
        {{NULL, 0}, "\"\""},
        {{"a\"b\\c/", 6}, "\"a\\\"b\\\\c/\""},
        {{"\0\n\x1f\x7f", 4}, "\"\\u0000\\u000a\\u001f\\u007f\""},
        {{"\xc3\xa9\xf0\x9f\x98\x80", 6}, "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        {{"\xff\xc3", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(buf) struct buf b = {0};
        buf_init(&b, 100);
        buf_add_json(&b, cases[i].text);
        assert_string_equal(b.data, cases[i].json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends_in_order),
        cmocka_unit_test(test_growth_keeps_bytes),
        cmocka_unit_test(test_maximum_is_exact_and_failure_sticks),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_steal),
        cmocka_unit_test(test_binary_numbers),
        cmocka_unit_test(test_json_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
