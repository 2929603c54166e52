/* SPDX-License-Identifier: Apache-2.0 */
/* Arenas: alignment, what stays where it is, the maximum and how its excess is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/limits.h"

/* Pieces of any length are aligned for any type and do not overlap. */
static void test_pieces_are_aligned_and_apart(void **state)
{
    (void)state;
    enum { PIECES = 2000 };
    static char *pieces[PIECES];
    AUTO(arena) struct arena a = {0};
    arena_init(&a, 16 * MIB);
    for (unsigned i = 0; i < PIECES; i++) {
        pieces[i] = arena_alloc(&a, i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        memset(pieces[i], (int)(i & 0xff), i);
    }
    for (unsigned i = 0; i < PIECES; i++)
        for (unsigned k = 0; k < i; k++)
            assert_int_equal((unsigned char)pieces[i][k], i & 0xff);
}

/* Zeroed room is zeroed, also where the memory has been used before. */
static void test_calloc_zeroes(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = {0};
    arena_init(&a, MIB);
    memset(arena_alloc(&a, 1000), 0xff, 1000);
    arena_reset(&a);
    const char *p = arena_calloc(&a, 10, 100);
    assert_non_null(p);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(p[i], 0);
}

/* A copied slice ends in a zero and does not follow changes of what it was copied from. */
static void test_slices_are_copied(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = {0};
    arena_init(&a, MIB);
    char text[] = "text";
    struct slice copy = arena_slice(&a, slice_of(text));
    text[0] = 'n';
    assert_string_equal(copy.p, "text");
    assert_int_equal(copy.n, 4);
    struct slice empty = arena_slice(&a, SLICE_NONE);
    assert_non_null(empty.p);
    assert_int_equal(empty.n, 0);
}

/* What does not fit below the maximum is refused and told as such; what fits still fits. */
static void test_maximum(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(arena) struct arena a = {0};
    arena_init(&a, 100 * KIB);
    assert_non_null(arena_alloc(&a, 60 * KIB));
    assert_null(arena_alloc(&a, 60 * KIB));
    assert_true(a.used <= a.max);
    assert_int_equal(arena_failed(&a, "a row", &err), -EOVERFLOW);
    assert_non_null(strstr(err.msg, "a row"));
    assert_non_null(arena_alloc(&a, KIB));
    arena_reset(&a);
    assert_false(a.full);
    assert_non_null(arena_alloc(&a, 60 * KIB));
}

/* Sizes that no memory has are over the maximum, not a lack of memory. */
static void test_impossible_sizes(void **state)
{
    (void)state;
    static const struct {
        size_t count, size;
    } cases[] = {{SIZE_MAX, 1}, {SIZE_MAX / 2, 3}, {SIZE_MAX / 2 + 1, 1}, {SIZE_MAX / 2, 1}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(arena) struct arena a = {0};
        arena_init(&a, MIB);
        assert_null(arena_calloc(&a, cases[i].count, cases[i].size));
        assert_int_equal(arena_failed(&a, "a page", NULL), -EOVERFLOW);
    }
}

/* After a reset one chunk is left, so that an arena that is used in turns stays as it is. */
static void test_reset_keeps_one_chunk(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = {0};
    arena_init(&a, 16 * MIB);
    arena_reset(&a);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 100; i++)
            assert_non_null(arena_alloc(&a, 10 * KIB));
        arena_reset(&a);
        assert_in_range(a.used, 1, 64 * KIB);
    }
    arena_done(&a);
    assert_int_equal(a.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_aligned_and_apart),
        cmocka_unit_test(test_calloc_zeroes),
        cmocka_unit_test(test_slices_are_copied),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_impossible_sizes),
        cmocka_unit_test(test_reset_keeps_one_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
