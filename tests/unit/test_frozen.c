/* SPDX-License-Identifier: Apache-2.0 */
/* The frozen form: every block comes back, `zstd -d` reads it, damage is refused within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/limits.h"
#include "cache/frozen.h"

#define TABLE_BYTES(blocks) (8 + 8 * (blocks) + 9)

extern char **environ;

/* Text of few words, or bytes that do not compress. */
static void fill(char *bytes, size_t n, bool text)
{
    uint64_t x = 0x2545f4914f6cdd1d;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes[i] = text ? (char)('a' + (x & 3)) : (char)x;
    }
}

static int memory_file(const void *bytes, size_t n)
{
    int fd = memfd_create("frozen", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(file_pwrite_full(fd, bytes, n, 0, NULL), 0);
    return fd;
}

static uint64_t length_of(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return (uint64_t)st.st_size;
}

/* The frozen form of n bytes, as a file. */
static int freeze(const char *bytes, size_t n)
{
    struct err err = ERR_INIT;
    AUTO_FD int plain = memory_file(bytes, n);
    int fd = memory_file("", 0);
    uint64_t written = 0;
    struct frozen_source from = {.fd = plain, .size = n};
    assert_int_equal(frozen_write(&from, fd, &written, &err), 0);
    assert_int_equal(written, length_of(fd));
    return fd;
}

static size_t blocks_in(size_t n)
{
    return (n + BLOCK_BYTES - 1) / BLOCK_BYTES;
}

static size_t length_at(size_t n, size_t block)
{
    size_t left = n - block * BLOCK_BYTES;
    return left < BLOCK_BYTES ? left : BLOCK_BYTES;
}

static void assert_thaws(int fd, const char *bytes, size_t n)
{
    struct err err = ERR_INIT;
    AUTO(frozen) struct frozen *f = frozen_open(fd, n, &err);
    assert_string_equal(err.msg, "");
    assert_non_null(f);
    for (size_t i = blocks_in(n); i-- > 0;) { /* not in the order of writing */
        size_t length = length_at(n, i);
        AUTO_FREE char *to = malloc(length); /* of that length, for the sanitizers */
        assert_non_null(to);
        assert_int_equal(frozen_read(f, i, to, length, &err), 0);
        assert_memory_equal(to, bytes + i * BLOCK_BYTES, length);
    }
}

/* `zstd -d` of the file, into one without a name. */
static int unpack(int fd)
{
    posix_spawn_file_actions_t actions;
    char *argv[] = {"zstd", "-q", "-d", "-c", NULL};
    pid_t pid;
    int status, out = memory_file("", 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fd, 0), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, out, 1), 0);
    assert_int_equal(posix_spawnp(&pid, "zstd", &actions, NULL, argv, environ), 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return out;
}

static const size_t sizes[] = {0,
                               1,
                               4096,
                               BLOCK_BYTES - 1,
                               BLOCK_BYTES,
                               BLOCK_BYTES + 1,
                               5 * BLOCK_BYTES,
                               5 * BLOCK_BYTES + 123456};

/* Aim: objects of all sizes come back block by block, whether they compress or not. */
static void test_round_trip(void **state)
{
    (void)state;
    AUTO_FREE char *bytes = malloc(6 * BLOCK_BYTES);
    assert_non_null(bytes);
    for (unsigned text = 0; text < 2; text++)
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
            fill(bytes, sizes[i], text);
            AUTO_FD int fd = freeze(bytes, sizes[i]);
            assert_thaws(fd, bytes, sizes[i]);
            if (text && sizes[i] >= BLOCK_BYTES)
                assert_true(length_of(fd) < sizes[i] / 2);
        }
}

/* Aim: the command zstd gives the object back without us. */
static void test_zstd_reads_it(void **state)
{
    (void)state;
    AUTO_FREE char *bytes = malloc(6 * BLOCK_BYTES), *got = malloc(6 * BLOCK_BYTES);
    assert_true(bytes && got);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        fill(bytes, sizes[i], true);
        AUTO_FD int fd = freeze(bytes, sizes[i]);
        AUTO_FD int out = unpack(fd);
        assert_int_equal(length_of(out), sizes[i]);
        assert_int_equal(file_pread_full(out, got, sizes[i], 0, NULL), 0);
        assert_memory_equal(got, bytes, sizes[i]);
    }
}

