/* SPDX-License-Identifier: Apache-2.0 */
/* A cache with a key: nothing readable on the disk, the same bytes to readers, no other key. */
#include "tests/unit/cache_fixture.h"

#include "base/limits.h"

static const uint8_t one_key[32] = "one key of thirty-two bytes.....";
static const uint8_t other_key[32] = "another key of as many bytes....";

static struct place *keyed_open(uint64_t size, uint64_t budget)
{
    struct place *p = place_new(size, budget);
    p->key = one_key;
    start_threads(p);
    open_cache(p);
    return p;
}

static char needle[32];
static unsigned found;

static int search_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    AUTO_FREE char *bytes = malloc((size_t)st->st_size + 1);
    AUTO_FD int fd = type == FTW_F ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || st->st_size == 0)
        return 0;
    assert_non_null(bytes);
    assert_int_equal(file_pread_full(fd, bytes, (size_t)st->st_size, 0, NULL), 0);
    found += memmem(bytes, (size_t)st->st_size, needle, sizeof needle) != NULL;
    return 0;
}

/* How many files below the cache directory have the object's bytes at the offset. */
static unsigned files_with(struct place *p, const char *key, uint64_t offset)
{
    for (size_t i = 0; i < sizeof needle; i++)
        needle[i] = byte_at(1, key, offset + i);
    found = 0;
    (void)nftw(p->path, search_one, 16, FTW_PHYS);
    return found;
}

/* Aim: a reader sees the object, now and after a restart, and the disk does not. */
static void test_nothing_readable(void **state)
{
    (void)state;
    uint64_t size = 5 * MIB + 12345;
    for (int keyed = 0; keyed < 2; keyed++) {
        struct place *p = place_new(size, 64 * MIB);
        p->key = keyed ? one_key : NULL;
        start_threads(p);
        open_cache(p);
        read_key(p, "a");
        int requests = p->fake.requests;
        close_cache(p);
        assert_int_equal(files_with(p, "a", 100), keyed ? 0 : 1); /* the search finds it */
        assert_int_equal(files_with(p, "a", size - 100), keyed ? 0 : 1);
        open_cache(p);
        read_key(p, "a");
        struct object *o = open_key(p, "a");
        for (uint64_t at = 1; at < size; at += 700001)
            assert_int_equal(read_range(o, "a", at, 1234), 0);
        object_unref(o);
        assert_int_equal(p->fake.requests, requests);
        assert_int_equal(stat_of(p).sealed, 1);
        assert_int_equal(stat_of(p).damaged, 0);
        place_free(p);
    }
}

/* Aim: what is encrypted is not given to the kernel to read by itself. */
static void test_no_passthrough(void **state)
{
    (void)state;
    struct place *p = keyed_open(100000, 64 * MIB);
    read_key(p, "a");
    close_cache(p);
    open_cache(p);
    struct object *o = open_key(p, "a");
    assert_true(object_is_sealed(o));
    assert_false(cache_can_pass(p->cache));
    assert_int_equal(backing_of(o), -EOPNOTSUPP);
    object_unref(o);
    place_free(p);
}

static void assert_refused(struct place *p, const uint8_t *key, const char *why)
{
    struct err err = ERR_INIT;
    struct cache_config config = {
        .dirfd = p->dirfd, .size_bytes = p->budget, .workers = p->workers, .key = key};
    assert_null(cache_open(&config, &err));
    assert_int_equal(err.code, EKEYREJECTED);
    assert_non_null(strstr(err.msg, why));
    assert_non_null(strstr(err.msg, "`tarn cache drop`"));
}

/* Aim: a cache is refused with another key than its own, and has lost nothing by that. */
static void test_other_key(void **state)
{
    (void)state;
    struct place *p = keyed_open(3 * MIB, 64 * MIB);
    read_key(p, "a");
    int requests = p->fake.requests;
    close_cache(p);
    assert_refused(p, other_key, "another key");
    assert_refused(p, NULL, "--cache-key-file");
    open_cache(p);
    read_key(p, "a");
    assert_int_equal(p->fake.requests, requests);
    place_free(p);
}

