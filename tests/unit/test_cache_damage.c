/* SPDX-License-Identifier: Apache-2.0 */
/* The object cache after crashes and damage: no byte that is not the store's. */
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/cache_fixture.h"

static void damage_index(struct place *p, int kind)
{
    int fd = openat(p->dirfd, "cache.mdb", O_RDWR);
    struct stat st;
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    char noise[4096];
    unsigned seed = (unsigned)kind;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)(seed = seed * 1103515245 + 12345, seed >> 16);
    if (kind == 0) {
        assert_int_equal(ftruncate(fd, 4096 * 2), 0);
    } else if (kind == 1) {
        assert_int_equal(ftruncate(fd, 100), 0);
    } else if (kind == 2) {
        for (off_t at = 0; at < st.st_size; at += 4096)
            assert_int_equal(pwrite(fd, noise, 4096, at), 4096);
    } else { /* some bytes of some page */
        off_t page = (off_t)(seed >> 8) % (st.st_size / 4096) * 4096;
        size_t n = kind % 3 == 0 ? 4096 : 1 + (size_t)kind % 40;
        off_t at = kind % 2 ? (off_t)(seed >> 4) % 4000 : 0;
        n = n > 4096 - (size_t)at ? 4096 - (size_t)at : n;
        assert_int_equal(pwrite(fd, noise, n, page + at), (ssize_t)n);
    }
    (void)close(fd);
}

/* Aim: a damaged index, whatever the damage, costs requests and no byte. */
static void test_damaged_index(void **state)
{
    (void)state;
    struct place *p = place_open(20000, 64 * MIB);
    for (int kind = 0; kind < 120; kind++) {
        char key[] = {(char)('a' + kind % 26), (char)('a' + kind / 26), '\0'};
        for (int i = 0; i < 30; i++) {
            char more[] = {(char)('A' + i), '\0'};
            if (kind % 10 < 3)
                read_key(p, more);
        }
        read_key(p, key);
        close_cache(p);
        damage_index(p, kind);
        open_cache(p);
        read_key(p, key);
        read_key(p, "A");
    }
    place_free(p);
}

static int cut_to;

static int cut_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    if (type == FTW_F && strstr(path, "/objects/"))
        return cut_to < 0 ? unlink(path) : truncate(path, cut_to);
    return 0;
}

/* Aim: object files that are gone or cut are fetched again: no zeros are served, also not when
 * the file has grown again or the process dies in between. */
static void test_damaged_files(void **state)
{
    (void)state;
    struct place *p = place_open(3 * MIB + 5, 64 * MIB);
    const int cuts[] = {-1, 0, MIB, 3 * MIB};
    for (size_t i = 0; i < 4; i++) {
        for (int while_open = 0; while_open < 2; while_open++) {
            read_key(p, "a");
            close_cache(p);
            cut_to = cuts[i];
            if (!while_open)
                (void)nftw(p->path, cut_one, 16, FTW_PHYS);
            open_cache(p);
            if (while_open) /* after the check at the start */
                (void)nftw(p->path, cut_one, 16, FTW_PHYS);
            struct object *o = open_key(p, "a");
            assert_int_equal(read_range(o, "a", 3 * MIB, 5), 0);
            assert_int_equal(read_range(o, "a", 0, MIB), 0);
            object_unref(o);
            read_key(p, "a");
            close_cache(p);
            open_cache(p);
            read_key(p, "a");
        }
    }
    /* Cut while its file is open. */
    struct object *o = open_key(p, "a");
    assert_int_equal(read_range(o, "a", 0, MIB), 0);
    cut_to = 0;
    (void)nftw(p->path, cut_one, 16, FTW_PHYS);
    assert_int_equal(read_range(o, "a", 2 * MIB, MIB), 0);
    assert_int_equal(read_range(o, "a", 0, MIB), 0);
    object_unref(o);
    read_key(p, "a");
    place_free(p);
}

/* Aim: files that the index does not name are deleted at the start. */
static void test_orphans(void **state)
{
    (void)state;
    struct place *p = place_open(1000, 64 * MIB);
    read_key(p, "a");
    close_cache(p);
    assert_true(mkdirat(p->dirfd, "objects/00", 0700) == 0 || errno == EEXIST);
    const char *names[] = {
        "objects/00/00000000000000000000000000000000000000000000000000000000000000",
        "objects/00/junk"};
    for (size_t i = 0; i < 2; i++) {
        int fd = openat(p->dirfd, names[i], O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    assert_int_equal(disk_use_of(p).count, 3);
    open_cache(p);
    assert_int_equal(disk_use_of(p).count, 1);
    int before = p->fake.requests;
    read_key(p, "a");
    assert_int_equal(p->fake.requests, before);
    place_free(p);
}

/* Reads at random for ever. */
static void reader_process(struct place *p, unsigned seed)
{
    start_threads(p);
    open_cache(p);
    for (;;) {
        seed = seed * 1103515245 + 12345;
        char key[] = {(char)('a' + (seed >> 16) % 4), '\0'};
        struct object *o = open_key(p, key);
        uint64_t offset = (seed >> 4) % (p->fake.size - 1000);
        (void)read_range(o, key, offset, 1000);
        object_unref(o);
        if (seed % 64 == 0) {
            close_cache(p);
            open_cache(p);
        }
    }
}

/* Aim: killed at any moment, the cache opens again, and every byte it serves is the store's. */
static void test_killed(void **state)
{
    (void)state;
    struct place *p = place_new(6 * MIB + 77, 16 * MIB);
    unsigned hits = 0;
    for (unsigned round = 0; round < 50; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            reader_process(p, round + 1);
            _exit(1);
        }
        pause_ms(round * 2654435761U % 97);
        assert_int_equal(kill(child, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        if (round % 5 == 4) {
            start_threads(p);
            open_cache(p);
            for (int i = 0; i < 4; i++) { /* to and fro: what was read last is still there */
                char key[] = {(char)(round % 2 ? 'a' + i : 'd' - i), '\0'};
                read_key(p, key);
            }
            hits += stat_of(p).hit_bytes > 0;
            close_cache(p);
            workers_free(STEAL(p->workers));
            workers_free(STEAL(p->fake.threads));
        }
    }
    assert_true(hits > 0);
    place_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed), /* first: it forks, so no thread may be there */
        cmocka_unit_test(test_damaged_index),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_orphans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
