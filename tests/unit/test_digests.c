/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of many values at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/digests.h"

#define VALUES 37
#define LENGTH_MAX 200

static void check(struct slice salt, const struct slice *values, size_t n)
{
    uint8_t found[VALUES][SHA256_BYTES], wanted[SHA256_BYTES];
    char joined[2 * LENGTH_MAX];
    sha256_each(salt, values, n, found);
    for (size_t i = 0; i < n; i++) {
        if (salt.n)
            memcpy(joined, salt.p, salt.n);
        if (values[i].n)
            memcpy(joined + salt.n, values[i].p, values[i].n);
        sha256(slice_make(joined, salt.n + values[i].n), wanted);
        if (memcmp(found[i], wanted, sizeof wanted) != 0)
            fail_msg("value %zu of %zu: a salt of %zu bytes, %zu bytes", i, n, salt.n, values[i].n);
    }
}

/* Whatever the lengths of a salt and of values side by side, each hash is that of the two. */
static void test_each_is_the_hash_of_its_value(void **state)
{
    (void)state;
    char text[LENGTH_MAX];
    struct slice values[VALUES];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 37 + 11);
    for (size_t salt = 0; salt <= 70; salt++)
        for (size_t length = 0; length <= 130; length++) {
            for (size_t i = 0; i < 5; i++)
                values[i] = slice_make(text + i, (length + (i == 3)) % LENGTH_MAX);
            check(slice_make(text + 7, salt), values, 5);
        }
    for (size_t n = 0; n <= VALUES; n++) {
        for (size_t i = 0; i < n; i++)
            values[i] = slice_make(text + i, i * 29 % 120);
        check(SLICE_NONE, values, n);
        check(slice_make(text, 32), values, n);
    }
}

/* FIPS 180-4's own examples: of one block, of two, and of nothing. */
static void test_vectors(void **state)
{
    (void)state;
    static const uint8_t expected[3][4] = {
        {0xba, 0x78, 0x16, 0xbf}, {0x24, 0x8d, 0x6a, 0x61}, {0xe3, 0xb0, 0xc4, 0x42}};
    const struct slice values[3] = {
        SLICE_LIT("abc"), SLICE_LIT("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
        SLICE_NONE};
    uint8_t found[3][SHA256_BYTES];
    sha256_each(SLICE_NONE, values, 3, found);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(found[i], expected[i], sizeof expected[i]);
}

/* Of all bytes, the digits are two each. */
static void test_digits(void **state)
{
    (void)state;
    uint8_t sum[SHA256_BYTES];
    char found[2 * SHA256_BYTES], wanted[3];
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned i = 0; i < SHA256_BYTES; i++)
            sum[i] = (uint8_t)(first + i * 7);
        sha256_digits(sum, found);
        for (unsigned i = 0; i < SHA256_BYTES; i++) {
            (void)snprintf(wanted, sizeof wanted, "%02x", sum[i]);
            assert_memory_equal(found + (size_t)2 * i, wanted, 2);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_the_hash_of_its_value),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
