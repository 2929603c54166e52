/* SPDX-License-Identifier: Apache-2.0 */
/* The key's file: both ways to write a key, and what is refused in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/slice.h"
#include "cache/key_file.h"

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"

static char path[64];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/tarn-key-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    return close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void put(struct slice text, mode_t mode)
{
    AUTO_FD int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.p, text.n), text.n);
    assert_int_equal(fchmod(fd, mode), 0);
}

static void assert_read(struct slice text, const uint8_t *expected)
{
    struct err err = ERR_INIT;
    uint8_t key[CIPHER_KEY_BYTES];
    put(text, 0400);
    assert_int_equal(key_file_read(path, key, &err), 0);
    assert_memory_equal(key, expected, sizeof key);
}

static void assert_refused(struct slice text, mode_t mode, int code, const char *says)
{
    struct err err = ERR_INIT;
    uint8_t key[CIPHER_KEY_BYTES] = {42};
    put(text, mode);
    assert_int_equal(key_file_read(path, key, &err), -code);
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.msg, path));
    if (!strstr(err.msg, says))
        fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
    assert_int_equal(key[0], 42);
}

/* Aim: raw bytes and hex digits of either case, with or without a newline, give the same key. */
static void test_both_forms(void **state)
{
    (void)state;
    uint8_t expected[CIPHER_KEY_BYTES];
    for (size_t i = 0; i < sizeof expected; i++)
        expected[i] = (uint8_t)i;
    assert_read(slice_make(expected, sizeof expected), expected);
    assert_read(SLICE_LIT(HEX), expected);
    assert_read(SLICE_LIT(HEX "\n"), expected);
}

/* Aim: raw bytes that happen to be text are taken as they are. */
static void test_raw_text(void **state)
{
    (void)state;
    struct slice text = SLICE_LIT("0123456789abcdef0123456789abcde\n");
    assert_int_equal(text.n, CIPHER_KEY_BYTES);
    assert_read(text, (const uint8_t *)text.p);
}

/* Aim: a file that is no key is refused and told by its length or its characters. */
static void test_no_key(void **state)
{
    (void)state;
    static const char long_text[4096] = {0};
    assert_refused(SLICE_NONE, 0600, EINVAL, "0 bytes");
    assert_refused(SLICE_LIT("0123456789abcdef"), 0600, EINVAL, "16 bytes");
    assert_refused(SLICE_LIT("0123456789abcdef0123456789abcdef\n"), 0600, EINVAL, "33 bytes");
    assert_refused(SLICE_LIT(HEX "\n\n"), 0600, EINVAL, "or more");
    assert_refused(SLICE_LIT(HEX "0"), 0600, EINVAL, "65 bytes");
    assert_refused(slice_make(long_text, sizeof long_text), 0600, EINVAL, "or more");
    assert_refused(SLICE_LIT("0x0102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"),
                   0600, EINVAL, "hex digits only");
}

/* Aim: a key that others may read or write is refused, with what to do about it. */
static void test_permissions(void **state)
{
    (void)state;
    static const mode_t modes[] = {0644, 0640, 0604, 0620, 0601, 0666};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        assert_refused(SLICE_LIT(HEX), modes[i], EACCES, "chmod 600");
}

/* Aim: what is no file is refused without waiting for a writer. */
static void test_no_file(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint8_t key[CIPHER_KEY_BYTES];
    assert_int_equal(key_file_read("/nonexistent/key", key, &err), -ENOENT);
    assert_int_equal(key_file_read("/tmp", key, &err), -EINVAL);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(key_file_read(path, key, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "regular file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_forms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_raw_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_permissions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_file, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
