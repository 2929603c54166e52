/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's pages of a node stay only where they are of the generation that is opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "fs/pages.h"

static struct pages p;

static int set_up(void **state)
{
    (void)state;
    return pages_init(&p, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    pages_done(&p);
    return 0;
}

static bool open_with(uint64_t node, const char *etag)
{
    return pages_may_stay(&p, node, slice_of(etag));
}

static void close_with(uint64_t node, const char *etag)
{
    pages_note(&p, node, slice_of(etag));
}

/* One generation: pages stay from the second open on. */
static void test_same(void **state)
{
    (void)state;
    assert_false(open_with(7, "\"a\""));
    assert_true(open_with(7, "\"a\""));
    close_with(7, "\"a\"");
    assert_true(open_with(7, "\"a\""));
}

/* What is learned while a file is open counts for the next open. */
static void test_learned(void **state)
{
    (void)state;
    assert_false(open_with(7, ""));
    close_with(7, "\"a\"");
    assert_true(open_with(7, "\"a\""));
}

/* Another generation: pages go, once. */
static void test_other(void **state)
{
    (void)state;
    assert_false(open_with(7, "\"a\""));
    assert_false(open_with(7, "\"b\""));
    assert_true(open_with(7, "\"b\""));
    assert_false(open_with(7, "\"a\""));
}

/* A generation that is not known is none: pages go each time, and what was noted is forgotten. */
static void test_unknown(void **state)
{
    (void)state;
    assert_false(open_with(7, "\"a\""));
    assert_false(open_with(7, ""));
    assert_false(open_with(7, ""));
    close_with(7, ""); /* nothing was read */
    assert_false(open_with(7, "\"a\""));
    assert_true(open_with(7, "\"a\""));
}

/* Nodes do not answer for each other, however many there are. */
static void test_nodes(void **state)
{
    (void)state;
    size_t stayed = 0;
    for (uint64_t node = 1; node < 3 * PAGE_NOTES_MAX; node++)
        assert_false(open_with(node, "\"a\""));
    for (uint64_t node = 1; node < 3 * PAGE_NOTES_MAX; node++)
        assert_false(open_with(node, "\"b\""));
    for (uint64_t node = 3 * PAGE_NOTES_MAX - 1000; node < 3 * PAGE_NOTES_MAX; node++)
        stayed += open_with(node, "\"b\"");
    assert_true(stayed > 900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_learned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nodes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
