/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that fails at the n-th change: a library for LD_PRELOAD. Calls that write below one
 * directory are counted, and those that the test chose fail with the errno that it chose.
 *
 *   FAILING_DIR      the directory; real path
 *   FAILING_CONTROL  a file with `struct control`, mapped by the test too
 *
 * What counts: opening for writing or making a file, writes, truncation, allocation, punching,
 * syncing, making, renaming, linking and removing names, and mapping a file. Memory that is mapped
 * is not seen here.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
    _Atomic uint64_t seen;   /* calls that counted */
    _Atomic uint64_t from;   /* of these, those numbered from..from+count-1 fail; from 1 on */
    _Atomic uint64_t count;  /* 0: none fails */
    _Atomic uint64_t code;   /* errno */
    _Atomic uint64_t failed; /* calls that failed */
    char first[216];         /* the name of the call that failed first, and its path */
};

static struct control *control;
static char directory[PATH_MAX];
static size_t directory_length;

__attribute__((constructor)) static void set_up(void)
{
    const char *where = getenv("FAILING_DIR"), *path = getenv("FAILING_CONTROL");
    if (!where || !path || strlen(where) >= sizeof directory)
        return;
    memcpy(directory, where, strlen(where) + 1);
    directory_length = strlen(directory);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    void *map = fd < 0 ? MAP_FAILED
                       : (void *)syscall(SYS_mmap, NULL, sizeof *control, PROT_READ | PROT_WRITE,
                                         MAP_SHARED, fd, 0);
    if (fd >= 0)
        syscall(SYS_close, fd);
    if (map != MAP_FAILED)
        control = map;
}

static bool below(const char *path)
{
    return strncmp(path, directory, directory_length) == 0 &&
           (path[directory_length] == '/' || path[directory_length] == '\0');
}

static bool fd_path(int fd, char out[PATH_MAX])
{
    char link[40];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long n = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
    if (n < 0)
        return false;
    out[n] = '\0';
    return true;
}

/* True: the call is to fail, and errno is set. */
static bool fails(const char *call, const char *path)
{
    uint64_t number = ++control->seen;
    uint64_t from = control->from, count = control->count;
    if (number < from || number - from >= count)
        return false;
    if (control->failed++ == 0)
        (void)snprintf(control->first, sizeof control->first, "%s %s", call,
                       below(path) ? path + directory_length : path);
    errno = (int)control->code;
    return true;
}

static bool fd_fails(const char *call, int fd)
{
    char path[PATH_MAX];
    int before = errno;
    if (!control || fd < 0 || !fd_path(fd, path) || !below(path)) {
        errno = before;
        return false;
    }
    return fails(call, path);
}

