/* SPDX-License-Identifier: Apache-2.0 */
/* How far ahead of a reader is fetched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fs/sequence.h"

/* Who reads on and on is fetched ahead of, twice as far each time, up to the maximum. */
static void test_grows(void **state)
{
    (void)state;
    struct sequence s = {0};
    uint64_t at = 0, want = SEQUENCE_MIN;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(sequence_note(&s, at, 256 * KIB), want);
        at += 256 * KIB;
        want = want * 2 > SEQUENCE_MAX ? SEQUENCE_MAX : want * 2;
    }
    assert_int_equal(want, SEQUENCE_MAX);
}

/* A file's head or tail, and reads here and there, are not in sequence; two that follow each other
 * are. */
static void test_random(void **state)
{
    (void)state;
    struct sequence s = {0};
    assert_int_equal(sequence_note(&s, 0, 4), 0);
    assert_int_equal(sequence_note(&s, 900 * MIB, 64 * KIB), 0);
    assert_int_equal(sequence_note(&s, 5 * MIB, 64 * KIB), 0);
    assert_int_equal(sequence_note(&s, 5 * MIB + 64 * KIB, 64 * KIB), SEQUENCE_MIN);
    assert_int_equal(sequence_note(&s, 300 * MIB, 64 * KIB), 0);
    assert_int_equal(sequence_note(&s, 300 * MIB + 1, 64 * KIB), 0);
}

/* The pieces of one large read may come in any order. */
static void test_pieces(void **state)
{
    (void)state;
    struct sequence s = {0};
    assert_int_equal(sequence_note(&s, 0, MIB), SEQUENCE_MIN);
    assert_int_equal(sequence_note(&s, 2 * MIB, MIB), 2 * SEQUENCE_MIN);
    assert_int_equal(sequence_note(&s, 1 * MIB, MIB), 4 * SEQUENCE_MIN);
    assert_int_equal(sequence_note(&s, 3 * MIB, MIB), 8 * SEQUENCE_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
