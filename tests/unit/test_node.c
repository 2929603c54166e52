/* SPDX-License-Identifier: Apache-2.0 */
/* Node ids: each node has one, and it tells the node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "fs/node.h"

/* At the ends of every field the id tells the node again, and no two nodes share one. */
static void test_round_trip(void **state)
{
    (void)state;
    static const enum node_kind kinds[] = {NODE_PLACE, NODE_PINNED, NODE_FILE};
    static const unsigned views[] = {0, 1, 255};
    static const uint32_t numbers[] = {0, 1, 2, REGISTRY_NUMBER_MAX - 1, REGISTRY_NUMBER_MAX};
    static const uint32_t ordinals[] = {0, 1, 0x5555555, FILES_MAX - 1};
    uint64_t ids[3 * 3 * 5 * 4 * 2];
    size_t count = 0;
    for (; count < ARRAY_SIZE(ids); count++) {
        struct node node = {.kind = kinds[count % 3],
                            .filling = count / 180,
                            .view = views[count / 3 % 3],
                            .number = numbers[count / 9 % 5],
                            .ordinal = ordinals[count / 45 % 4]};
        struct node back = node_of(ids[count] = node_id(node));
        assert_int_equal(back.kind, node.kind);
        assert_int_equal(back.filling, node.filling);
        assert_int_equal(back.view, node.view);
        assert_int_equal(back.number, node.number);
        assert_int_equal(back.ordinal, node.ordinal);
        for (size_t i = 0; i < count; i++)
            assert_true(ids[i] != ids[count]);
    }
}

/* The root is the place without a number, and no node that is computed takes its id or the id 0,
 * which FUSE does not permit. */
static void test_root(void **state)
{
    (void)state;
    struct node root = node_of(NODE_ROOT);
    assert_int_equal(root.kind, NODE_PLACE);
    assert_int_equal(root.view, 0);
    assert_int_equal(root.number, 0);
    assert_int_equal(root.ordinal, 0);
    for (enum node_kind kind = NODE_PLACE; kind <= NODE_FILE; kind++)
        for (uint32_t ordinal = 0; ordinal < 3; ordinal++)
            assert_true(node_id((struct node){.kind = kind, .ordinal = ordinal}) > NODE_ROOT);
}

/* Ids stand in the kernel and outlive the daemon: the layout never changes. */
static void test_layout_is_pinned(void **state)
{
    (void)state;
    struct node file = {.kind = NODE_FILE, .view = 0xa5, .number = 0x1234567, .ordinal = 0x89abcde};
    assert_true(node_id(file) == UINT64_C(0x74b23456789abcde));
    file.filling = true;
    assert_true(node_id(file) == UINT64_C(0xf4b23456789abcde));
    assert_int_equal(node_of(0).kind, NODE_NONE);
    assert_int_equal(node_of(2).kind, NODE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_layout_is_pinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
