/* SPDX-License-Identifier: Apache-2.0 */
/* A value that ends: when it is fetched, renewed beside its use, rejected, and not to be had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "cache/store/event.h"
#include "cache/store/renewed.h"

#define LIFE_MS 100000

struct secret {
    uint64_t number;
    char text[40];
};

/* Fetches numbered secrets, when it is let. */
struct spring {
    struct lock lock;
    struct cond changed;
    bool held;           /* lock: fetches wait */
    int fails;           /* lock: errno of the next fetches, 0: they succeed */
    int64_t life_ms;     /* lock: 0: for ever */
    atomic_uint fetches; /* begun */
    atomic_uint failed;
    atomic_uint freed;
};

static int fetch(void *arg, void *out, int64_t *expires_ms, struct err *err)
{
    struct spring *s = arg;
    struct secret *secret = out;
    unsigned number = atomic_fetch_add(&s->fetches, 1) + 1;
    int fails = 0;
    WITH_LOCK (&s->lock) {
        while (s->held)
            cond_wait(&s->changed, &s->lock);
        fails = s->fails;
        if (s->life_ms)
            *expires_ms = clock_real_ms() + s->life_ms;
    }
    if (fails) {
        atomic_fetch_add(&s->failed, 1);
        return err_set(err, fails, "fetch %u failed", number);
    }
    assert_int_equal(secret->number, 0); /* zeroed */
    secret->number = number;
    (void)snprintf(secret->text, sizeof secret->text, "secret %u", number);
    return 0;
}

static void spring_free(void *arg)
{
    atomic_fetch_add(&((struct spring *)arg)->freed, 1);
}

struct setting {
    struct spring spring;
    struct workers *workers;
    struct renewed *renewed;
};

static int set_up(void **state)
{
    struct setting *t = calloc(1, sizeof *t);
    assert_non_null(t);
    lock_init(&t->spring.lock);
    cond_init(&t->spring.changed);
    t->spring.life_ms = LIFE_MS;
    t->workers = workers_new("test", 2, NULL);
    assert_non_null(t->workers);
    t->renewed = renewed_new(
        &(struct renewed_source){
            .bytes = sizeof(struct secret), .fetch = fetch, .free = spring_free, .arg = &t->spring},
        t->workers, NULL);
    assert_non_null(t->renewed);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct setting *t = *state;
    clock_shift_for_test(0);
    renewed_free(t->renewed);
    assert_int_equal(t->spring.freed, 1);
    workers_free(t->workers);
    cond_done(&t->spring.changed);
    lock_done(&t->spring.lock);
    free(t);
    return 0;
}

static void set_held(struct spring *s, bool held)
{
    WITH_LOCK (&s->lock) {
        s->held = held;
        cond_broadcast(&s->changed);
    }
}

static void set_fails(struct spring *s, int fails)
{
    WITH_LOCK (&s->lock)
        s->fails = fails;
}

static uint64_t number_now(struct setting *t)
{
    struct secret secret = {0};
    return renewed_now(t->renewed, &secret) == 0 ? secret.number : 0;
}

static uint64_t number_got(struct setting *t)
{
    struct secret secret = {0};
    struct err err = ERR_INIT;
    assert_int_equal(renewed_get(t->renewed, &secret, &err), 0);
    return secret.number;
}

/* Waits until the value in use is the one of that number. */
static void wait_for_number(struct setting *t, uint64_t number)
{
    while (number_now(t) != number)
        (void)sched_yield();
}

/* Nothing is fetched before somebody asks; one fetch then serves everybody until it is due. */
static void test_fetched_once_when_asked(void **state)
{
    struct setting *t = *state;
    assert_int_equal(number_now(t), 0);
    assert_int_equal(t->spring.fetches, 0);
    assert_int_equal(number_got(t), 1);
    assert_int_equal(number_now(t), 1);
    clock_shift_for_test(LIFE_MS / 2);
    assert_int_equal(number_got(t), 1);
    assert_int_equal(t->spring.fetches, 1);
}

/* What never ends is never fetched again. */
static void test_without_end(void **state)
{
    struct setting *t = *state;
    t->spring.life_ms = 0;
    assert_int_equal(number_got(t), 1);
    clock_shift_for_test((int64_t)400 * 86400 * 1000);
    assert_int_equal(number_got(t), 1);
    assert_int_equal(t->spring.fetches, 1);
}

