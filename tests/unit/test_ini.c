/* SPDX-License-Identifier: Apache-2.0 */
/* Profile files: what counts as a section and a setting, and what is passed over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "cache/store/ini.h"

static const char file[] = "orphan = 1\n"
                           "[default]\n"
                           "region=eu-west-1\r\n"
                           "# region = no\n"
                           "; region = no\n"
                           "s3 =\n"
                           "  region = no\n"
                           "\tmax_concurrent_requests = 20\n"
                           "equals = a=b = c\n"
                           "no equals\n"
                           "= no key\n"
                           "[profile work]   ; mine\n"
                           "region = under-work-no\n"
                           "  [profile indented]\n"
                           "region = under-work-too\n"
                           "[ profile \"two words\" ]\n"
                           "region = two\n"
                           "[profile work]\n"
                           "region = first\n"
                           "region = second\n"
                           "empty =\n"
                           "[sso-session work]\n"
                           "region = session\n"
                           "[profilework]\n"
                           "region = other\n"
                           "[open\n"
                           "last = without a line's end";

static void check(const char *kind, const char *name, const char *key, const char *want)
{
    struct slice value = SLICE_LIT("untouched");
    assert_int_equal(ini_find(slice_of(file), kind, name, key, &value), want != NULL);
    assert_true(slice_is(value, want ? want : "untouched"));
}

/* Settings are found by section and key; comments, nested settings and noise are not settings. */
static void test_find(void **state)
{
    (void)state;
    check("", "default", "region", "eu-west-1");
    check("", "default", "s3", "");
    check("", "default", "max_concurrent_requests", NULL);
    check("", "default", "equals", "a=b = c");
    check("", "default", "orphan", NULL);
    check("", "", "orphan", "1");
    check("profile", "work", "region", "second");
    check("profile", "work", "empty", "");
    check("profile", "two words", "region", "two");
    check("profile", "indented", "region", NULL);
    check("sso-session", "work", "region", "session");
    check("", "profilework", "region", "other");
    check("", "work", "region", NULL);
    check("profile", "nobody", "region", NULL);
    check("", "profilework", "last", "without a line's end");
}

/* Files that the AWS command line reads: settings are indented, in capitals, with `:` for `=`. */
static void test_other_spellings(void **state)
{
    (void)state;
    struct slice text = SLICE_LIT("[default]\n"
                                  "  AWS_Access_Key_Id = id\n"
                                  "  aws_secret_access_key : a=b\n"
                                  "  region = one\n"
                                  "  s3 =\n"
                                  "    region = no\n"
                                  "  [profile work]\n"
                                  "  endpoint_url = http://h:1\n"
                                  "last: two\n");
    const char *const wanted[][4] = {
        {"", "default", "aws_access_key_id", "id"},
        {"", "default", "aws_secret_access_key", "a=b"},
        {"", "default", "region", "one"},
        {"profile", "work", "endpoint_url", "http://h:1"},
        {"profile", "work", "last", "two"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        struct slice value = SLICE_NONE;
        assert_true(ini_find(text, wanted[i][0], wanted[i][1], wanted[i][2], &value));
        assert_true(slice_is(value, wanted[i][3]));
    }
    assert_true(ini_has_section(text, "profile", "work"));
}

/* A section is there also where it is empty. */
static void test_has_section(void **state)
{
    (void)state;
    struct slice text = SLICE_LIT("[a]\n[profile b]");
    assert_true(ini_has_section(text, "", "a"));
    assert_true(ini_has_section(text, "profile", "b"));
    assert_false(ini_has_section(text, "", "b"));
    assert_false(ini_has_section(SLICE_NONE, "", "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_other_spellings),
        cmocka_unit_test(test_has_section),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
