/* SPDX-License-Identifier: Apache-2.0 */
/* Files on the local disk: read within a maximum, replaced whole, made with their directories. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/limits.h"
#include "tests/unit/temp_dir.h"

static unsigned names_in(const struct temp_dir *f)
{
    unsigned n = 0;
    DIR *d = opendir(f->path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

/* A file is read whole behind what the buffer holds; an empty one adds nothing. */
static void test_read_appends(void **state)
{
    struct temp_dir *f = *state;
    struct err err = ERR_INIT;
    AUTO(buf) struct buf big = {0}, out = {0};
    buf_init(&big, MIB);
    for (unsigned i = 0; i < 100000; i++)
        buf_add_le64(&big, i);
    assert_int_equal(file_replace(f->dir, "big", buf_slice(&big), 0600, &err), 0);
    assert_int_equal(file_replace(f->dir, "empty", SLICE_NONE, 0600, &err), 0);
    buf_init(&out, MIB);
    buf_add_char(&out, '>');
    assert_int_equal(file_read(f->dir, "empty", &out, &err), 0);
    assert_string_equal(out.data, ">");
    assert_int_equal(file_read(f->dir, "big", &out, &err), 0);
    assert_true(slice_eq(slice_from(buf_slice(&out), 1), buf_slice(&big)));
}

/* A file of exactly the maximum is read; one byte more is too much and told as such. */
static void test_read_within_the_maximum(void **state)
{
    struct temp_dir *f = *state;
    static char data[200001];
    static const size_t maxima[] = {0, 1, 65535, 65536, 65537, 200000};
    for (size_t i = 0; i < ARRAY_SIZE(maxima); i++) {
        struct err err = ERR_INIT;
        size_t max = maxima[i];
        AUTO(buf) struct buf out = {0};
        buf_init(&out, max);
        assert_int_equal(file_replace(f->dir, "x", slice_make(data, max), 0600, &err), 0);
        assert_int_equal(file_read(f->dir, "x", &out, &err), 0);
        assert_int_equal(out.len, max);
        buf_reset(&out);
        assert_int_equal(file_replace(f->dir, "x", slice_make(data, max + 1), 0600, &err), 0);
        assert_int_equal(file_read(f->dir, "x", &out, &err), -EOVERFLOW);
    }
}

/* An absent file is told as such, with its name. */
static void test_absent(void **state)
{
    struct temp_dir *f = *state;
    struct err err = ERR_INIT;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 100);
    assert_int_equal(file_read(f->dir, "absent", &out, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "absent"));
}

