/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/local_write.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "cache/store/local_path.h"

/* Nobody writes one object for so long. */
#define UNFINISHED_S 86400
/* Others remove the directory when it is empty. */
#define RACES_MAX 64

struct local_writer {
    struct store_writer writer;
    int root;                  /* borrowed */
    int parent, fd, aside_dir; /* aside_dir -1: the file has no name */
    char *key;
    const char *name; /* in the parent */
    char aside[32];
    bool if_absent;
    off_t at;
};

static struct local_writer *local_writer_of(struct store_writer *w)
{
    return CONTAINER_OF(w, struct local_writer, writer);
}

/* What a write is refused with. */
static int write_error(int error, const char *key, struct err *err)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return err_set(err, ENOSPC, "%.300s: %s", key, strerror(error));
    case EROFS:
        return err_set(err, EROFS, "%.300s: %s", key, strerror(error));
    default: /* errno has a hundred values */
        return local_error(error, key, err);
    }
}

/* The directory of the key, made where it is missing. Returns a descriptor or -errno. */
static int make_parent(int root, const char *key, struct err *err)
{
    AUTO_FREE char *path = strdup(key);
    if (!path)
        return err_set(err, ENOMEM, "out of memory");
    AUTO_FD int parent = local_open(root, ".", O_RDONLY | O_DIRECTORY, err);
    if (parent < 0)
        return STEAL_FD(parent);
    char *at = path, *slash;
    for (; (slash = strchr(at, '/')); at = slash + 1) {
        *slash = '\0';
        bool made = mkdirat(parent, at, 0777) == 0; /* EEXIST is met by the open */
        int error = errno;
        int fd = local_open(root, path, O_RDONLY | O_DIRECTORY, err);
        if (fd < 0)
            return made || error == EEXIST ? fd : write_error(error, path, err);
        if (made && file_sync_dir(parent, err) < 0) {
            (void)close(fd); /* only read */
            return local_error(EIO, path, err);
        }
        (void)close(parent); /* only read */
        parent = fd;
        *slash = '/';
    }
    return STEAL_FD(parent);
}

/* ---- files with a name of their own until they are whole ---- */

static void sweep(int dir)
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *d;
    while (list && (d = readdir(list))) {
        struct stat st;
        bool old = fstatat(dir, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
                   st.st_mtim.tv_sec < clock_real_ms() / 1000 - UNFINISHED_S;
        if (old)
            (void)unlinkat(dir, d->d_name, 0); /* the next one tries again */
    }
    if (list)
        (void)closedir(list);
    else if (copy >= 0)
        (void)close(copy);
}

static int make_aside(struct local_writer *w, struct err *err)
{
    uint64_t random;
    if (RAND_bytes((unsigned char *)&random, sizeof random) != 1)
        return err_set(err, EIO, "no random numbers");
    (void)snprintf(w->aside, sizeof w->aside, "%016" PRIx64, random); /* fits */
    for (unsigned i = 0; i < RACES_MAX; i++) {
        if (mkdirat(w->root, LOCAL_UNFINISHED, 0777) < 0 && errno != EEXIST)
            return write_error(errno, LOCAL_UNFINISHED, err);
        AUTO_FD int dir =
            local_open(w->root, LOCAL_UNFINISHED, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, err);
        if (dir == -ENOENT)
            continue;
        if (dir < 0)
            return STEAL_FD(dir);
        int fd = openat(dir, w->aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno == ENOENT)
            continue;
        if (fd < 0)
            return write_error(errno, LOCAL_UNFINISHED, err);
        w->fd = fd;
        w->aside_dir = STEAL_FD(dir);
        sweep(w->aside_dir);
        return 0;
    }
    return err_set(err, EIO, LOCAL_UNFINISHED ": it is made and removed all the time");
}

static void drop_aside(struct local_writer *w)
{
    if (w->aside_dir < 0)
        return;
    (void)unlinkat(w->aside_dir, w->aside, 0);               /* it may have moved to its place */
    (void)close(w->aside_dir);                               /* only read */
    (void)unlinkat(w->root, LOCAL_UNFINISHED, AT_REMOVEDIR); /* others may have files there */
    w->aside_dir = -1;
}

/* ---- the writer ---- */

static int add(struct store_writer *writer, struct slice data, struct err *err)
{
    struct local_writer *w = local_writer_of(writer);
    struct err why = ERR_INIT;
    int rc = file_pwrite_full(w->fd, data.p, data.n, w->at, &why);
    w->at += (off_t)data.n;
    return rc < 0 ? write_error(-rc, w->key, err) : 0;
}