static bool path_fails(const char *call, int dirfd, const char *name)
{
    static const char own[] = "/proc/self/fd/";
    char path[PATH_MAX];
    int before = errno;
    bool found = false;
    if (!control || !name)
        return false;
    if (strncmp(name, own, sizeof own - 1) == 0) {
        char *end;
        long fd = strtol(name + sizeof own - 1, &end, 10);
        found = fd_path((int)fd, path);
        if (found && below(path))
            (void)strncat(path, end, sizeof path - strlen(path) - 1);
    } else if (name[0] == '/') {
        found = strlen(name) < sizeof path;
        if (found)
            memcpy(path, name, strlen(name) + 1);
    } else if (dirfd != AT_FDCWD) {
        found = fd_path(dirfd, path) && strlen(path) + strlen(name) + 2 < sizeof path;
        if (found)
            (void)snprintf(path + strlen(path), sizeof path - strlen(path), "/%s", name);
    }
    errno = before;
    return found && below(path) && fails(call, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* WRAP(type, name, parameters, arguments, condition under which it fails, result then) */
#define WRAP(type, name, parameters, arguments, condition, result)                                 \
    type name parameters                                                                           \
    {                                                                                              \
        static __typeof__(&name) real;                                                             \
        if (!real)                                                                                 \
            real = REAL(name);                                                                     \
        return (condition) ? (result) : real arguments;                                            \
    }
#define WRAP_FD(type, name, parameters, arguments)                                                 \
    WRAP(type, name, parameters, arguments, fd_fails(#name, fd), -1)
#define WRAP_AT(name, parameters, arguments)                                                       \
    WRAP(int, name, parameters, arguments, path_fails(#name, at, path), -1)

WRAP_FD(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
WRAP_FD(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
WRAP_FD(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t o), (fd, p, n, o))
WRAP_FD(ssize_t, pwrite64, (int fd, const void *p, size_t n, off64_t o), (fd, p, n, o))
WRAP_FD(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t o), (fd, v, n, o))
WRAP_FD(ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off64_t o), (fd, v, n, o))
WRAP_FD(ssize_t, pwritev2, (int fd, const struct iovec *v, int n, off_t o, int f), (fd, v, n, o, f))
WRAP_FD(ssize_t, pwritev64v2, (int fd, const struct iovec *v, int n, off64_t o, int f),
        (fd, v, n, o, f))
WRAP_FD(int, ftruncate, (int fd, off_t n), (fd, n))
WRAP_FD(int, ftruncate64, (int fd, off64_t n), (fd, n))
WRAP_FD(int, fallocate, (int fd, int mode, off_t o, off_t n), (fd, mode, o, n))
WRAP_FD(int, fallocate64, (int fd, int mode, off64_t o, off64_t n), (fd, mode, o, n))
WRAP(int, posix_fallocate, (int fd, off_t o, off_t n), (fd, o, n), fd_fails("posix_fallocate", fd),
     errno)
WRAP(int, posix_fallocate64, (int fd, off64_t o, off64_t n), (fd, o, n),
     fd_fails("posix_fallocate64", fd), errno)
WRAP_FD(int, fsync, (int fd), (fd))
WRAP_FD(int, fdatasync, (int fd), (fd))
WRAP_FD(int, fchmod, (int fd, mode_t m), (fd, m))
WRAP_AT(mkdirat, (int at, const char *path, mode_t m), (at, path, m))
WRAP_AT(unlinkat, (int at, const char *path, int f), (at, path, f))
WRAP(int, mkdir, (const char *path, mode_t m), (path, m), path_fails("mkdir", AT_FDCWD, path), -1)
WRAP(int, unlink, (const char *path), (path), path_fails("unlink", AT_FDCWD, path), -1)
WRAP(int, rename, (const char *from, const char *path), (from, path),
     path_fails("rename", AT_FDCWD, path), -1)
WRAP(int, renameat, (int from_at, const char *from, int at, const char *path),
     (from_at, from, at, path), path_fails("renameat", at, path), -1)
WRAP(int, renameat2, (int from_at, const char *from, int at, const char *path, unsigned f),
     (from_at, from, at, path, f), path_fails("renameat2", at, path), -1)
WRAP(int, linkat, (int from_at, const char *from, int at, const char *path, int f),
     (from_at, from, at, path, f), path_fails("linkat", at, path), -1)
WRAP(void *, mmap, (void *to, size_t n, int prot, int flags, int fd, off_t o),
     (to, n, prot, flags, fd, o), fd_fails("mmap", fd), MAP_FAILED)
WRAP(void *, mmap64, (void *to, size_t n, int prot, int flags, int fd, off64_t o),
     (to, n, prot, flags, fd, o), fd_fails("mmap64", fd), MAP_FAILED)

static bool makes(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

/* The mode is passed on whether there is one or not: the kernel looks at it where there is. */
#define WRAP_OPEN(name, parameters, arguments, at, path)                                           \
    int name parameters                                                                            \
    {                                                                                              \
        static __typeof__(&name) real;                                                             \
        if (!real)                                                                                 \
            real = REAL(name);                                                                     \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        mode_t mode = makes(flags) ? va_arg(ap, mode_t) : 0;                                       \
        va_end(ap);                                                                                \
        return makes(flags) && path_fails(#name, at, path) ? -1 : real arguments;                  \
    }

WRAP_OPEN(open, (const char *path, int flags, ...), (path, flags, mode), AT_FDCWD, path)
WRAP_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode), AT_FDCWD, path)
WRAP_OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode), at, path)
WRAP_OPEN(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode), at, path)
