/* SPDX-License-Identifier: Apache-2.0 */
/* A file as target of the audit log. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "lake/view/audit_private.h"

struct audit_file {
    struct audit_target target;
    char *path;
    int fd, state_fd;
    bool fragment;    /* behind the last line stands what could not be cut off */
    bool state_dirty; /* not synced */
    int warned;       /* errno of the last warning; 0: none since FILE is ours */
};

/* What a file ends with. */
struct tail {
    off_t good; /* its bytes up to the last line feed */
    uint64_t torn;
    bool altered;             /* the last line is not as it was written */
    struct audit_chain chain; /* of the last line; line 0: there is none that is good */
};

static int state_read(int fd, const char *name, struct audit_chain *chain, struct err *warning)
{
    char text[AUDIT_CHAIN_BYTES + 1];
    ssize_t n = pread(fd, text, sizeof text, 0);
    if (n <= 0 || audit_chain_parse(slice_make(text, (size_t)n), chain))
        return 0;
    return err_set(warning, EIO, "%s is damaged: whether lines are missing cannot be told", name);
}

int audit_state_open(int dirfd, const char *path, int *out, struct audit_chain *chain,
                     struct err *warning, struct err *err)
{
    char name[PATH_MAX];
    struct stat st;
    if ((size_t)snprintf(name, sizeof name, "%s.chain", path) >= sizeof name)
        return err_set(err, ENAMETOOLONG, "the name is too long");
    AUTO_FD int fd =
        openat(dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(err, errno, "%s: %s", name, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "%s is no regular file", name);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, errno == EWOULDBLOCK ? EBUSY : errno,
                       "%s: another daemon writes this log", name);
    (void)state_read(fd, name, chain, warning); /* damaged is as if it were not there */
    *out = STEAL_FD(fd);
    return 0;
}

int audit_state_save(int fd, const struct audit_chain *chain, struct err *err)
{
    char text[AUDIT_CHAIN_BYTES + 1];
    audit_chain_format(chain, text);
    return file_pwrite_full(fd, text, AUDIT_CHAIN_BYTES, 0, err);
}

static int not_ours(struct err *err)
{
    return err_set(err, EINVAL, "is no audit log, and is left as it is");
}

/* The line that ends before `text` does. */
static struct slice last_line(struct slice text)
{
    ptrdiff_t feed = slice_rfind(text, '\n');
    return slice_from(text, (size_t)(feed + 1));
}

/* -EINVAL where it is no line of ours. */
static int tail_line(struct slice line, struct tail *out, struct err *err)
{
    struct audit_line l;
    if (audit_line_parse(line, &l, NULL) == 0)
        out->chain = l.at;
    else if (!slice_starts(line, SLICE_LIT("{\"line\":")))
        return not_ours(err);
    else
        out->altered = true;
    return 0;
}

static int tail_read(int fd, struct tail *out, struct err *err)
{
    struct stat st;
    struct tail t = {.good = 0};
    AUTO_FREE char *text = malloc(2 * AUDIT_LINE_BYTES_MAX);
    audit_chain_init(&t.chain);
    if (!text)
        return err_set(err, ENOMEM, "out of memory");
    if (fstat(fd, &st) < 0)
        return err_set(err, errno, "%s", strerror(errno));
    size_t n = 2 * AUDIT_LINE_BYTES_MAX;
    if ((uint64_t)st.st_size < n)
        n = (size_t)st.st_size;
    int rc = file_pread_full(fd, text, n, st.st_size - (off_t)n, err);
    if (rc < 0)
        return rc;
    struct slice all = slice_make(text, n), begin = SLICE_LIT("{\"line\":");
    struct slice rest = last_line(all);
    t.torn = rest.n;
    t.good = st.st_size - (off_t)rest.n;
    if (rest.n < n) {
        struct slice line = last_line(slice_make(text, n - rest.n - 1));
        rc = tail_line(line, &t, err);
    } else if (!slice_starts(rest, slice_make(begin.p, rest.n < begin.n ? rest.n : begin.n))) {
        rc = not_ours(err);
    }
    if (rc < 0)
        return rc;
    *out = t;
    return 0;
}

