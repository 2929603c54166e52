/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that dies under what is mapped from it, as a file that is cut short: an error each time,
 * and the process goes on. */
#include <signal.h>
#include <unistd.h>

#include "base/guard.h"
#include "cache/index.h"
#include "tests/unit/index_fixture.h"

#define FILES 20000

/* What LMDB holds when it is left in the middle is given up on purpose. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:mdb_";
}

/* cmocka sets handlers of its own before each test. */
static struct sigaction ours;

static void take_signal(void)
{
    assert_int_equal(sigaction(SIGBUS, &ours, NULL), 0);
}

static void cut(int dirfd, const char *name, off_t length)
{
    AUTO_FD int fd = openat(dirfd, name, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, length), 0);
}

static struct run *make_run(int dirfd)
{
    struct err err = ERR_INIT;
    struct run *r = NULL;
    struct index_build *b = index_build_new(dirfd, &err);
    for (int i = 0; i < FILES; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "d%d/f%d", i % 3, i);
        fixture_add(b, name, name, name, 1, 0);
    }
    assert_int_equal(index_build_base(b, "base", SLICE_NONE, &err), 0);
    index_build_free(b);
    assert_int_equal(run_open(dirfd, "base", &r, &err), 0);
    return r;
}

/* Every answer of an index of files is damage from then on, also of pages that were read before. */
static void test_run(void **state)
{
    (void)state;
    take_signal();
    struct err err = ERR_INIT;
    char dir[32];
    int fd = fixture_dir(dir);
    AUTO(run) struct run *r = make_run(fd);
    AUTO(buf) struct buf scratch = {0};
    buf_init(&scratch, 1000);
    struct entry e;
    assert_int_equal(run_file(r, 0, &scratch, &e, NULL, &err), 0);
    cut(fd, "base", 0);
    assert_false(run_lost(r));
    assert_int_equal(run_file(r, FILES - 1, &scratch, &e, NULL, &err), -EUCLEAN);
    assert_true(run_lost(r));
    assert_int_equal(run_file(r, 0, &scratch, &e, NULL, &err), -EUCLEAN);
    uint32_t ignored;
    assert_int_equal(run_find_file(r, 1, SLICE_LIT("f0"), &ignored, &err), -EUCLEAN);
    fixture_dir_done(fd, dir);
}

/* Functions that cannot fail answer something, and the run says that it is not to be believed. */
static void test_keys(void **state)
{
    (void)state;
    take_signal();
    struct err err = ERR_INIT;
    char dir[32];
    int fd = fixture_dir(dir);
    AUTO(run) struct run *r = make_run(fd);
    uint32_t first, count;
    assert_int_equal(run_check_keys(r, &err), 0);
    cut(fd, "base", 0);
    run_find_key(r, 1, &first, &count);
    assert_true(run_lost(r));
    fixture_dir_done(fd, dir);
}

static int count_records(void *arg, const struct segment_id *id, const struct index_record *r)
{
    (void)id;
    (void)r;
    ++*(int *)arg;
    return 0;
}

static struct segment_id segment(int i)
{
    struct segment_id id = {.number = 0};
    id.object.bytes[0] = (uint8_t)(i % 128);
    id.object.bytes[1] = (uint8_t)(i / 128);
    return id;
}

static void fill(struct index *ix)
{
    static const uint8_t present = 1, checks[4] = {1, 2, 3, 4};
    struct err err = ERR_INIT;
    struct index_record r = {
        .size = 100, .check_bytes = sizeof checks, .present = &present, .checks = checks};
    for (int i = 0; i < 2000; i++) {
        struct index_change change = {.id = segment(i), .record = &r};
        assert_int_equal(index_write(ix, &change, 1, &err), 0);
    }
}

static void check_dead(struct index *ix, int dirfd)
{
    struct err err = ERR_INIT;
    struct index_record r;
    struct segment_id id = segment(7);
    void *owned = NULL;
    int seen = 0;
    assert_int_equal(index_head(ix, &id, &r), 0);
    cut(dirfd, "cache.mdb", 0);
    assert_int_equal(index_head(ix, &id, &r), -EIO);
    assert_true(index_is_blind(ix));
    assert_int_equal(index_find(ix, &id, &r, &owned), -EIO);
    assert_int_equal(index_each(ix, count_records, &seen, &err), 0);
    assert_int_equal(seen, 0);
    struct index_change gone = {.id = id};
    assert_int_equal(index_write(ix, &gone, 1, &err), -EIO);
}

/* The cache's index is blind from then on, and is made anew when it is opened next. */
static void test_index(void **state)
{
    (void)state;
    take_signal();
    struct err err = ERR_INIT;
    char dir[32];
    struct index_record r;
    struct segment_id id = segment(7);
    int fd = fixture_dir(dir);
    struct index *ix = index_open(fd, 1 << 20, &err);
    assert_non_null(ix);
    fill(ix);
    check_dead(ix, fd);
    index_close(ix);
    ix = index_open(fd, 1 << 20, &err);
    assert_non_null(ix);
    assert_false(index_is_blind(ix));
    assert_int_equal(index_head(ix, &id, &r), -ENOENT);
    index_close(ix);
    (void)unlinkat(fd, "cache.mdb", 0);
    (void)unlinkat(fd, "cache.mdb-lock", 0);
    fixture_dir_done(fd, dir);
}

/* So it is where the walk through all records is what meets it, or a write. */
static void test_index_walk(void **state)
{
    (void)state;
    take_signal();
    for (int write = 0; write < 2; write++) {
        struct err err = ERR_INIT;
        char dir[32];
        int seen = 0, fd = fixture_dir(dir);
        struct index *ix = index_open(fd, 1 << 20, &err);
        struct index_change gone = {.id = segment(7)};
        assert_non_null(ix);
        fill(ix);
        cut(fd, "cache.mdb", 0);
        if (write)
            assert_int_equal(index_write(ix, &gone, 1, &err), -EIO);
        else
            assert_int_equal(index_each(ix, count_records, &seen, &err), -EIO);
        assert_true(index_is_blind(ix));
        index_close(ix);
        (void)unlinkat(fd, "cache.mdb", 0);
        (void)unlinkat(fd, "cache.mdb-lock", 0);
        fixture_dir_done(fd, dir);
    }
}

static void nothing(void *arg)
{
    (void)arg;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_run), cmocka_unit_test(test_keys),
                                       cmocka_unit_test(test_index),
                                       cmocka_unit_test(test_index_walk)};
    if (guard_run(nothing, NULL, NULL) < 0 || sigaction(SIGBUS, NULL, &ours) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
