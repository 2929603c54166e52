/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/key_file.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"

#define HEX_BYTES ((size_t)2 * CIPHER_KEY_BYTES)
#define OTHERS 077

static int check_file(int fd, const char *path, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "%s: a regular file is needed", path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return err_set(err, EACCES, "%s: it belongs to user %lu, who could change it", path,
                       (unsigned long)st.st_uid);
    if (st.st_mode & OTHERS)
        return err_set(err, EACCES, "%s: others may use it (mode %04o): chmod 600 it", path,
                       (unsigned)st.st_mode & 07777);
    return 0;
}

/* Up to max bytes: how many there are, or -errno. */
static ssize_t read_all(int fd, char *to, size_t max)
{
    size_t n = 0;
    while (n < max) {
        ssize_t got = read(fd, to + n, max - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static bool parse_hex(const char *text, uint8_t key[CIPHER_KEY_BYTES])
{
    for (size_t i = 0; i < CIPHER_KEY_BYTES; i++) {
        int high = text_hex_digit(text[2 * i]), low = text_hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* n bytes were read, one more than any key has at most. */
static int parse(const char *path, const char *text, size_t n, uint8_t key[CIPHER_KEY_BYTES],
                 struct err *err)
{
    if (n == CIPHER_KEY_BYTES) {
        memcpy(key, text, n);
        return 0;
    }
    if (n != HEX_BYTES && !(n == HEX_BYTES + 1 && text[HEX_BYTES] == '\n'))
        return err_set(err, EINVAL, "%s: %zu bytes%s, a key is %d raw bytes or %zu hex digits",
                       path, n, n > HEX_BYTES + 1 ? " or more" : "", CIPHER_KEY_BYTES, HEX_BYTES);
    if (!parse_hex(text, key))
        return err_set(err, EINVAL, "%s: a key of %zu characters must be hex digits only", path,
                       HEX_BYTES);
    return 0;
}

int key_file_read(const char *path, uint8_t key[CIPHER_KEY_BYTES], struct err *err)
{
    char text[HEX_BYTES + 2];
    uint8_t found[CIPHER_KEY_BYTES];
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* never waits */
    if (fd < 0)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    int rc = check_file(fd, path, err);
    if (rc < 0)
        return rc;
    ssize_t n = read_all(fd, text, sizeof text);
    if (n < 0)
        rc = err_set(err, (int)-n, "%s: %s", path, strerror((int)-n));
    else
        rc = parse(path, text, (size_t)n, found, err);
    if (rc == 0)
        memcpy(key, found, sizeof found);
    OPENSSL_cleanse(text, sizeof text);
    OPENSSL_cleanse(found, sizeof found);
    return rc;
}
