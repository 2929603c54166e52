/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of numbers: stable over reopening, anew after a boot, one a name under threads. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/file.h"
#include "lake/registry.h"
#include "tests/unit/temp_dir.h"

static struct registry *opened(const struct temp_dir *f)
{
    struct err err = ERR_INIT;
    struct registry *r = registry_open(f->dir, f->path, &err);
    if (!r)
        fail_msg("%s", err.msg);
    return r;
}

static uint32_t number_of(struct registry *r, const char *name)
{
    struct err err = ERR_INIT;
    uint32_t number = 0;
    if (registry_number(r, slice_of(name), &number, &err) < 0)
        fail_msg("%s", err.msg);
    return number;
}

static void check_name(struct registry *r, uint32_t number, struct slice name)
{
    struct err err = ERR_INIT;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, REGISTRY_NAME_MAX);
    buf_add_str(&out, "left over");
    assert_int_equal(registry_name(r, number, &out, &err), 0);
    assert_true(slice_eq(buf_slice(&out), name));
}

/* Numbers count from 1, each name has one, and each number tells its name. */
static void test_numbers_and_names(void **state)
{
    AUTO(registry) struct registry *r = opened(*state);
    struct err err = ERR_INIT;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, REGISTRY_NAME_MAX);
    assert_int_equal(registry_name(r, 1, &out, &err), -ENOENT);
    assert_int_equal(number_of(r, "a"), 1);
    assert_int_equal(number_of(r, "b"), 2);
    assert_int_equal(number_of(r, "a"), 1);
    check_name(r, 1, SLICE_LIT("a"));
    check_name(r, 2, SLICE_LIT("b"));
    assert_int_equal(registry_name(r, 0, &out, &err), -ENOENT);
    assert_int_equal(registry_name(r, 3, &out, &err), -ENOENT);
}

/* What was given is understood after the registry is opened again, and never given twice. */
static void test_stable_over_reopening(void **state)
{
    for (uint32_t round = 1; round <= 5; round++) {
        AUTO(registry) struct registry *r = opened(*state);
        char name[32];
        (void)snprintf(name, sizeof name, "round %u", round);
        assert_int_equal(number_of(r, name), round);
        for (uint32_t earlier = 1; earlier < round; earlier++) {
            (void)snprintf(name, sizeof name, "round %u", earlier);
            check_name(r, earlier, slice_of(name));
            assert_int_equal(number_of(r, name), earlier);
        }
    }
}

/* After another boot of the machine nothing of before is known, and it lasts from then on. */
static void test_another_boot_begins_anew(void **state)
{
    struct temp_dir *f = *state;
    struct err err = ERR_INIT;
    struct registry *r = opened(f);
    assert_int_equal(number_of(r, "a"), 1);
    assert_int_equal(number_of(r, "b"), 2);
    registry_close(r);
    assert_int_equal(file_replace(f->dir, "nodes.boot", SLICE_LIT("another\n"), 0600, &err), 0);
    r = opened(f);
    assert_int_equal(number_of(r, "b"), 1);
    registry_close(r);
    r = opened(f);
    assert_int_equal(number_of(r, "a"), 2);
    check_name(r, 1, SLICE_LIT("b"));
    registry_close(r);
}

/* A file that is no database is replaced by an empty one. */
static void test_damage_begins_anew(void **state)
{
    struct temp_dir *f = *state;
    struct err err = ERR_INIT;
    static char noise[8192];
    memset(noise, 'x', sizeof noise);
    registry_close(opened(f));
    assert_int_equal(file_replace(f->dir, "nodes.mdb", slice_make(noise, sizeof noise), 0600, &err),
                     0);
    AUTO(registry) struct registry *r = opened(f);
    assert_int_equal(number_of(r, "a"), 1);
}

/* Names longer than a key of the database have numbers of their own and come back whole; only what
 * no path can be is refused. */
static void test_long_names(void **state)
{
    AUTO(registry) struct registry *r = opened(*state);
    static char name[REGISTRY_NAME_MAX + 1];
    static const size_t lengths[] = {499, 500, 501, 511, 512, 4096, REGISTRY_NAME_MAX};
    struct err err = ERR_INIT;
    uint32_t number = 0;
    memset(name, 'n', sizeof name);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
            struct slice s = slice_make(name, lengths[i]);
            assert_int_equal(registry_number(r, s, &number, &err), 0);
            assert_int_equal(number, i + 1);
            check_name(r, number, s);
        }
    number = 77;
    assert_int_equal(registry_number(r, slice_make(name, sizeof name), &number, &err),
                     -ENAMETOOLONG);
    assert_int_equal(registry_number(r, SLICE_NONE, &number, &err), -ENAMETOOLONG);
    assert_int_equal(number, 77);
}

