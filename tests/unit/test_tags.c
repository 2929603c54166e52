/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "lake/tags.h"

/* Aim: a name that a bare ref could be already, or that steers paths, is none. */
static void test_names(void **state)
{
    (void)state;
    static const char *const good[] = {"main",     "v1.2", "team/gold",  "a@b", "50%",
                                       "\xc3\xbc", "_x",   "with blank", "V12"};
    static const char *const bad[] = {
        "",     "12",    "v12",  "2026-03-01", "20260301093000123", ".x",      "-x", "a..b",
        "a\nb", "tag=x", "\xff", "a\x7f",      "version=1",         "branch=x"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        AUTO(buf) struct buf text = {0}, back = {0};
        buf_init(&text, KIB);
        buf_init(&back, KIB);
        assert_true(tag_name_valid(slice_of(good[i])));
        tag_name_format(&text, slice_of(good[i]));
        assert_ptr_equal(text.data ? strpbrk(text.data, "/@") : NULL, NULL);
        assert_true(tag_name_parse(&back, buf_slice(&text)));
        assert_string_equal(back.data, good[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (tag_name_valid(slice_of(bad[i])))
            fail_msg("%s is taken", bad[i]);
}

/* Aim: of what lies in the directory of shared tags only what was written as such is one. */
static void test_keys(void **state)
{
    (void)state;
    AUTO(buf) struct buf name = {0};
    uint64_t generation = 0;
    buf_init(&name, KIB);
    assert_true(
        tags_parse_key(SLICE_LIT("team%2Fgold.00000000000000000012.json"), &name, &generation));
    assert_string_equal(name.data, "team/gold");
    assert_int_equal(generation, 12);
    static const char *const bad[] = {"x.json",
                                      ".00000000000000000012.json",
                                      "x.0000000000000000012.json",
                                      "x.00000000000000000012.jso",
                                      "12.00000000000000000012.json",
                                      "x00000000000000000012.json",
                                      "x.99999999999999999999.json",
                                      "a%00.00000000000000000001.json"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        buf_reset(&name);
        if (tags_parse_key(slice_of(bad[i]), &name, &generation))
            fail_msg("%s is taken", bad[i]);
    }
}

/* Aim: an object says a version, or that the tag was taken away, or nothing that counts. */
static void test_objects(void **state)
{
    (void)state;
    int64_t version = 7;
    assert_true(
        tags_parse_object(SLICE_LIT("{\"tag\":\"x\",\"version\":12,\"by\":{}}\n"), &version));
    assert_int_equal(version, 12);
    assert_true(tags_parse_object(SLICE_LIT("{\"version\":null}"), &version));
    assert_int_equal(version, -1);
    static const char *const bad[] = {
        "", "{}", "[]", "{\"version\":\"12\"}", "{\"version\":-2}", "{\"version\":12", "12"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (tags_parse_object(slice_of(bad[i]), &version))
            fail_msg("%s is taken", bad[i]);
}

static int count(void *arg, struct slice name, const struct local_tag *tag)
{
    (void)name;
    *(int64_t *)arg += tag->version;
    return 0;
}

/* Aim: local tags are those of their table, stay over a reopening, and go one by one. */
static void test_local(void **state)
{
    (void)state;
    char dir[] = "/tmp/tarn-tags-XXXXXX";
    struct err err = ERR_INIT;
    assert_non_null(mkdtemp(dir));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct local_tags *t = local_tags_open(fd, dir, &err);
    struct slice a = SLICE_LIT("0123456789abcdef"), b = SLICE_LIT("0123456789abcdee");
    struct local_tag one = {.version = 1}, two = {.version = 20};
    assert_non_null(t);
    assert_int_equal(local_tags_set(t, a, SLICE_LIT("x"), &one, false, &err), 0);
    assert_int_equal(local_tags_set(t, a, SLICE_LIT("y"), &two, false, &err), 0);
    assert_int_equal(local_tags_set(t, b, SLICE_LIT("x"), &two, false, &err), 0);
    assert_int_equal(local_tags_set(t, a, SLICE_LIT("x"), &two, false, &err), -EEXIST);
    local_tags_close(t);
    t = local_tags_open(fd, dir, &err);
    int64_t sum = 0;
    assert_int_equal(local_tags_each(t, a, count, &sum, &err), 0);
    assert_int_equal(sum, 21);
    assert_int_equal(local_tags_set(t, a, SLICE_LIT("x"), &two, true, &err), 0);
    assert_int_equal(local_tags_remove(t, a, SLICE_LIT("y"), &err), 0);
    assert_int_equal(local_tags_remove(t, a, SLICE_LIT("y"), &err), -ENOENT);
    sum = 0;
    assert_int_equal(local_tags_each(t, a, count, &sum, &err), 0);
    assert_int_equal(sum, 20);
    sum = 0;
    assert_int_equal(local_tags_each(t, b, count, &sum, &err), 0);
    assert_int_equal(sum, 20);
    local_tags_close(t);
    (void)unlinkat(fd, "tags.mdb", 0);
    (void)close(fd);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_keys),
                                       cmocka_unit_test(test_objects),
                                       cmocka_unit_test(test_local)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