/* Gives it its name. 0 or -1 and errno. */
static int name_it(struct local_writer *w)
{
    char self[64];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", w->fd); /* a number fits */
    if (w->aside_dir < 0)
        return linkat(AT_FDCWD, self, w->parent, w->name, AT_SYMLINK_FOLLOW);
    if (!w->if_absent)
        return renameat(w->aside_dir, w->aside, w->parent, w->name);
    int rc = linkat(w->aside_dir, w->aside, w->parent, w->name, 0);
    if (rc < 0 && (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS)) /* knows no links */
        rc = renameat2(w->aside_dir, w->aside, w->parent, w->name, RENAME_NOREPLACE);
    return rc;
}

static int end(struct store_writer *writer, struct store_info *out, struct err *err)
{
    struct local_writer *w = local_writer_of(writer);
    struct stat st;
    if (fsync(w->fd) < 0 || fstat(w->fd, &st) < 0)
        return write_error(errno, w->key, err);
    if (name_it(w) < 0)
        return errno == EEXIST ? err_set(err, EEXIST, "%.300s: the key is there already", w->key)
                               : write_error(errno, w->key, err);
    local_info(&st, out);
    return file_sync_dir(w->parent, err) < 0 ? local_error(EIO, w->key, err) : 0;
}

static void free_writer(struct store_writer *writer)
{
    struct local_writer *w = local_writer_of(writer);
    drop_aside(w);
    if (w->fd >= 0)
        (void)close(w->fd); /* what has to last was synced */
    if (w->parent >= 0)
        (void)close(w->parent); /* only read */
    free(w->key);
    free(w);
}

static const struct store_writer_ops ops = {.add = add, .end = end, .free = free_writer};

static int open_file(struct local_writer *w, struct err *err)
{
    w->parent = make_parent(w->root, w->key, err);
    if (w->parent < 0)
        return w->parent;
    /* What replaces another one has to be renamed, and so has a name. */
    w->fd = w->if_absent ? openat(w->parent, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666) : -1;
    if (w->fd >= 0)
        return 0;
    if (w->if_absent && errno != EISDIR && errno != EOPNOTSUPP)
        return write_error(errno, w->key, err);
    return make_aside(w, err);
}

int local_write_begin(int root, const char *key, const struct store_put *how,
                      struct store_writer **out, struct err *err)
{
    struct stat st;
    if (!local_key_valid(slice_of(key)))
        return err_set(err, ENOENT, "%.300s: a component is empty, . or ..", key);
    if (how->class)
        return err_set(err, EINVAL, "a directory has no storage classes such as %.60s", how->class);
    struct local_writer *w = calloc(1, sizeof *w);
    AUTO(store_writer) struct store_writer *owned = w ? &w->writer : NULL;
    if (!w)
        return err_set(err, ENOMEM, "out of memory");
    *w = (struct local_writer){.writer.ops = &ops,
                               .root = root,
                               .parent = -1,
                               .fd = -1,
                               .aside_dir = -1,
                               .if_absent = how->if_absent};
    w->key = strdup(key);
    if (!w->key)
        return err_set(err, ENOMEM, "out of memory");
    const char *slash = strrchr(w->key, '/');
    w->name = slash ? slash + 1 : w->key;
    int rc = open_file(w, err);
    if (rc == 0 && how->if_absent && fstatat(w->parent, w->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        rc = err_set(err, EEXIST, "%.300s: the key is there already", key);
    if (rc == 0)
        *out = STEAL(owned);
    return rc;
}

int local_unlink(int root, const char *key, struct err *err)
{
    if (!local_key_valid(slice_of(key)))
        return 0;
    AUTO_FREE char *dir = strdup(key);
    if (!dir)
        return err_set(err, ENOMEM, "out of memory");
    char *slash = strrchr(dir, '/');
    const char *name = slash ? slash + 1 : dir;
    if (slash)
        *slash = '\0';
    AUTO_FD int parent = local_open(root, slash ? dir : ".", O_RDONLY | O_DIRECTORY, err);
    if (parent < 0)
        return parent == -ENOENT ? 0 : STEAL_FD(parent);
    struct stat st;
    int error = unlinkat(parent, name, 0) < 0 ? errno : 0;
    if (error == EROFS && fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        error = errno; /* which is asked before whether it is there */
    if (error)
        return error == ENOENT || error == EISDIR ? 0 : write_error(error, key, err);
    return file_sync_dir(parent, err) < 0 ? local_error(EIO, key, err) : 0;
}
