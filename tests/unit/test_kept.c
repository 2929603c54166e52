/* SPDX-License-Identifier: Apache-2.0 */
/* Names kept openable: how long, which of two of one name, how many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>

#include "lake/kept.h"

static void add(struct kept *k, const char *path, uint32_t run_number, int64_t until_ms)
{
    struct kept_file file = {run_number, run_number + 1};
    assert_int_equal(kept_add(k, slice_of(path), file, until_ms), 0);
}

/* The run of a name that is kept; 0: it is not. */
static uint32_t run_of(const struct kept *k, const char *path)
{
    struct kept_file file = {0, 0};
    if (!kept_find(k, slice_of(path), &file)) {
        assert_int_equal(file.ordinal, 0);
        return 0;
    }
    assert_int_equal(file.ordinal, file.run_number + 1);
    return file.run_number;
}

/* A name is kept until its moment comes, and each has its own moment. */
static void test_expiry(void **state)
{
    (void)state;
    struct kept k;
    kept_init(&k);
    kept_expire(&k, 1000);
    add(&k, "a", 1, 100);
    add(&k, "b", 2, 100);
    add(&k, "c", 3, 200);
    kept_expire(&k, 99);
    assert_int_equal(run_of(&k, "a"), 1);
    assert_int_equal(run_of(&k, "b"), 2);
    kept_expire(&k, 100);
    assert_int_equal(run_of(&k, "a"), 0);
    assert_int_equal(run_of(&k, "b"), 0);
    assert_int_equal(run_of(&k, "c"), 3);
    kept_expire(&k, 200);
    assert_int_equal(run_of(&k, "c"), 0);
    add(&k, "a", 4, 300);
    assert_int_equal(run_of(&k, "a"), 4);
    kept_done(&k);
}

/* A name that is added again means its newest file, for as long as that one is kept. */
static void test_replacement(void **state)
{
    (void)state;
    struct kept k;
    kept_init(&k);
    add(&k, "first", 1, 100);
    add(&k, "middle", 2, 100);
    add(&k, "last", 3, 100);
    add(&k, "middle", 5, 200);
    add(&k, "first", 4, 200);
    add(&k, "first", 6, 300);
    assert_int_equal(run_of(&k, "first"), 6);
    assert_int_equal(run_of(&k, "middle"), 5);
    kept_expire(&k, 100);
    assert_int_equal(run_of(&k, "last"), 0);
    assert_int_equal(run_of(&k, "middle"), 5);
    kept_expire(&k, 200);
    assert_int_equal(run_of(&k, "middle"), 0);
    assert_int_equal(run_of(&k, "first"), 6);
    kept_expire(&k, 300);
    assert_int_equal(run_of(&k, "first"), 0);
    assert_null(k.oldest);
    assert_null(k.newest);
    kept_done(&k);
}

/* Names are bytes: what the caller had them in may change, and prefixes are other names. */
static void test_names_are_copied(void **state)
{
    (void)state;
    char path[] = "d=1/part";
    struct kept k;
    kept_init(&k);
    add(&k, path, 1, 100);
    path[0] = 'x';
    assert_int_equal(run_of(&k, "d=1/part"), 1);
    assert_int_equal(run_of(&k, "d=1/par"), 0);
    assert_int_equal(run_of(&k, path), 0);
    kept_done(&k);
}

/* A full set forgets its oldest names, those alone, also where names in it were replaced. */
static void test_full_set_forgets_the_oldest(void **state)
{
    (void)state;
    char path[32];
    struct kept k;
    kept_init(&k);
    add(&k, "1", 1, 100);
    for (uint32_t i = 1; i <= KEPT_MAX; i++) { /* the first one is replaced at once */
        (void)snprintf(path, sizeof path, "%u", i);
        add(&k, path, i, 100);
    }
    add(&k, "2", 7, 200); /* full, but of a name that it has */
    assert_int_equal(run_of(&k, "1"), 1);
    add(&k, "new", 8, 200);
    assert_int_equal(run_of(&k, "1"), 0);
    assert_int_equal(run_of(&k, "2"), 7);
    assert_int_equal(run_of(&k, "3"), 3);
    assert_int_equal(run_of(&k, "new"), 8);
    add(&k, "newer", 9, 200);
    assert_int_equal(run_of(&k, "3"), 0);
    assert_int_equal(k.by_path.count, KEPT_MAX);
    kept_expire(&k, 100);
    assert_int_equal(k.by_path.count, 3);
    kept_done(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_replacement),
        cmocka_unit_test(test_names_are_copied),
        cmocka_unit_test(test_full_set_forgets_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