/* Shortly before its end it is renewed, and nobody waits for that. */
static void test_renewed_beside_its_use(void **state)
{
    struct setting *t = *state;
    assert_int_equal(number_got(t), 1);
    set_held(&t->spring, true);
    clock_shift_for_test(LIFE_MS * 4 / 5);
    for (int i = 0; i < 100; i++)
        assert_int_equal(number_now(t), 1);
    assert_int_equal(number_got(t), 1);
    set_held(&t->spring, false);
    wait_for_number(t, 2);
    assert_int_equal(t->spring.fetches, 2);
}

/* At its end it is used no more, and whoever asks waits for the next. */
static void test_not_used_at_its_end(void **state)
{
    struct setting *t = *state;
    assert_int_equal(number_got(t), 1);
    clock_shift_for_test(LIFE_MS - 1000);
    assert_int_equal(number_now(t), 0);
    assert_int_equal(number_got(t), 2);
}

/* A renewal that fails leaves what is still good; it is tried again a second later. */
static void test_failed_renewal(void **state)
{
    struct setting *t = *state;
    assert_int_equal(number_got(t), 1);
    set_fails(&t->spring, EACCES);
    clock_shift_for_test(LIFE_MS * 4 / 5);
    while (t->spring.failed < 1) /* each use asks again: the first fetch may not have ended */
        assert_int_equal(number_now(t), 1);
    assert_int_equal(number_now(t), 1);
    set_fails(&t->spring, 0);
    clock_shift_for_test(LIFE_MS * 4 / 5 + 2000);
    wait_for_number(t, 3);
}

/* Who waits for a fetch that fails is told why; for a second it is told without another. */
static void test_failure_is_told(void **state)
{
    struct setting *t = *state;
    struct secret secret = {0};
    struct err err = ERR_INIT;
    set_fails(&t->spring, EACCES);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(renewed_get(t->renewed, &secret, &err), -EACCES);
        assert_string_equal(err.msg, "fetch 1 failed");
    }
    set_fails(&t->spring, 0);
    clock_shift_for_test(2000);
    assert_int_equal(number_got(t), 2);
}

struct waiter {
    struct renewed_wait wait;
    atomic_bool woken;
};

static void set_woken(struct renewed_wait *w)
{
    atomic_store(&CONTAINER_OF(w, struct waiter, wait)->woken, true);
}

/* Many may wait for one fetch; all are told. */
static void test_many_wait(void **state)
{
    struct setting *t = *state;
    static struct waiter waiters[100];
    set_held(&t->spring, true);
    for (size_t i = 0; i < ARRAY_SIZE(waiters); i++) {
        waiters[i] = (struct waiter){.wait.done = set_woken};
        assert_int_equal(renewed_want(t->renewed, &waiters[i].wait), -EINPROGRESS);
    }
    set_held(&t->spring, false);
    for (size_t i = 0; i < ARRAY_SIZE(waiters); i++) {
        while (!atomic_load(&waiters[i].woken))
            (void)sched_yield();
        assert_int_equal(waiters[i].wait.rc, 0);
    }
    assert_int_equal(t->spring.fetches, 1);
    struct waiter late = {.wait.done = set_woken};
    assert_int_equal(renewed_want(t->renewed, &late.wait), 0);
    assert_false(late.woken);
}

/* A value that was rejected is used no more; one that was replaced already may be rejected late. */
static void test_rejected(void **state)
{
    struct setting *t = *state;
    struct secret first = {0};
    assert_int_equal(renewed_get(t->renewed, &first, NULL), 0);
    clock_shift_for_test(2000);
    renewed_reject(t->renewed, &first);
    assert_int_equal(number_now(t), 0);
    assert_int_equal(number_got(t), 2);
    clock_shift_for_test(4000);
    renewed_reject(t->renewed, &first);
    assert_int_equal(number_now(t), 2);
}

/* A server that rejects everything does not make us fetch without end. */
static void test_rejected_at_once(void **state)
{
    struct setting *t = *state;
    struct secret secret = {0};
    for (int i = 0; i < 10; i++) {
        assert_int_equal(renewed_get(t->renewed, &secret, NULL), 0);
        renewed_reject(t->renewed, &secret);
    }
    assert_true(t->spring.fetches <= 2);
}

/* The end waits for a renewal that is under way. */
static void test_free_while_fetching(void **state)
{
    struct setting *t = *state;
    assert_int_equal(number_got(t), 1);
    clock_shift_for_test(LIFE_MS * 4 / 5);
    assert_int_equal(number_now(t), 1); /* tear_down frees it now */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_fetched_once_when_asked),
        TEST(test_without_end),
        TEST(test_renewed_beside_its_use),
        TEST(test_not_used_at_its_end),
        TEST(test_failed_renewal),
        TEST(test_failure_is_told),
        TEST(test_many_wait),
        TEST(test_rejected),
        TEST(test_rejected_at_once),
        TEST(test_free_while_fetching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
