/* SPDX-License-Identifier: Apache-2.0 */
/* What was fetched ahead of a reader stays in memory until he comes for it, and no longer. */
#include <sys/mman.h>

#include "base/clock.h"
#include "cache/prefetch.h"
#include "tests/unit/cache_fixture.h"

#define SIZE (8 * MIB)

struct ahead {
    struct place *place;
    struct object *object;
    struct prefetch *prefetch;
};

static struct ahead ahead_new(uint64_t size, uint64_t budget)
{
    struct ahead a = {.place = place_open(size, budget)};
    a.object = open_key(a.place, "a");
    a.prefetch = prefetch_new(a.place->cache);
    assert_non_null(a.prefetch);
    object_reader_begin(a.object);
    return a;
}

static void ahead_end(struct ahead *a)
{
    object_unref(a->object);
    prefetch_free(a->prefetch);
    place_free(a->place);
}

/* So many bytes have been fetched and written. */
static void wait_kept(struct ahead *a, uint64_t bytes)
{
    while (stat_of(a->place).bytes < bytes)
        pause_ms(1);
}

static void wait_buffers(struct place *p, uint64_t count)
{
    while (stat_of(p).buffers != count)
        pause_ms(1);
}

static int zero_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type == FTW_F && strstr(path, "/objects/")) {
        assert_int_equal(truncate(path, 0), 0);
        assert_int_equal(truncate(path, st->st_size), 0);
    }
    return 0;
}

/* Aim: he is served from memory: the file may say what it wants. Then the memory is free. */
static void test_read_from_memory(void **state)
{
    (void)state;
    struct ahead a = ahead_new(SIZE, 100 * MIB);
    assert_true(prefetch_range(a.prefetch, a.object, 0, SIZE));
    wait_kept(&a, SIZE);
    assert_int_equal(stat_of(a.place).buffers, SIZE / BLOCK_BYTES);
    (void)nftw(a.place->path, zero_one, 16, FTW_PHYS);
    for (uint64_t at = 0; at < SIZE; at += 128 * KIB)
        assert_int_equal(read_range(a.object, "a", at, 128 * KIB), 0);
    assert_int_equal(stat_of(a.place).damaged, 0);
    assert_int_equal(stat_of(a.place).fetched_bytes, SIZE);
    wait_buffers(a.place, 0);
    object_reader_end(a.object);
    ahead_end(&a);
}

/* Aim: a reader who closes leaves nothing in memory, before as after it has landed. */
static void test_closed(void **state)
{
    (void)state;
    struct ahead a = ahead_new(SIZE, 100 * MIB);
    assert_true(prefetch_range(a.prefetch, a.object, 0, SIZE / 2));
    wait_kept(&a, SIZE / 2);
    assert_int_equal(stat_of(a.place).buffers, SIZE / 2 / BLOCK_BYTES);
    a.place->fake.halt = true;
    assert_true(prefetch_range(a.prefetch, a.object, SIZE / 2, SIZE / 2));
    wait_halted(&a.place->fake, 1);
    object_reader_end(a.object);
    wait_buffers(a.place, SIZE / 2 / BLOCK_BYTES);
    let_go(&a.place->fake);
    wait_buffers(a.place, 0);
    ahead_end(&a);
}

/* Aim: who waits for bytes gets the buffers of those who do not come for theirs. */
static void test_demand_first(void **state)
{
    (void)state;
    enum { READS = TRANSFER_BLOCKS_MAX };
    struct reading *r[READS];
    struct ahead a = ahead_new(300 * MIB, 900 * MIB);
    assert_true(prefetch_range(a.prefetch, a.object, 0, 200 * MIB));
    wait_kept(&a, PREFETCH_BYTES_MAX);
    struct object *other = open_key(a.place, "b");
    for (unsigned i = 0; i < READS; i++)
        r[i] = reading_start(other, i * 2 * MIB, MIB);
    for (unsigned i = 0; i < READS; i++)
        assert_int_equal(reading_end(r[i], 1, "b", NULL), 0);
    prefetch_cancel(a.prefetch);
    object_reader_end(a.object);
    object_unref(other);
    wait_buffers(a.place, 0);
    ahead_end(&a);
}

/* Aim: one who has stopped reading does not keep others from being read ahead of. */
static void test_stale(void **state)
{
    (void)state;
    struct ahead a = ahead_new(300 * MIB, 900 * MIB);
    assert_true(prefetch_range(a.prefetch, a.object, 0, PREFETCH_BYTES_MAX));
    wait_kept(&a, PREFETCH_BYTES_MAX);
    struct object *other = open_key(a.place, "b");
    object_reader_begin(other);
    while (stat_of(a.place).fetched_bytes < PREFETCH_BYTES_MAX + 8 * MIB) {
        (void)prefetch_range(a.prefetch, other, 0, 8 * MIB); /* as its reads would do again */
        pause_ms(10);
    }
    object_reader_end(other);
    object_unref(other);
    object_reader_end(a.object);
    wait_buffers(a.place, 0);
    ahead_end(&a);
}

struct filling {
    struct object_fill fill;
    atomic_bool over;
};

static void filled(struct object_fill *f)
{
    CONTAINER_OF(f, struct filling, fill)->over = true;
}

