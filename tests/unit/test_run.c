/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/index_fixture.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "lake/index/run_private.h"

static void make_runs(int fd)
{
    struct err err = ERR_INIT;
    char path[300], long_name[260];
    memset(long_name, 'l', 250);
    long_name[250] = '\0';
    struct index_build *b = index_build_new(fd, &err);
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(path, sizeof path, "d%u/e/%s%u", i % 5, i % 50 ? "f" : long_name, i);
        fixture_add(b, path, i % 3 ? path : "s3://elsewhere/x", path, i, 0);
    }
    fixture_add(b, "top", "s3://one", "top1", 1, ENTRY_BUILT);
    fixture_add(b, "top", "s3://two", "top2", 1, ENTRY_BUILT);
    assert_int_equal(index_build_base(b, "base", SLICE_LIT("{\"meta\":1}"), &err), 0);
    index_build_free(b);
    AUTO(run) struct run *base = NULL;
    assert_int_equal(run_open(fd, "base", &base, &err), 0);
    b = index_build_new(fd, &err);
    fixture_remove(b, "d1/e/f1");
    fixture_remove(b, "d2/e/f2");
    fixture_add(b, "d1/n", "d1/n", "n", 1, 0);
    fixture_add(b, "new/n", "new/n", "nn", 1, 0);
    assert_int_equal(index_build_patch(b, base, "patch", SLICE_LIT("{}"), &err), 0);
    index_build_free(b);
}

static int read_dirs(const struct run *r, struct buf *out, struct err *err)
{
    for (uint32_t i = 0; i < run_dirs(r); i++) {
        struct run_dir d;
        uint32_t found = 0;
        int rc = run_dir(r, i, &d, err);
        if (rc == 0 && i)
            rc = run_find_dir(r, d.parent, d.name, &found, err);
        if (rc < 0)
            return rc;
        buf_addf(out, "%u %u %.*s %u %u %u %u %u; %u %u %u\n", found, d.parent, SLICE_FMT(d.name),
                 d.first_dir, d.dirs, d.first_file, d.files, d.subtree_files,
                 run_removed_below(r, i), run_twin_in_patch(r, i), run_twin_in_base(r, i));
    }
    return 0;
}

static int read_files(const struct run *r, struct buf *out, struct err *err)
{
    AUTO(run_cursor) struct run_cursor c;
    AUTO(buf) struct buf scratch;
    buf_init(&scratch, 1 << 20);
    int rc = run_cursor_init(&c, r, 0, err);
    struct entry e, again;
    while (rc >= 0 && (rc = run_cursor_next(&c, &e, err)) == 1) {
        uint32_t found, dir, ordinal = c.ordinal - 1;
        rc = run_find_file(r, c.dir, text_basename(e.path), &found, err);
        if (rc == 0)
            rc = run_file(r, found, &scratch, &again, &dir, err);
        if (rc < 0)
            return rc;
        buf_addf(out, "%u %u %u %.*s %.*s %llu %lld %lld %u %d\n", ordinal, found, dir,
                 SLICE_FMT(again.path), SLICE_FMT(e.raw), (unsigned long long)e.size,
                 (long long)e.mtime_ms, (long long)e.version, e.flags, run_removed(r, ordinal));
    }
    return rc;
}

static int read_keys(const struct run *r, struct buf *out, struct err *err)
{
    int rc = run_check_keys(r, err);
    for (unsigned i = 0; rc == 0 && i < 300; i++) {
        char key[32];
        uint32_t first, count;
        (void)snprintf(key, sizeof key, "d%u/e/f%u", i % 5, i);
        run_find_key(r, hash64(0, slice_of(key)), &first, &count);
        buf_addf(out, "%u %u %u\n", first, count,
                 count ? run_key_at(r, first).ordinal & RUN_KEY_ORDINAL : 0);
    }
    return rc;
}

/* Everything that a run tells, as text. */
static int read_all(int fd, const char *name, struct buf *out)
{
    struct err err = ERR_INIT;
    AUTO(run) struct run *r = NULL;
    buf_reset(out);
    int rc = run_open(fd, name, &r, &err);
    if (rc == 0) {
        buf_addf(out, "%u %llu %llu %u %.*s\n", run_files(r), (unsigned long long)run_bytes(r),
                 (unsigned long long)run_removed_bytes(r), run_removed_files(r),
                 SLICE_FMT(run_meta(r)));
        rc = read_dirs(r, out, &err);
    }
    if (rc == 0)
        rc = read_files(r, out, &err);
    return rc < 0 ? rc : read_keys(r, out, &err);
}

/* Of the flips behind the header: each byte alone takes minutes under a sanitizer. Odd, so that
 * every bit has its turn. */
#define STRIDE 7

