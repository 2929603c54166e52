/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/policy_file.h"

#include <fcntl.h>

#include "base/limits.h"

/* Of a file that others take the name of while it is read. */
#define READS_MAX 100

int policy_file_init(struct policy_file *f, const char *path, struct err *err)
{
    *f = (struct policy_file){.path = strdup(path)};
    buf_init(&f->text, POLICY_BYTES_MAX);
    return f->path ? 0 : err_set(err, ENOMEM, "out of memory");
}

void policy_file_done(struct policy_file *f)
{
    free(f->path);
    buf_done(&f->text);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Somebody has it open for writing, as far as the kernel tells us of files that are ours. */
static bool is_written(int fd)
{
    if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
        return errno == EAGAIN;
    (void)fcntl(fd, F_SETLEASE, F_UNLCK); /* who opens it meanwhile waits for this */
    return false;
}

static bool writer_has(const char *path)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd >= 0 && is_written(fd);
}

bool policy_file_due(struct policy_file *f, int64_t now_ms)
{
    struct stat st;
    if (stat(f->path, &st) < 0)
        st = (struct stat){.st_mode = 0};
    if (same_file(&st, &f->read)) {
        f->changed_ms = f->still_ms = 0;
        return false;
    }
    if (!f->changed_ms)
        f->changed_ms = now_ms;
    if (!f->still_ms || !same_file(&st, &f->seen))
        f->still_ms = now_ms;
    f->seen = st;
    if (now_ms - f->changed_ms >= POLICY_WAIT_MS)
        return true;
    return now_ms - f->still_ms >= POLICY_STILL_MS && !writer_has(f->path);
}

void policy_file_forget(struct policy_file *f)
{
    f->read.st_ino++; /* another one */
}

static int read_all(int fd, struct buf *out)
{
    for (;;) {
        char *to = buf_reserve(out, 4096);
        if (!to)
            return -out->failed;
        ssize_t n = read(fd, to, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        out->len += (size_t)n;
    }
}

/* 1: another file has taken its name meanwhile. */
static int read_once(struct policy_file *f, struct buf *out, struct err *err)
{
    struct stat before, after;
    buf_reset(out);
    AUTO_FD int fd = open(f->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &before) < 0)
        return err_set(err, errno, "%s: %s", f->path, strerror(errno));
    if (!S_ISREG(before.st_mode))
        return err_set(err, EINVAL, "%s is no regular file", f->path);
    int rc = read_all(fd, out);
    if (rc < 0)
        return err_set(err, -rc, "%s: %s", f->path, strerror(-rc));
    if (fstat(fd, &after) < 0)
        return err_set(err, errno, "%s: %s", f->path, strerror(errno));
    bool same = same_file(&before, &after);
    if (!same && !after.st_nlink)
        return 1;
    if (!same || is_written(fd))
        return err_set(err, EBUSY, "%s is being written", f->path);
    f->read = after;
    return 0;
}

int policy_file_read(struct policy_file *f, struct buf *out, struct err *err)
{
    int rc = 1;
    f->read = (struct stat){.st_mode = 0};
    f->changed_ms = f->still_ms = 0;
    for (int i = 0; rc == 1 && i < READS_MAX; i++)
        rc = read_once(f, out, err);
    if (rc)
        return rc < 0 ? rc : err_set(err, EBUSY, "%s is replaced again and again", f->path);
    return policy_text_is_cut(buf_slice(&f->text), buf_slice(out))
               ? err_set(err, EINVAL, "%s: cut off within a grant of the policy before", f->path)
               : 0;
}

void policy_file_keep(struct policy_file *f, const struct buf *text)
{
    buf_reset(&f->text);
    buf_add_slice(&f->text, buf_slice(text)); /* of the same maximum; without it less is noticed */
}

/* Where a line says something: a comment and a blank line do not. */
static struct slice trimmed(struct slice line, size_t *indent)
{
    *indent = 0;
    while (*indent < line.n && (line.p[*indent] == ' ' || line.p[*indent] == '\r'))
        ++*indent;
    line = slice_from(line, *indent);
    return line.n && line.p[0] == '#' ? SLICE_NONE : line;
}

/* A key of the file's own, or another grant: what stands before is whole. */
static bool begins_anew(struct slice line, size_t indent)
{
    return indent == 0 || (line.p[0] == '-' && memmem(line.p, line.n, ": ", 2)) ||
           (line.p[0] == '-' && line.p[line.n - 1] == ':');
}

bool policy_text_is_cut(struct slice before, struct slice now)
{
    if (now.n >= before.n || now.n == 0 || !slice_starts(before, now))
        return false;
    struct slice rest = slice_from(before, now.n);
    if (now.p[now.n - 1] != '\n' && rest.p[0] != '\n')
        return true;
    while (rest.n) {
        size_t indent;
        ptrdiff_t end = slice_find(rest, '\n');
        struct slice line = slice_make(rest.p, end < 0 ? rest.n : (size_t)end);
        rest = slice_from(rest, end < 0 ? rest.n : line.n + 1);
        line = trimmed(line, &indent);
        if (line.n)
            return !begins_anew(line, indent);
    }
    return false; /* only comments went */
}
