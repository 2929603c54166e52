/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that are made complete: sealed, handed to the kernel, checked, evicted by segments. */
#include <dirent.h>
#include <sys/mman.h>

#include "tests/unit/cache_fixture.h"

struct filling {
    struct object_fill fill;
    atomic_bool over;
};

static void fill_done(struct object_fill *f)
{
    CONTAINER_OF(f, struct filling, fill)->over = true;
}

static int fill_wait(struct object *o)
{
    struct filling g = {.fill = {.done = fill_done}};
    struct err err = ERR_INIT;
    int rc = object_fill(o, &g.fill, &err);
    if (rc != -EINPROGRESS)
        return rc;
    while (!g.over)
        pause_ms(1);
    return g.fill.rc;
}

static void check_file_bytes(struct object *o, const char *key, uint64_t size)
{
    char bytes[4096];
    AUTO_FD int fd = backing_of(o);
    assert_true(fd >= 0);
    for (uint64_t at = 0; at < size; at += sizeof bytes) {
        size_t n = size - at < sizeof bytes ? (size_t)(size - at) : sizeof bytes;
        assert_int_equal(pread(fd, bytes, n, (off_t)at), n);
        for (size_t i = 0; i < n; i++)
            if (bytes[i] != byte_at(1, key, at + i))
                fail_msg("byte %llu is wrong", (unsigned long long)(at + i));
    }
}

/* Aim: a fill fetches what is missing only, and the file is then the object. */
static void test_fill(void **state)
{
    (void)state;
    struct place *p = place_open(3 * MIB + 100, 64 * MIB);
    struct object *o = open_key(p, "a");
    assert_int_equal(read_range(o, "a", MIB + 70000, 100), 0);
    assert_false(object_is_sealed(o));
    assert_int_equal(backing_of(o), -ENODATA);
    assert_int_equal(fill_wait(o), 0);
    assert_true(object_is_sealed(o));
    assert_int_equal(stat_of(p).fetched_bytes, 3 * MIB + 100);
    assert_int_equal(stat_of(p).sealed, 1);
    check_file_bytes(o, "a", 3 * MIB + 100);
    object_unref(o);
    close_cache(p);
    open_cache(p);
    assert_int_equal(stat_of(p).sealed, 1);
    struct object_name name = {
        .store = &p->fake.store, .key = SLICE_LIT("a"), .size = p->fake.size};
    assert_true(cache_has_sealed(p->cache, &name));
    o = open_key(p, "a");
    assert_true(object_is_sealed(o));
    check_file_bytes(o, "a", 3 * MIB + 100);
    object_unref(o);
    place_free(p);
}

/* Aim: granules of zeros take no disk, and are as right as others. */
static void test_zeros_take_no_disk(void **state)
{
    (void)state;
    struct place *p = place_open(8 * MIB + 100, 64 * MIB);
    struct object *o = open_key(p, "0");
    assert_int_equal(fill_wait(o), 0);
    check_file_bytes(o, "0", 8 * MIB + 100);
    assert_true(disk_use_of(p).bytes < 2 * MIB + 2 * GRANULE_BYTES);
    object_unref(o);
    close_cache(p);
    open_cache(p);
    struct cache_report report;
    assert_int_equal(cache_verify(p->cache, NULL, NULL, &report, NULL), 0);
    assert_int_equal(report.damaged, 0);
    place_free(p);
}

/* Aim: many who wait for one object cause each byte to be fetched once, whatever they read
 * meanwhile. */
static void test_fill_together(void **state)
{
    (void)state;
    struct place *p = place_open(20 * MIB, 64 * MIB);
    struct object *o = open_key(p, "a");
    struct filling g[20] = {0};
    struct reading *r[20];
    for (size_t i = 0; i < 20; i++) {
        g[i].fill.done = fill_done;
        r[i] = reading_start(o, i * MIB + 5, 200000);
        assert_int_equal(object_fill(o, &g[i].fill, NULL), -EINPROGRESS);
    }
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(reading_end(r[i], 1, "a", NULL), 0);
        while (!g[i].over)
            pause_ms(1);
        assert_int_equal(g[i].fill.rc, 0);
    }
    assert_int_equal(stat_of(p).fetched_bytes, 20 * MIB);
    object_unref(o);
    place_free(p);
}

