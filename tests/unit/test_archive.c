/* SPDX-License-Identifier: Apache-2.0 */
/* The archive's texts and frames: what is written is read, what is damaged is refused within
 * bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "lake/archive/digest.h"
#include "lake/archive/frames.h"
#include "lake/archive/manifest.h"

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

/* The stored form of n bytes, appended. */
static void store(const char *bytes, size_t n, bool dense, struct buf *out)
{
    struct err err = ERR_INIT;
    struct slice piece;
    AUTO(frames_writer) struct frames_writer *w = frames_writer_new(n, dense, &err);
    assert_non_null(w);
    for (uint64_t i = 0; i < frames_count(n); i++) {
        struct slice plain = slice_make(bytes + i * FRAME_PLAIN_BYTES, frames_length(n, i));
        assert_int_equal(frames_writer_add(w, plain, &piece, &err), 0);
        buf_add_slice(out, piece);
    }
    assert_int_equal(frames_writer_end(w, &piece, &err), 0);
    buf_add_slice(out, piece);
    assert_int_equal(buf_check(out, &err), 0);
}

static struct frames *parse(const struct buf *b, size_t n)
{
    size_t table = (size_t)frames_table_bytes(frames_count(n));
    return frames_parse(slice_make(b->data + b->len - table, table), n, b->len, NULL);
}

/* Each frame comes back, whatever the size and whether it compresses. */
static void test_frames_come_back(void **state)
{
    (void)state;
    size_t sizes[] = {0,
                      1,
                      FRAME_PLAIN_BYTES - 1,
                      FRAME_PLAIN_BYTES,
                      FRAME_PLAIN_BYTES + 1,
                      3 * FRAME_PLAIN_BYTES + 7};
    AUTO_FREE char *bytes = malloc(4 * FRAME_PLAIN_BYTES), *plain = malloc(FRAME_PLAIN_BYTES);
    for (size_t k = 0; k < 2 * ARRAY_SIZE(sizes); k++) {
        size_t n = sizes[k / 2];
        AUTO(buf) struct buf b = {0};
        buf_init(&b, 5 * FRAME_PLAIN_BYTES);
        fill(bytes, n, k % 2);
        store(bytes, n, k % 2, &b);
        assert_true(k % 2 || b.len < n + n / 1000 + 512);
        AUTO_FREE struct frames *f = parse(&b, n);
        assert_non_null(f);
        for (uint64_t i = 0; i < f->count; i++) {
            struct slice frame = slice_make(b.data + f->at[i], (size_t)(f->at[i + 1] - f->at[i]));
            assert_int_equal(frames_decode(frame, plain, frames_length(n, i), NULL), 0);
            assert_memory_equal(plain, bytes + i * FRAME_PLAIN_BYTES, frames_length(n, i));
        }
    }
}

/* A bit that is flipped anywhere is never read as other bytes. */
static void test_no_flipped_bit_is_read(void **state)
{
    (void)state;
    size_t n = 3000;
    char bytes[3000], plain[3000];
    for (int dense = 0; dense < 2; dense++) {
        AUTO(buf) struct buf b = {0};
        buf_init(&b, 2 * n);
        fill(bytes, n, dense);
        store(bytes, n, dense, &b);
        for (size_t bit = 0; bit < 8 * b.len; bit++) {
            b.data[bit / 8] = (char)(b.data[bit / 8] ^ 1 << bit % 8);
            AUTO_FREE struct frames *f = parse(&b, n);
            if (f && frames_decode(slice_make(b.data, (size_t)f->at[1]), plain, n, NULL) == 0)
                assert_memory_equal(plain, bytes, n);
            b.data[bit / 8] = (char)(b.data[bit / 8] ^ 1 << bit % 8);
        }
    }
}

static void make_manifest(struct manifest *m)
{
    *m = (struct manifest){.table = "s3://b/silver/o \"r\"d",
                           .format = "delta",
                           .version = 12,
                           .timestamp_ms = -5,
                           .archived_ms = 1700000000000,
                           .files = 3,
                           .bytes = 99,
                           .objects = 5,
                           .plain = 120,
                           .outside = true,
                           .list = {.size = 700, .stored = 300}};
    m->list.sha256[0] = 0xab;
}