/* What a crash, or a write that failed, left of a line is cut off; where it cannot be, it stays. */
static void mend(struct audit_file *f, const struct tail *t)
{
    f->target.torn = t->torn;
    f->fragment = t->torn && ftruncate(f->fd, t->good) < 0;
}

/* FILE, made where it is not there; it must be ours to go on with. */
static int open_file(const char *path, int *out, struct tail *tail, struct err *err)
{
    struct stat st;
    AUTO_FD int fd =
        open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "%s is no regular file", path);
    if (st.st_mode & S_IWOTH)
        return err_set(err, EPERM, "%s may be written by everybody", path);
    int rc = tail_read(fd, tail, err);
    if (rc < 0)
        return err_wrap(err, "%s", path);
    char dir[PATH_MAX];
    struct slice parent = text_dirname(slice_of(path));
    (void)snprintf(dir, sizeof dir, "%.*s/", SLICE_FMT(parent)); /* open took more */
    AUTO_FD int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return err_set(err, errno, "%s: %s", dir, strerror(errno));
    rc = file_sync_dir(dirfd, err); /* the file's name must last with its lines */
    if (rc == 0)
        *out = STEAL_FD(fd);
    return rc;
}

/* Where the chain goes on: behind the last line that anybody knows of. */
static void join(struct audit_chain *chain, const struct tail *t, struct err *warning)
{
    unsigned long long file = t->chain.line, known = chain->line;
    if (file > known) { /* a crash came between the two */
        *chain = t->chain;
        return;
    }
    if (t->good == 0) /* a new file: rotated */
        return;
    if (t->altered)
        (void)err_set(warning, EIO, "its last line was altered");
    else if (file < known)
        (void)err_set(warning, EIO, "it ends with line %llu, and %llu were written", file, known);
    else if (memcmp(chain->hash, t->chain.hash, sizeof chain->hash) != 0)
        (void)err_set(warning, EIO, "its line %llu is another one than was written", known);
}

static bool is_ours(const struct audit_file *f, const struct stat *at_path, struct stat *ours)
{
    return fstat(f->fd, ours) == 0 && at_path->st_dev == ours->st_dev &&
           at_path->st_ino == ours->st_ino;
}

static int add(struct audit_file *f, struct slice lines, const struct audit_chain *after,
               struct err *err);

/* The file that was ours until now. */
static void end_file(struct audit_file *f)
{
    AUTO(buf) struct buf event = {0}, line = {0};
    struct audit_chain after = f->target.chain;
    buf_init(&event, AUDIT_LINE_BYTES_MAX);
    buf_init(&line, AUDIT_LINE_BYTES_MAX);
    audit_line_own(&event, "end", clock_real_ms());
    if (audit_line_make(&line, &after, buf_slice(&event), 0, f->target.torn, NULL) == 0)
        (void)add(f, buf_slice(&line), &after, NULL); /* without it the next file tells as well */
}

static int prepare(struct audit_target *t, struct err *warning, struct err *err)
{
    struct audit_file *f = CONTAINER_OF(t, struct audit_file, target);
    struct stat at_path, ours = {.st_nlink = 1};
    struct tail tail;
    struct err why = ERR_INIT;
    int fd = -1;
    if (lstat(f->path, &at_path) == 0 && is_ours(f, &at_path, &ours)) {
        f->warned = 0;
        return 0;
    }
    int rc = open_file(f->path, &fd, &tail, &why);
    if (rc < 0 && fstat(f->fd, &ours) == 0 && ours.st_nlink == 0)
        return err_set(err, -rc, "it was removed, and cannot be made again: %s", why.msg);
    if (rc < 0 && f->warned != rc)
        (void)err_set(warning, -rc, "it was renamed, and cannot be made again: %s", why.msg);
    f->warned = rc;
    if (rc < 0)
        return 0;
    end_file(f);
    (void)audit_state_save(f->state_fd, &t->chain, NULL); /* as after any write */
    (void)close(f->fd);                                   /* synced, or told as lost */
    f->fd = fd;
    if (tail.good && memcmp(tail.chain.hash, t->chain.hash, sizeof tail.chain.hash) != 0)
        (void)err_set(warning, EIO, "the file in its place was not empty");
    mend(f, &tail);
    return 0;
}

