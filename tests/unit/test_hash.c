/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes against published vectors, and against the values that lie on disks already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/hash.h"

/* CRC32C gives the values of RFC 3720, appendix B.4, and of the string that CRC catalogues check.
 */
static void test_crc32c_vectors(void **state)
{
    (void)state;
    static const uint8_t read_command[48] = {
        0x01, 0xc0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 4, 0,
        0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0};
    uint8_t zeros[32] = {0}, ones[32], up[32], down[32];
    for (unsigned i = 0; i < 32; i++) {
        ones[i] = 0xff;
        up[i] = (uint8_t)i;
        down[i] = (uint8_t)(31 - i);
    }
    assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
    assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43);
    assert_int_equal(crc32c(0, up, 32), 0x46dd794e);
    assert_int_equal(crc32c(0, down, 32), 0x113fdb5c);
    assert_int_equal(crc32c(0, read_command, 48), 0xd9963a56);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
}

/* A checksum may be continued at any byte, from any alignment. */
static void test_crc32c_continues(void **state)
{
    (void)state;
    char text[64];
    for (unsigned i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 37 + 11);
    uint32_t whole = crc32c(0, text, sizeof text);
    for (size_t cut = 0; cut <= sizeof text; cut++)
        assert_int_equal(crc32c(crc32c(0, text, cut), text + cut, sizeof text - cut), whole);
}

/* A checksum of many bytes is the one that they have byte by byte, at any length and alignment. */
static void test_crc32c_of_much(void **state)
{
    (void)state;
    static uint8_t bytes[40000];
    static uint32_t upto[sizeof bytes + 1]; /* of what stands before each place */
    uint64_t word = 1;
    for (size_t i = 0; i < sizeof bytes; i++) {
        word = word * 6364136223846793005ULL + 1442695040888963407ULL;
        bytes[i] = (uint8_t)(word >> 56);
    }
    for (unsigned from = 0; from < 9; from++) {
        upto[from] = 0;
        for (size_t i = from; i < sizeof bytes; i++)
            upto[i + 1] = crc32c(upto[i], bytes + i, 1);
        for (size_t to = from; to <= sizeof bytes; to += to < 13000 ? 1 : 97)
            assert_int_equal(crc32c(0, bytes + from, to - from), upto[to]);
    }
}

/* SHA-256 of the strings of FIPS 180's examples has their digests. */
static void test_sha256_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char hex[2 * SHA256_BYTES + 1];
        sha256_hex(slice_of(cases[i].text), hex);
        assert_string_equal(hex, cases[i].hex);
    }
    char hex[2 * SHA256_BYTES + 1];
    sha256_hex(SLICE_NONE, hex);
    assert_string_equal(hex, cases[0].hex);
}

/* hash64 lies on disk and in inode numbers: its values never change. */
static void test_hash64_is_pinned(void **state)
{
    (void)state;
    char all[256];
    for (unsigned i = 0; i < sizeof all; i++)
        all[i] = (char)i;
    const struct {
        struct slice text;
        uint64_t seed0, seed1;
    } cases[] = {
        {SLICE_NONE, UINT64_C(0xe725e9392d40637b), UINT64_C(0x0ab1fbe43367dd55)},
        {SLICE_LIT("a"), UINT64_C(0x52721e0f1be0b436), UINT64_C(0xb01712e57fef5075)},
        {SLICE_LIT("abcdefgh"), UINT64_C(0x3642884874a62825), UINT64_C(0xbf8b0e1791e9cc5c)},
        {SLICE_LIT("part-00000-c1.snappy.parquet"), UINT64_C(0x7636497cf3580b4e),
         UINT64_C(0x4308c18d5c5f279e)},
        {{all, sizeof all}, UINT64_C(0xc7331f195c41e2e9), UINT64_C(0x76298b55766da2b2)},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_true(hash64(0, cases[i].text) == cases[i].seed0);
        assert_true(hash64(1, cases[i].text) == cases[i].seed1);
    }
}

/* Texts that differ only in zeros at their end, or in one bit, have other hashes. */
static void test_hash64_tells_neighbours_apart(void **state)
{
    (void)state;
    uint8_t text[40] = {0};
    uint64_t seen[sizeof text + 8 * sizeof text];
    size_t n = 0;
    for (size_t length = 0; length < sizeof text; length++)
        seen[n++] = hash64(0, slice_make(text, length));
    for (size_t bit = 0; bit < 8 * sizeof text; bit++) {
        text[bit / 8] ^= (uint8_t)(1U << bit % 8);
        seen[n++] = hash64(0, slice_make(text, sizeof text));
        text[bit / 8] = 0;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c_vectors),
        cmocka_unit_test(test_crc32c_continues),
        cmocka_unit_test(test_crc32c_of_much),
        cmocka_unit_test(test_sha256_vectors),
        cmocka_unit_test(test_hash64_is_pinned),
        cmocka_unit_test(test_hash64_tells_neighbours_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
