/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/driver.h"

static struct history *sample(void)
{
    static const struct version versions[] = {
        {3, 100, 1, 0}, {4, 200, 1, 0}, {5, 200, 1, 0}, {9, 150, 1, 0}};
    struct history *h = history_new(4, 0, NULL);
    assert_non_null(h);
    memcpy(h->at, versions, sizeof versions);
    return h;
}

/* Aim: versions are found by number, with gaps between them. */
static void test_find(void **state)
{
    (void)state;
    AUTO(history) struct history *h = sample();
    assert_int_equal(history_find(h, 3), 0);
    assert_int_equal(history_find(h, 5), 2);
    assert_int_equal(history_find(h, 9), 3);
    assert_int_equal(history_find(h, 2), -1);
    assert_int_equal(history_find(h, 7), -1);
    assert_int_equal(history_find(h, 10), -1);
}

/* Aim: a time gives the greatest version that is not later, even where times step back. */
static void test_at(void **state)
{
    (void)state;
    AUTO(history) struct history *h = sample();
    assert_int_equal(history_at(h, 99, NULL), -1);
    assert_int_equal(history_at(h, 100, NULL), 0);
    assert_int_equal(history_at(h, 149, NULL), 0);
    assert_int_equal(history_at(h, 150, NULL), 3);
    assert_int_equal(history_at(h, INT64_MAX, NULL), 3);
}

/* Versions with numbers that are names, in two branches; the clock tells which one the main branch
 * was at, the first of them has expired, and columns were added since the last commit. */
static struct history *branched(void)
{
    struct history *h = history_new(3, 1, NULL);
    assert_non_null(h);
    static const struct version versions[] = {
        {77, 100, 1, 0}, {11, 200, 2, 0}, {44, 300, 3, 1}, {44, 300, 4, 2}};
    static const struct history_moment clock[] = {{50, -1}, {100, 0}, {200, 1}, {250, 0}, {300, 2}};
    static const struct history_name names[] = {
        {SLICE_LIT("audit"), true, 1}, {SLICE_LIT("main"), true, 3}, {SLICE_LIT("v1"), false, 0}};
    static const int64_t expired[] = {5};
    memcpy(h->at, versions, sizeof versions);
    h->unordered = true;
    h->live = 3;
    h->clock = clock;
    h->clock_n = ARRAY_SIZE(clock);
    h->names = names;
    h->names_n = ARRAY_SIZE(names);
    h->expired = expired;
    h->expired_n = 1;
    return h;
}

/* Aim: versions that are no sequence are found by number, time and name; a head is another one. */
static void test_branches(void **state)
{
    (void)state;
    AUTO(history) struct history *h = branched();
    bool last;
    assert_int_equal(history_find(h, 44), 2);
    assert_int_equal(history_find_head(h, 44), 3);
    assert_int_equal(history_find_head(h, 11), 1);
    assert_int_equal(history_find(h, 5), -1);
    assert_true(history_has_expired(h, 5));
    assert_false(history_has_expired(h, 6));
    assert_int_equal(history_at(h, 49, &last), -1);
    assert_int_equal(history_at(h, 99, &last), -1); /* it has expired */
    assert_int_equal(history_at(h, 299, &last), 0); /* rolled back */
    assert_false(last);
    assert_int_equal(history_at(h, 300, &last), 2);
    assert_false(last);
    assert_int_equal(history_at(h, 301, &last), 2);
    assert_true(last);
    assert_int_equal(history_named(h, SLICE_LIT("main"))->position, 3);
    assert_null(history_named(h, SLICE_LIT("mai")));
}

/* Aim: of a history as it was then, what came later is gone, whatever its name. */
static void test_until(void **state)
{
    (void)state;
    AUTO(history) struct history *h = branched();
    AUTO(history) struct history *until = history_until(h, 260, NULL);
    assert_non_null(until);
    assert_int_equal(until->n, 2);
    assert_int_equal(until->live, 0);
    assert_int_equal(history_find(until, 44), -1);
    assert_int_equal(history_at(until, INT64_MAX, NULL), 0);
    assert_null(history_named(until, SLICE_LIT("main")));
    assert_int_equal(history_named(until, SLICE_LIT("audit"))->position, 1);
    assert_true(history_has_expired(until, 5));
    AUTO(history) struct history *all = history_until(h, 1000, NULL);
    assert_int_equal(all->live, 2); /* with the columns that it was committed with */
    assert_int_equal(history_named(all, SLICE_LIT("main"))->position, 3);
    AUTO(history) struct history *cut = history_cut(h, 2, NULL);
    assert_int_equal(cut->live, 1);
    assert_int_equal(cut->names_n, 0);
}

/* Aim: an empty history answers, references are counted, and the size is bounded. */
static void test_life(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct history *h = history_new(0, 0, &err);
    assert_non_null(h);
    assert_int_equal(history_find(h, 0), -1);
    assert_int_equal(history_at(h, INT64_MAX, NULL), -1);
    assert_ptr_equal(history_ref(h), h);
    history_unref(h);
    history_unref(h);
    history_unref(NULL);
    assert_null(history_new(VERSIONS_MAX + 1, 0, &err));
    assert_int_equal(err.code, EOVERFLOW);
}

/* Aim: limits and damaged files are told as EIO with their reason, other errors as they are. */
static void test_refuse(void **state)
{
    (void)state;
    static const int codes[][2] = {
        {EOVERFLOW, EIO}, {EBADMSG, EIO}, {ENOMEM, ENOMEM}, {EOPNOTSUPP, EOPNOTSUPP}};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        struct err from = ERR_INIT, to = ERR_INIT;
        (void)err_set(&from, codes[i][0], "a reason");
        assert_int_equal(driver_refuse(&to, &from), -codes[i][1]);
        assert_int_equal(to.code, codes[i][1]);
        assert_string_equal(to.msg, "a reason");
        assert_int_equal(driver_refuse(NULL, &from), -codes[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),  cmocka_unit_test(test_at),   cmocka_unit_test(test_branches),
        cmocka_unit_test(test_until), cmocka_unit_test(test_life), cmocka_unit_test(test_refuse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
