/* SPDX-License-Identifier: Apache-2.0 */
/* The object cache after crashes and damage: no byte that is not the store's. */
#include <signal.h>
#include <sys/wait.h>

#include "cache/index.h"
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

/* Aim: files that the index does not name are deleted. */
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
    struct cache_report report;
    assert_int_equal(cache_gc(p->cache, &report, NULL), 0); /* the upkeep may be quicker */
    assert_int_equal(disk_use_of(p).count, 1);
    int before = p->fake.requests;
    read_key(p, "a");
    assert_int_equal(p->fake.requests, before);
    place_free(p);
}

/* ---- bytes that are wrong ---- */

enum harm { HARM_FLIP, HARM_ZERO, HARM_SWAP, HARM_SYMLINK, HARM_HARD_LINK, HARM_KINDS };

static enum harm harm_kind;

/* To one file of three granules and more. */
static int harm_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    static char first[GRANULE_BYTES], second[GRANULE_BYTES];
    char aside[256];
    if (type != FTW_F || !strstr(path, "/objects/"))
        return 0;
    (void)snprintf(aside, sizeof aside, "%.200s.aside", path);
    if (harm_kind == HARM_SYMLINK || harm_kind == HARM_HARD_LINK) {
        char outside[] = "/tmp/test_cache_outside.XXXXXX";
        int fd = mkstemp(outside);
        assert_true(fd >= 0 && ftruncate(fd, st->st_size) == 0);
        (void)close(fd);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(harm_kind == HARM_SYMLINK ? symlink(outside, path) : link(outside, path),
                         0);
        return 1;
    }
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, first, sizeof first, 0), sizeof first);
    assert_int_equal(pread(fd, second, sizeof second, GRANULE_BYTES), sizeof second);
    if (harm_kind == HARM_FLIP) {
        first[4711] ^= 8;
        assert_int_equal(pwrite(fd, first, sizeof first, 0), sizeof first);
    } else if (harm_kind == HARM_ZERO) {
        memset(first, 0, sizeof first);
        assert_int_equal(pwrite(fd, first, sizeof first, GRANULE_BYTES), sizeof first);
    } else {
        assert_int_equal(pwrite(fd, first, sizeof first, GRANULE_BYTES), sizeof first);
        assert_int_equal(pwrite(fd, second, sizeof second, 0), sizeof second);
    }
    (void)close(fd);
    return 1;
}

/* Aim: what was changed while nobody looked is never served through the cache, it is counted, and
 * fetched again; a link is not followed, and its target is not written to. */
static void test_wrong_bytes(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2 * HARM_KINDS; kind++) {
        struct place *p = place_open(5 * MIB, 64 * MIB);
        bool whole = kind >= HARM_KINDS;
        struct object *o = open_key(p, "a");
        harm_kind = (enum harm)(kind % HARM_KINDS);
        assert_int_equal(read_range(o, "a", 0, whole ? 5 * MIB : 4 * MIB), 0);
        object_unref(o);
        close_cache(p);
        open_cache(p);
        assert_int_equal(stat_of(p).sealed, whole);
        close_cache(p);
        (void)nftw(p->path, harm_one, 16, FTW_PHYS);
        open_cache(p);
        o = open_key(p, "a");
        assert_int_equal(read_range(o, "a", 10, 4 * MIB - 10), 0);
        assert_true(stat_of(p).damaged > 0);
        object_unref(o);
        read_key(p, "a");
        place_free(p);
    }
}

/* Aim: verify finds what is wrong in sealed and other objects, closed and open, and afterwards the
 * file that the kernel may have open is right again. */