/* Aim: the seek table is where others look for it, in the public format's bytes. */
static void test_format(void **state)
{
    (void)state;
    AUTO_FREE char *bytes = calloc(1, BLOCK_BYTES + 5);
    assert_non_null(bytes);
    AUTO_FD int fd = freeze(bytes, BLOCK_BYTES + 5);
    uint32_t t[6], foot;
    char tail[TABLE_BYTES(2)];
    uint64_t n = length_of(fd);
    assert_int_equal(file_pread_full(fd, tail, sizeof tail, (off_t)(n - sizeof tail), NULL), 0);
    memcpy(t, tail, sizeof t);
    assert_int_equal(t[0], 0x184D2A5E);
    assert_int_equal(t[1], sizeof tail - 8);
    assert_int_equal(t[2] + t[4] + sizeof tail, n);
    assert_int_equal(t[3], BLOCK_BYTES);
    assert_int_equal(t[5], 5);
    memcpy(&foot, tail + sizeof t, sizeof foot);
    assert_int_equal(foot, 2);
    assert_int_equal(tail[28], 0);
    memcpy(&foot, tail + 29, sizeof foot);
    assert_int_equal(foot, 0x8F92EAB1);
}

static void assert_refused(int fd, uint64_t size)
{
    struct err err = ERR_INIT;
    assert_null(frozen_open(fd, size, &err));
    assert_int_equal(err.code, EBADMSG);
}

/* Aim: the frozen form of another object, a cut or a lengthened one is refused. */
static void test_other_file(void **state)
{
    (void)state;
    size_t n = 2 * BLOCK_BYTES + 1000;
    AUTO_FREE char *bytes = malloc(n);
    assert_non_null(bytes);
    fill(bytes, n, true);
    AUTO_FD int fd = freeze(bytes, n);
    uint64_t whole = length_of(fd);
    assert_refused(fd, n - 1);
    assert_refused(fd, n + BLOCK_BYTES);
    assert_refused(fd, 0);
    assert_int_equal(ftruncate(fd, (off_t)whole - 1), 0);
    assert_refused(fd, n);
    assert_int_equal(ftruncate(fd, (off_t)whole), 0); /* a zero where a byte was */
    assert_refused(fd, n);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_refused(fd, n);
    assert_refused(fd, 0);
}

/* Aim: a size that no file could hold the table of is refused before memory is taken for it. */
static void test_impossible_size(void **state)
{
    (void)state;
    AUTO_FD int fd = freeze("x", 1);
    assert_refused(fd, FROZEN_PLAIN_BYTES_MAX);
    assert_refused(fd, FROZEN_PLAIN_BYTES_MAX + 1);
    assert_refused(fd, UINT64_MAX);
    struct err err = ERR_INIT;
    uint64_t written;
    struct frozen_source from = {.fd = fd, .size = FROZEN_PLAIN_BYTES_MAX + 1};
    assert_int_equal(frozen_write(&from, fd, &written, &err), -EFBIG);
}

/* Aim: each flipped bit of the seek table is refused, or means nothing (the unused two). */
static void test_flipped_table(void **state)
{
    (void)state;
    size_t n = 2 * BLOCK_BYTES + 1000;
    AUTO_FREE char *bytes = malloc(n);
    assert_non_null(bytes);
    fill(bytes, n, true);
    AUTO_FD int fd = freeze(bytes, n);
    uint64_t table = length_of(fd) - TABLE_BYTES(3);
    unsigned opened = 0;
    for (unsigned bit = 0; bit < 8 * TABLE_BYTES(3); bit++) {
        off_t at = (off_t)(table + bit / 8);
        uint8_t before, after;
        assert_int_equal(file_pread_full(fd, &before, 1, at, NULL), 0);
        after = before ^ (uint8_t)(1 << bit % 8);
        assert_int_equal(file_pwrite_full(fd, &after, 1, at, NULL), 0);
        AUTO(frozen) struct frozen *f = frozen_open(fd, n, NULL);
        opened += f != NULL;
        assert_int_equal(file_pwrite_full(fd, &before, 1, at, NULL), 0);
    }
    assert_int_equal(opened, 2);
    assert_thaws(fd, bytes, n);
}

/* Aim: sizes in the table that move between blocks do not lead a reader outside of its room. */
static void test_moved_sizes(void **state)
{
    (void)state;
    size_t n = 2 * BLOCK_BYTES;
    AUTO_FREE char *bytes = malloc(n);
    AUTO_FREE char *to = malloc(BLOCK_BYTES);
    assert_true(bytes && to);
    fill(bytes, n, true);
    AUTO_FD int fd = freeze(bytes, n);
    off_t table = (off_t)(length_of(fd) - TABLE_BYTES(2));
    uint32_t entry[4];
    assert_int_equal(file_pread_full(fd, entry, sizeof entry, table + 8, NULL), 0);
    entry[0] -= 10;
    entry[2] += 10;
    assert_int_equal(file_pwrite_full(fd, entry, sizeof entry, table + 8, NULL), 0);
    AUTO(frozen) struct frozen *f = frozen_open(fd, n, NULL);
    assert_non_null(f); /* the sums are right */
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(frozen_read(f, i, to, BLOCK_BYTES, NULL), -EBADMSG);
}

