/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/key_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/text.h"

#define TEXT_BYTES_MAX (2 * KEY_BYTES + 2) /* digits, and a line's end of two bytes */

/* All there is, up to one byte more than a key's text may have. */
static int read_text(const char *path, char text[TEXT_BYTES_MAX + 1], size_t *length,
                     struct err *err)
{
    struct stat st;
    size_t have = 0;
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(err, errno, "key file %s: %s", path, strerror(errno));
    if (S_ISREG(st.st_mode) && (st.st_mode & (S_IRWXO | S_IWGRP)))
        return err_set(err, EPERM, "key file %s is open to others (mode %04o): chmod 600 it", path,
                       (unsigned)st.st_mode & 07777);
    while (have <= TEXT_BYTES_MAX) { /* a pipe gives it in pieces */
        ssize_t n = read(fd, text + have, TEXT_BYTES_MAX + 1 - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, errno, "key file %s: %s", path, strerror(errno));
        if (n == 0)
            break;
        have += (size_t)n;
    }
    *length = have;
    return 0;
}

static bool parse_digits(struct slice text, uint8_t key[KEY_BYTES])
{
    while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    return text.n == (size_t)2 * KEY_BYTES && text_unhex(text, key);
}

int key_file_read(const char *path, uint8_t key[KEY_BYTES], struct err *err)
{
    char text[TEXT_BYTES_MAX + 1];
    size_t n = 0;
    int rc = read_text(path, text, &n, err);
    if (rc == 0 && n == KEY_BYTES)
        memcpy(key, text, KEY_BYTES);
    else if (rc == 0 && (n > TEXT_BYTES_MAX || !parse_digits(slice_make(text, n), key)))
        rc = err_set(err, EINVAL, "key file %s holds no key: 32 bytes, or 64 hexadecimal digits",
                     path);
    explicit_bzero(text, sizeof text);
    return rc;
}

void key_fingerprint(const uint8_t key[KEY_BYTES], char out[KEY_FINGERPRINT_BYTES])
{
    static const char label[] = "tarn cache key"; /* so that it is the hash of nothing else */
    char both[sizeof label + KEY_BYTES];
    memcpy(both, label, sizeof label);
    memcpy(both + sizeof label, key, KEY_BYTES);
    sha256_hex(slice_make(both, sizeof both), out);
    explicit_bzero(both, sizeof both);
}