/* Aim: a fill that cannot be is told so: a store that fails, an object larger than the budget. */
static void test_fill_fails(void **state)
{
    (void)state;
    struct place *p = place_open(3 * MIB, 64 * MIB);
    struct object *o = open_key(p, "a");
    p->fake.fail = EIO;
    assert_int_equal(fill_wait(o), -EIO);
    p->fake.fail = 0;
    assert_int_equal(fill_wait(o), 0);
    object_unref(o);
    place_free(p);
    p = place_open(30 * MIB, 16 * MIB);
    o = open_key(p, "a");
    assert_int_equal(fill_wait(o), -ENOSPC);
    assert_int_equal(read_range(o, "a", 0, 30 * MIB), 0);
    object_unref(o);
    place_free(p);
}

/* Aim: a small read at random fetches some more; a large one only the granules that it lies in. */
static void test_fetch_bytes(void **state)
{
    (void)state;
    struct place *p = place_open(8 * MIB, 64 * MIB);
    struct object *o = open_key(p, "a");
    assert_int_equal(read_range(o, "a", 2 * MIB, 100), 0);
    assert_int_equal(stat_of(p).fetched_bytes, FETCH_RANDOM_BYTES);
    assert_int_equal(read_range(o, "a", 3 * MIB, MIB), 0);
    assert_int_equal(stat_of(p).fetched_bytes, FETCH_RANDOM_BYTES + MIB);
    assert_int_equal(p->fake.requests, 2);
    assert_int_equal(read_range(o, "a", 5 * MIB - 100 * KIB, 256 * KIB), 0);
    assert_int_equal(stat_of(p).fetched_bytes, FETCH_RANDOM_BYTES + MIB + 5 * GRANULE_BYTES);
    assert_int_equal(p->fake.requests, 3);
    object_unref(o);
    place_free(p);
}

/* Aim: of an object larger than the budget only segments go, and what is left is right. */
static void test_segments(void **state)
{
    (void)state;
    uint64_t size = 4 * SEGMENT_BYTES + 1000;
    struct place *p = place_open(size, 3 * SEGMENT_BYTES);
    for (unsigned round = 0; round < 8; round++) {
        struct object *o = open_key(p, "a");
        uint64_t at = round * 5 % 4 * (uint64_t)SEGMENT_BYTES;
        for (uint64_t i = 0; i < SEGMENT_BYTES; i += 4 * MIB)
            assert_int_equal(read_range(o, "a", at + i, 4 * MIB), 0);
        assert_int_equal(read_range(o, "a", size - 10, 10), 0);
        object_unref(o);
        /* the flusher evicts what is not open */
        AWAIT(disk_use_of(p).bytes <= 3 * SEGMENT_BYTES + 64 * KIB);
        if (round % 3 == 2) {
            AWAIT(stat_of(p).buffers == 0); /* what was read is written */
            uint64_t bytes = stat_of(p).bytes;
            close_cache(p);
            open_cache(p);
            assert_true(stat_of(p).bytes <= bytes);
        }
    }
    assert_true(stat_of(p).evicted_bytes == 0 || stat_of(p).objects == 1);
    place_free(p);
}

static int zero_start(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    static const char zeros[1000];
    (void)st;
    (void)ftw;
    if (type != FTW_F || !strstr(path, "/objects/"))
        return 0;
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, zeros, sizeof zeros, 5000) == sizeof zeros);
    return close(fd);
}

/* Aim: neighbouring blocks come with one request, each into its own buffer, with its own bytes. */
static void test_trains(void **state)
{
    (void)state;
    struct place *p = place_open(2 * TRAIN_BYTES + 5, 64 * MIB);
    struct object *o = open_key(p, "a");
    assert_int_equal(fill_wait(o), 0);
    check_file_bytes(o, "a", 2 * TRAIN_BYTES + 5);
    assert_int_equal(stat_of(p).requests, 3);
    object_unref(o);
    place_free(p);
}

/* Aim: what the kernel has mapped keeps its bytes, though it was closed and others need the room.
 */
