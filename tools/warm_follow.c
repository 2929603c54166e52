/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/warm_follow.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "tools/human.h"

static int open_prefetch(const char *dir, struct err *err)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/.tarn/prefetch", dir);
    if (n < 0 || (size_t)n >= sizeof path)
        return err_set(err, ENAMETOOLONG, "%s: %s", dir, strerror(ENAMETOOLONG));
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0)
        return fd;
    return err_set(err, errno == ENOENT || errno == ENOTDIR ? EINVAL : errno,
                   errno == ENOENT || errno == ENOTDIR
                       ? "%s is neither a table nor the root of a mount of tarn"
                       : "%s/.tarn/prefetch cannot be written to",
                   dir);
}

static int write_all(int fd, const char *from, size_t n)
{
    while (n) {
        ssize_t put = write(fd, from, n);
        if (put < 0)
            return -errno;
        from += put;
        n -= (size_t)put;
    }
    return 0;
}

int warm_follow(const char *list, const char *dir, struct err *err)
{
    char text[HUMAN_BYTES];
    uint64_t lines = 0;
    char last = '\n';
    AUTO_FREE char *bytes = malloc(MIB);
    AUTO_FD int from =
        strcmp(list, "-") == 0 ? dup(STDIN_FILENO) : open(list, O_RDONLY | O_CLOEXEC);
    if (!bytes)
        return err_set(err, ENOMEM, "out of memory");
    if (from < 0)
        return err_set(err, errno, "%s: %s", list, strerror(errno));
    AUTO_FD int to = open_prefetch(dir, err);
    if (to < 0)
        return to;
    for (;;) {
        ssize_t n = read(from, bytes, MIB);
        if (n < 0)
            return err_set(err, errno, "%s: %s", list, strerror(errno));
        if (n == 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            lines += bytes[i] == '\n';
        last = bytes[n - 1];
        int rc = write_all(to, bytes, (size_t)n);
        if (rc < 0)
            return err_set(err, -rc, "%s/.tarn/prefetch: %s", dir, strerror(-rc));
    }
    lines += last != '\n';
    printf("handed over: %s lines\n", human_count(lines, text));
    return 0;
}
