/* SPDX-License-Identifier: Apache-2.0 */
/* Granules of near stores: right as they were made, wrong in any other way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "cache/near_format.h"

static const uint8_t ours[SHA256_BYTES] = {1, 2, 3}, another[SHA256_BYTES] = {1, 2, 4};

/* A granule is right where it was made, and its ETag comes back. */
static void test_right(void **state)
{
    (void)state;
    const struct near_object o = {ours, 3 * GRANULE_BYTES + 5};
    char bytes[5 + NEAR_TAIL_BYTES] = "abcd", etag[ETAG_BYTES_MAX] = "";
    near_tail(&o, 3, bytes, 5, "\"e\"", bytes + 5);
    assert_true(near_granule_right(&o, 3, bytes, 5, etag));
    assert_string_equal(etag, "\"e\"");
    assert_true(near_granule_right(&o, 3, bytes, 5, etag)); /* of the same generation */
}

/* Of another object, size, place or generation, or with any bit changed, it is wrong. */
static void test_wrong(void **state)
{
    (void)state;
    const struct near_object o = {ours, 3 * GRANULE_BYTES + 5};
    const struct near_object other = {another, o.size}, longer = {ours, o.size + 1};
    char bytes[5 + NEAR_TAIL_BYTES] = "abcd", etag[ETAG_BYTES_MAX] = "";
    near_tail(&o, 3, bytes, 5, "\"e\"", bytes + 5);
    assert_false(near_granule_right(&other, 3, bytes, 5, etag));
    assert_false(near_granule_right(&longer, 3, bytes, 5, etag));
    assert_false(near_granule_right(&o, 2, bytes, 5, etag));
    char generation[ETAG_BYTES_MAX] = "\"f\"";
    assert_false(near_granule_right(&o, 3, bytes, 5, generation));
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
        assert_false(near_granule_right(&o, 3, bytes, 5, etag));
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    }
    assert_string_equal(etag, "");
    memset(bytes, 0, sizeof bytes);
    assert_false(near_granule_right(&o, 3, bytes, 5, etag));
    memset(bytes, 0xff, sizeof bytes);
    assert_false(near_granule_right(&o, 3, bytes, 5, etag));
}

/* The longest ETag fits. */
static void test_longest_etag(void **state)
{
    (void)state;
    const struct near_object o = {ours, 1};
    char bytes[1 + NEAR_TAIL_BYTES] = "x", etag[ETAG_BYTES_MAX] = "", longest[ETAG_BYTES_MAX];
    memset(longest, 'e', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    near_tail(&o, 0, bytes, 1, longest, bytes + 1);
    assert_true(near_granule_right(&o, 0, bytes, 1, etag));
    assert_string_equal(etag, longest);
}

/* Keys are made of identities, and nothing else is taken for one. */
static void test_keys(void **state)
{
    (void)state;
    char key[NEAR_KEY_BYTES];
    uint8_t identity[SHA256_BYTES], back[SHA256_BYTES];
    for (size_t i = 0; i < SHA256_BYTES; i++)
        identity[i] = (uint8_t)(0xf7 - 7 * i);
    near_key(identity, key);
    assert_int_equal(strlen(key), NEAR_KEY_BYTES - 1);
    assert_int_equal(strncmp(key, "objects/f7/f0e9", 15), 0);
    assert_true(near_key_parse(slice_of(key), back));
    assert_memory_equal(identity, back, SHA256_BYTES);
    static const char *const others[] = {"", "objects/", "objects/f7/f0", "uses/a"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(near_key_parse(slice_of(others[i]), back));
    for (size_t i = 0; i < NEAR_KEY_BYTES - 1; i++) {
        char before = key[i];
        key[i] = 'x';
        assert_false(near_key_parse(slice_of(key), back));
        key[i] = before;
    }
    assert_false(near_key_parse(slice_make(key, NEAR_KEY_BYTES - 2), back));
}

/* Where granules begin, and what an object takes. */
static void test_places(void **state)
{
    (void)state;
    assert_int_equal(near_bytes(1), 1 + NEAR_TAIL_BYTES);
    assert_int_equal(near_bytes(GRANULE_BYTES), GRANULE_BYTES + NEAR_TAIL_BYTES);
    assert_int_equal(near_bytes(GRANULE_BYTES + 1), GRANULE_BYTES + 1 + 2 * NEAR_TAIL_BYTES);
    assert_int_equal(near_offset(0), 0);
    assert_int_equal(near_offset(5 * GRANULE_BYTES), 5 * NEAR_STEP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_longest_etag), cmocka_unit_test(test_keys),
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