static void damage(int fd, const char *name)
{
    struct err err = ERR_INIT;
    AUTO(buf) struct buf bytes;
    AUTO(buf) struct buf good;
    AUTO(buf) struct buf bad;
    buf_init(&bytes, 1 << 20);
    buf_init(&good, 1 << 20);
    buf_init(&bad, 1 << 20);
    assert_int_equal(read_all(fd, name, &good), 0);
    assert_int_equal(file_read(fd, name, &bytes, &err), 0);
    AUTO_FD int out = openat(fd, "broken", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(file_pwrite_full(out, bytes.data, bytes.len, 0, &err), 0);
    unsigned told = 0;
    for (size_t i = 0; i < bytes.len; i += i < RUN_PAGE_BYTES ? 1 : STRIDE) {
        char flipped = (char)(bytes.data[i] ^ (1 << i % 8));
        assert_int_equal(file_pwrite_full(out, &flipped, 1, (off_t)i, &err), 0);
        int rc = read_all(fd, "broken", &bad);
        assert_true(rc == -EUCLEAN || rc == 0);
        assert_true(rc < 0 || slice_eq(buf_slice(&good), buf_slice(&bad)));
        told += rc < 0;
        assert_int_equal(file_pwrite_full(out, bytes.data + i, 1, (off_t)i, &err), 0);
    }
    printf("%s: %u of %zu flips were seen\n", name, told, bytes.len);
    for (size_t length = 0; length < bytes.len; length += 1000) {
        assert_int_equal(ftruncate(out, (off_t)length), 0);
        assert_int_equal(read_all(fd, "broken", &bad), -EUCLEAN);
        assert_int_equal(file_pwrite_full(out, bytes.data, bytes.len, 0, &err), 0);
    }
}

/* Any flipped bit and any cut gives -EUCLEAN or the same answers. */
static void test_damage(void **state)
{
    (void)state;
    char dir[32];
    int fd = fixture_dir(dir);
    make_runs(fd);
    damage(fd, "base");
    damage(fd, "patch");
    fixture_dir_done(fd, dir);
}

/* Ordinals are in the order of directories, and the table's own files come first. */
static void test_order(void **state)
{
    (void)state;
    static const char *const paths[] = {"t",     "z",    "a/f",   "a/x/f",
                                        "a/x/g", "a-/f", "a.b/f", "b/c/d"};
    struct err err = ERR_INIT;
    char dir[32];
    int fd = fixture_dir(dir);
    struct index_build *b = index_build_new(fd, &err);
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        fixture_add(b, paths[i * 5 % 8], paths[i * 5 % 8], paths[i * 5 % 8], 1, 0);
    assert_int_equal(index_build_base(b, "base", SLICE_NONE, &err), 0);
    index_build_free(b);
    AUTO(run) struct run *r = NULL;
    AUTO(buf) struct buf scratch;
    buf_init(&scratch, 100);
    assert_int_equal(run_open(fd, "base", &r, &err), 0);
    assert_int_equal(run_files(r), ARRAY_SIZE(paths));
    for (uint32_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct entry e;
        assert_int_equal(run_file(r, i, &scratch, &e, NULL, &err), 0);
        assert_true(slice_is(e.path, paths[i]));
    }
    struct run_dir d;
    assert_int_equal(run_dir(r, 0, &d, &err), 0);
    assert_true(d.dirs == 4 && d.files == 2 && d.first_dir == 1 && d.subtree_files == 8);
    assert_int_equal(run_dir(r, d.first_dir + 1, &d, &err), 0);
    assert_true(slice_is(d.name, "a-"));
    fixture_dir_done(fd, dir);
}

/* A table without files has a root, and lists nothing. */
static void test_empty(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char dir[32];
    int fd = fixture_dir(dir);
    struct index_build *b = index_build_new(fd, &err);
    assert_int_equal(index_build_base(b, "base", SLICE_NONE, &err), 0);
    index_build_free(b);
    AUTO(buf) struct buf text;
    buf_init(&text, 1 << 16);
    assert_int_equal(read_all(fd, "base", &text), 0);
    AUTO(run) struct run *r = NULL;
    assert_int_equal(run_open(fd, "base", &r, &err), 0);
    assert_true(run_files(r) == 0 && run_dirs(r) == 1);
    uint32_t found;
    assert_int_equal(run_find_file(r, 0, SLICE_LIT("x"), &found, &err), -ENOENT);
    assert_int_equal(run_open(fd, "nothing", &r, &err), -ENOENT);
    fixture_dir_done(fd, dir);
}

/* Every file is found by its place and by its name, however many the last block has. */
static void test_block_edges(void **state)
{
    (void)state;
    static const unsigned counts[] = {
        1, RUN_BLOCK_FILES - 1, RUN_BLOCK_FILES, RUN_BLOCK_FILES + 1, 2 * RUN_BLOCK_FILES, 999};
    char at[32];
    int fd = fixture_dir(at);
    for (size_t n = 0; n < ARRAY_SIZE(counts); n++) {
        struct err err = ERR_INIT;
        char name[32];
        AUTO(run) struct run *r = NULL;
        AUTO(buf) struct buf scratch;
        buf_init(&scratch, 1 << 20);
        struct index_build *b = index_build_new(fd, &err);
        for (unsigned i = 0; i < counts[n]; i++) {
            (void)snprintf(name, sizeof name, "f%04u", i);
            fixture_add(b, name, name, name, i, 0);
        }
        assert_int_equal(index_build_base(b, "base", SLICE_LIT("{}"), &err), 0);
        index_build_free(b);
        assert_int_equal(run_open(fd, "base", &r, &err), 0);
        for (unsigned i = 0; i < counts[n]; i++) {
            struct entry e;
            uint32_t found;
            (void)snprintf(name, sizeof name, "f%04u", i);
            assert_int_equal(run_find_file(r, 0, slice_of(name), &found, &err), 0);
            assert_int_equal(found, i);
            assert_int_equal(run_file(r, i, &scratch, &e, NULL, &err), 0);
            assert_true(slice_eq(e.path, slice_of(name)));
            assert_int_equal(e.size, i);
            assert_int_equal(e.mtime_ms, 1000 + i);
        }
        assert_int_equal(run_file(r, counts[n], &scratch, &(struct entry){0}, NULL, &err),
                         -EUCLEAN);
    }
    fixture_dir_done(fd, at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_empty),
                                       cmocka_unit_test(test_block_edges),
                                       cmocka_unit_test(test_damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
