/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/local_list.h"

#include <dirent.h>
#include <fcntl.h>

#include "cache/store/local_path.h"
#include "cache/store/local_write.h"

/* Each open directory is a descriptor. Tables nest by their partition columns, about ten. */
#define DEPTH_MAX 100
/* Links to directories inside one another: with two in each, a listing would double every time. */
#define LINKS_MAX 4

struct frame {
    DIR *dir;
    size_t path_bytes; /* of its path in walk.path, with the final `/` */
    dev_t dev;
    ino_t ino;
};

struct walk {
    int root;
    const struct store_list *req;
    struct buf path; /* of the entry at hand, relative to the root */
    struct frame frames[DEPTH_MAX];
    unsigned depth, links;
    bool linked[DEPTH_MAX]; /* the frame was entered through a link */
};

static void leave(struct walk *w)
{
    w->depth--;
    (void)closedir(w->frames[w->depth].dir); /* only read */
    w->links -= w->linked[w->depth];
}

static void auto_walk(struct walk *w)
{
    while (w->depth)
        leave(w);
    buf_done(&w->path);
}

static bool on_stack(const struct walk *w, const struct stat *st)
{
    for (unsigned i = 0; i < w->depth; i++)
        if (w->frames[i].dev == st->st_dev && w->frames[i].ino == st->st_ino)
            return true;
    return false;
}

/* Opens the directory that w->path names ("" or with a final `/`). -ENOENT where it is none. */
static int enter(struct walk *w, bool linked, struct err *err)
{
    const char *path = w->path.len ? w->path.data : ".";
    if (w->depth == DEPTH_MAX || w->links + linked > LINKS_MAX)
        return err_set(err, EIO, "%.300s: more than %d directories or %d links inside one another",
                       path, DEPTH_MAX, LINKS_MAX);
    AUTO_FD int fd = local_open(w->root, path, O_RDONLY | O_DIRECTORY, err);
    if (fd < 0)
        return STEAL_FD(fd);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return local_error(errno, path, err);
    if (linked && on_stack(w, &st))
        return err_set(err, ENOENT, "%.300s: a link to a directory above it", path);
    DIR *dir = fdopendir(fd);
    if (!dir)
        return local_error(errno, path, err);
    (void)STEAL_FD(fd); /* the stream's now */
    w->links += linked;
    w->linked[w->depth] = linked;
    w->frames[w->depth++] =
        (struct frame){.dir = dir, .path_bytes = w->path.len, .dev = st.st_dev, .ino = st.st_ino};
    return 0;
}

/* What the entry at w->path is, links followed. -ENOENT where it is gone or leads out. */
static int look(struct walk *w, const struct dirent *d, struct stat *st, bool *linked,
                struct err *err)
{
    const struct frame *f = &w->frames[w->depth - 1];
    if (fstatat(dirfd(f->dir), d->d_name, st, AT_SYMLINK_NOFOLLOW) < 0)
        return local_error(errno, w->path.data, err);
    *linked = S_ISLNK(st->st_mode);
    if (!*linked)
        return 0;
    AUTO_FD int fd = local_open(w->root, w->path.data, O_PATH, err);
    if (fd < 0)
        return STEAL_FD(fd);
    return fstat(fd, st) < 0 ? local_error(errno, w->path.data, err) : 0;
}

static int emit_file(struct walk *w, const struct stat *st)
{
    struct slice key = buf_slice(&w->path);
    if (w->req->start_after && slice_cmp(key, slice_of(w->req->start_after)) <= 0)
        return 0;
    struct store_info info;
    local_info(st, &info);
    struct store_entry entry = {.key = key,
                                .size = info.size,
                                .mtime_ms = info.mtime_ms,
                                .etag = slice_of(info.etag),
                                .class = slice_of(info.class),
                                .readable = true};
    return w->req->emit(w->req->arg, &entry);
}

/* w->path is the directory's with its final `/`. */
static int take_directory(struct walk *w, bool linked, struct err *err)
{
    struct slice key = buf_slice(&w->path), after = slice_of(w->req->start_after);
    if (slice_cmp(key, after) < 0 && !slice_starts(after, key))
        return 0; /* all of it comes before */
    if (!w->req->recursive) {
        struct store_entry entry = {.key = key, .is_prefix = true};
        return w->req->emit(w->req->arg, &entry);
    }
    int rc = enter(w, linked, err);
    return rc == -ENOENT ? 0 : rc;
}

static int take_entry(struct walk *w, const struct dirent *d, struct err *err)
{
    w->path.len = w->frames[w->depth - 1].path_bytes;
    buf_add_str(&w->path, d->d_name);
    if (w->path.failed == EOVERFLOW)
        return err_set(err, EIO, "%.200s: a path of more than %d bytes", d->d_name, KEY_BYTES_MAX);
    struct stat st = {0};
    bool linked = false;
    int rc = buf_check(&w->path, err);
    if (slice_is(buf_slice(&w->path), LOCAL_UNFINISHED))
        return 0; /* no objects yet */
    if (rc == 0 && w->req->wanted && !w->req->wanted(buf_slice(&w->path)))
        return 0;
    if (rc == 0)
        rc = look(w, d, &st, &linked, err);
    if (rc < 0)
        return rc == -ENOENT ? 0 : rc;
    if (S_ISREG(st.st_mode))
        return emit_file(w, &st);
    if (!S_ISDIR(st.st_mode))
        return 0;
    buf_add_char(&w->path, '/');
    rc = buf_check(&w->path, err);
    return rc < 0 ? rc : take_directory(w, linked, err);
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int run_walk(struct walk *w, struct err *err)
{
    while (w->depth) {
        struct frame *f = &w->frames[w->depth - 1];
        errno = 0;
        struct dirent *d = readdir(f->dir);
        if (!d && errno) {
            w->path.len = f->path_bytes;
            return err_set(err, EIO, "reading the directory %.*s: %s",
                           (int)(f->path_bytes < 300 ? f->path_bytes : 300),
                           w->path.data ? w->path.data : "", strerror(errno));
        }
        if (!d) {
            leave(w);
            continue;
        }
        int rc = is_dots(d->d_name) ? 0 : take_entry(w, d, err);
        if (rc)
            return rc;
    }
    return 0;
}

int local_list(int root, const struct store_list *req, struct err *err)
{
    struct slice prefix = slice_of(req->prefix);
    if (prefix.n && prefix.p[prefix.n - 1] != '/')
        return err_set(err, EINVAL, "the prefix of a listing ends in /: %.300s", req->prefix);
    if (prefix.n && !local_key_valid(slice_make(prefix.p, prefix.n - 1)))
        return 0; /* no key begins so */
    __attribute__((cleanup(auto_walk))) struct walk w = {.root = root, .req = req};
    buf_init(&w.path, KEY_BYTES_MAX);
    buf_add_slice(&w.path, prefix);
    int rc = buf_check(&w.path, err);
    if (rc == 0)
        rc = enter(&w, false, err);
    if (rc < 0)
        return rc == -ENOENT || rc == -EOVERFLOW ? 0 : rc;
    return run_walk(&w, err);
}
