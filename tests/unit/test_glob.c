/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "base/fold.h"
#include "base/glob.h"

static bool matches(const char *pattern, const char *path, bool folded)
{
    struct err err = ERR_INIT;
    struct glob g;
    AUTO(arena) struct arena arena;
    arena_init(&arena, 1 << 20);
    if (glob_parse(&arena, slice_of(pattern), "/", &g, &err) < 0)
        fail_msg("%s", err.msg);
    return glob_matches(&g, slice_of(path), '/', folded);
}

static int refused(const char *pattern)
{
    struct glob g;
    AUTO(arena) struct arena arena;
    arena_init(&arena, 1 << 20);
    return glob_parse(&arena, slice_of(pattern), "/", &g, NULL);
}

/* Aim: `*` and `?` stay within a name, `**` is any number of names. */
static void test_matches(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *yes[6], *no[6];
    } cases[] = {
        {"a/b", {"a/b"}, {"a", "a/b/c", "A/b", "a/bb", ""}},
        {"**", {"", "a", "a/b/c"}, {NULL}},
        {"a/**", {"a", "a/b", "a/b/c"}, {"", "b", "ab"}},
        {"**/z", {"z", "a/z", "a/b/z"}, {"", "za", "z/a"}},
        {"a/**/z", {"a/z", "a/b/z", "a/z/z", "a/b/z/z"}, {"a", "z", "a/zz", "b/a/z"}},
        {"a/**/b/**/c", {"a/b/c", "a/x/b/y/z/c", "a/b/b/c/c"}, {"a/c", "a/c/b"}},
        {"*", {"a", "abc"}, {"", "a/b"}},
        {"a*c/x", {"ac/x", "abc/x", "acc/x"}, {"a/c/x", "ac/y"}},
        {"*a*b*", {"ab", "xaxbx", "aab"}, {"ba", "a"}},
        {"?/b?", {"a/bc", "\xc3\xa9/b\xe2\x82\xac", "\xff/b."}, {"/bc", "ab/b", "a/b"}},
        {"`a*`/c", {"a*/c"}, {"ax/c", "a*c"}},
        {"`a``b`", {"a`b"}, {"ab"}},
        {"*\xc3\xa9", {"\xc3\xa9", "a\xc3\xa9"}, {"\xa9", "e"}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t j = 0; j < 6 && cases[i].yes[j]; j++)
            if (!matches(cases[i].pattern, cases[i].yes[j], false))
                fail_msg("%s does not match \"%s\"", cases[i].pattern, cases[i].yes[j]);
        for (size_t j = 0; j < 6 && cases[i].no[j]; j++)
            if (matches(cases[i].pattern, cases[i].no[j], false))
                fail_msg("%s matches \"%s\"", cases[i].pattern, cases[i].no[j]);
    }
}

/* Aim: where case does not count, it does not in any script, and nothing else is taken for equal.
 */
static void test_folded(void **state)
{
    (void)state;
    assert_true(matches("Email", "eMAIL", true));
    assert_true(
        matches("stra\xc3\x9f\x65/*M\xc3\xa4IL*", "STRA\xe1\xba\x9e\x45/e-m\xc3\x84il2", true));
    assert_true(matches("\xd0\xb8\xd0\xbc\xd1\x8f", "\xd0\x98\xd0\x9c\xd0\xaf", true));
    assert_true(matches("k", "\xe2\x84\xaa", true)); /* the sign of Kelvin */
    assert_false(matches("email", "emai1", true));
    assert_false(matches("a", "a\xcc\x81", true)); /* forms are not normalised */
    assert_false(matches("Email", "email", false));
    assert_false(fold_equal(SLICE_LIT("a"), SLICE_LIT("ab")));
}

/* Aim: a pattern that could be meant in another way is refused. */
static void test_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"",    "/a",    "a/",   "a//b", "a**",  "**a",  "a/***",
                                        "[a]", "{a,b}", "a\\b", "`a",   "`a`b", "a`b`", "``"};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (refused(cases[i]) != -EINVAL)
            fail_msg("\"%s\" is taken", cases[i]);
    char many[2 * GLOB_PARTS_MAX + 2] = "a", deep[GLOB_BYTES_MAX + 2];
    for (size_t i = 0; i < GLOB_PARTS_MAX; i++)
        memcpy(&many[1 + 2 * i], "/a", 3);
    assert_int_equal(refused(many), -EOVERFLOW);
    memset(deep, 'a', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(refused(deep), -EOVERFLOW);
}

static int64_t cpu_ms(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Aim: no name that somebody gives his table makes a pattern slow. */
static void test_hostile_names(void **state)
{
    (void)state;
    char path[4096], pattern[201];
    for (size_t i = 0; i < sizeof path - 1; i++)
        path[i] = i % 2 ? '/' : 'a';
    path[sizeof path - 1] = '\0';
    int64_t before = cpu_ms();
    assert_false(matches("**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/b", path, false));
    memset(path, 'a', sizeof path - 1);
    for (size_t i = 0; i < 200; i += 2)
        memcpy(&pattern[i], "*a", 2);
    pattern[200] = '\0';
    pattern[199] = 'b';
    assert_false(matches(pattern, path, true));
    assert_true(cpu_ms() - before < 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_folded),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hostile_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
