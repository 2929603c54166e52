/* SPDX-License-Identifier: Apache-2.0 */
/* Random round trips; TARN_SEED repeats one of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/format/codec.h"
#include "lake/format/parquet_encode.h"

#define ROUNDS 400

static uint64_t state_;

/* xorshift: the same numbers from the same seed. */
static uint64_t next(void)
{
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
}

static uint64_t below(uint64_t n)
{
    return next() % n;
}

/* Counts of every order of magnitude, none and the ends of blocks among them. */
static size_t some_count(void)
{
    static const size_t ends[] = {0, 1, 7, 8, 9, 32, 33, 128, 129, 504, 505, 1024};
    return below(2) ? ends[below(sizeof ends / sizeof *ends)] : below(3000);
}

static void seed(uint64_t round)
{
    const char *given = getenv("TARN_SEED");
    uint64_t s = given ? strtoull(given, NULL, 10) : 20261121;
    if (round == 0)
        printf("seed %ju\n", (uintmax_t)s);
    state_ = (s + round) * 0x9e3779b97f4a7c15ULL | 1;
    for (int i = 0; i < 4; i++)
        (void)next();
}

/* Aim: levels and indices of any width come back, whatever runs they have and however they are
 * handed over. */
static void test_hybrid(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        seed(round);
        unsigned width = (unsigned)below(33);
        size_t n = some_count();
        uint32_t *values = calloc(n + 1, sizeof *values), *got = calloc(n + 1, sizeof *got);
        uint32_t mask = width == 32 ? UINT32_MAX : (1U << width) - 1;
        uint64_t longest = 1 + below(40);
        for (size_t i = 0; i < n;) {
            uint32_t value = (uint32_t)next() & mask;
            for (uint64_t run = 1 + below(longest); run && i < n; run--)
                values[i++] = value;
        }
        AUTO(buf) struct buf out = {0};
        buf_init(&out, MIB);
        struct parquet_hybrid_writer w;
        parquet_hybrid_write(&w, &out, width);
        for (size_t done = 0; done < n;) {
            size_t take = 1 + below(300);
            take = take < n - done ? take : n - done;
            parquet_hybrid_put(&w, values + done, take);
            done += take;
        }
        parquet_hybrid_end(&w);
        struct parquet_hybrid h;
        parquet_hybrid_init(&h, buf_slice(&out), width);
        assert_true(parquet_hybrid_get(&h, got, n));
        assert_memory_equal(got, values, n * sizeof *values);
        /* never much more than the bits themselves */
        assert_true(out.len <= (n + 7) / 8 * width + (n + 7) / 8 + 8);
        free(values);
        free(got);
    }
}

/* A value of that type; `spread` decides how different they are. Bytes go to the arena. */
static union parquet_value some_value(enum parquet_type type, uint32_t length, unsigned spread,
                                      struct arena *arena)
{
    union parquet_value v = {.number = 0};
    uint64_t bits = spread == 64 ? next() : next() & ((1ULL << spread) - 1);
    char bytes[80];
    size_t n = length;
    float real = (float)(int64_t)bits;
    switch (type) {
    case PARQUET_BOOLEAN:
        v.number = bits % 3 == 0;
        break;
    case PARQUET_INT32:
        v.number = (int32_t)bits;
        break;
    case PARQUET_INT64:
        v.number = (int64_t)bits;
        break;
    case PARQUET_FLOAT:
        v.real = real;
        break;
    case PARQUET_DOUBLE:
        v.real = (double)(int64_t)bits / 3;
        break;
    case PARQUET_BYTE_ARRAY:
        n = below(sizeof bytes);
        /* falls through */
    case PARQUET_INT96:
    case PARQUET_FIXED_LEN_BYTE_ARRAY:
        memset(bytes, 'a', sizeof bytes);
        for (size_t i = below(sizeof bytes); i < n; i++)
            bytes[i] = (char)next();
        v.bytes = arena_slice(arena, slice_make(bytes, n));
        break;
    }
    return v;
}

static bool same(enum parquet_type type, union parquet_value a, union parquet_value b)
{
    if (type == PARQUET_FLOAT || type == PARQUET_DOUBLE)
        return a.real == b.real;
    if (type == PARQUET_INT96 || type >= PARQUET_BYTE_ARRAY)
        return slice_eq(a.bytes, b.bytes);
    return a.number == b.number;
}

static void encode(struct parquet_encoder *e, enum parquet_encoding encoding,
                   const union parquet_value *values, size_t n, struct buf *out)
{
    struct err err = ERR_INIT;
    assert_int_equal(parquet_encoder_start(e, encoding, 0, &err), 0);
    for (size_t done = 0; done < n;) {
        size_t take = 1 + below(PARQUET_BATCH);
        take = take < n - done ? take : n - done;
        parquet_encoder_put(e, values + done, take);
        done += take;
    }
    assert_int_equal(parquet_encoder_end(e, out, &err), 0);
}

static void check_decoded(enum parquet_type type, uint32_t length, enum parquet_encoding encoding,
                          struct slice page, const union parquet_value *values, size_t n)
{
    struct err err = ERR_INIT;
    AUTO(parquet_values) struct parquet_values v;
    parquet_values_init(&v, type, length);
    assert_int_equal(parquet_values_start(&v, encoding, page, &err), 0);
    for (size_t done = 0; done < n;) {
        union parquet_value got[PARQUET_BATCH];
        size_t take = parquet_values_batch(&v);
        take = take < n - done ? take : n - done;
        assert_int_equal(parquet_values_get(&v, got, take, &err), 0);
        for (size_t i = 0; i < take; i++)
            assert_true(same(type, got[i], values[done + i]));
        done += take;
    }
}