/* What is formatted is parsed, and nothing of it can be changed unnoticed. */
static void test_manifests(void **state)
{
    (void)state;
    struct manifest m, got;
    AUTO(buf) struct buf b = {0};
    make_manifest(&m);
    buf_init(&b, MANIFEST_BYTES_MAX);
    manifest_format(&m, &b);
    assert_int_equal(manifest_parse(buf_slice(&b), &got, NULL), 0);
    assert_memory_equal(&m, &got, sizeof m);
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] = (char)(b.data[i] ^ 1);
        if (manifest_parse(buf_slice(&b), &got, NULL) == 0)
            assert_memory_equal(&m, &got, sizeof m); /* white space at the end */
        b.data[i] = (char)(b.data[i] ^ 1);
        assert_int_not_equal(manifest_parse(slice_make(b.data, i), &got, NULL),
                             i + 1 < b.len ? 0 : 1);
    }
}

/* Lines of a list come back, with names and ETags that have to be escaped. */
static void test_objects(void **state)
{
    (void)state;
    struct archive_object o = {.name = SLICE_LIT("d%3D1/a\"b\\.parquet"),
                               .kind = ARCHIVE_DELETES,
                               .mtime_ms = 77,
                               .etag = SLICE_LIT("\"0123\""),
                               .content = {.size = 5, .stored = 60}},
                          got;
    AUTO(buf) struct buf b = {0}, scratch = {0};
    buf_init(&b, LIST_LINE_BYTES_MAX);
    buf_init(&scratch, 2 * LIST_LINE_BYTES_MAX);
    archive_object_format(&o, &b);
    assert_int_equal(archive_object_parse(slice_make(b.data, b.len - 1), &scratch, &got, NULL), 0);
    assert_true(slice_eq(got.name, o.name) && slice_eq(got.etag, o.etag));
    assert_true(got.kind == o.kind && got.mtime_ms == o.mtime_ms);
    assert_memory_equal(&got.content, &o.content, sizeof o.content);
    for (size_t i = 0; i + 1 < b.len; i++)
        assert_int_not_equal(archive_object_parse(slice_make(b.data, i), &scratch, &got, NULL), 0);
}

/* A URL has one name, and the name gives the URL back. */
static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *url, *name;
    } rows[] = {
        {"s3://b/t/a=1/x y.parquet", "a=1/x%20y.parquet"},
        {"s3://b/t/s3://c/d", "s3%3A//c/d"},
        {"s3://b/t2/x", "s3://b/t2/x"},
        {"s3://b/tx", "s3://b/tx"},
        {"file:///a/%20\xff", "file:///a/%2520%FF"},
    };
    struct slice table = SLICE_LIT("s3://b/t");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(buf) struct buf name = {0}, url = {0};
        buf_init(&name, KIB);
        buf_init(&url, KIB);
        archive_name(table, slice_of(rows[i].url), &name);
        assert_string_equal(name.data, rows[i].name);
        assert_true(archive_name_url(table, buf_slice(&name), &url));
        assert_string_equal(url.data, rows[i].url);
    }
}

/* Keys lead back to what they are of, and others are none. */
static void test_keys(void **state)
{
    (void)state;
    AUTO(buf) struct buf key = {0};
    uint8_t sum[SHA256_BYTES] = {0xab, 0xcd}, got[SHA256_BYTES];
    struct slice table;
    int64_t version;
    buf_init(&key, KIB);
    archive_content_key(sum, &key);
    assert_true(archive_content_parse(buf_slice(&key), got));
    assert_memory_equal(sum, got, sizeof sum);
    assert_false(archive_content_parse(SLICE_LIT("objects/ab/xyz.zst"), got));
    archive_version_key(SLICE_LIT("file:///lake/a b"), 12, &key);
    assert_true(archive_version_parse(buf_slice(&key), &table, &version) && version == 12);
    assert_true(slice_starts(table, SLICE_LIT("tables/a-b-")));
    assert_false(archive_version_parse(SLICE_LIT("tables/x/12.json"), &table, &version));
}

/* Pieces give the digests of the whole. */
static void test_digests(void **state)
{
    (void)state;
    uint8_t whole[SHA256_BYTES], pieces[SHA256_BYTES], md5[MD5_BYTES];
    AUTO(digest) struct digest *d = digest_new(true, NULL);
    sha256(SLICE_LIT("abcdef"), whole);
    digest_add(d, SLICE_LIT("abc"));
    digest_add(d, SLICE_NONE);
    digest_add(d, SLICE_LIT("def"));
    digest_end(d, pieces, md5);
    assert_memory_equal(whole, pieces, sizeof whole);
    assert_int_equal(md5[0], 0xe8); /* e80b5017098950fc58aad83c8c14978e */
    assert_int_equal(md5[15], 0x8e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_come_back),
        cmocka_unit_test(test_no_flipped_bit_is_read),
        cmocka_unit_test(test_manifests),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
