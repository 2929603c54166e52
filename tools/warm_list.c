/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/warm_list.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/limits.h"
#include "base/text.h"
#include "tools/ask.h"

#define NAMES_BYTES_MAX (64 * GIB) /* FILES_MAX names of some 200 bytes */
#define DIRS_MAX ((size_t)1 << 26) /* one for every fourth file */
#define REASON_BYTES 1024          /* of a table that is refused */

void warm_list_init(struct warm_list *l,
                    void (*failed)(void *arg, const char *path, const char *why), void *arg)
{
    *l = (struct warm_list){
        .files = VEC_MAX(FILES_MAX), .dirs = VEC_MAX(DIRS_MAX), .failed = failed, .arg = arg};
    arena_init(&l->names, NAMES_BYTES_MAX);
    lock_init(&l->lock);
    cond_init(&l->changed);
}

void warm_list_done(struct warm_list *l)
{
    vec_done(&l->files);
    vec_done(&l->dirs);
    arena_done(&l->names);
    cond_done(&l->changed);
    lock_done(&l->lock);
}

int warm_file_path(const struct warm_file *f, char out[PATH_MAX])
{
    int n = *f->name ? snprintf(out, PATH_MAX, "%s/%s", f->dir, f->name)
                     : snprintf(out, PATH_MAX, "%s", f->dir);
    return n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* adding; the lists' memory is the only thing that can be missing */

static void add_file_locked(struct warm_list *l, struct warm_file f, const char *name)
    REQUIRES(l->lock)
{
    struct slice copy = arena_slice(&l->names, slice_of(name));
    f.name = copy.p;
    int rc = copy.p ? vec_push(&l->files, f) : -ENOMEM;
    if (rc < 0)
        l->rc = rc;
}

static void add_dir_locked(struct warm_list *l, struct warm_dir d, const char *path)
    REQUIRES(l->lock)
{
    struct slice copy = arena_slice(&l->names, slice_of(path));
    d.path = copy.p;
    int rc = copy.p ? vec_push(&l->dirs, d) : -ENOMEM;
    if (rc < 0)
        l->rc = rc;
    cond_signal(&l->changed);
}

int warm_list_add(struct warm_list *l, const char *path, unsigned number, struct err *err)
{
    struct stat st;
    char dir_of_cache[PATH_MAX]; /* only that there is one */
    AUTO_FREE char *trimmed = strdup(path);
    AUTO_FREE char *real = realpath(path, NULL); /* a link that was named is meant */
    if (!trimmed)
        return err_set(err, ENOMEM, "out of memory");
    for (size_t n = strlen(trimmed); n > 1 && trimmed[n - 1] == '/'; n--)
        trimmed[n - 1] = '\0';
    if (!real || stat(trimmed, &st) < 0)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    int rc = ask_directory(trimmed, dir_of_cache, err);
    if (rc < 0)
        return rc;
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "%s is neither a file nor a directory", path);
    WITH_LOCK (&l->lock) {
        if (S_ISDIR(st.st_mode)) {
            add_dir_locked(l, (struct warm_dir){.device = st.st_dev, .root = number}, trimmed);
        } else {
            struct slice dir = arena_slice(&l->names, slice_of(real));
            struct warm_file f = {.dir = dir.p,
                                  .size = (uint64_t)st.st_size,
                                  .inode = st.st_ino,
                                  .device = st.st_dev,
                                  .path = number};
            if (dir.p)
                add_file_locked(l, f, "");
            else
                l->rc = -ENOMEM;
        }
    }
    return warm_list_check(l, err);
}

/* walking */

/* Why a directory cannot be listed: of a table that is refused, the reason is an attribute. */
static void tell_failure(struct warm_list *l, const char *path, int code)
{
    char why[REASON_BYTES] = "";
    ssize_t n = getxattr(path, "user.tarn.error", why, sizeof why - 1);
    why[n > 0 ? n : 0] = '\0';
    l->failed(l->arg, path, n > 0 ? why : strerror(code));
}