/* Aim: an object is sealed though some of it is still in memory. */
static void test_sealed(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct ahead a = ahead_new(SIZE, 100 * MIB);
    assert_true(prefetch_range(a.prefetch, a.object, 0, SIZE));
    wait_kept(&a, SIZE);
    struct filling f = {.fill = {.done = filled}};
    int rc = object_fill(a.object, &f.fill, &err);
    while (rc == -EINPROGRESS && !f.over)
        pause_ms(1);
    assert_true(object_is_sealed(a.object));
    assert_int_equal(stat_of(a.place).buffers, SIZE / BLOCK_BYTES);
    object_reader_end(a.object);
    ahead_end(&a);
}

/* Aim: where nothing can be kept, who reads in order still fetches each byte once. */
static void test_nothing_kept(void **state)
{
    (void)state;
    struct ahead a = ahead_new(SIZE, 0);
    assert_true(prefetch_range(a.prefetch, a.object, 0, SIZE));
    for (uint64_t at = 0; at < SIZE; at += 4 * KIB)
        assert_int_equal(read_range(a.object, "a", at, 4 * KIB), 0);
    assert_int_equal(stat_of(a.place).fetched_bytes, SIZE);
    object_reader_end(a.object);
    wait_buffers(a.place, 0);
    ahead_end(&a);
}

/* Aim: nor does who reads slowly, though there is more to fetch ahead of him than there are
 * buffers. */
static void test_nothing_kept_of_a_slow_reader(void **state)
{
    (void)state;
    enum { BIG = 2 * PREFETCH_BYTES_MAX };
    struct ahead a = ahead_new(BIG, 0);
    assert_true(prefetch_range(a.prefetch, a.object, 0, BIG));
    wait_buffers(a.place, PREFETCH_BYTES_MAX / BLOCK_BYTES);
    for (uint64_t at = 0; at < BIG; at += BLOCK_BYTES / 2) {
        clock_shift_for_test((int64_t)(at / BLOCK_BYTES * 1000));
        assert_int_equal(read_range(a.object, "a", at, BLOCK_BYTES / 2), 0);
        if (at % (16 * BLOCK_BYTES) == 0)
            pause_ms(1100); /* the flusher has run */
    }
    assert_int_equal(stat_of(a.place).fetched_bytes, BIG);
    object_reader_end(a.object);
    wait_buffers(a.place, 0);
    clock_shift_for_test(0);
    ahead_end(&a);
}

/* One read of who is in sequence, and misses. */
static void read_in_sequence(struct object *o, uint64_t offset, size_t length)
{
    struct object_read whole = {.fetch_bytes = GRANULE_BYTES};
    assert_int_equal(reading_end(reading_start_as(o, offset, length, whole), 1, "a", NULL), 0);
}

static size_t pages_in_memory;
static bool takes_direct;

static int count_pages(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type != FTW_F || !strstr(path, "/objects/"))
        return 0;
    static unsigned char resident[SIZE / 4096];
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    AUTO_FD int direct = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
    assert_int_equal(st->st_size, SIZE);
    void *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mincore(map, SIZE, resident), 0);
    for (size_t i = 0; i < sizeof resident; i++)
        pages_in_memory += resident[i] & 1;
    assert_int_equal(munmap(map, SIZE), 0);
    takes_direct = direct >= 0;
    return 0;
}

/*
 * Aim: what a reader in sequence had to wait for goes past the page cache as what was fetched ahead
 * of him does; what he will come back for stays in it.
 */
static void test_past_the_page_cache(void **state)
{
    (void)state;
    struct ahead a = ahead_new(SIZE, 100 * MIB);
    read_in_sequence(a.object, 0, SIZE / 2);
    wait_kept(&a, SIZE / 2);
    pages_in_memory = 0;
    (void)nftw(a.place->path, count_pages, 16, FTW_PHYS);
    if (takes_direct)
        assert_int_equal(pages_in_memory, 0);
    read_in_sequence(a.object, SIZE / 2, 4 * KIB);
    wait_kept(&a, SIZE / 2 + GRANULE_BYTES);
    pages_in_memory = 0;
    (void)nftw(a.place->path, count_pages, 16, FTW_PHYS);
    assert_true(pages_in_memory >= GRANULE_BYTES / 4096);
    object_reader_end(a.object);
    wait_buffers(a.place, 0);
    ahead_end(&a);
}

/* Aim: of what one request brought, the cache keeps as many blocks as its budget has room for. */
static void test_budget_ends_in_a_train(void **state)
{
    (void)state;
    struct ahead a = ahead_new(SIZE, SIZE / 4 * 3);
    assert_true(prefetch_range(a.prefetch, a.object, 0, SIZE));
    wait_kept(&a, SIZE / 4 * 3);
    for (uint64_t at = 0; at < SIZE; at += BLOCK_BYTES)
        assert_int_equal(read_range(a.object, "a", at, BLOCK_BYTES), 0);
    assert_int_equal(stat_of(a.place).requests, SIZE / TRAIN_BYTES);
    assert_int_equal(stat_of(a.place).fetched_bytes, SIZE);
    object_reader_end(a.object);
    wait_buffers(a.place, 0);
    assert_int_equal(stat_of(a.place).bytes, SIZE / 4 * 3);
    assert_int_equal(disk_use_of(a.place).bytes, SIZE / 4 * 3);
    ahead_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_from_memory),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_demand_first),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_sealed),
        cmocka_unit_test(test_nothing_kept),
        cmocka_unit_test(test_nothing_kept_of_a_slow_reader),
        cmocka_unit_test(test_past_the_page_cache),
        cmocka_unit_test(test_budget_ends_in_a_train),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