/* A replaced file has the new bytes alone, and nothing is left beside it. */
static void test_replace(void **state)
{
    struct temp_dir *f = *state;
    struct err err = ERR_INIT;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 100);
    unsigned before = names_in(f);
    assert_int_equal(file_replace(f->dir, "r", SLICE_LIT("a longer text"), 0600, &err), 0);
    assert_int_equal(file_replace(f->dir, "r", SLICE_LIT("short"), 0600, &err), 0);
    assert_int_equal(file_read(f->dir, "r", &out, &err), 0);
    assert_string_equal(out.data, "short");
    assert_int_equal(names_in(f), before + 1);
    struct stat st;
    assert_int_equal(fstatat(f->dir, "r", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* Where it cannot be replaced, what was there stays and nothing is left beside it. */
static void test_replace_that_fails(void **state)
{
    struct temp_dir *f = *state;
    struct err err = ERR_INIT;
    assert_int_equal(mkdirat(f->dir, "d", 0700), 0);
    unsigned before = names_in(f);
    assert_int_equal(file_replace(f->dir, "d", SLICE_LIT("x"), 0600, &err), -EISDIR);
    assert_non_null(strstr(err.msg, "d: rename"));
    assert_int_equal(names_in(f), before);
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(file_replace(f->dir, name, SLICE_LIT("x"), 0600, &err), -ENAMETOOLONG);
}

/* Bytes at an offset come back, and a file that ends before is an error, not zeros. */
static void test_positions(void **state)
{
    struct temp_dir *f = *state;
    struct err err = ERR_INIT;
    char data[6] = "";
    int fd = -1;
    unsigned before = names_in(f);
    assert_int_equal(file_temporary(f->dir, &fd, &err), 0);
    assert_int_equal(names_in(f), before); /* it has no name */
    assert_int_equal(file_pwrite_full(fd, "hello", 5, 100000, &err), 0);
    assert_int_equal(file_pread_full(fd, data, 5, 100000, &err), 0);
    assert_string_equal(data, "hello");
    assert_int_equal(file_pread_full(fd, data, 6, 100000, &err), -EIO);
    assert_int_equal(file_pread_full(fd, data, 0, 1 << 20, &err), 0);
    (void)close(fd);
}

/* Pieces stand in the file one behind the other, also where a limit of the kernel's cuts a write.
 */
static void test_pieces(void **state)
{
    struct temp_dir *f = *state;
    struct err err = ERR_INIT;
    char data[12] = "";
    const struct iovec pieces[] = {{"one", 3}, {"and", 3}, {"two", 3}};
    AUTO_FD int fd = -1;
    assert_int_equal(file_temporary(f->dir, &fd, &err), 0);
    assert_int_equal(file_pwritev_full(fd, pieces, 3, 70000, &err), 0);
    assert_int_equal(file_pread_full(fd, data, 9, 70000, &err), 0);
    assert_string_equal(data, "oneandtwo");
    /* The limit on a file's size lets a part of it through, and no more. */
    struct rlimit before, now;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    now = (struct rlimit){.rlim_cur = 80004, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
    assert_int_equal(file_pwritev_full(fd, pieces, 3, 80000, &err), -EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    memset(data, 0, sizeof data);
    assert_int_equal(file_pread_full(fd, data, 4, 80000, &err), 0);
    assert_string_equal(data, "onea");
    assert_int_equal(lseek(fd, 0, SEEK_END), 80004);
}

/* Directories are made with those above them; what is there already is no error, unless it is no
 * directory. */
static void test_make_directories(void **state)
{
    struct temp_dir *f = *state;
    struct err err = ERR_INIT;
    char path[128];
    struct stat st;
    static const char *const below[] = {"/m/n/o", "/m/n/o", "/m//p/", "/"};
    for (size_t i = 0; i < ARRAY_SIZE(below); i++) {
        (void)snprintf(path, sizeof path, "%s%s", f->path, below[i]);
        assert_int_equal(file_mkdirs(path, 0700, &err), 0);
        assert_true(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
    }
    assert_int_equal(file_mkdirs("/", 0700, &err), 0);
    assert_int_equal(file_replace(f->dir, "plain", SLICE_LIT("x"), 0600, &err), 0);
    (void)snprintf(path, sizeof path, "%s/plain", f->path);
    assert_int_equal(file_mkdirs(path, 0700, &err), -ENOTDIR);
    (void)snprintf(path, sizeof path, "%s/plain/x", f->path);
    assert_int_equal(file_mkdirs(path, 0700, &err), -ENOTDIR);
    assert_int_equal(file_mkdirs("", 0700, &err), -ENOENT);
}

static struct timespec atime_after_read(int dir)
{
    /* Both far back, and the access before the change: relatime notes the next one. */
    const struct timespec old[] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
    char byte;
    struct stat st;
    AUTO_FD int fd = openat(dir, "read", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(futimens(fd, old), 0);
    assert_int_equal(pread(fd, &byte, 1, 0), 1);
    assert_int_equal(fstat(fd, &st), 0);
    return st.st_atim;
}

/* Who reads through a quiet directory leaves no trace in access times, and meets the same files. */
static void test_quiet_directory(void **state)
{
    struct temp_dir *f = *state;
    struct err err = ERR_INIT;
    assert_int_equal(file_replace(f->dir, "read", SLICE_LIT("x"), 0600, &err), 0);
    AUTO_FD int quiet = file_quiet_dir(f->dir);
    if (geteuid() != 0) {
        assert_int_equal(quiet, -1);
        return;
    }
    assert_true(quiet >= 0);
    assert_int_equal(atime_after_read(quiet).tv_sec, 1000);
    assert_true(atime_after_read(f->dir).tv_sec > 2000);
    assert_int_equal(unlinkat(quiet, "read", 0), 0);
    assert_int_equal(faccessat(f->dir, "read", F_OK, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_appends),
        cmocka_unit_test(test_read_within_the_maximum),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_replace_that_fails),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_make_directories),
        cmocka_unit_test(test_quiet_directory),
    };
    return cmocka_run_group_tests(tests, temp_dir_set_up, temp_dir_tear_down);
}