static void test_mapped(void **state)
{
    (void)state;
    uint64_t size = SEGMENT_BYTES + MIB;
    struct place *p = place_open(size, 2 * SEGMENT_BYTES + 20 * MIB);
    struct object *o = open_key(p, "a");
    char path[64];
    assert_int_equal(fill_wait(o), 0);
    int lent = backing_of(o);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", lent);
    int fd = open(path, O_RDONLY); /* as the kernel opens it for a mount */
    (void)close(lent);
    const char *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(fd >= 0 && map != MAP_FAILED);
    (void)close(fd);
    object_unref(o);
    for (char key[] = "b"; key[0] <= 'f'; key[0]++) {
        read_key(p, key);
        pause_ms(1100); /* the flusher has run */
    }
    AWAIT(stat_of(p).evicted_bytes > 0);
    for (uint64_t i = 0; i < size; i += 4096)
        assert_int_equal(map[i], byte_at(1, "a", i));
    assert_int_equal(munmap((void *)(uintptr_t)map, size), 0);
    read_key(p, "a");
    place_free(p);
}

/* Aim: bytes that an earlier process has left, and that were changed since, are not sealed with
 * those that are fetched now. */
static void test_old_bytes(void **state)
{
    (void)state;
    struct place *p = place_open(3 * MIB, 64 * MIB);
    struct object *o = open_key(p, "a");
    assert_int_equal(read_range(o, "a", 0, MIB), 0);
    assert_int_equal(fill_wait(o), 0);
    object_unref(o);
    o = open_key(p, "b");
    assert_int_equal(read_range(o, "b", 0, MIB), 0);
    object_unref(o);
    close_cache(p);
    (void)nftw(p->path, zero_start, 16, FTW_PHYS);
    pause_ms(5); /* another millisecond than that of the records */
    open_cache(p);
    o = open_key(p, "b");
    assert_int_equal(fill_wait(o), 0);
    check_file_bytes(o, "b", 3 * MIB);
    assert_true(stat_of(p).damaged > 0);
    object_unref(o);
    place_free(p);
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        count++;
    (void)closedir(d);
    return count;
}

#define MANY 100

/* Aim: files that the kernel reads by itself take no descriptors of the daemon, however many. */
static void test_no_descriptors(void **state)
{
    (void)state;
    struct place *p = place_open(5000, 64 * MIB);
    struct object *objects[MANY];
    char key[16];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(key, sizeof key, "a%d", i);
        AUTO(object) struct object *o = open_key(p, key);
        assert_int_equal(fill_wait(o), 0);
    }
    unsigned before = count_descriptors();
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(key, sizeof key, "a%d", i);
        objects[i] = open_key(p, key);
        check_file_bytes(objects[i], key, 5000);
    }
    assert_true(count_descriptors() < before + MANY / 2);
    for (int i = 0; i < MANY; i++)
        object_unref(objects[i]);
    place_free(p);
}

/* Aim: no new file takes the place of a damaged one that the kernel has, whose next reader would be
 * given the old one: it is mended, or not passed any more. */
static void test_lent_file_stays(void **state)
{
    (void)state;
    struct place *p = place_open(MIB, 64 * MIB);
    struct object *o = open_key(p, "a");
    assert_int_equal(fill_wait(o), 0);
    object_unref(o);
    close_cache(p);
    open_cache(p); /* nobody has the file open but the kernel */
    o = open_key(p, "a");
    int fd = backing_of(o);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(read_range(o, "a", 0, MIB), 0);
    while (stat_of(p).objects)
        pause_ms(1);
    for (int i = 0; i < 20; i++) {
        struct stat st;
        int rc = fill_wait(o);
        assert_true(rc == -ENOSPC || rc == 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_true(!object_is_sealed(o) || st.st_nlink == 1);
        pause_ms(5);
    }
    (void)close(fd);
    do { /* the flusher may have it a moment longer */
        object_unref(o);
        pause_ms(1);
        o = open_key(p, "a");
    } while (fill_wait(o) == -ENOSPC);
    check_file_bytes(o, "a", MIB);
    object_unref(o);
    place_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_zeros_take_no_disk),
        cmocka_unit_test(test_fill_together),
        cmocka_unit_test(test_fill_fails),
        cmocka_unit_test(test_fetch_bytes),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_trains),
        cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_old_bytes),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_lent_file_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