struct looked {
    unsigned blocks;
    int end_with;
    const char *bytes;
};

static int look(void *arg, uint64_t block, const void *bytes, size_t n, struct err *err)
{
    struct looked *l = arg;
    assert_int_equal(block, l->blocks++);
    assert_memory_equal(bytes, l->bytes + block * BLOCK_BYTES, n);
    return block == 1 && l->end_with ? err_set(err, l->end_with, "enough") : 0;
}

/* Aim: whoever freezes sees each block first and may end it there. */
static void test_look(void **state)
{
    (void)state;
    size_t n = 2 * BLOCK_BYTES + 1;
    AUTO_FREE char *bytes = malloc(n);
    assert_non_null(bytes);
    fill(bytes, n, true);
    AUTO_FD int plain = memory_file(bytes, n), out = memory_file("", 0);
    struct err err = ERR_INIT;
    struct looked l = {.bytes = bytes};
    struct frozen_source from = {.fd = plain, .size = n, .look = look, .arg = &l};
    uint64_t written = 42;
    assert_int_equal(frozen_write(&from, out, &written, &err), 0);
    assert_int_equal(l.blocks, 3);
    assert_thaws(out, bytes, n);
    l = (struct looked){.bytes = bytes, .end_with = ECANCELED};
    written = 42;
    assert_int_equal(frozen_write(&from, out, &written, &err), -ECANCELED);
    assert_int_equal(l.blocks, 2);
    assert_int_equal(written, 42);
}

/* Aim: a part in the middle of an object is frozen and judged by itself. */
static void test_part(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    size_t at = 2 * BLOCK_BYTES + 4096, n = BLOCK_BYTES + 77, whole = 5 * BLOCK_BYTES;
    AUTO_FREE char *bytes = malloc(whole);
    assert_non_null(bytes);
    fill(bytes, whole, false);
    fill(bytes + at, n, true);
    AUTO_FD int plain = memory_file(bytes, whole), out = memory_file("", 0);
    struct frozen_source from = {.fd = plain, .offset = at, .size = n};
    uint64_t written = 0;
    bool worth = false;
    assert_int_equal(frozen_worth(&from, &worth, &err), 0);
    assert_true(worth);
    assert_int_equal(frozen_write(&from, out, &written, &err), 0);
    assert_thaws(out, bytes + at, n);
    from.offset = 0;
    assert_int_equal(frozen_worth(&from, &worth, &err), 0);
    assert_false(worth);
}

/* Aim: the parts of an object one after the other are the object to the command zstd. */
static void test_zstd_reads_parts(void **state)
{
    (void)state;
    size_t first = 2 * BLOCK_BYTES, second = 12345, n = first + second;
    AUTO_FREE char *bytes = malloc(n), *got = malloc(n);
    assert_true(bytes && got);
    fill(bytes, n, true);
    AUTO_FD int a = freeze(bytes, first), b = freeze(bytes + first, second);
    uint64_t end = length_of(a), more = length_of(b);
    assert_true(more < n);
    assert_int_equal(file_pread_full(b, got, more, 0, NULL), 0);
    assert_int_equal(file_pwrite_full(a, got, more, (off_t)end, NULL), 0);
    AUTO_FD int out = unpack(a);
    assert_int_equal(length_of(out), n);
    assert_int_equal(file_pread_full(out, got, n, 0, NULL), 0);
    assert_memory_equal(got, bytes, n);
}

/* Aim: who has room for so much only is not given more. */
static void test_maximum(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    size_t n = 3 * BLOCK_BYTES;
    uint64_t written = 0;
    AUTO_FREE char *bytes = malloc(n);
    assert_non_null(bytes);
    fill(bytes, n, true);
    AUTO_FD int plain = memory_file(bytes, n), out = memory_file("", 0), again = memory_file("", 0);
    struct frozen_source from = {.fd = plain, .size = n};
    assert_int_equal(frozen_write(&from, out, &written, &err), 0);
    from.bytes_max = written;
    assert_int_equal(frozen_write(&from, again, &written, &err), 0);
    from.bytes_max = written - 1;
    assert_int_equal(ftruncate(again, 0), 0);
    assert_int_equal(frozen_write(&from, again, &written, &err), -EFBIG);
    assert_true(length_of(again) < written);
}

