/* SPDX-License-Identifier: Apache-2.0 */
/* What bounds the object cache: buffers, the budget on the disk, a disk that is full. */
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "cache/pool.h"
#include "tests/unit/cache_fixture.h"

/* Aim: more blocks than buffers wait their turn; all are read; the pool stays within its bound. */
static void test_pool_exhausted(void **state)
{
    (void)state;
    struct place *p = place_open(200 * MIB, 400 * MIB);
    struct object *o = open_key(p, "a");
    struct reading *g[200];
    p->fake.halt = true;
    for (size_t i = 0; i < 200; i++)
        g[i] = reading_start(o, i * MIB + i, 4000);
    wait_halted(&p->fake, 8);
    assert_int_equal(stat_of(p).flights, 200);
    assert_int_equal(p->fake.requests, TRANSFER_BLOCKS_MAX);
    let_go(&p->fake);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(reading_end(g[i], 1, "a", NULL), 0);
    /* And when all fail at once, the queue is not walked by recursion. */
    struct object *b = open_key(p, "b");
    p->fake.fail = EIO;
    for (size_t i = 0; i < 200; i++)
        g[i] = reading_start(b, i * MIB, 4000);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(reading_end(g[i], 1, "b", NULL), -EIO);
    object_unref(b);
    object_unref(o);
    place_free(p);
}

static void no_run(struct job *job)
{
    (void)job;
}

static size_t resident_kib(void)
{
    size_t kib = 0;
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        (void)sscanf(line, "RssAnon: %zu", &kib);
    (void)fclose(f);
    return kib;
}

/* Aim: idle buffers give their memory back. */
static void test_pool_trim(void **state)
{
    (void)state;
    struct workers *w = workers_new("work", 1, NULL);
    struct pool pool;
    char *taken[TRANSFER_BLOCKS_MAX];
    struct pool_wait wait = {.job.run = no_run};
    assert_int_equal(pool_init(&pool, w, NULL), 0);
    for (size_t i = 0; i < TRANSFER_BLOCKS_MAX; i++) {
        taken[i] = pool_take(&pool, &wait);
        assert_non_null(taken[i]);
        memset(taken[i], 1, BLOCK_BYTES);
    }
    size_t full = resident_kib();
    for (size_t i = 0; i < TRANSFER_BLOCKS_MAX; i++)
        pool_put(&pool, taken[i]);
    assert_true(pool_trim(&pool)); /* taken since the last one: still warm */
    assert_false(pool_trim(&pool));
    assert_true(resident_kib() + 90 * 1024 < full);
    pool_done(&pool);
    workers_free(w);
}

/* Aim: the budget holds whatever is read, the open object stays, the least recently used go. */
static void test_eviction(void **state)
{
    (void)state;
    struct place *p = place_open(MIB, 32 * MIB);
    struct object *kept = open_key(p, "kept");
    assert_int_equal(read_range(kept, "kept", 0, MIB), 0);
    for (int i = 0; i < 100; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        clock_shift_for_test(i * 10);
        read_key(p, key);
        if (i % 20 == 19) { /* lets the flusher run */
            AWAIT(disk_use_of(p).bytes <= 32 * MIB);
            AWAIT(stat_of(p).bytes <= 31 * MIB); /* and there is room again */
        }
    }
    read_key(p, "k99"); /* there may have been no room for it in the rush */
    int before = p->fake.requests;
    assert_int_equal(read_range(kept, "kept", 0, MIB), 0);
    read_key(p, "k99");
    assert_int_equal(p->fake.requests, before);
    read_key(p, "k0");
    assert_int_equal(p->fake.requests, before + 1);
    object_unref(kept);
    close_cache(p);
    struct disk_use use = disk_use_of(p);
    open_cache(p);
    assert_int_equal(stat_of(p).bytes, use.bytes);
    assert_int_equal(stat_of(p).objects, use.count);
    clock_shift_for_test(0);
    place_free(p);
}

/* What a file system adds of its own to a file with holes: a block for its list of extents. */
#define EXTENTS_BYTES (16 * KIB)

/* Aim: what is larger than the budget is read all the same, while the disk stays within it. */
static void test_larger_than_budget(void **state)
{
    (void)state;
    struct place *p = place_open(20 * MIB, 8 * MIB);
    struct object *o = open_key(p, "a");
    for (uint64_t block = 1; block < 20; block += 3) /* scattered: as many extents as can be */
        assert_int_equal(read_range(o, "a", block * MIB, MIB), 0);
    assert_int_equal(read_range(o, "a", 0, 20 * MIB), 0);
    object_unref(o);
    assert_true(stat_of(p).bytes <= 8 * MIB);
    close_cache(p); /* syncs: all blocks are counted now */
    assert_true(disk_use_of(p).bytes <= 8 * MIB + EXTENTS_BYTES);
    place_free(p);
}

/* Aim: a full disk costs the copy and not the read. */
static void full_disk(struct place *p)
{
    struct object *o = open_key(p, "a");
    assert_int_equal(read_range(o, "a", 0, (size_t)p->fake.size), 0);
    while (stat_of(p).flights)
        pause_ms(1);
    assert_true(stat_of(p).write_errors > 0);
    assert_int_equal(read_range(o, "a", 0, (size_t)p->fake.size), 0);
    object_unref(o);
    close_cache(p);
    open_cache(p);
    read_key(p, "a");
}

static void test_disk_full(void **state)
{
    (void)state;
    struct place *p = place_new(12 * MIB, 64 * MIB);
    start_threads(p);
    if (mount("none", p->path, "tmpfs", 0, "size=4m") == 0) {
        (void)close(p->dirfd);
        p->dirfd = open(p->path, O_RDONLY | O_DIRECTORY);
        open_cache(p);
        full_disk(p);
        close_cache(p);
        (void)umount2(p->path, MNT_DETACH);
    }
    open_cache(p);
    place_free(p);
    /* And files that must not grow. */
    p = place_new(12 * MIB, 64 * MIB);
    start_threads(p);
    struct rlimit old, small;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){5 * MIB, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    open_cache(p);
    full_disk(p);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    place_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_exhausted), cmocka_unit_test(test_pool_trim),
        cmocka_unit_test(test_eviction),       cmocka_unit_test(test_larger_than_budget),
        cmocka_unit_test(test_disk_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