static void add_entry(struct warm_list *l, const struct warm_dir *d, int fd, const char *name)
{
    struct stat st;
    char path[PATH_MAX];
    bool fits = (size_t)snprintf(path, sizeof path, "%s/%s", d->path, name) < sizeof path;
    if (!fits || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        l->failed(l->arg, fits ? path : d->path, strerror(fits ? errno : ENAMETOOLONG));
        return;
    }
    if (st.st_dev != d->device)
        return; /* something else that is mounted there */
    struct warm_file f = {.dir = d->path,
                          .size = (uint64_t)st.st_size,
                          .inode = st.st_ino,
                          .device = st.st_dev,
                          .path = d->root};
    WITH_LOCK (&l->lock) {
        if (S_ISREG(st.st_mode))
            add_file_locked(l, f, name);
        else if (S_ISDIR(st.st_mode))
            add_dir_locked(l, *d, path);
    }
}

static void list_dir(struct warm_list *l, const struct warm_dir *d)
{
    int fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    if (!dir) {
        tell_failure(l, d->path, errno);
        if (fd >= 0)
            (void)close(fd); /* only read */
        return;
    }
    while ((errno = 0, e = readdir(dir)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            add_entry(l, d, fd, e->d_name);
    if (errno)
        tell_failure(l, d->path, errno);
    (void)closedir(dir); /* only read */
}

void warm_list_walk(struct warm_list *l)
{
    for (bool more = true; more;) {
        struct warm_dir d = {0};
        WITH_LOCK (&l->lock) {
            while (l->dirs.n == 0 && l->busy > 0)
                cond_wait(&l->changed, &l->lock);
            more = l->dirs.n > 0 && l->rc == 0;
            if (more) {
                d = l->dirs.at[--l->dirs.n];
                l->busy++;
            }
        }
        if (more) {
            list_dir(l, &d);
            WITH_LOCK (&l->lock)
                if (--l->busy == 0)
                    cond_broadcast(&l->changed); /* maybe that was all */
        }
    }
}

size_t warm_list_count(struct warm_list *l)
{
    size_t n;
    WITH_LOCK (&l->lock)
        n = l->files.n;
    return n;
}

int warm_list_check(struct warm_list *l, struct err *err)
{
    int rc;
    WITH_LOCK (&l->lock)
        rc = l->rc;
    return rc < 0 ? err_set(err, -rc, "the list of files: %s", strerror(-rc)) : 0;
}

/* asking */

void warm_file_ask(struct warm_file *f)
{
    char path[PATH_MAX], text[24];
    uint64_t cached = 0;
    f->cached = 0;
    f->untold = false;
    if (warm_file_path(f, path) < 0)
        return; /* reading it tells */
    ssize_t n = getxattr(path, "user.tarn.cached", text, sizeof text);
    if (n > 0 && text_parse_u64(slice_make(text, (size_t)n), UINT64_MAX, &cached))
        f->cached = cached < f->size ? cached : f->size;
    else
        f->untold = n < 0 && errno == ENODATA;
}

void warm_list_ask(struct warm_list *l)
{
    for (;;) {
        size_t i = atomic_fetch_add(&l->asked, 1);
        if (i >= l->files.n)
            return;
        warm_file_ask(&l->files.at[i]);
    }
}

/* order */

static int compare_files(const void *a, const void *b)
{
    const struct warm_file *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    if (x->inode != y->inode)
        return x->inode < y->inode ? -1 : 1;
    int c = strcmp(x->dir, y->dir);
    return c ? c : strcmp(x->name, y->name);
}

void warm_list_sort(struct warm_list *l)
{
    if (l->files.n > 1)
        qsort(l->files.at, l->files.n, sizeof *l->files.at, compare_files);
    for (size_t i = 1; i < l->files.n; i++) {
        const struct warm_file *before = &l->files.at[i - 1];
        struct warm_file *f = &l->files.at[i];
        f->again = f->inode == before->inode && f->device == before->device;
    }
}
