/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/left_out.h"

static const struct {
    struct slice key;
    bool beside_dir;
    const char *path;
} named[] = {
    {SLICE_LIT("a/b.parquet"), false, "a/b.parquet"},
    {SLICE_LIT("x=1%3A2/a%20b%"), false, "x=1%3A2/a%20b%"},
    {SLICE_LIT("orders@12/\xc3\xa4 b"), false, "orders@12/\xc3\xa4 b"},
    {SLICE_LIT("~a%~b"), false, "~a%~25~b"},
    {SLICE_LIT("%~41"), false, "%~25~41"},
    {SLICE_LIT("%%~"), false, "%%~25~"},
    {SLICE_LIT(""), false, "%~"},
    {SLICE_LIT(""), true, "%~%~"},
    {SLICE_LIT("/"), false, "%~/%~"},
    {SLICE_LIT("a//b"), false, "a/%~/b"},
    {SLICE_LIT("a/"), false, "a/%~"},
    {SLICE_LIT("./../..."), false, "%~2E/%~2E./..."},
    {SLICE_LIT(".tarn/.tarnish"), false, "%~2Etarn/.tarnish"},
    {SLICE_LIT("a\nb\x1b[0m\x7f"), false, "a%~0Ab%~1B[0m%~7F"},
    {SLICE_LIT("\xff\xc3(\xed\xa0\x80"), false, "%~FF%~C3(%~ED%~A0%~80"},
    {SLICE_LIT("\xc2\x9b\xc2\xa0"), false, "%~C2%~9B\xc2\xa0"},
    {SLICE_LIT("d/x"), true, "d/x%~"},
    {SLICE_LIT("x%~"), false, "x%~25~"},
};

/* Aim: every key that can have a name has one of its own, which leads back to it. */
static void test_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
        AUTO(buf) struct buf path = {0}, key = {0};
        buf_init(&path, 2 * KEY_BYTES_MAX);
        buf_init(&key, KEY_BYTES_MAX);
        assert_int_equal(key_name_add_path(&path, named[i].key, named[i].beside_dir),
                         KEY_FLAW_NONE);
        assert_string_equal(path.data, named[i].path);
        key_name_add_key(&key, buf_slice(&path));
        assert_true(slice_eq(buf_slice(&key), named[i].key));
    }
}

/* Aim: names over 255 bytes, paths over 4,096 and zero bytes are refused with their reason. */
static void test_flaws(void **state)
{
    (void)state;
    char text[1025] = "";
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 4 * KEY_BYTES_MAX);
    buf_add_str(&out, "in/");
    memset(text, 'n', 1024);
    assert_int_equal(key_name_add_path(&out, slice_make(text, 255), false), KEY_FLAW_NONE);
    assert_int_equal(out.len, 3 + 255);
    out.len = 3;
    assert_int_equal(key_name_add_path(&out, slice_make(text, 254), true), KEY_FLAW_LONG_NAME);
    assert_int_equal(key_name_add_path(&out, slice_make(text, 256), false), KEY_FLAW_LONG_NAME);
    memset(text, 1, 64); /* four bytes each */
    assert_int_equal(key_name_add_path(&out, slice_make(text, 64), false), KEY_FLAW_LONG_NAME);
    for (size_t i = 0; i < 1024; i++)
        text[i] = i % 50 == 49 ? '/' : 1;
    assert_int_equal(key_name_add_path(&out, slice_make(text, 1024), false), KEY_FLAW_NONE);
    out.len = 3;
    memset(text, 1, 1024);
    char deep[KEY_BYTES_MAX + 1];
    for (size_t i = 0; i <= KEY_BYTES_MAX; i++)
        deep[i] = i % 2 ? '/' : 'd';
    assert_int_equal(key_name_add_path(&out, slice_make(deep, KEY_BYTES_MAX + 1), false),
                     KEY_FLAW_LONG_PATH);
    assert_int_equal(key_name_add_path(&out, SLICE_LIT("a\0b"), false), KEY_FLAW_ZERO);
    assert_string_equal(out.data, "in/");
}

/* Aim: what is left out is counted, the first ones are told with their reason, bounded. */
static void test_left_out(void **state)
{
    (void)state;
    AUTO(left_out) struct left_out l;
    AUTO(buf) struct buf out = {0};
    left_out_init(&l);
    buf_init(&out, 64 * KIB);
    left_out_format(&l, &out);
    assert_int_equal(out.len, 0);
    left_out_add(&l, SLICE_LIT("a\0b\n"), KEY_FLAW_ZERO);
    left_out_format(&l, &out);
    assert_string_equal(out.data, "1 object is left out\na%~00b%~0A: a zero byte in its key\n");
    for (int i = 0; i < 1000; i++)
        left_out_add(&l, SLICE_LIT("long"), KEY_FLAW_LONG_NAME);
    buf_reset(&out);
    left_out_format(&l, &out);
    assert_non_null(strstr(out.data, "1001 objects are left out\n"));
    assert_non_null(strstr(out.data, "\nlong: a name of more than 255 bytes\n"));
    assert_non_null(strstr(out.data, "\nand 951 more\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_flaws),
        cmocka_unit_test(test_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
