/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/spare.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"

#define NAME "tarn-spare-"
#define DEPTH 2 /* a directory a table, files in it */

static const char *const places[] = {"/tmp", "/var/tmp", "/dev/shm"};

void spare_init(struct spare *s)
{
    lock_init(&s->lock);
    s->fd = -1;
    s->path[0] = '\0';
}

static DIR *list(int dirfd)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d && fd >= 0)
        (void)close(fd); /* a directory */
    return d;
}

/* bounded: by depth */
static void remove_below(int dirfd, unsigned depth)
{
    DIR *d = list(dirfd);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (depth > 1) {
            AUTO_FD int below =
                openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
            if (below >= 0)
                remove_below(below, depth - 1);
        }
        /* What stays is left for the next process. */
        if (unlinkat(dirfd, e->d_name, 0) < 0)
            (void)unlinkat(dirfd, e->d_name, AT_REMOVEDIR);
    }
    if (d)
        (void)closedir(d); /* only read */
}

void spare_done(struct spare *s)
{
    if (s->fd >= 0) {
        remove_below(s->fd, DEPTH);
        (void)rmdir(s->path); /* likewise */
        (void)close(s->fd);   /* a directory */
    }
    lock_done(&s->lock);
}

/* Directories of ours that nobody has locked were left by a process that was killed. */
static void remove_leftovers(int placefd)
{
    DIR *d = list(placefd);
    struct dirent *e;
    struct stat st;
    while (d && (e = readdir(d))) {
        if (strncmp(e->d_name, NAME, sizeof NAME - 1) != 0)
            continue;
        AUTO_FD int fd =
            openat(placefd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
            flock(fd, LOCK_EX | LOCK_NB) < 0)
            continue;
        remove_below(fd, DEPTH);
        (void)unlinkat(placefd, e->d_name, AT_REMOVEDIR); /* likewise */
    }
    if (d)
        (void)closedir(d); /* only read */
}

/* -EAGAIN: another process has taken it for a leftover, which it looked like until it was locked.
 */
static int make(struct spare *s, const char *place, struct err *err)
{
    struct stat st;
    (void)snprintf(s->path, sizeof s->path, "%s/" NAME "XXXXXX", place);
    if (!mkdtemp(s->path))
        return err_set(err, errno, "%s: %s", s->path, strerror(errno));
    AUTO_FD int fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0 || st.st_nlink == 0) {
        (void)rmdir(s->path); /* or it is gone */
        return err_set(err, EAGAIN, "%s was removed", s->path);
    }
    s->fd = STEAL_FD(fd);
    return 0;
}

bool spare_is_wanted(int dirfd)
{
    static const char page[4096];
    AUTO_FD int fd = -1;
    int made = -1;
    if (file_temporary(dirfd, &made, NULL) < 0)
        return true;
    fd = made;
    return file_pwrite_full(fd, page, sizeof page, 0, NULL) < 0 || fsync(fd) < 0;
}

static int try_place(struct spare *s, const char *place, const struct stat *not_there,
                     struct err *err)
{
    struct stat st;
    int rc = -EAGAIN;
    AUTO_FD int fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(err, errno, "%s: %s", place, strerror(errno));
    if (st.st_dev == not_there->st_dev || spare_is_wanted(fd))
        return err_set(err, ENOSPC, "%s has no room either", place);
    remove_leftovers(fd);
    for (int attempts = 0; rc == -EAGAIN && attempts < 3; attempts++)
        rc = make(s, place, err);
    return rc;
}

int spare_get(struct spare *s, int other_than, int *dirfd, struct err *err)
{
    struct stat st = {0};
    int rc = 0;
    if (fstat(other_than, &st) < 0)
        return err_set(err, errno, "cache directory: %s", strerror(errno));
    WITH_LOCK (&s->lock) {
        if (s->fd < 0)
            rc = -ENOENT;
        for (size_t i = 0; rc < 0 && i < ARRAY_SIZE(places); i++)
            rc = try_place(s, places[i], &st, err);
        if (rc == 0)
            *dirfd = s->fd;
    }
    return rc;
}
