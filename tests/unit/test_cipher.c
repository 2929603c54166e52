/* SPDX-License-Identifier: Apache-2.0 */
/* Granules at rest: they come back, and nothing that was touched does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <pthread.h>

#include "base/limits.h"
#include "cache/cipher.h"
#include "cache/index.h"

#define GRANULE (64 * KIB)
#define NONCE 12

/* HKDF-SHA256 of the key 00 01 .. 1f with the words of cipher.c, by another implementation. */
#define FINGERPRINT "06daa7eab8b5f10501f4ee6fddb037a5bbb22f9e9bca2fc4ef6e2ab66dbd9b22"

static const struct object_id some_id = {.bytes = "an object"};

static struct cipher *make(uint8_t first)
{
    struct err err = ERR_INIT;
    uint8_t key[CIPHER_KEY_BYTES];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(first + i);
    struct cipher *c = cipher_new(key, &err);
    assert_non_null(c);
    return c;
}

static void fill(uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
}

struct sealed {
    uint8_t plain[GRANULE], bytes[GRANULE], check[CIPHER_CHECK_BYTES];
    size_t n;
};

static void seal(const struct cipher *c, uint64_t granule, size_t n, struct sealed *s)
{
    struct err err = ERR_INIT;
    s->n = n;
    fill(s->plain, n);
    struct cipher_input in = {&some_id, granule, s->plain, n};
    assert_int_equal(cipher_seal(c, &in, s->bytes, s->check, &err), 0);
}

static int open_as(const struct cipher *c, const struct object_id *id, uint64_t granule,
                   const struct sealed *s, uint8_t *out)
{
    struct err err = ERR_INIT;
    struct cipher_input in = {id, granule, s->bytes, s->n};
    int rc = cipher_open(c, &in, out, s->check, &err);
    assert_int_equal(rc, -err.code);
    return rc;
}

/* Aim: granules of any length come back, in place and aside, also with the key read anew. */
static void test_round_trip(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 15, 16, 17, 4096, 65535, GRANULE};
    static struct sealed s;
    static uint8_t out[GRANULE];
    AUTO(cipher) struct cipher *c = make(0), *again = make(0);
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        seal(c, i, lengths[i], &s);
        assert_int_equal(open_as(again, &some_id, i, &s, out), 0);
        assert_memory_equal(out, s.plain, s.n);
        if (s.n >= 16)
            assert_memory_not_equal(s.bytes, s.plain, s.n);
        assert_int_equal(open_as(c, &some_id, i, &s, s.bytes), 0); /* in place */
        assert_memory_equal(s.bytes, s.plain, s.n);
    }
}

/* Aim: each flipped bit of bytes or check is noticed, and no byte of it is given out. */
static void test_flipped_bits(void **state)
{
    (void)state;
    static struct sealed s;
    uint8_t out[64], zeroes[64] = {0};
    AUTO(cipher) struct cipher *c = make(0);
    seal(c, 3, sizeof out, &s);
    for (size_t bit = 0; bit < 8 * (sizeof out + CIPHER_CHECK_BYTES); bit++) {
        uint8_t *at = bit / 8 < sizeof out ? &s.bytes[bit / 8] : &s.check[bit / 8 - sizeof out];
        memset(out, 42, sizeof out);
        *at ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(open_as(c, &some_id, 3, &s, out), -EBADMSG);
        *at ^= (uint8_t)(1 << bit % 8);
        assert_memory_equal(out, zeroes, sizeof out);
    }
    assert_int_equal(open_as(c, &some_id, 3, &s, out), 0);
}

/* Aim: a granule opens only in its place: not under another id, number, key, nor cut. */
static void test_other_place(void **state)
{
    (void)state;
    static struct sealed s;
    static uint8_t out[GRANULE];
    struct object_id other = some_id;
    other.bytes[31] = 1;
    AUTO(cipher) struct cipher *c = make(0), *stranger = make(1);
    seal(c, 7, GRANULE, &s);
    assert_int_equal(open_as(c, &other, 7, &s, out), -EBADMSG);
    assert_int_equal(open_as(c, &some_id, 8, &s, out), -EBADMSG);
    assert_int_equal(open_as(stranger, &some_id, 7, &s, out), -EBADMSG);
    s.n--;
    assert_int_equal(open_as(c, &some_id, 7, &s, out), -EBADMSG);
    s.n++;
    assert_int_equal(open_as(c, &some_id, 7, &s, out), 0);
}