static void test_verify(void **state)
{
    (void)state;
    for (int open = 0; open < 2; open++) {
        struct place *p = place_open(5 * MIB, 64 * MIB);
        struct cache_report report;
        char bytes[GRANULE_BYTES];
        read_key(p, "a");
        close_cache(p);
        harm_kind = HARM_FLIP;
        (void)nftw(p->path, harm_one, 16, FTW_PHYS);
        open_cache(p);
        struct object *o = open ? open_key(p, "a") : NULL;
        AUTO_FD int fd = open ? backing_of(o) : -1;
        assert_int_equal(cache_verify(p->cache, NULL, NULL, &report, NULL), 0);
        assert_true(stat_of(p).damaged == 1); /* by whom: the upkeep may be quicker */
        if (!open)
            assert_int_equal(report.damaged, 1);
        for (bool right = !open; !right;) {
            assert_int_equal(pread(fd, bytes, sizeof bytes, 0), sizeof bytes);
            right = true;
            for (size_t i = 0; i < sizeof bytes; i++)
                right = right && bytes[i] == byte_at(1, "a", i);
        }
        object_unref(o);
        read_key(p, "a");
        assert_int_equal(cache_verify(p->cache, NULL, NULL, &report, NULL), 0);
        assert_int_equal(report.damaged, 0);
        assert_int_equal(report.bytes, 5 * MIB);
        place_free(p);
    }
}

static int take_first(void *arg, const struct segment_id *id, const struct index_record *r)
{
    (void)r;
    *(struct segment_id *)arg = *id;
    return 1;
}

/* As if the only object had been checked so many days ago. */
static void age_record(struct place *p, int days)
{
    struct index *ix = index_open(p->dirfd, p->budget, NULL);
    struct segment_id id;
    struct index_record r;
    AUTO_FREE void *owned = NULL;
    assert_non_null(ix);
    assert_int_equal(index_each(ix, take_first, &id, NULL), 1);
    assert_int_equal(index_find(ix, &id, &r, &owned), 0);
    r.checked_ms -= (int64_t)days * 24 * 3600 * 1000;
    struct index_change change = {.id = id, .record = &r};
    assert_int_equal(index_write(ix, &change, 1, NULL), 0);
    index_close(ix);
}

/* Aim: what nobody opens is checked too, once in a week. */
static void test_scrub(void **state)
{
    (void)state;
    for (int days = 6; days <= 8; days += 2) {
        struct place *p = place_open(5 * MIB, 64 * MIB);
        read_key(p, "a");
        close_cache(p);
        harm_kind = HARM_FLIP;
        (void)nftw(p->path, harm_one, 16, FTW_PHYS);
        age_record(p, days);
        open_cache(p);
        while (days > 7 && stat_of(p).damaged == 0)
            pause_ms(5);
        pause_ms(50);
        assert_int_equal(stat_of(p).damaged, days > 7);
        read_key(p, "a");
        place_free(p);
    }
}

/* Aim: drop leaves nothing but what is open; gc finds records without a file. */
static void test_drop(void **state)
{
    (void)state;
    struct place *p = place_open(100000, 64 * MIB);
    struct cache_report report;
    for (char key[] = "a"; key[0] <= 'z'; key[0]++)
        read_key(p, key);
    close_cache(p);
    open_cache(p);
    struct object *o = open_key(p, "q");
    assert_int_equal(cache_drop(p->cache, &report, NULL), 0);
    assert_int_equal(report.removed, 25);
    assert_int_equal(disk_use_of(p).count, 1);
    assert_int_equal(stat_of(p).objects, 1);
    assert_int_equal(read_range(o, "q", 0, 100000), 0);
    assert_int_equal(p->fake.requests, 26);
    object_unref(o);
    close_cache(p);
    cut_to = -1;
    (void)nftw(p->path, cut_one, 16, FTW_PHYS);
    open_cache(p);
    assert_int_equal(cache_gc(p->cache, &report, NULL), 0);
    assert_int_equal(report.damaged, 1);
    assert_int_equal(stat_of(p).bytes, 0);
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
        cmocka_unit_test(test_damaged_index), cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_orphans),       cmocka_unit_test(test_wrong_bytes),
        cmocka_unit_test(test_verify),        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_scrub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
