/* SPDX-License-Identifier: Apache-2.0 */
/* How many requests a host is given at once, and which of them are late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cache/store/host.h"

/* One full house of requests, all with this end, all begun at begun_ms. */
static void round_of(struct host *h, enum host_verdict verdict, int64_t begun_ms, int64_t now_ms)
{
    unsigned n = 0;
    for (; host_has_room(h); n++)
        host_begin(h);
    for (; n; n--)
        host_end(h, verdict, begun_ms, now_ms);
    assert_int_equal(h->under_way, 0);
}

static void hear(struct host *h, unsigned times, int64_t us)
{
    while (times--)
        host_heard(h, HOST_BLOCK, us);
}

/* A host that keeps up is given more, up to the bound; one that is half idle is not. */
static void test_grows(void **state)
{
    (void)state;
    struct host h;
    host_init(&h);
    unsigned first = h.limit;
    for (unsigned i = 0; i < 1000; i++) {
        host_begin(&h);
        host_end(&h, HOST_GOOD, 0, 1);
    }
    assert_int_equal(h.limit, first);
    for (unsigned i = 0; i < 10000; i++) {
        while (host_has_room(&h))
            host_begin(&h);
        host_end(&h, HOST_GOOD, 0, 1);
    }
    assert_int_equal(h.limit, CONNECTIONS_MAX);
}

/* A refusal for load halves the limit once for all that were under way, and growth is slow after
 * it; other failures change nothing. */
static void test_halves(void **state)
{
    (void)state;
    struct host h;
    host_init(&h);
    unsigned first = h.limit;
    round_of(&h, HOST_FAILED, 0, 1);
    round_of(&h, HOST_DROPPED, 0, 1);
    assert_int_equal(h.limit, first);
    round_of(&h, HOST_REFUSED, 10, 20);
    assert_int_equal(h.limit, first / 2);
    round_of(&h, HOST_REFUSED, 30, 40);
    assert_int_equal(h.limit, first / 4);
    for (unsigned i = 0; i < 100; i++)
        round_of(&h, HOST_REFUSED, 100 + 10 * i, 109 + 10 * i);
    assert_in_range(h.limit, 1, 4);
    unsigned least = h.limit;
    for (unsigned i = 0; i < least; i++) {
        while (host_has_room(&h))
            host_begin(&h);
        host_end(&h, HOST_GOOD, 5000, 5001);
    }
    assert_int_equal(h.limit, least + 1);
}

/* Where the first byte comes later and later, more requests would only wait for each other. */
static void test_crowded(void **state)
{
    (void)state;
    struct host h;
    host_init(&h);
    unsigned first = h.limit;
    hear(&h, 1000, 10000);
    hear(&h, 64, 40000);
    for (unsigned i = 0; i < 1000; i++) {
        while (host_has_room(&h))
            host_begin(&h);
        host_end(&h, HOST_GOOD, 0, 1);
    }
    assert_int_equal(h.limit, first);
}

/* Late is what is later than nearly all: known after some requests, for each size of them. */
static void test_late(void **state)
{
    (void)state;
    struct host h;
    host_init(&h);
    assert_int_equal(host_late_us(&h, HOST_BLOCK), 0);
    hear(&h, 10, 15000);
    assert_int_equal(host_late_us(&h, HOST_BLOCK), 0);
    hear(&h, 990, 15000);
    hear(&h, 10, 75000);
    assert_in_range(host_late_us(&h, HOST_BLOCK), 15000, 30000);
    assert_int_equal(host_late_us(&h, HOST_LARGE), 0);
    hear(&h, 3000, 60000); /* it has become slower */
    assert_in_range(host_late_us(&h, HOST_BLOCK), 60000, 120000);
    hear(&h, 20000, 1); /* what costs nothing is not worth a second request */
    assert_in_range(host_late_us(&h, HOST_BLOCK), 2000, 10000);
    host_heard(&h, HOST_BLOCK, INT64_C(1) << 50);
}

/* Few are sent twice, none for a while after a refusal, and none over the limit. */
static void test_hedges(void **state)
{
    (void)state;
    struct host h;
    unsigned hedges = 0;
    host_init(&h);
    assert_false(host_hedge(&h, 1000000));
    for (unsigned i = 0; i < 10000; i++) {
        host_begin(&h);
        if (host_hedge(&h, 1000000)) {
            hedges++;
            host_end(&h, HOST_DROPPED, 0, 1);
        }
        host_end(&h, HOST_GOOD, 0, 1);
    }
    assert_in_range(hedges, 250, 350);
    for (unsigned i = 0; i < 100; i++) {
        host_begin(&h);
        host_end(&h, HOST_GOOD, 0, 1);
    }
    host_begin(&h);
    host_end(&h, HOST_REFUSED, 1000000, 1000001);
    assert_false(host_hedge(&h, 1001000));
    while (host_has_room(&h))
        host_begin(&h);
    assert_false(host_hedge(&h, 2000000));
    host_end(&h, HOST_GOOD, 1999999, 2000000);
    assert_true(host_hedge(&h, 2000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows), cmocka_unit_test(test_halves), cmocka_unit_test(test_crowded),
        cmocka_unit_test(test_late),  cmocka_unit_test(test_hedges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