/* Aim: sealing the same granule twice shows nothing of that: nonce and bytes are new. */
static void test_fresh_nonce(void **state)
{
    (void)state;
    static struct sealed a, b;
    AUTO(cipher) struct cipher *c = make(0);
    seal(c, 0, GRANULE, &a);
    seal(c, 0, GRANULE, &b);
    assert_memory_not_equal(a.check, b.check, NONCE);
    assert_memory_not_equal(a.bytes, b.bytes, 64);
}

/* The given key through HKDF and HMAC, by libcrypto's older functions. */
static void expected_key(uint8_t out[CIPHER_KEY_BYTES])
{
    uint8_t key[CIPHER_KEY_BYTES], root[CIPHER_KEY_BYTES];
    size_t n = sizeof root;
    unsigned length = 0;
    const char *info = "tarn cache granules 1";
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    EVP_PKEY_CTX *hkdf = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    assert_int_equal(EVP_PKEY_derive_init(hkdf), 1);
    assert_int_equal(EVP_PKEY_CTX_set_hkdf_md(hkdf, EVP_sha256()), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_hkdf_key(hkdf, key, sizeof key), 1);
    assert_int_equal(EVP_PKEY_CTX_add1_hkdf_info(hkdf, (const uint8_t *)info, (int)strlen(info)),
                     1);
    assert_int_equal(EVP_PKEY_derive(hkdf, root, &n), 1);
    EVP_PKEY_CTX_free(hkdf);
    assert_non_null(
        HMAC(EVP_sha256(), root, sizeof root, some_id.bytes, sizeof some_id.bytes, out, &length));
    assert_int_equal(length, CIPHER_KEY_BYTES);
}

/* Aim: what lies on disk is what the header says, so that a later release can read it. */
static void test_format(void **state)
{
    (void)state;
    static struct sealed s;
    static uint8_t out[GRANULE];
    uint8_t key[CIPHER_KEY_BYTES], place[SHA256_BYTES + 8] = {0};
    int n = 0, rest = 0;
    AUTO(cipher) struct cipher *c = make(0);
    seal(c, 0x0102, GRANULE, &s);
    expected_key(key);
    memcpy(place, some_id.bytes, SHA256_BYTES);
    place[SHA256_BYTES] = 2;
    place[SHA256_BYTES + 1] = 1;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, s.check), 1);
    assert_int_equal(EVP_DecryptUpdate(ctx, NULL, &n, place, sizeof place), 1);
    assert_int_equal(EVP_DecryptUpdate(ctx, out, &n, s.bytes, GRANULE), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, s.check + NONCE), 1);
    assert_int_equal(EVP_DecryptFinal_ex(ctx, out + n, &rest), 1);
    EVP_CIPHER_CTX_free(ctx);
    assert_memory_equal(out, s.plain, GRANULE);
}

/* Aim: the fingerprint is that of the key, and the same in each release. */
static void test_fingerprint(void **state)
{
    (void)state;
    char mine[CIPHER_FINGERPRINT_BYTES], other[CIPHER_FINGERPRINT_BYTES];
    AUTO(cipher) struct cipher *c = make(0), *stranger = make(1);
    cipher_fingerprint(c, mine);
    cipher_fingerprint(stranger, other);
    assert_string_equal(mine, FINGERPRINT);
    assert_string_not_equal(mine, other);
}

struct both_ways {
    const struct cipher *cipher;
    uint64_t first;
    bool good;
};

static void *seal_and_open(void *arg)
{
    struct both_ways *w = arg;
    uint8_t bytes[4096], plain[4096], check[CIPHER_CHECK_BYTES];
    fill(plain, sizeof plain);
    w->good = true;
    for (uint64_t i = w->first; i < w->first + 500; i++) {
        struct cipher_input in = {&some_id, i, plain, sizeof plain};
        w->good = w->good && cipher_seal(w->cipher, &in, bytes, check, NULL) == 0;
        in.bytes = bytes;
        w->good = w->good && cipher_open(w->cipher, &in, bytes, check, NULL) == 0 &&
                  memcmp(bytes, plain, sizeof plain) == 0;
    }
    return NULL;
}

/* Aim: threads share a cipher. */
static void test_threads(void **state)
{
    (void)state;
    AUTO(cipher) struct cipher *c = make(0);
    struct both_ways ways[4];
    pthread_t threads[ARRAY_SIZE(ways)];
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        ways[i] = (struct both_ways){.cipher = c, .first = i * 1000};
        assert_int_equal(pthread_create(&threads[i], NULL, seal_and_open, &ways[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(ways[i].good);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_other_place), cmocka_unit_test(test_fresh_nonce),
        cmocka_unit_test(test_format),      cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
