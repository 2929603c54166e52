/* SPDX-License-Identifier: Apache-2.0 */
/* Prefetch: one budget behind demand, turns, cancellation. */
#include "cache/prefetch.h"
#include "tests/unit/cache_fixture.h"

static void wait_landed(struct place *p)
{
    while (stat_of(p).prefetch_bytes || stat_of(p).flights)
        pause_ms(1);
}

static void stop_store(struct place *p)
{
    WITH_LOCK (&p->fake.lock)
        p->fake.go = false;
    p->fake.halt = true;
}

static void start_store(struct place *p)
{
    p->fake.halt = false;
    let_go(&p->fake);
}

static struct prefetch *prefetch_of(struct place *p)
{
    struct prefetch *made = prefetch_new(p->cache);
    assert_non_null(made);
    return made;
}

/* Aim: what was wanted is there when it is read, in as few requests as trains allow, to granules.
 */
static void test_range(void **state)
{
    (void)state;
    struct place *p = place_open(200 * MIB, 400 * MIB);
    struct object *o = open_key(p, "a");
    struct prefetch *f = prefetch_of(p);
    assert_true(prefetch_range(f, o, 5 * MIB + 100 * KIB, 3 * MIB));
    wait_landed(p);
    assert_int_equal(p->fake.requests, 1); /* 1.6 granules in, so one granule more than 3 MiB */
    assert_int_equal(stat_of(p).fetched_bytes, 3 * MIB + GRANULE_BYTES);
    assert_int_equal(read_range(o, "a", 5 * MIB + 100 * KIB, 3 * MIB), 0);
    assert_true(prefetch_range(f, o, 5 * MIB, 3 * MIB));
    assert_true(prefetch_range(f, o, 199 * MIB, 3 * MIB));
    assert_true(prefetch_range(f, o, 300 * MIB, MIB));
    wait_landed(p);
    assert_int_equal(stat_of(p).fetched_bytes, 4 * MIB + 2 * GRANULE_BYTES);
    prefetch_free(f);
    object_unref(o);
    place_free(p);
}

/* Aim: prefetch never has more than its budget, and demand beside it is served. */
static void test_budget(void **state)
{
    (void)state;
    struct place *p = place_open(300 * MIB, 600 * MIB);
    struct object *o = open_key(p, "a");
    struct prefetch *f = prefetch_of(p);
    stop_store(p);
    assert_true(prefetch_range(f, o, 0, 200 * MIB));
    assert_int_equal(stat_of(p).prefetch_bytes, PREFETCH_BYTES_MAX);
    assert_int_equal(stat_of(p).flights, PREFETCH_BYTES_MAX / BLOCK_BYTES);
    struct reading *r[4];
    for (size_t i = 0; i < 4; i++)
        r[i] = reading_start(o, 250 * MIB + i * MIB, MIB);
    assert_int_equal(stat_of(p).flights, PREFETCH_BYTES_MAX / BLOCK_BYTES + 4);
    start_store(p);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(reading_end(r[i], 1, "a", NULL), 0);
    wait_landed(p);
    assert_int_equal(stat_of(p).fetched_bytes, 204 * MIB);
    assert_int_equal(stat_of(p).prefetch_waiting, 0);
    prefetch_free(f);
    object_unref(o);
    place_free(p);
}

/* Aim: what was not sent is dropped when the handle closes; what is on the wire lands and stays. */
static void test_cancel(void **state)
{
    (void)state;
    struct place *p = place_open(300 * MIB, 600 * MIB);
    struct object *o = open_key(p, "a");
    struct prefetch *f = prefetch_of(p);
    stop_store(p);
    assert_true(prefetch_range(f, o, 0, 100 * MIB));
    assert_true(prefetch_range(f, o, 150 * MIB, 100 * MIB));
    assert_int_equal(stat_of(p).prefetch_waiting, 2);
    prefetch_free(f);
    start_store(p);
    wait_landed(p);
    assert_int_equal(stat_of(p).fetched_bytes, PREFETCH_BYTES_MAX);
    int before = p->fake.requests;
    assert_int_equal(read_range(o, "a", 0, PREFETCH_BYTES_MAX), 0);
    assert_int_equal(p->fake.requests, before);
    object_unref(o);
    place_free(p);
}

