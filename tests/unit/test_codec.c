/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "lake/format/codec.h"

#define TEXT "abcabcabcabcabcabcabcabcabcabc"
#define TEXT_BYTES (sizeof TEXT - 1)

static const struct {
    enum codec codec;
    struct slice bytes;
} samples[] = {
    {CODEC_SNAPPY, SLICE_LIT("\x1e\x08\x61\x62\x63\x6a\x03\x00")},
    {CODEC_GZIP, SLICE_LIT("\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x4b\x4c\x4a\x4e\xc4\x8d\x00"
                           "\x81\xfc\xb1\x48\x1e\x00\x00\x00")},
    {CODEC_GZIP,
     SLICE_LIT("\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x4b\x4c\x4a\x4e\x84\x20\x00\x5d\x0b\x9d"
               "\xfb\x0a\x00\x00\x00\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x4b\x4a\x4e\x4c\x42"
               "\x47\x00\xc0\x0e\xf8\x99\x14\x00\x00\x00")}, /* two members */
    {CODEC_GZIP,
     SLICE_LIT("\x78\x9c\x4b\x4c\x4a\x4e\xc4\x8d\x00\xb2\x0c\x0b\x7d")}, /* zlib's framing */
    {CODEC_ZSTD,
     SLICE_LIT("\x28\xb5\x2f\xfd\x20\x1e\x4d\x00\x00\x18\x61\x62\x63\x01\x00\x86\x6e\x08")},
    {CODEC_LZ4_RAW, SLICE_LIT("\x3f\x61\x62\x63\x03\x00\x03\x50\x62\x63\x61\x62\x63")},
    {CODEC_LZ4,
     SLICE_LIT(
         "\x00\x00\x00\x1e\x00\x00\x00\x0d\x3f\x61\x62\x63\x03\x00\x03\x50\x62\x63\x61\x62\x63")},
    {CODEC_BROTLI, SLICE_LIT("\x1b\x1d\x00\x00\x24\xc3\xc4\xc6\x82\x9b\x20\xaa\x01")},
    {CODEC_LZ4,
     SLICE_LIT(
         "\x00\x00\x00\x0a\x00\x00\x00\x0b\xa0\x61\x62\x63\x61\x62\x63\x61\x62\x63\x61\x00\x00\x00"
         "\x14\x00\x00\x00\x0c\x38\x62\x63\x61\x03\x00\x50\x62\x63\x61\x62\x63")}, /* two blocks */
    {CODEC_LZ4,
     SLICE_LIT("\x3f\x61\x62\x63\x03\x00\x03\x50\x62\x63\x61\x62\x63")}, /* a raw block */
    {CODEC_UNCOMPRESSED, SLICE_LIT(TEXT)},
};

/* Decompresses into a block of exactly n bytes, so that a sanitizer sees a write past its end. */
static int decompress(unsigned codec, struct slice from, size_t n, bool *same)
{
    AUTO_FREE char *to = malloc(n ? n : 1);
    AUTO_FREE char *copy = malloc(from.n ? from.n : 1);
    assert_non_null(to);
    assert_non_null(copy);
    if (from.n)
        memcpy(copy, from.p, from.n);
    struct err err = ERR_INIT;
    int rc = codec_decompress(codec, slice_make(copy, from.n), to, n, &err);
    assert_int_equal(rc, -err.code);
    *same = rc == 0 && n == TEXT_BYTES && memcmp(to, TEXT, n) == 0;
    return rc;
}

/* Aim: each codec gives the text back, in every framing. */
static void test_samples(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        bool same;
        assert_int_equal(decompress(samples[i].codec, samples[i].bytes, TEXT_BYTES, &same), 0);
        assert_true(same);
    }
}

/* Aim: another size than the stored one, and input that is cut, are refused within the room. */
static void test_wrong_size(void **state)
{
    (void)state;
    bool same;
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        struct slice s = samples[i].bytes;
        for (size_t n = 0; n < 2 * TEXT_BYTES; n++)
            if (n != TEXT_BYTES)
                assert_int_equal(decompress(samples[i].codec, s, n, &same), -EIO);
        for (size_t n = 0; n < s.n; n++)
            assert_true(decompress(samples[i].codec, slice_make(s.p, n), TEXT_BYTES, &same) < 0);
    }
}

/* Aim: flipped bits never write outside the room. */
static void test_damaged(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
        for (size_t bit = 0; bit < samples[i].bytes.n * 8; bit++) {
            char bytes[256];
            bool same;
            assert_true(samples[i].bytes.n <= sizeof bytes);
            memcpy(bytes, samples[i].bytes.p, samples[i].bytes.n);
            bytes[bit / 8] ^= (char)(1 << (bit % 8));
            (void)decompress(samples[i].codec, slice_make(bytes, samples[i].bytes.n), TEXT_BYTES,
                             &same); /* either is right, by codec and bit */
        }
}

/* Aim: unknown codecs and sizes over the limit have their own errors. */
static void test_refused(void **state)
{
    (void)state;
    bool same;
    struct err err = ERR_INIT;
    assert_int_equal(decompress(CODEC_LZO, SLICE_LIT("x"), 1, &same), -EOPNOTSUPP);
    assert_int_equal(decompress(4711, SLICE_LIT("x"), 1, &same), -EOPNOTSUPP);
    assert_int_equal(codec_decompress(CODEC_ZSTD, SLICE_LIT("x"), NULL, PAGE_BYTES_MAX + 1, &err),
                     -EOVERFLOW);
    assert_int_equal(err.code, EOVERFLOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_wrong_size),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