static int write_all(int fd, struct slice text, struct err *err)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, n ? errno : EIO, "write: %s", strerror(n ? errno : EIO));
        text = slice_from(text, (size_t)n);
    }
    return 0;
}

/* After a write that failed: the file as it was, else what is there counts. */
static void restore(struct audit_file *f, off_t size)
{
    struct tail t;
    if (ftruncate(f->fd, size) == 0 || tail_read(f->fd, &t, NULL) < 0)
        return;
    if (t.chain.line > f->target.chain.line)
        f->target.chain = t.chain;
    mend(f, &t);
}

static int add(struct audit_file *f, struct slice lines, const struct audit_chain *after,
               struct err *err)
{
    struct stat st;
    if (fstat(f->fd, &st) < 0)
        return err_set(err, errno, "%s: %s", f->path, strerror(errno));
    int rc = f->fragment ? write_all(f->fd, SLICE_LIT("\n"), err) : 0;
    if (rc == 0)
        rc = write_all(f->fd, lines, err);
    if (rc == 0 && fdatasync(f->fd) < 0)
        rc = err_set(err, errno, "fdatasync: %s", strerror(errno));
    if (rc < 0) {
        restore(f, st.st_size);
        return rc;
    }
    f->fragment = false;
    f->target.torn = 0;
    f->target.chain = *after;
    return 0;
}

static int write_lines(struct audit_target *t, struct slice lines, const struct audit_chain *after,
                       struct err *err)
{
    struct audit_file *f = CONTAINER_OF(t, struct audit_file, target);
    int rc = add(f, lines, after, err);
    if (rc == 0) { /* behind the lines: it never tells of one that is not there */
        (void)audit_state_save(f->state_fd, &t->chain, NULL); /* the file's own end tells as well */
        f->state_dirty = true;
    }
    return rc;
}

static void rest(struct audit_target *t)
{
    struct audit_file *f = CONTAINER_OF(t, struct audit_file, target);
    if (f->state_dirty)
        (void)fdatasync(f->state_fd); /* likewise */
    f->state_dirty = false;
}

static void close_file(struct audit_target *t)
{
    struct audit_file *f = CONTAINER_OF(t, struct audit_file, target);
    rest(t);
    if (f->fd >= 0)
        (void)close(f->fd); /* synced */
    if (f->state_fd >= 0)
        (void)close(f->state_fd); /* likewise; the lock goes with it */
    free(f->path);
    free(f);
}

static const struct audit_target_ops file_ops = {
    .prepare = prepare, .write = write_lines, .rest = rest, .close = close_file};

static int open_parts(struct audit_file *f, struct err *warning, struct err *err)
{
    struct tail tail;
    if (f->path[0] != '/')
        return err_set(err, EINVAL, "%s is no absolute path, nor syslog or journald", f->path);
    int rc = audit_state_open(AT_FDCWD, f->path, &f->state_fd, &f->target.chain, warning, err);
    if (rc == 0)
        rc = open_file(f->path, &f->fd, &tail, err);
    if (rc < 0)
        return rc;
    join(&f->target.chain, &tail, warning);
    mend(f, &tail);
    return 0;
}

int audit_file_open(const char *path, struct audit_target **out, struct err *warning,
                    struct err *err)
{
    struct audit_file *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(err, ENOMEM, "out of memory");
    f->target.ops = &file_ops;
    audit_chain_init(&f->target.chain);
    f->fd = f->state_fd = -1;
    f->path = strdup(path);
    int rc = f->path ? open_parts(f, warning, err) : err_set(err, ENOMEM, "out of memory");
    if (rc < 0)
        close_file(&f->target);
    else
        *out = &f->target;
    return rc;
}
