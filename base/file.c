/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define READ_CHUNK ((size_t)64 << 10)

int file_remove_other(int dirfd, const char *name, struct err *err)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_set(err, errno, "%s: %s", name, strerror(errno));
    if (S_ISREG(st.st_mode))
        return 0;
    if (unlinkat(dirfd, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0)
        return err_set(err, errno, "%s is no regular file, and cannot be removed: %s", name,
                       strerror(errno));
    return 1;
}

int file_open_own(int dirfd, const char *name, int flags, int *out, struct err *err)
{
    int rc = file_remove_other(dirfd, name, err);
    if (rc < 0)
        return rc;
    int fd = openat(dirfd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return err_set(err, errno, "%s: %s", name, strerror(errno));
    *out = fd;
    return 0;
}

int file_read(int dirfd, const char *path, struct buf *out, struct err *err)
{
    AUTO_FD int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    for (;;) {
        char *to = buf_reserve(out, READ_CHUNK);
        size_t room = READ_CHUNK;
        char probe = 0;
        if (!to && out->failed == EOVERFLOW) { /* near the maximum: less may be left to read */
            out->failed = 0;
            room = out->max - out->len;
            to = room ? buf_reserve(out, room) : &probe;
            room = room ? room : 1;
        }
        if (!to)
            return err_set(err, ENOMEM, "%s: out of memory", path);
        ssize_t n = read(fd, to, room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, errno, "%s: %s", path, strerror(errno));
        if (n == 0)
            break;
        if (to == &probe)
            return err_set(err, EOVERFLOW, "%s: more than the permitted %zu bytes", path, out->max);
        out->len += (size_t)n;
    }
    if (out->data)
        out->data[out->len] = '\0';
    return 0;
}

int file_pread_full(int fd, void *to, size_t n, off_t offset, struct err *err)
{
    char *p = to;
    while (n) {
        ssize_t got = pread(fd, p, n, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(err, errno, "read at %lld: %s", (long long)offset, strerror(errno));
        if (got == 0)
            return err_set(err, EIO, "the file ends at %lld, %zu bytes too early",
                           (long long)offset, n);
        p += got;
        n -= (size_t)got;
        offset += got;
    }
    return 0;
}

int file_pwrite_full(int fd, const void *from, size_t n, off_t offset, struct err *err)
{
    const char *p = from;
    while (n) {
        ssize_t put = pwrite(fd, p, n, offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_set(err, errno, "write at %lld: %s", (long long)offset, strerror(errno));
        p += put;
        n -= (size_t)put;
        offset += put;
    }
    return 0;
}

int file_pwritev_full(int fd, const struct iovec *from, unsigned count, off_t offset,
                      struct err *err)
{
    ssize_t put;
    do {
        put = pwritev(fd, from, (int)count, offset);
    } while (put < 0 && errno == EINTR);
    if (put < 0)
        return err_set(err, errno, "write at %lld: %s", (long long)offset, strerror(errno));
    /* Seldom less than all of it: what is left goes piece by piece. */
    int rc = 0;
    size_t done = (size_t)put;
    for (unsigned i = 0; rc == 0 && i < count; i++) {
        size_t n = from[i].iov_len, skip = done < n ? done : n;
        done -= skip;
        rc = file_pwrite_full(fd, (const char *)from[i].iov_base + skip, n - skip,
                              offset + (off_t)skip, err);
        offset += (off_t)n;
    }
    return rc;
}

int file_sync_dir(int dirfd, struct err *err)
{
    if (fsync(dirfd) < 0)
        return err_set(err, errno, "fsync of a directory: %s", strerror(errno));
    return 0;
}

int file_replace(int dirfd, const char *name, struct slice data, mode_t mode, struct err *err)
{
    char aside[NAME_MAX + 1];
    if ((size_t)snprintf(aside, sizeof aside, "%s.tmp", name) >= sizeof aside)
        return err_set(err, ENAMETOOLONG, "%s: name too long", name);
    (void)unlinkat(dirfd, aside, 0); /* what a killed process left, or a link to elsewhere */
    AUTO_FD int fd = openat(dirfd, aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return err_set(err, errno, "%s: %s", aside, strerror(errno));
    int rc = file_pwrite_full(fd, data.p, data.n, 0, err);
    if (rc == 0 && fsync(fd) < 0)
        rc = err_set(err, errno, "fsync: %s", strerror(errno));
    if (rc == 0 && renameat(dirfd, aside, dirfd, name) < 0)
        rc = err_set(err, errno, "rename: %s", strerror(errno));
    if (rc < 0) {
        (void)unlinkat(dirfd, aside, 0); /* what is left of it would be replaced next time anyway */
        return err_wrap(err, "%s", name);
    }
    return file_sync_dir(dirfd, err);
}

int file_mkdirs(const char *path, mode_t mode, struct err *err)
{
    char *end;
    AUTO_FREE char *copy = strdup(path);
    if (!copy)
        return err_set(err, ENOMEM, "out of memory");
    for (end = copy + (*copy == '/');; end++) {
        if (*end != '/' && *end != '\0')
            continue;
        char saved = *end;
        *end = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return err_set(err, errno, "mkdir %s: %s", copy, strerror(errno));
        *end = saved;
        if (!saved)
            break;
    }
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_set(err, ENOTDIR, "%s is not a directory", path);
    return 0;
}

int file_temporary(int dirfd, int *out, struct err *err)
{
    int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
        char name[64];
        (void)snprintf(name, sizeof name, "tmp-%d-%p", (int)getpid(), (void *)out);
        fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0)
            (void)unlinkat(dirfd, name, 0); /* the descriptor alone holds it */
    }
    if (fd < 0)
        return err_set(err, errno, "temporary file: %s", strerror(errno));
    *out = fd;
    return 0;
}

int file_quiet_dir(int dirfd)
{
    struct mount_attr quiet = {.attr_set = MOUNT_ATTR_NOATIME, .attr_clr = MOUNT_ATTR__ATIME};
    AUTO_FD int fd = open_tree(dirfd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &quiet, sizeof quiet) < 0)
        return -1;
    return STEAL_FD(fd);
}
