/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in the cache directory that the cache has not put there, or not so. */
#include "cache/index.h"
#include "tests/unit/cache_fixture.h"

#define DATA_BYTES (MIB / 4)

/* ---- what the cache says ---- */

static char told[1024];
static int told_count;

static void take_told(void *arg, const char *text)
{
    (void)arg;
    (void)snprintf(told, sizeof told, "%s", text);
    told_count++;
}

static struct cache *try_cache(struct place *p, struct err *err)
{
    struct cache_config config = {.dirfd = p->dirfd,
                                  .size_bytes = p->budget,
                                  .workers = p->workers,
                                  .freeze_after_ms = p->freeze_after_ms,
                                  .tell = take_told};
    told_count = 0;
    *told = '\0';
    return cache_open(&config, err);
}

static void open_telling(struct place *p)
{
    struct err err = ERR_INIT;
    p->cache = try_cache(p, &err);
    if (!p->cache)
        fail_msg("cache_open: %s", err.msg);
}

/* ---- looking at files ---- */

static char found[256];

static int find_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    if (type == FTW_F && strstr(path, "/objects/"))
        (void)snprintf(found, sizeof found, "%s", path);
    return 0;
}

/* The file of the only object. */
static const char *object_file_of(struct place *p)
{
    *found = '\0';
    (void)nftw(p->path, find_one, 16, FTW_PHYS);
    assert_true(*found);
    return found;
}

static void make_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void assert_file(const char *path, const char *text)
{
    char have[64] = "";
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && read(fd, have, sizeof have - 1) >= 0);
    assert_string_equal(have, text);
    (void)close(fd);
}

/* While the files of earlier times are looked through, those of objects stay as they are. */
static void read_until_kept(struct place *p, const char *key)
{
    for (int i = 0; i < 3000 && stat_of(p).objects == 0; i++) {
        read_key(p, key);
        pause_ms(20);
    }
    assert_int_equal(stat_of(p).objects, 1);
}

/* ---- tests ---- */

#define MANY 150

static void open_many(struct place *p, void (*use)(struct place *p, const char *key))
{
    for (int i = 0; i < MANY; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "k%d", i);
        use(p, key);
    }
}

static void touch_key(struct place *p, const char *key)
{
    object_unref(open_key(p, key));
}

static void drop_all(struct place *p)
{
    struct err err = ERR_INIT;
    struct cache_report r;
    assert_int_equal(cache_drop(p->cache, &r, &err), 0);
    assert_int_equal(stat_of(p).objects, 0);
    assert_int_equal(stat_of(p).sealed, 0);
    assert_int_equal(stat_of(p).bytes, 0);
}

/* Aim: objects that wait to be checked and are dropped meanwhile leave neither files nor records,
 * and what is counted stays right. */
static void test_dropped_before_the_check(void **state)
{
    (void)state;
    struct place *p = place_open(DATA_BYTES, 512 * MIB);
    open_many(p, read_key);
    close_cache(p);
    pause_ms(5); /* so that all were checked before the next one began */
    open_cache(p);
    for (int i = 0; i < 4; i++)
        open_many(p, touch_key); /* each of them waits several times */
    drop_all(p);
    pause_ms(2500); /* the checks */
    assert_int_equal(disk_use_of(p).count, 0);
    assert_int_equal(stat_of(p).objects, 0);
    open_many(p, read_key);
    drop_all(p);
    close_cache(p);
    assert_int_equal(disk_use_of(p).count, 0);
    open_cache(p);
    assert_int_equal(stat_of(p).objects, 0);
    place_free(p);
}

/* Aim: what was dropped is counted in objects, however many parts an object has. */
static void test_drop_counts_objects(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct cache_report r;
    struct place *p = place_open(2 * 64 * MIB + 5, 512 * MIB);
    for (char key[2] = "a"; *key < 'f'; ++*key) {
        AUTO(object) struct object *o = open_key(p, key);
        for (uint64_t at = 0; at < p->fake.size; at += 64 * MIB)
            assert_int_equal(read_range(o, key, at, 5), 0);
    }
    assert_int_equal(cache_drop(p->cache, &r, &err), 0);
    assert_int_equal(r.removed, 5);
    assert_int_equal(r.objects, 5);
    assert_int_equal(stat_of(p).objects, 0);
    place_free(p);
}

/* Aim: a directory in place of an object's file is told, and goes; the object is cached again. */
static void test_directory_for_object(void **state)
{
    (void)state;
    for (int full = 0; full < 2; full++) {
        struct err err = ERR_INIT;
        struct cache_report r;
        char inside[300];
        struct stat st;
        struct place *p = place_open(DATA_BYTES, 64 * MIB);
        read_key(p, "a");
        close_cache(p);
        const char *path = object_file_of(p);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkdir(path, 0700), 0);
        (void)snprintf(inside, sizeof inside, "%s/mine", path);
        if (full)
            make_file(inside, "kept");
        open_telling(p);
        read_key(p, "a");
        assert_int_equal(cache_gc(p->cache, &r, &err), 0);
        assert_int_not_equal(stat_of(p).damaged, 0);
        read_until_kept(p, "a");
        assert_int_equal(cache_verify(p->cache, NULL, NULL, &r, &err), 0);
        assert_int_equal(r.damaged, 0);
        int requests = p->fake.requests;
        read_key(p, "a");
        assert_int_equal(p->fake.requests, requests);
        assert_int_equal(stat(path, &st), 0);
        assert_true(S_ISREG(st.st_mode));
        assert_int_equal(told_count, 1);
        assert_non_null(strstr(told, full ? "strays/" : "removed"));
        if (full) {
            (void)snprintf(inside, sizeof inside, "%s/strays/%s.0/mine", p->path,
                           strrchr(path, '/') + 1);
            assert_file(inside, "kept");
        }
        place_free(p);
    }
}