/* Aim: an object that has lost bytes, and a full disk, are errors. */
static void test_io_errors(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint64_t written = 42;
    bool worth = true;
    AUTO_FD int plain = memory_file("short", 5), out = memory_file("", 0);
    AUTO_FD int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct frozen_source from = {.fd = plain, .size = 6};
    assert_int_equal(frozen_write(&from, out, &written, &err), -EIO);
    assert_int_equal(frozen_worth(&from, &worth, &err), -EIO);
    assert_true(worth);
    from.size = 5;
    assert_int_equal(frozen_write(&from, full, &written, &err), -ENOSPC);
    assert_int_equal(written, 42);
}

static bool is_worth(const char *bytes, size_t n)
{
    struct err err = ERR_INIT;
    AUTO_FD int fd = memory_file(bytes, n);
    struct frozen_source from = {.fd = fd, .size = n};
    bool worth = false;
    assert_int_equal(frozen_worth(&from, &worth, &err), 0);
    return worth;
}

/* Aim: what compresses to less than 80 % is worth it; noise, and what fits a page, is not. */
static void test_worth(void **state)
{
    (void)state;
    size_t n = 5 * BLOCK_BYTES + 1000;
    AUTO_FREE char *bytes = malloc(n);
    assert_non_null(bytes);
    fill(bytes, n, true);
    assert_true(is_worth(bytes, n));
    assert_true(is_worth(bytes, 110 * 1000));
    assert_false(is_worth(bytes, 4096)); /* a page is a page */
    assert_false(is_worth(bytes, 0));
    fill(bytes, n, false);
    assert_false(is_worth(bytes, n));
    fill(bytes, n * 15 / 100, true); /* 15 % of it goes to a quarter: 89 % stay */
    assert_false(is_worth(bytes, n));
    fill(bytes, n * 40 / 100, true); /* 70 % stay */
    assert_true(is_worth(bytes, n));
}

/* Aim: a large object is judged by blocks from all over it, not by its start or its end. */
static void test_worth_samples(void **state)
{
    (void)state;
    size_t part = 20 * BLOCK_BYTES, n = 3 * part;
    AUTO_FREE char *bytes = malloc(n);
    assert_non_null(bytes);
    fill(bytes, n, false);
    fill(bytes, part / 10, true);
    fill(bytes + n - part / 10, part / 10, true);
    assert_false(is_worth(bytes, n));
    fill(bytes + part, part, true); /* the middle third */
    assert_true(is_worth(bytes, n));
}

/* Pages of the file that are in the page cache. */
static size_t resident(int fd, size_t n)
{
    unsigned char pages[1024];
    size_t count = 0;
    void *map = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED && n / 4096 <= sizeof pages);
    assert_int_equal(mincore(map, n, pages), 0);
    for (size_t i = 0; i < n / 4096; i++)
        count += pages[i] & 1;
    (void)munmap(map, n);
    return count;
}

/* Aim: looking at a cold object leaves it cold, and at a warm one leaves it warm. */
static void test_page_cache(void **state)
{
    (void)state;
    char path[] = "/var/tmp/tarn-frozen-XXXXXX";
    size_t n = 4 * BLOCK_BYTES;
    bool worth;
    AUTO_FREE char *bytes = malloc(n);
    AUTO_FD int fd = mkstemp(path);
    assert_true(bytes && fd >= 0);
    assert_int_equal(unlink(path), 0);
    fill(bytes, n, true);
    assert_int_equal(file_pwrite_full(fd, bytes, n, 0, NULL), 0);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    if (resident(fd, n))
        skip(); /* a filesystem in memory has nothing else */
    struct frozen_source from = {.fd = fd, .size = n};
    assert_int_equal(frozen_worth(&from, &worth, NULL), 0);
    assert_true(resident(fd, n) < n / 4096 / 8);
    assert_int_equal(file_pread_full(fd, bytes, n, 0, NULL), 0);
    assert_int_equal(frozen_worth(&from, &worth, NULL), 0);
    assert_int_equal(resident(fd, n), n / 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_zstd_reads_it),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_other_file),
        cmocka_unit_test(test_impossible_size),
        cmocka_unit_test(test_flipped_table),
        cmocka_unit_test(test_moved_sizes),
        cmocka_unit_test(test_look),
        cmocka_unit_test(test_part),
        cmocka_unit_test(test_zstd_reads_parts),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_io_errors),
        cmocka_unit_test(test_worth),
        cmocka_unit_test(test_worth_samples),
        cmocka_unit_test(test_page_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
