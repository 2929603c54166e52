/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/local_path.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "base/hash.h"

/* openat2 says EAGAIN when a directory is renamed meanwhile. */
#define RENAME_RACES_MAX 64
#define ETAG_SEED 0x7461726e

bool local_key_valid(struct slice key)
{
    for (;;) {
        ptrdiff_t slash = slice_find(key, '/');
        struct slice part = slice_make(key.p, slash < 0 ? key.n : (size_t)slash);
        if (part.n == 0 || slice_is(part, ".") || slice_is(part, ".."))
            return false;
        if (slash < 0)
            return true;
        key = slice_from(key, (size_t)slash + 1);
    }
}

int local_error(int error, const char *key, struct err *err)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG: /* of a name that no file can have */
    case ENXIO:        /* a socket, or a device without driver */
        return err_set(err, ENOENT, "%.300s: no such file", key);
    case EXDEV:
    case ELOOP:
        return err_set(err, ENOENT, "%.300s: leads out of the store's directory, or in a circle",
                       key);
    case EACCES:
    case EPERM:
        return err_set(err, EACCES, "%.300s: %s", key, strerror(error));
    case ENOMEM:
        return err_set(err, ENOMEM, "%.300s: out of memory", key);
    default: /* errno has a hundred values */
        return err_set(err, EIO, "%.300s: %s", key, strerror(error));
    }
}

int local_open(int root, const char *key, int flags, struct err *err)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    if (flags & O_PATH) /* which takes no others */
        how.flags = (unsigned)(flags | O_CLOEXEC);
    long fd = -1;
    for (int i = 0; i < RENAME_RACES_MAX && fd < 0; i++) {
        fd = syscall(SYS_openat2, root, key, &how, sizeof how);
        if (fd < 0 && errno != EAGAIN && errno != EINTR)
            break;
    }
    return fd < 0 ? local_error(errno, key, err) : (int)fd;
}

static int check_key(const char *key, struct err *err)
{
    return local_key_valid(slice_of(key))
               ? 0
               : err_set(err, ENOENT, "%.300s: no such file: a component is empty, . or ..", key);
}

/* Takes the descriptor, and returns it where it is a regular file's. */
static int check_regular(int opened, const char *key, struct stat *st, struct err *err)
{
    AUTO_FD int fd = opened;
    if (fstat(fd, st) < 0)
        return local_error(errno, key, err);
    if (!S_ISREG(st->st_mode))
        return err_set(err, ENOENT, "%.300s: not a regular file", key);
    return STEAL_FD(fd);
}

int local_open_file(int root, const char *key, struct stat *st, struct err *err)
{
    int rc = check_key(key, err);
    int fd = rc < 0 ? rc : local_open(root, key, O_RDONLY, err);
    return fd < 0 ? fd : check_regular(fd, key, st, err);
}

int local_open_file_now(int root, const char *key, struct stat *st, struct err *err)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED};
    int rc = check_key(key, err);
    if (rc < 0)
        return rc;
    int fd = (int)syscall(SYS_openat2, root, key, &how, sizeof how);
    if (fd >= 0)
        return check_regular(fd, key, st, err);
    if (errno == EAGAIN || errno == EINTR || errno == EINVAL) /* Linux 5.12 has RESOLVE_CACHED */
        return err_set(err, EAGAIN, "%.300s: not at once", key);
    return local_error(errno, key, err);
}

void local_info(const struct stat *st, struct store_info *out)
{
    uint64_t state[4] = {st->st_ino, (uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec,
                         (uint64_t)st->st_mtim.tv_nsec};
    uint64_t hash = hash64(ETAG_SEED, slice_make(state, sizeof state));
    *out =
        (struct store_info){.size = (uint64_t)st->st_size,
                            /* tv_nsec is never negative: this is the floor before 1970 too */
                            .mtime_ms = st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000,
                            .class = "local"};
    (void)snprintf(out->etag, sizeof out->etag, "\"%016" PRIx64 "\"", hash); /* 18 bytes fit */
}
