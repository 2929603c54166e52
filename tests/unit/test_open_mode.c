/* SPDX-License-Identifier: Apache-2.0 */
/* The modes of open nodes: the kernel never has to refuse one, and nobody sees ESTALE. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/open_model.h"

/* Whatever is opened, sealed, evicted, replaced and mapped side by side: the kernel is never given
 * a mode that it refuses, a retried open succeeds, and every backing id is closed. */
static void walk(bool passes)
{
    struct world *w = world_new();
    w->passes = passes;
    for (size_t i = 0; i < FILES; i++)
        w->files[i] = (struct file){.small = i % 2, .identity = 1};
    for (int i = 0; i < 400000; i++)
        step_world(w);
    end_world(w);
    assert_int_equal(w->backings, 0);
    assert_int_equal(passes, w->opens[OPEN_PASS] > 1000);
    assert_true(w->told > 1000 && w->opens[OPEN_CACHED] > 1000 && w->opens[OPEN_DIRECT] > 1000);
    for (size_t i = 0; i < FILES; i++)
        assert_int_equal(w->files[i].users, 0);
    world_free(w);
}

static void test_walk_with_passthrough(void **state)
{
    (void)state;
    walk(true);
}

static void test_walk_without_passthrough(void **state)
{
    (void)state;
    walk(false);
}

enum step { PASS, CACHED, DIRECT, FILL, AGAIN };

struct row_ask {
    struct open_ask ask;
    enum step step;
};

static int row_back(struct open_ask *ask, struct open_way *way, struct err *err)
{
    (void)way;
    CONTAINER_OF(ask, struct row_ask, ask)->step = PASS;
    return err_set(err, EIO, "no more is asked");
}

static int row_fill(struct open_ask *ask, struct err *err)
{
    CONTAINER_OF(ask, struct row_ask, ask)->step = FILL;
    return err_set(err, EIO, "no more is asked");
}

static enum step step_of(struct open_found found)
{
    struct open_modes m = {.tickets_end = 0};
    struct open_way way = {.mode = OPEN_NONE}, left;
    struct row_ask a = {.ask = {.node = found.filling ? 3 : 2,
                                .pass_node = 2,
                                .thread = 1,
                                .found = found,
                                .back = row_back,
                                .fill = row_fill}};
    open_modes_init(&m);
    int rc = open_mode_open(&m, &a.ask, &way, NULL);
    if (rc == -ESTALE)
        a.step = AGAIN;
    if (rc == 0) {
        a.step = way.mode == OPEN_CACHED ? CACHED : DIRECT;
        open_mode_leave(&m, a.ask.node, &left);
    }
    open_modes_done(&m);
    return a.step;
}

/* Each row of the table in fs/open_mode.c, but for replaced objects, which the walks have. */
static void test_steps(void **state)
{
    (void)state;
    static const struct {
        struct open_found found;
        enum step step;
    } rows[] = {
        {{.filling = true}, DIRECT},
        {{.filling = true, .passes = true}, DIRECT},
        {{.filling = true, .passes = true, .sealed = true}, AGAIN},
        {{.filling = true, .sealed = true}, DIRECT},
        {{.sealed = true}, CACHED},
        {{.small = true, .kept = true}, CACHED},
        {{.sealed = true, .direct = true}, DIRECT},
        {{.passes = true, .sealed = true, .direct = true}, PASS},
        {{.passes = true, .sealed = true}, PASS},
        {{.passes = true, .small = true, .kept = true}, FILL},
        {{.passes = true, .small = true}, DIRECT},
        {{.passes = true, .kept = true}, AGAIN},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(step_of(rows[i].found), rows[i].step);
}

/* An open of a large file that was evicted behind its name. */
static int open_evicted(struct world *w, uint64_t node, int32_t thread)
{
    struct open_way way, left;
    struct model_ask a = {.ask = {.node = node,
                                  .pass_node = node,
                                  .thread = thread,
                                  .now_ms = w->now_ms,
                                  .found = {.passes = true, .kept = true}}};
    int rc = open_mode_open(&w->modes, &a.ask, &way, NULL);
    if (rc < 0)
        return rc;
    assert_int_equal(way.mode, OPEN_DIRECT);
    open_mode_leave(&w->modes, node, &left);
    assert_int_equal(left.mode, OPEN_DIRECT);
    return 0;
}

/* However many files are told ESTALE at once, each open that comes back is served, and what is too
 * many is never told. */
static void test_many_are_told(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (int32_t i = 1; i <= OPEN_TICKETS_MAX + 5; i++)
        assert_int_equal(open_evicted(w, 2 * (uint64_t)i, i), i <= OPEN_TICKETS_MAX ? -ESTALE : 0);
    for (int32_t i = 1; i <= OPEN_TICKETS_MAX; i++)
        assert_int_equal(open_evicted(w, 2 * (uint64_t)i, i), 0);
    assert_int_equal(open_evicted(w, 2, 1), -ESTALE);
    world_free(w);
}

/* A ticket is its thread's: another one is told itself. It is good once, and not for ever. */
static void test_tickets(void **state)
{
    (void)state;
    struct world *w = world_new();
    assert_int_equal(open_evicted(w, 2, 1), -ESTALE);
    assert_int_equal(open_evicted(w, 2, 5), -ESTALE);
    assert_int_equal(open_evicted(w, 4, 1), -ESTALE);
    assert_int_equal(open_evicted(w, 2, 1), 0);
    assert_int_equal(open_evicted(w, 2, 1), -ESTALE);
    w->now_ms += ESTALE_MS;
    assert_int_equal(open_evicted(w, 4, 1), -ESTALE);
    assert_int_equal(open_evicted(w, 6, 0), -ESTALE); /* an unknown thread's is all unknown ones' */
    assert_int_equal(open_evicted(w, 6, 0), 0);
    assert_int_equal(open_evicted(w, 6, 0), 0);
    assert_int_equal(open_evicted(w, 6, 3), -ESTALE);
    w->now_ms += ESTALE_UNKNOWN_MS;
    assert_int_equal(open_evicted(w, 6, 0), -ESTALE);
    world_free(w);
}

int main(void)
{
    const char *from = getenv("SEED");
    seed = from ? strtoull(from, NULL, 10) : (unsigned long long)time(NULL);
    printf("SEED=%llu\n", seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_many_are_told),
        cmocka_unit_test(test_tickets),
        cmocka_unit_test(test_walk_with_passthrough),
        cmocka_unit_test(test_walk_without_passthrough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
