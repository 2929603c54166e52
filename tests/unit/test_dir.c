/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <semaphore.h>

#include "base/clock.h"
#include "base/limits.h"
#include "lake/dir.h"

static char long_name[NAME_BYTES_MAX + 2];
static int names_more; /* such names that the next listing has besides */

static int list(struct store *s, const struct store_list *req, struct err *err)
{
    (void)s;
    (void)err;
    memset(long_name, 'n', sizeof long_name - 1);
    const struct store_entry entries[] = {
        {.key = slice_of(long_name)},
        {.key = SLICE_LIT("twin")},
        {.key = SLICE_LIT("twin!")},
        {.key = SLICE_LIT("twin/"), .is_prefix = true},
        {.key = SLICE_LIT("good")},
        {.key = SLICE_LIT("good")}, /* a store may tell it twice */
        {.key = SLICE_LIT("/"), .is_prefix = true},
        {.key = SLICE_LIT("../"), .is_prefix = true},
        {.key = SLICE_LIT("zero\0byte")},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(entries); i++)
        rc = req->emit(req->arg, &entries[i]);
    for (int i = 0; rc == 0 && i < names_more; i++)
        rc = req->emit(req->arg, &entries[0]);
    return rc;
}

struct waiter {
    struct task task;
    sem_t woken;
};

static void wake(struct job *job)
{
    (void)sem_post(&CONTAINER_OF(job, struct waiter, task.job)->woken);
}

static struct listing *open_root(struct lake *lake)
{
    struct table *table = NULL;
    struct listing *l = NULL;
    struct err err = ERR_INIT;
    struct waiter w = {.task = {.job = {.run = wake}, .since_ms = clock_mono_ms()}};
    int rc;
    assert_int_equal(sem_init(&w.woken, 0, 0), 0);
    while ((rc = dir_open(lake, SLICE_LIT(""), &w.task, &table, &l, &err)) == -EINPROGRESS)
        assert_int_equal(sem_wait(&w.woken), 0);
    assert_int_equal(rc, 0);
    assert_null(table);
    return l;
}

/* Aim: every key has a name of its own; those that can have none are counted, and are to be told
 * once a directory and number. */
static void test_names(void **state)
{
    (void)state;
    static const struct store_ops ops = {.scheme = "test", .list = list};
    static const struct driver_ops *const no_drivers[] = {NULL};
    struct store store = {.ops = &ops};
    struct layer layer = {.name = "", .store = &store};
    struct err err = ERR_INIT;
    struct lake lake = {
        .config = {.refresh_ms = 1, .drivers = no_drivers, .workers = workers_new("test", 1, &err)},
        .layers = {.at = {.at = &layer, .n = 1}}};
    assert_non_null(lake.config.workers);
    lock_init(&lake.lock);
    map_init(&lake.dirs, 8);

    static const struct {
        int more;
        size_t left_out;
        bool tell;
    } rounds[] = {{0, 2, true}, {0, 2, false}, {2, 4, true}};
    static const struct {
        const char *name;
        bool is_dir;
    } names[] = {{"%~", true},   {"%~2E.", true},  {"good", false},
                 {"twin", true}, {"twin!", false}, {"twin%~", false}};
    for (size_t i = 0; i < ARRAY_SIZE(rounds); i++) {
        names_more = rounds[i].more;
        AUTO(listing) struct listing *l = open_root(&lake);
        assert_int_equal(listing_count(l), ARRAY_SIZE(names));
        for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
            assert_true(slice_is(listing_at(l, n)->name, names[n].name));
            assert_int_equal(listing_at(l, n)->is_dir, names[n].is_dir);
            assert_ptr_equal(listing_find(l, slice_of(names[n].name)), listing_at(l, n));
        }
        assert_int_equal(listing_left_out(l)->count, rounds[i].left_out);
        assert_int_equal(listing_tell_left_out(l), rounds[i].tell);
        assert_false(listing_tell_left_out(l));
        (void)usleep(1100 * 1000); /* no listing is asked for again sooner than after a second */
    }
    dir_free(map_find(&lake.dirs, SLICE_LIT("")));
    map_done(&lake.dirs);
    lock_done(&lake.lock);
    workers_free(lake.config.workers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
