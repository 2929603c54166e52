/* SPDX-License-Identifier: Apache-2.0 */
/* Contents of an archive store in a directory: what is right is read however it is stored. */
#include "tests/unit/temp_dir.h"

#include <sys/stat.h>

#include "base/workers.h"
#include "lake/archive/archive.h"
#include "lake/archive/digest.h"
#include "lake/archive/frames.h"

#define BYTES (2 * FRAME_PLAIN_BYTES + 12345)

struct fixture {
    struct temp_dir *dir;
    struct workers *workers;
    struct archive *archive;
    char *plain, *read;
    struct archive_content content;
    struct err err;
};

/* Stores the plain bytes under their name, in frames of zstd or in copies. */
static void store(struct fixture *f, bool dense)
{
    AUTO(buf) struct buf out = {0}, key = {0};
    char path[256];
    struct slice piece;
    AUTO(frames_writer) struct frames_writer *w = frames_writer_new(BYTES, dense, &f->err);
    buf_init(&out, (size_t)2 * BYTES);
    buf_init(&key, 128);
    assert_non_null(w);
    for (uint64_t i = 0; i < frames_count(BYTES); i++) {
        struct slice plain = slice_make(f->plain + i * FRAME_PLAIN_BYTES, frames_length(BYTES, i));
        assert_int_equal(frames_writer_add(w, plain, &piece, &f->err), 0);
        buf_add_slice(&out, piece);
    }
    assert_int_equal(frames_writer_end(w, &piece, &f->err), 0);
    buf_add_slice(&out, piece);
    archive_content_key(f->content.sha256, &key);
    (void)snprintf(path, sizeof path, "%s/%s", f->dir->path, key.data);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(out.data, 1, out.len, file), out.len);
    assert_int_equal(fclose(file), 0);
    f->content.stored = out.len;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char path[256];
    AUTO(buf) struct buf key = {0};
    assert_non_null(f);
    assert_int_equal(temp_dir_set_up((void **)&f->dir), 0);
    f->workers = workers_new("test", 1, &f->err);
    const struct store_runtime runtime = {.workers = f->workers};
    const struct store_options options = {0};
    struct store *s = store_open(f->dir->path, &options, &runtime, &f->err);
    assert_non_null(s);
    f->archive = archive_new(s, f->dir->dir, &f->err);
    f->plain = malloc(BYTES);
    f->read = malloc(BYTES);
    assert_true(f->archive && f->plain && f->read);
    for (size_t i = 0; i < BYTES; i++)
        f->plain[i] = (char)(i % 251);
    AUTO(digest) struct digest *d = digest_new(false, &f->err);
    digest_add(d, slice_make(f->plain, BYTES));
    digest_end(d, f->content.sha256, NULL);
    f->content.size = BYTES;
    buf_init(&key, 128);
    archive_content_key(f->content.sha256, &key);
    (void)snprintf(path, sizeof path, "%s/objects", f->dir->path);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/%.*s", f->dir->path, (int)sizeof "objects/ab" - 1,
                   key.data);
    assert_int_equal(mkdir(path, 0700), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    archive_free(f->archive);
    workers_free(f->workers);
    int rc = temp_dir_tear_down((void **)&f->dir);
    free(f->plain);
    free(f->read);
    free(f);
    return rc;
}

static void check(struct fixture *f, const struct archive_content *c)
{
    AUTO_FD int fd = -1;
    const size_t at = FRAME_PLAIN_BYTES - 10, n = FRAME_PLAIN_BYTES + 100;
    memset(f->read, 0, BYTES);
    assert_int_equal(archive_read(f->archive, c, at, n, f->read, &f->err), 0);
    assert_memory_equal(f->read, f->plain + at, n);
    assert_int_equal(archive_verify(f->archive, c, NULL, NULL, &f->err), 0);
    assert_int_equal(archive_file(f->archive, c, &fd, &f->err), 0);
    assert_int_equal(pread(fd, f->read, BYTES, 0), BYTES);
    assert_memory_equal(f->read, f->plain, BYTES);
}

/* Aim: a content that another zstd has stored anew is read by versions that know its former size,
 * whether its table of frames was read before or not. */
static void test_stored_anew(void **state)
{
    struct fixture *f = *state;
    store(f, true);
    const struct archive_content packed = f->content;
    check(f, &packed);
    store(f, false);
    const struct archive_content copies = f->content;
    assert_int_not_equal(copies.stored, packed.stored);
    check(f, &packed);
    check(f, &copies);
    store(f, true);
    check(f, &copies);
}

/* Aim: what is damaged is told, whatever size it has. */
static void test_damaged(void **state)
{
    struct fixture *f = *state;
    AUTO(buf) struct buf key = {0};
    char path[256];
    store(f, true);
    buf_init(&key, 128);
    archive_content_key(f->content.sha256, &key);
    (void)snprintf(path, sizeof path, "%s/%s", f->dir->path, key.data);
    for (off_t size = (off_t)f->content.stored - 1; size >= 0; size = size / 3 - 1) {
        assert_int_equal(truncate(path, size), 0);
        assert_int_equal(archive_verify(f->archive, &f->content, NULL, NULL, &f->err), -EBADMSG);
        assert_int_equal(archive_read(f->archive, &f->content, 0, 10, f->read, &f->err), -EIO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stored_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
