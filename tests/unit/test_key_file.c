/* SPDX-License-Identifier: Apache-2.0 */
/* The key file: two spellings of a key, everything else refused with its reason. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "tools/key_file.h"

#define PLACE "/tmp/tarn-key-XXXXXX"
#define DIGITS "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"

/* Reads a key file with these bytes. */
static int read_key(const void *text, size_t n, mode_t mode, uint8_t key[KEY_BYTES],
                    struct err *err)
{
    char path[] = PLACE;
    AUTO_FD int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, n) == (ssize_t)n && fchmod(fd, mode) == 0);
    int rc = key_file_read(path, key, err);
    (void)unlink(path); /* made here */
    return rc;
}

/* 32 bytes and 64 digits in either case, with a line's end or without, are the same key. */
static void test_spellings(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint8_t wanted[KEY_BYTES], key[KEY_BYTES];
    for (size_t i = 0; i < KEY_BYTES; i++)
        wanted[i] = (uint8_t)i;
    static const char *const texts[] = {DIGITS, DIGITS "\n", DIGITS "\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        memset(key, 0xff, sizeof key);
        assert_int_equal(read_key(texts[i], strlen(texts[i]), 0600, key, &err), 0);
        assert_memory_equal(key, wanted, KEY_BYTES);
    }
    memset(key, 0xff, sizeof key);
    assert_int_equal(read_key(wanted, KEY_BYTES, 0440, key, &err), 0);
    assert_memory_equal(key, wanted, KEY_BYTES);
}

/* Any other length, and digits that are none, are refused; a long file is not read to its end. */
static void test_no_key(void **state)
{
    (void)state;
    static const char *const texts[] = {"",         "secret",   DIGITS "0",   DIGITS "\n\n\n",
                                        "x" DIGITS, DIGITS " ", DIGITS DIGITS};
    uint8_t key[KEY_BYTES];
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(read_key(texts[i], strlen(texts[i]), 0600, key, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "64 hexadecimal digits"));
    }
    struct err err = ERR_INIT;
    assert_int_equal(key_file_read("/dev/zero", key, &err), -EINVAL);
    assert_int_equal(key_file_read("/nowhere/key", key, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/nowhere/key"));
}

/* A file that others may read, or the group may write, is refused. */
static void test_open_to_others(void **state)
{
    (void)state;
    static const mode_t modes[] = {0604, 0602, 0601, 0620, 0644};
    uint8_t key[KEY_BYTES];
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(read_key(DIGITS, strlen(DIGITS), modes[i], key, &err), -EPERM);
    }
}

/* A key may come through a pipe, in pieces. */
static void test_pipe(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int fds[2];
    char path[64];
    uint8_t key[KEY_BYTES];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], DIGITS, 20), 20);
    assert_int_equal(write(fds[1], DIGITS + 20, 44), 44);
    (void)close(fds[1]); /* the end of the file */
    (void)snprintf(path, sizeof path, "/dev/fd/%d", fds[0]);
    assert_int_equal(key_file_read(path, key, &err), 0);
    assert_int_equal(key[31], 0x1f);
    (void)close(fds[0]); /* ours */
}

/* A fingerprint tells two keys apart and is not the hash of the key alone. */
static void test_fingerprint(void **state)
{
    (void)state;
    uint8_t one[KEY_BYTES] = {1}, two[KEY_BYTES] = {2};
    char a[KEY_FINGERPRINT_BYTES], b[KEY_FINGERPRINT_BYTES];
    key_fingerprint(one, a);
    key_fingerprint(one, b);
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), 64);
    key_fingerprint(two, b);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),      cmocka_unit_test(test_no_key),
        cmocka_unit_test(test_open_to_others), cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_fingerprint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
