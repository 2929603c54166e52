/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/limits.h"

static struct slice decode(const char *text, struct buf *scratch, bool *ok)
{
    struct json j;
    struct slice s = SLICE_NONE;
    json_init(&j, slice_of(text));
    *ok = json_string(&j, scratch, &s) && json_at_end(&j);
    return s;
}

/* Aim: a document is walked, wanted values are read and the others passed over. */
static void test_walk(void **state)
{
    (void)state;
    AUTO(buf) struct buf scratch;
    struct json j;
    struct slice key, path = SLICE_NONE;
    int64_t size = 0;
    bool flag = false;
    buf_init(&scratch, KIB);
    json_init(&j,
              SLICE_LIT(" {\"skip\": {\"a\":[1,{\"b\":null}],\"c\":\"}\\\"]\"}, \"path\":\"x/y\" ,"
                        "\"size\":1.5e2,\"flag\":true,\"none\":null} junk"));
    assert_true(json_enter_object(&j));
    while (json_next_key(&j, &key)) {
        if (slice_is(key, "path"))
            assert_true(json_string(&j, &scratch, &path));
        else if (slice_is(key, "size"))
            assert_true(json_int64(&j, &size));
        else if (slice_is(key, "flag"))
            assert_true(json_bool(&j, &flag));
        else if (slice_is(key, "none"))
            assert_true(json_null(&j));
        else
            assert_true(json_skip(&j, NULL));
    }
    assert_false(json_failed(&j));
    assert_false(json_at_end(&j));
    assert_true(slice_is(path, "x/y"));
    assert_int_equal(size, 150);
    assert_true(flag);
}

/* Aim: strings are decoded; one with half a surrogate pair in it is an error. */
static void test_strings(void **state)
{
    (void)state;
    static const struct {
        const char *text, *value; /* value NULL: an error */
    } cases[] = {
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"a\\\"b\\\\c\\/\\n\\t\"", "a\"b\\c/\n\t"},
        {"\"\\u0041\\u00e9\\u20ac\"", "A\xc3\xa9\xe2\x82\xac"},
        {"\"\\ud83d\\ude08\"", "\xf0\x9f\x98\x88"},
        {"\"\\ud83dx\"", NULL},
        {"\"\\ude08\\ud83d\"", NULL},
        {"\"\\ud83d\\u0041\"", NULL},
        {"\"\\ud83d\"", NULL},
        {"\"\\\\\"", "\\"},
        {"\"\\\\\\\"\"", "\\\""},
        {"\"open", NULL},
        {"\"open\\\"", NULL},
        {"\"\\u12\"", NULL},
        {"\"\\x\"", NULL},
        {"\"a\" b", NULL},
        {"12", NULL},
        {"", NULL},
    };
    AUTO(buf) struct buf scratch;
    buf_init(&scratch, KIB);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        bool ok;
        struct slice s = decode(cases[i].text, &scratch, &ok);
        assert_int_equal(ok, cases[i].value != NULL);
        if (ok)
            assert_true(slice_is(s, cases[i].value));
    }
}

/* Aim: a string over the scratch buffer's maximum is an error, not a truncation. */
static void test_string_limit(void **state)
{
    (void)state;
    AUTO(buf) struct buf scratch;
    bool ok;
    buf_init(&scratch, 4);
    (void)decode("\"\\n2345\"", &scratch, &ok);
    assert_false(ok);
}

/* Aim: integers are read exactly or refused. */
static void test_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"-17", true, -17},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"1.0", true, 1},
        {"1e3", true, 1000},
        {"1.5E+1", true, 15},
        {"-1200e-2", true, -12},
        {"0.0e99", true, 0},
        {"9.223372036854775807e18", true, INT64_MAX},
        {"1.5", false, 0},
        {"1e19", false, 0},
        {"1e99999999999", false, 0},
        {"01", false, 0},
        {"-", false, 0},
        {"1.", false, 0},
        {"1e", false, 0},
        {"\"1\"", false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct json j;
        int64_t v = 0;
        json_init(&j, slice_of(cases[i].text));
        bool ok = json_int64(&j, &v) && json_at_end(&j);
        assert_int_equal(ok, cases[i].ok);
        if (ok)
            assert_int_equal(v, cases[i].value);
    }
}

/* Aim: skip takes exactly what is JSON, and gives its text. */
static void test_skip(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",   "[]",   "[[],{}]",          "{\"a\":{\"b\":[1,2.5,-3e7]}}",
        "true", "null", "[\"]\",\"\\\"\"]", "[ 1 , 2 ]"};
    static const char *const bad[] = {"{",     "[",   "[1,]", "{\"a\"}",    "{\"a\":}", "{a:1}",
                                      "[1 2]", "[}",  "{]",   "{\"a\":1,}", "tru",      "nul",
                                      "[,1]",  "{,}", "+1",   "",           "[1",       "{\"a\":1"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct json j;
        struct slice raw;
        json_init(&j, slice_of(good[i]));
        assert_true(json_skip(&j, &raw));
        assert_true(json_at_end(&j));
        assert_true(slice_is(raw, good[i]));
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct json j;
        json_init(&j, slice_of(bad[i]));
        assert_false(json_skip(&j, NULL));
        assert_true(json_failed(&j));
        assert_int_equal(json_error(&j, NULL), -EIO);
    }
}

/* Aim: nesting is bounded, without recursion. */
static void test_depth(void **state)
{
    (void)state;
    AUTO(buf) struct buf text;
    struct json j;
    buf_init(&text, 8 * KIB);
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        buf_reset(&text);
        for (size_t i = 0; i < depth; i++)
            buf_add_str(&text, "[");
        for (size_t i = 0; i < depth; i++)
            buf_add_str(&text, "]");
        json_init(&j, buf_slice(&text));
        assert_int_equal(json_skip(&j, NULL), depth <= JSON_DEPTH_MAX);
    }
}

/* Aim: keys with escapes are decoded, and bounded. */
static void test_keys(void **state)
{
    (void)state;
    AUTO(buf) struct buf text;
    struct json j;
    struct slice key;
    json_init(&j, SLICE_LIT("{\"p\\u0061th\":1}"));
    assert_true(json_enter_object(&j) && json_next_key(&j, &key));
    assert_true(slice_is(key, "path"));
    buf_init(&text, KIB);
    buf_add_str(&text, "{\"\\n");
    for (int i = 0; i < 300; i++)
        buf_add_char(&text, 'k');
    buf_add_str(&text, "\":1}");
    json_init(&j, buf_slice(&text));
    assert_true(json_enter_object(&j));
    assert_false(json_next_key(&j, &key));
    assert_true(json_failed(&j));
}

/* Aim: after an error nothing moves and every call is false. */
static void test_errors_stick(void **state)
{
    (void)state;
    struct json j;
    struct slice key;
    bool b;
    json_init(&j, SLICE_LIT("{\"a\" 1}"));
    assert_true(json_enter_object(&j));
    assert_false(json_next_key(&j, &key));
    assert_int_equal(j.at, 5);
    assert_int_equal(json_peek(&j), JSON_NONE);
    assert_false(json_bool(&j, &b) || json_next_key(&j, &key) || json_skip(&j, NULL));
    assert_false(json_at_end(&j) || json_enter_array(&j) || json_null(&j));
    assert_int_equal(j.at, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk),         cmocka_unit_test(test_strings),
        cmocka_unit_test(test_string_limit), cmocka_unit_test(test_integers),
        cmocka_unit_test(test_skip),         cmocka_unit_test(test_depth),
        cmocka_unit_test(test_keys),         cmocka_unit_test(test_errors_stick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