enum { THREADS = 8, NAMES = 200 };

struct asker {
    struct registry *registry;
    pthread_t thread;
    unsigned index;
    uint32_t numbers[NAMES];
    int failed;
};

static void *ask(void *arg)
{
    struct asker *a = arg;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, REGISTRY_NAME_MAX);
    for (unsigned i = 0; i < NAMES; i++) {
        char name[32];
        unsigned n = (i + a->index * 25) % NAMES; /* each begins somewhere else */
        (void)snprintf(name, sizeof name, "name %u", n);
        if (registry_number(a->registry, slice_of(name), &a->numbers[n], NULL) < 0 ||
            registry_name(a->registry, a->numbers[n], &out, NULL) < 0 ||
            !slice_is(buf_slice(&out), name))
            a->failed++;
    }
    return NULL;
}

/* Threads that ask for the same names at once are told the same numbers, without gaps. */
static void test_threads(void **state)
{
    static struct asker askers[THREADS];
    AUTO(registry) struct registry *r = opened(*state);
    bool given[NAMES + 1] = {false};
    for (unsigned i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){.registry = r, .index = i};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(askers[i].failed, 0);
        assert_memory_equal(askers[i].numbers, askers[0].numbers, sizeof askers[0].numbers);
    }
    for (unsigned n = 0; n < NAMES; n++) {
        assert_in_range(askers[0].numbers[n], 1, NAMES);
        assert_false(given[askers[0].numbers[n]]);
        given[askers[0].numbers[n]] = true;
    }
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Names that the disk does not take have numbers too, told apart from those on it. */
static void test_full_disk(void **state)
{
    struct temp_dir *f = *state;
    uint32_t before, after[500];
    char name[32];
    (void)signal(SIGXFSZ, SIG_IGN);
    {
        AUTO(registry) struct registry *r = opened(f);
        before = number_of(r, "before");
        limit_files(0);
        for (unsigned i = 0; i < 500; i++) {
            (void)snprintf(name, sizeof name, "after %u", i);
            after[i] = number_of(r, name);
            assert_true(after[i] > before && after[i] <= REGISTRY_NUMBER_MAX);
            assert_true(i == 0 || after[i] < after[i - 1]);
        }
        for (unsigned i = 0; i < 500; i++) {
            (void)snprintf(name, sizeof name, "after %u", i);
            assert_int_equal(number_of(r, name), after[i]);
            check_name(r, after[i], slice_of(name));
        }
        assert_int_equal(number_of(r, "before"), before);
        check_name(r, before, SLICE_LIT("before"));
        limit_files(RLIM_INFINITY);
    }
    AUTO(registry) struct registry *again = opened(f);
    assert_int_equal(number_of(again, "before"), before);
    assert_int_equal(number_of(again, "new"), before + 1);
}

/* A directory that takes no database: all names are in memory. */
static void test_no_disk(void **state)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    limit_files(0);
    {
        AUTO(registry) struct registry *r = opened(*state);
        uint32_t a = number_of(r, "a"), b = number_of(r, "b");
        assert_true(a != b);
        assert_int_equal(number_of(r, "a"), a);
        check_name(r, a, SLICE_LIT("a"));
        check_name(r, b, SLICE_LIT("b"));
        assert_int_equal(registry_name(r, 7, &(struct buf){0}, NULL), -ENOENT);
    }
    limit_files(RLIM_INFINITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers_and_names, temp_dir_set_up,
                                        temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(test_stable_over_reopening, temp_dir_set_up,
                                        temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(test_another_boot_begins_anew, temp_dir_set_up,
                                        temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(test_damage_begins_anew, temp_dir_set_up,
                                        temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(test_long_names, temp_dir_set_up, temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(test_threads, temp_dir_set_up, temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(test_full_disk, temp_dir_set_up, temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(test_no_disk, temp_dir_set_up, temp_dir_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