/* Aim: values of every type come back from every encoding that it may have, page after page. */
static void test_values(void **state)
{
    (void)state;
    static const unsigned spreads[] = {1, 7, 31, 33, 64};
    for (uint64_t round = 0; round < ROUNDS / 4; round++)
        for (enum parquet_type type = 0; type <= PARQUET_FIXED_LEN_BYTE_ARRAY; type++) {
            seed(round);
            uint32_t length = parquet_type_bytes(type, 1 + (uint32_t)below(20));
            AUTO(parquet_encoder) struct parquet_encoder e;
            parquet_encoder_init(&e, type, length);
            for (enum parquet_encoding encoding = 0; encoding < 10; encoding++) {
                if (!parquet_encoding_fits(encoding, type) ||
                    encoding == PARQUET_PLAIN_DICTIONARY || encoding == PARQUET_RLE_DICTIONARY)
                    continue;
                AUTO(arena) struct arena arena = {0};
                arena_init(&arena, 4 * MIB);
                size_t n = some_count();
                unsigned spread = spreads[below(sizeof spreads / sizeof *spreads)];
                union parquet_value *values = calloc(n + 1, sizeof *values);
                for (size_t i = 0; i < n; i++)
                    values[i] = some_value(type, length, spread, &arena);
                AUTO(buf) struct buf out = {0};
                buf_init(&out, 4 * MIB);
                encode(&e, encoding, values, n, &out);
                check_decoded(type, length, encoding, buf_slice(&out), values, n);
                free(values);
            }
        }
}

/* Aim: indices come back behind their width, through a dictionary. */
static void test_dictionary(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    union parquet_value words[3] = {{.number = 10}, {.number = 11}, {.number = 12}};
    static const uint32_t indices[] = {2, 2, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0};
    AUTO(parquet_encoder) struct parquet_encoder e;
    parquet_encoder_init(&e, PARQUET_INT32, 0);
    AUTO(buf) struct buf out = {0};
    buf_init(&out, MIB);
    assert_int_equal(parquet_encoder_start(&e, PARQUET_RLE_DICTIONARY, 2, &err), 0);
    parquet_encoder_indices(&e, indices, ARRAY_SIZE(indices));
    assert_int_equal(parquet_encoder_end(&e, &out, &err), 0);
    AUTO(parquet_values) struct parquet_values v;
    parquet_values_init(&v, PARQUET_INT32, 0);
    parquet_values_dictionary(&v, words, 3);
    assert_int_equal(parquet_values_start(&v, PARQUET_RLE_DICTIONARY, buf_slice(&out), &err), 0);
    union parquet_value got[ARRAY_SIZE(indices)];
    assert_int_equal(parquet_values_get(&v, got, ARRAY_SIZE(indices), &err), 0);
    for (size_t i = 0; i < ARRAY_SIZE(indices); i++)
        assert_int_equal(got[i].number, 10 + indices[i]);
}

/* Aim: what is not an encoding of a type is refused. */
static void test_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(parquet_encoder) struct parquet_encoder e;
    parquet_encoder_init(&e, PARQUET_DOUBLE, 0);
    assert_int_equal(parquet_encoder_start(&e, PARQUET_DELTA_BINARY_PACKED, 0, &err), -EOPNOTSUPP);
    assert_int_equal(parquet_encoder_start(&e, PARQUET_BIT_PACKED, 0, &err), -EOPNOTSUPP);
    assert_int_equal(parquet_encoder_start(&e, 4711, 0, &err), -EOPNOTSUPP);
}

/* Aim: what a codec compresses, it decompresses: nothing, noise and text, with either effort. */
static void test_codecs(void **state)
{
    (void)state;
    static const unsigned codecs[] = {CODEC_UNCOMPRESSED, CODEC_SNAPPY, CODEC_GZIP,   CODEC_BROTLI,
                                      CODEC_LZ4,          CODEC_ZSTD,   CODEC_LZ4_RAW};
    for (uint64_t round = 0; round < ROUNDS / 8; round++)
        for (size_t c = 0; c < ARRAY_SIZE(codecs); c++) {
            seed(round);
            struct err err = ERR_INIT;
            size_t n = round ? (size_t)below(1 << below(18)) : 0;
            bool text = below(2);
            AUTO_FREE char *bytes = malloc(n + 1);
            AUTO_FREE char *got = malloc(n + 1);
            for (size_t i = 0; i < n; i++)
                bytes[i] = (char)(text ? 'a' + below(4) : next());
            AUTO(buf) struct buf out = {0};
            buf_init(&out, MIB);
            enum codec_effort effort = below(2) ? CODEC_QUICK : CODEC_SMALL;
            assert_int_equal(codec_compress(codecs[c], effort, slice_make(bytes, n), &out, &err),
                             0);
            assert_int_equal(codec_decompress(codecs[c], buf_slice(&out), got, n, &err), 0);
            assert_memory_equal(got, bytes, n);
            assert_true(!text || n < 1000 || codecs[c] == CODEC_UNCOMPRESSED ||
                        out.len < n * 3 / 4);
        }
    AUTO(buf) struct buf out = {0};
    struct err err = ERR_INIT;
    buf_init(&out, MIB);
    assert_int_equal(codec_compress(CODEC_LZO, CODEC_QUICK, SLICE_LIT("x"), &out, &err),
                     -EOPNOTSUPP);
    buf_init(&out, 8);
    assert_int_equal(codec_compress(CODEC_ZSTD, CODEC_QUICK, SLICE_LIT("x"), &out, &err),
                     -EOVERFLOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hybrid),     cmocka_unit_test(test_values),
        cmocka_unit_test(test_dictionary), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_codecs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
