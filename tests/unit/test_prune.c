/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "lake/index/prune.h"

static bool is_run(struct slice name)
{
    return slice_starts(name, SLICE_LIT("run-"));
}

static bool is_aside(struct slice name)
{
    return slice_starts(name, SLICE_LIT("aside-"));
}

static void put(int dirfd, const char *name, int64_t age_ms)
{
    int64_t ms = clock_real_ms() - age_ms;
    struct timespec times[2] = {{.tv_sec = ms / 1000}, {.tv_sec = ms / 1000}};
    int fd = openat(dirfd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(futimens(fd, times), 0);
    assert_int_equal(close(fd), 0);
}

static bool there(int dirfd, const char *name)
{
    return faccessat(dirfd, name, F_OK, 0) == 0;
}

/* Aim: of a kind the newest are left, leftovers go by age, and other files are not touched. */
static void test_prune(void **state)
{
    (void)state;
    char dir[] = "/tmp/tarn-prune-XXXXXX";
    static const struct prune_kind kinds[] = {
        {.is = is_run, .keep = 2},
        {.is = is_aside, .keep = SIZE_MAX, .leftover_ms = 60000},
    };
    assert_non_null(mkdtemp(dir));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    put(fd, "run-1", 10000);
    put(fd, "run-2", 40000);
    put(fd, "run-3", 30000);
    put(fd, "run-4", 20000);
    put(fd, "aside-old", 100000);
    put(fd, "aside-new", 10000);
    put(fd, "other", 1000000);
    prune_runs(fd, kinds, ARRAY_SIZE(kinds));
    assert_true(there(fd, "run-1") && there(fd, "run-4"));
    assert_false(there(fd, "run-2") || there(fd, "run-3"));
    assert_false(there(fd, "aside-old"));
    assert_true(there(fd, "aside-new") && there(fd, "other"));
    static const char *const left[] = {"run-1", "run-4", "aside-new", "other"};
    for (size_t i = 0; i < ARRAY_SIZE(left); i++)
        assert_int_equal(unlinkat(fd, left[i], 0), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_prune)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
