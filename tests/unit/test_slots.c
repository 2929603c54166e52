/* SPDX-License-Identifier: Apache-2.0 */
/* Which view the view bits of a node id mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fs/govern.h"
#include "fs/slots.h"
#include "lake/table_private.h"
#include "lake/view/view.h"

enum { ALICE = 1, BOB };

static struct table orders = {.path = (char[]){"silver/orders"}};
static struct table parts = {.path = (char[]){"silver/parts"}};

static struct shown a_view(uint64_t hash)
{
    struct view *v = calloc(1, sizeof *v);
    assert_non_null(v);
    v->refs = 1;
    v->hash = hash;
    return (struct shown){.view = v};
}

/* The slot, or -errno. */
static int find(struct slots *s, const struct table *t, uint64_t taker, uint64_t hash,
                uint64_t *generation)
{
    AUTO(shown) struct shown shown = a_view(hash);
    int rc = slots_find(s, t, taker, &shown, NULL);
    if (generation)
        *generation = shown.generation;
    return rc < 0 ? rc : (int)shown.slot;
}

static uint64_t hash_at(struct slots *s, const struct table *t, unsigned slot)
{
    AUTO(shown) struct shown shown = {.view = NULL};
    return slots_shown(s, t, slot, &shown) ? shown_hash(&shown) : 0;
}

/* A view has one slot for as long as it is asked for, each table its own slots; 0 is nobody's. */
static void test_a_view_has_one_slot(void **state)
{
    (void)state;
    struct slots s;
    slots_init(&s);
    int first = find(&s, &orders, ALICE, 100, NULL), second = find(&s, &orders, BOB, 101, NULL);
    assert_true(first > 0 && second > 0 && first != second);
    assert_int_equal(find(&s, &orders, BOB, 100, NULL), first);
    assert_int_equal(find(&s, &parts, BOB, 101, NULL), first);
    assert_int_equal(hash_at(&s, &orders, (unsigned)first), 100);
    assert_int_equal(hash_at(&s, &parts, (unsigned)first), 101);
    assert_int_equal(hash_at(&s, &orders, 0), 0);
    assert_int_equal(hash_at(&s, &orders, SLOTS_MAX), 0);
    slots_done(&s);
}

/* Where all are used, the one that was not asked for longest becomes another view's, with another
 * generation; none that is open does. */
static void test_the_one_not_asked_for_longest_goes(void **state)
{
    (void)state;
    struct slots s;
    uint64_t before, after;
    slots_init(&s);
    for (unsigned i = 1; i <= SLOTS_MAX; i++)
        assert_int_equal(find(&s, &orders, 0, i, i == 2 ? &before : NULL), i);
    assert_true(slots_hold(&s, &orders, 1, 1));
    assert_int_equal(find(&s, &orders, 0, 1000, &after), 2);
    assert_int_equal(after, before + 1);
    assert_int_equal(hash_at(&s, &orders, 2), 1000);
    assert_false(slots_hold(&s, &orders, 2, 2)); /* a node of before is of nobody */
    assert_int_equal(find(&s, &orders, 0, 3, NULL), 3);
    assert_int_equal(find(&s, &orders, 0, 1001, NULL), 4);
    slots_leave(&s, &orders, 1);
    for (unsigned i = 0; i < SLOTS_MAX - 5; i++) /* all but 1, and those that were asked for */
        (void)find(&s, &orders, 0, 2000 + i, NULL);
    assert_int_equal(hash_at(&s, &orders, 1), 2000);
    slots_done(&s);
}

/* Where all are open, another view is told so, until one is closed. */
static void test_all_are_open(void **state)
{
    (void)state;
    struct slots s;
    slots_init(&s);
    for (unsigned i = 1; i <= SLOTS_MAX; i++) {
        assert_int_equal(find(&s, &orders, 0, i, NULL), i);
        assert_true(slots_hold(&s, &orders, i, i));
    }
    assert_int_equal(find(&s, &orders, 0, 1000, NULL), -ENFILE);
    assert_int_equal(find(&s, &orders, 0, 7, NULL), 7);
    slots_leave(&s, &orders, 9);
    assert_int_equal(find(&s, &orders, 0, 1000, NULL), 9);
    slots_done(&s);
}

/* One user who asks for ever more views takes the places of his own, and then gets no more; nobody
 * else notices. */
static void test_nobody_takes_all(void **state)
{
    (void)state;
    struct slots s;
    slots_init(&s);
    int bobs = find(&s, &orders, BOB, 1, NULL);
    for (unsigned i = 0; i < 1000; i++)
        assert_true(find(&s, &orders, ALICE, 100 + i, NULL) > 0);
    assert_int_equal(hash_at(&s, &orders, (unsigned)bobs), 1);
    assert_int_equal(find(&s, &orders, BOB, 2, NULL), 1 + SLOTS_EACH + 1);
    unsigned held = 0;
    for (unsigned slot = 1; slot <= SLOTS_MAX; slot++) {
        uint64_t hash = hash_at(&s, &orders, slot);
        if (hash >= 100)
            held += slots_hold(&s, &orders, slot, hash);
    }
    assert_int_equal(held, SLOTS_EACH);
    assert_int_equal(find(&s, &orders, ALICE, 5000, NULL), -ENFILE);
    assert_true(find(&s, &orders, BOB, 3, NULL) > 0);
    slots_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_view_has_one_slot),
        cmocka_unit_test(test_the_one_not_asked_for_longest_goes),
        cmocka_unit_test(test_all_are_open),
        cmocka_unit_test(test_nobody_takes_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