/* Aim: many who prefetch take turns; one with much does not keep the others out. */
static void test_turns(void **state)
{
    (void)state;
    struct place *p = place_open(300 * MIB, 900 * MIB);
    struct object *a = open_key(p, "a"), *b = open_key(p, "b");
    struct prefetch *f = prefetch_of(p), *g = prefetch_of(p);
    stop_store(p);
    assert_true(prefetch_range(f, a, 0, 300 * MIB));
    assert_true(prefetch_range(g, b, 0, 4 * MIB));
    assert_int_equal(stat_of(p).prefetch_waiting, 2);
    start_store(p);
    while (stat_of(p).prefetch_waiting > 1)
        pause_ms(1);
    assert_true(stat_of(p).fetched_bytes < 200 * MIB);
    prefetch_free(f);
    prefetch_free(g);
    wait_landed(p);
    object_unref(a);
    object_unref(b);
    place_free(p);
}

/* Aim: small objects are sealed before anybody opens them. */
static void test_whole(void **state)
{
    (void)state;
    struct place *p = place_open(100000, 600 * MIB);
    struct prefetch *f = prefetch_of(p);
    struct object *o[200];
    for (size_t i = 0; i < 200; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%zu", i);
        o[i] = open_key(p, key);
        assert_true(prefetch_whole(f, o[i]));
    }
    wait_landed(p);
    for (size_t i = 0; i < 200; i++) {
        while (!object_is_sealed(o[i]))
            pause_ms(1);
        assert_true(prefetch_whole(f, o[i])); /* nothing to do */
        object_unref(o[i]);
    }
    assert_int_equal(p->fake.requests, 200);
    prefetch_free(f);
    place_free(p);
}

/* Aim: more wants than one may have are not taken, and cost nothing. */
static void test_too_many(void **state)
{
    (void)state;
    struct place *p = place_open(3000 * MIB, 600 * MIB);
    struct prefetch *f = prefetch_of(p);
    struct object *o = open_key(p, "a");
    stop_store(p);
    size_t taken = 0;
    while (taken < 3000 && prefetch_range(f, o, taken * MIB, 100))
        taken++;
    assert_int_equal(taken, PREFETCH_BYTES_MAX / BLOCK_BYTES + PREFETCH_WANTS_MAX);
    prefetch_cancel(f);
    assert_int_equal(stat_of(p).prefetch_waiting, 0);
    start_store(p);
    wait_landed(p);
    prefetch_free(f);
    object_unref(o);
    place_free(p);
}

/* Aim: a store that fails leaves the error to who reads, and the budget whole. */
static void test_store_error(void **state)
{
    (void)state;
    struct place *p = place_open(20 * MIB, 600 * MIB);
    struct object *o = open_key(p, "a");
    struct prefetch *f = prefetch_of(p);
    p->fake.fail = EIO;
    assert_true(prefetch_range(f, o, 0, 20 * MIB));
    wait_landed(p);
    assert_int_equal(read_range(o, "a", 0, 100), -EIO);
    p->fake.fail = 0;
    assert_int_equal(read_range(o, "a", 0, 100), 0);
    prefetch_free(f);
    object_unref(o);
    place_free(p);
}

struct racer {
    struct place *p;
    unsigned seed;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    for (unsigned i = 0; i < 25; i++) {
        unsigned n = r->seed = r->seed * 1103515245 + 12345;
        char key[2] = {(char)('a' + n / 65536 % 4), 0};
        struct object *o = open_key(r->p, key);
        struct prefetch *f = prefetch_of(r->p);
        (void)prefetch_range(f, o, n / 256 % 9 * MIB, 3 * MIB);
        (void)prefetch_range(f, o, 0, MIB);
        assert_int_equal(read_range(o, key, n / 1024 % 10 * MIB, MIB + 5), 0);
        if (n & 65536)
            prefetch_cancel(f);
        prefetch_free(f);
        object_unref(o);
    }
    return NULL;
}

/* Aim: readers, plans and closes side by side leave the budget whole and every byte right. */
static void test_race(void **state)
{
    (void)state;
    struct place *p = place_open(12 * MIB, 900 * MIB);
    struct racer racers[6];
    pthread_t threads[6];
    for (unsigned i = 0; i < 6; i++) {
        racers[i] = (struct racer){p, i * 7 + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    wait_landed(p);
    assert_int_equal(stat_of(p).prefetch_bytes, 0);
    place_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range),  cmocka_unit_test(test_budget),
        cmocka_unit_test(test_cancel), cmocka_unit_test(test_turns),
        cmocka_unit_test(test_whole),  cmocka_unit_test(test_store_error),
        cmocka_unit_test(test_race),   cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