/* Aim: a cache that is not encrypted is refused with a key, until it is empty. */
static void test_key_for_plain_cache(void **state)
{
    (void)state;
    struct place *p = place_open(3 * MIB, 64 * MIB);
    struct cache_report report;
    read_key(p, "a");
    int requests = p->fake.requests;
    close_cache(p);
    assert_refused(p, one_key, "not encrypted");
    open_cache(p);
    read_key(p, "a");
    assert_int_equal(p->fake.requests, requests);
    close_cache(p); /* so that nobody has it open */
    open_cache(p);
    assert_int_equal(cache_drop(p->cache, &report, NULL), 0);
    close_cache(p);
    p->key = one_key;
    open_cache(p);
    read_key(p, "a");
    close_cache(p);
    assert_int_equal(files_with(p, "a", 100), 0);
    open_cache(p);
    place_free(p);
}

/* Aim: an emptied cache takes any key. */
static void test_emptied(void **state)
{
    (void)state;
    struct place *p = keyed_open(3 * MIB, 64 * MIB);
    struct cache_report report;
    read_key(p, "a");
    close_cache(p); /* so that nobody has it open */
    open_cache(p);
    assert_int_equal(cache_drop(p->cache, &report, NULL), 0);
    assert_int_equal(report.removed, 1);
    close_cache(p);
    p->key = other_key;
    open_cache(p);
    read_key(p, "a");
    close_cache(p);
    assert_refused(p, one_key, "another key");
    open_cache(p);
    place_free(p);
}

/* ---- damage ---- */

static bool swap_granules;

static int harm_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    static char first[GRANULE_BYTES], second[GRANULE_BYTES];
    if (type != FTW_F || !strstr(path, "/objects/") || st->st_size < (off_t)(2 * GRANULE_BYTES))
        return 0;
    AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(file_pread_full(fd, first, sizeof first, 0, NULL), 0);
    assert_int_equal(file_pread_full(fd, second, sizeof second, GRANULE_BYTES, NULL), 0);
    if (swap_granules) {
        assert_int_equal(file_pwrite_full(fd, first, sizeof first, GRANULE_BYTES, NULL), 0);
        assert_int_equal(file_pwrite_full(fd, second, sizeof second, 0, NULL), 0);
    } else {
        first[4711] ^= 8;
        assert_int_equal(file_pwrite_full(fd, first, sizeof first, 0, NULL), 0);
    }
    return 1;
}

/* Aim: granules that were changed or moved on the disk are found, counted and fetched again. */
static void test_damage(void **state)
{
    (void)state;
    for (unsigned swap = 0; swap < 2; swap++) {
        struct place *p = keyed_open(3 * MIB, 64 * MIB);
        struct cache_report report;
        read_key(p, "a");
        int requests = p->fake.requests;
        close_cache(p);
        swap_granules = swap;
        assert_int_equal(nftw(p->path, harm_one, 16, FTW_PHYS), 1);
        open_cache(p);
        read_key(p, "a");
        assert_int_equal(stat_of(p).damaged, swap + 1);
        assert_true(p->fake.requests > requests);
        requests = p->fake.requests;
        close_cache(p);
        open_cache(p);
        read_key(p, "a");
        assert_int_equal(cache_verify(p->cache, NULL, NULL, &report, NULL), 0);
        assert_int_equal(report.damaged, 0);
        assert_int_equal(p->fake.requests, requests);
        place_free(p);
    }
}

/* Aim: objects that push each other out come back right: granules are sealed again and again. */
static void test_again_and_again(void **state)
{
    (void)state;
    struct place *p = keyed_open(2 * MIB, 5 * MIB);
    for (unsigned round = 0; round < 4 || stat_of(p).evicted_bytes == 0; round++)
        for (char key[] = "a"; key[0] <= 'f'; key[0]++)
            read_key(p, key);
    assert_int_equal(stat_of(p).damaged, 0);
    place_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_readable), cmocka_unit_test(test_no_passthrough),
        cmocka_unit_test(test_other_key),        cmocka_unit_test(test_key_for_plain_cache),
        cmocka_unit_test(test_emptied),          cmocka_unit_test(test_damage),
        cmocka_unit_test(test_again_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
