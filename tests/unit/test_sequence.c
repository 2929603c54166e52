/* SPDX-License-Identifier: Apache-2.0 */
/* How far ahead of a reader is fetched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fs/sequence.h"

static uint64_t note(struct sequence *s, uint64_t offset, uint64_t length)
{
    return sequence_note(s, offset, length).length;
}

/* Aim: of who reads on and on everything is asked for once, in order, in pieces that are worth a
 * request, not much further than twice as far as he has read, and never than the maximum. */
static void test_grows(void **state)
{
    (void)state;
    struct sequence s = {0};
    uint64_t asked = 256 * KIB, furthest = 0;
    for (uint64_t at = 0; at < 256 * MIB; at += 256 * KIB) {
        struct sequence_ahead a = sequence_note(&s, at, 256 * KIB);
        uint64_t end = at + 256 * KIB;
        assert_false(a.jumped);
        if (a.length)
            assert_int_equal(a.offset, asked);
        asked += a.length;
        assert_true(asked <= end + 4 * end && asked <= end + SEQUENCE_MAX + TRAIN_BYTES);
        furthest = asked - end > furthest ? asked - end : furthest;
    }
    assert_true(furthest > SEQUENCE_MAX - 2 * TRAIN_BYTES);
}

/* Aim: small reads are no reason for small requests. */
static void test_small_reads(void **state)
{
    (void)state;
    struct sequence s = {0};
    unsigned pieces = 0;
    for (uint64_t at = 0; at < 5 * MIB; at += 10000) {
        struct sequence_ahead a = sequence_note(&s, at, 10000);
        pieces += a.length > 0;
        assert_true(a.length == 0 || pieces == 1 || a.length >= FETCH_RANDOM_BYTES);
    }
    assert_true(pieces <= 24);
}

/* Aim: a file's head or tail, and reads here and there, are not in sequence; two that follow each
 * other are. */
static void test_random(void **state)
{
    (void)state;
    struct sequence s = {0};
    assert_int_equal(note(&s, 0, 4), 0);
    assert_int_equal(note(&s, 900 * MIB, 64 * KIB), 0);
    assert_int_equal(note(&s, 5 * MIB, 64 * KIB), 0);
    assert_int_equal(note(&s, 5 * MIB + 64 * KIB, 64 * KIB), 384 * KIB);
    assert_true(sequence_note(&s, 300 * MIB, 64 * KIB).jumped);
    assert_int_equal(note(&s, 400 * MIB, 64 * KIB), 0);
    for (uint64_t i = 1; i < 1000; i++)
        assert_int_equal(note(&s, i * 7919 % 1000 * MIB, 256 * KIB), 0);
}

/* Aim: the pieces of one large read may come in any order. */
static void test_pieces(void **state)
{
    (void)state;
    struct sequence s = {0};
    assert_int_equal(note(&s, 0, MIB), 2 * MIB);
    uint64_t asked = 3 * MIB;
    const uint64_t order[] = {2, 1, 3, 5, 4};
    for (size_t i = 0; i < 5; i++) {
        struct sequence_ahead a = sequence_note(&s, order[i] * MIB, MIB);
        assert_false(a.jumped);
        if (a.length)
            assert_int_equal(a.offset, asked);
        asked += a.length;
    }
    assert_int_equal(asked, 18 * MIB);
}

/* Aim: who reads 4 MiB at random, which come as pieces, has the rest of each fetched with its first
 * piece, and nothing behind it. */
static void test_large_at_random(void **state)
{
    (void)state;
    struct sequence s = {0};
    for (uint64_t i = 0; i < 4; i++)
        (void)note(&s, 100 * MIB + i * MIB, MIB);
    for (uint64_t at = 300 * MIB; at < 900 * MIB; at += 50 * MIB) {
        assert_int_equal(note(&s, at, MIB), 3 * MIB);
        for (uint64_t i = 1; i < 4; i++)
            assert_int_equal(note(&s, at + i * MIB, MIB), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),           cmocka_unit_test(test_small_reads),
        cmocka_unit_test(test_random),          cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_large_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