/* Aim: a directory that no record names, where an object's file would be, is no hindrance. */
static void test_directory_without_record(void **state)
{
    (void)state;
    struct place *p = place_open(DATA_BYTES, 64 * MIB);
    struct err err = ERR_INIT;
    struct cache_report r;
    read_key(p, "a");
    close_cache(p);
    open_cache(p);
    const char *path = object_file_of(p);
    assert_int_equal(cache_drop(p->cache, &r, &err), 0);
    read_until_kept(p, "b"); /* in the beginning, others look through the files, too */
    assert_int_equal(cache_drop(p->cache, &r, &err), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(cache_gc(p->cache, &r, &err), 0);
    assert_int_equal(r.removed, 1);
    assert_int_equal(r.damaged, 1);
    assert_int_equal(mkdir(path, 0700), 0);
    read_until_kept(p, "a");
    assert_int_equal(disk_use_of(p).count, 1);
    place_free(p);
}

/* Aim: who left a link where segments are frozen does not have its target written to. */
static void test_link_for_freezing(void **state)
{
    (void)state;
    char target[100], link[100];
    struct place *p = place_new(4 * MIB, 256 * MIB);
    p->freeze_after_ms = 1;
    start_threads(p);
    open_cache(p);
    (void)snprintf(target, sizeof target, "%s/target", p->path);
    (void)snprintf(link, sizeof link, "%s/objects/freezing", p->path);
    make_file(target, "mine");
    assert_int_equal(symlink(target, link), 0);
    read_key(p, "z");
    AWAIT(stat_of(p).frozen == 1);
    assert_file(target, "mine");
    place_free(p);
}

/* Each replaces the index; false: there is nothing to be told of it. */
static void index_cut(const char *path)
{
    assert_int_equal(truncate(path, 5000), 0);
}
static void index_emptied(const char *path)
{
    assert_int_equal(truncate(path, 0), 0);
}
static void index_garbage(const char *path)
{
    make_file(path, "this is no index");
}
static void index_link(const char *path)
{
    char other[200];
    (void)snprintf(other, sizeof other, "%s-other", path);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
}
static void index_fifo(const char *path)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
}
static void index_directory(const char *path)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* Aim: whatever became of the index, the cache opens at once, says so once and counts it. */
static void test_damaged_index_is_told(void **state)
{
    (void)state;
    static void (*const kinds[])(const char *path) = {index_cut,  index_emptied, index_garbage,
                                                      index_link, index_fifo,    index_directory};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        char path[100];
        struct stat st;
        struct place *p = place_open(DATA_BYTES, 64 * MIB);
        read_key(p, "a");
        close_cache(p);
        (void)snprintf(path, sizeof path, "%s/cache.mdb", p->path);
        kinds[i](path);
        open_telling(p);
        assert_int_equal(told_count, 1);
        assert_non_null(strstr(told, "cache.mdb"));
        assert_non_null(strstr(told, "made anew"));
        assert_int_equal(stat_of(p).damaged, 1);
        assert_int_equal(lstat(path, &st), 0);
        assert_true(S_ISREG(st.st_mode));
        read_until_kept(p, "a");
        close_cache(p);
        open_telling(p);
        assert_int_equal(told_count, 0);
        assert_int_equal(stat_of(p).damaged, 0);
        assert_int_equal(stat_of(p).objects, 1);
        place_free(p);
    }
}

/* Aim: a directory with something in it is not ours to remove: the error names it. */
static void test_index_is_full_directory(void **state)
{
    (void)state;
    static const char *const names[] = {"cache.mdb", "cache.mdb-lock"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct err err = ERR_INIT;
        char path[100];
        struct place *p = place_open(DATA_BYTES, 64 * MIB);
        close_cache(p);
        (void)snprintf(path, sizeof path, "%s/%s", p->path, names[i]);
        (void)unlink(path);
        assert_int_equal(mkdir(path, 0700), 0);
        (void)snprintf(path, sizeof path, "%s/%s/mine", p->path, names[i]);
        make_file(path, "mine");
        assert_null(try_cache(p, &err));
        assert_int_equal(err.code, ENOTEMPTY);
        assert_non_null(strstr(err.msg, names[i]));
        assert_file(path, "mine");
        place_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drop_counts_objects),
        cmocka_unit_test(test_dropped_before_the_check),
        cmocka_unit_test(test_directory_for_object),
        cmocka_unit_test(test_directory_without_record),
        cmocka_unit_test(test_link_for_freezing),
        cmocka_unit_test(test_damaged_index_is_told),
        cmocka_unit_test(test_index_is_full_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
