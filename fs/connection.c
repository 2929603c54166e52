/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/connection.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "base/log.h"

/* A comma ends an option, so the one that names the source has them escaped. */
static void add_escaped(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == ',' || *text == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, *text);
    }
}

int connection_new(struct session *s, const struct fuse_lowlevel_ops *ops, size_t ops_bytes,
                   struct err *err)
{
    AUTO(buf) struct buf options = {0};
    buf_init(&options, (size_t)4 * URL_BYTES_MAX);
    buf_add_str(&options, "nosuid,nodev,noatime,subtype=tarn,fsname=");
    add_escaped(&options, s->source);
    if (s->config.allow_other)
        buf_add_str(&options, ",allow_other");
    int rc = buf_check(&options, err);
    if (rc < 0)
        return rc;
    char *argv[] = {(char *)"tarn", (char *)"-o", options.data, (char *)"-d", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(s->config.debug ? 4 : 3, argv);
    s->fuse = fuse_session_new(&args, ops, ops_bytes, s);
    fuse_opt_free_args(&args);
    return s->fuse ? 0 : err_set(err, EINVAL, "FUSE does not accept the options %s", options.data);
}

/* What libfuse said last on this thread, without its line feed: the reason why it cannot mount. */
static _Thread_local char fuse_words[256];

static void keep_fuse_words(enum fuse_log_level level, const char *fmt, va_list ap)
{
    (void)vsnprintf(fuse_words, sizeof fuse_words, fmt, ap); /* cut when too long */
    fuse_words[strcspn(fuse_words, "\n")] = '\0';
    log_debug("fuse, level %d: %s", (int)level, fuse_words);
}

static ssize_t take(int device, void *to, size_t n, void *userdata)
{
    struct session *s = userdata;
    ssize_t got = watch_read(&s->watch, device, to, n);
    struct fuse_in_header *head = to;
    if (got > 0)
        passthrough_asked(&s->passthrough, to, (size_t)got);
    /* libfuse does not know it, and the kernel would not say EROFS; its arguments are the same. */
    if (got >= (ssize_t)sizeof *head && head->opcode == FUSE_TMPFILE)
        head->opcode = FUSE_CREATE;
    return got;
}

static ssize_t give(int device, struct iovec *iov, int count, void *userdata)
{
    struct session *s = userdata;
    bool first;
    ssize_t n = passthrough_writev(&s->passthrough, device, iov, count, &first);
    if (first)
        WITH_LOCK (&s->lock) {
            s->initialised = true;
            cond_broadcast(&s->drained);
        }
    return n;
}

int connection_mount(struct session *s, int *passed, struct err *err)
{
    static const struct fuse_custom_io io = {.read = take, .writev = give};
    char by_fd[32];
    const char *at = s->mountpoint;
    if (s->config.fuse_fd >= 0) {
        (void)snprintf(by_fd, sizeof by_fd, "/dev/fd/%d", s->config.fuse_fd); /* 20 bytes at most */
        at = by_fd;
    }
    fuse_words[0] = '\0';
    fuse_set_log_func(keep_fuse_words);
    if (fuse_session_mount(s->fuse, at) < 0)
        return err_set(err, EIO, "%s cannot be mounted at %s: %.200s", s->source, s->mountpoint,
                       fuse_words[0] ? fuse_words : "is it a directory that you own?");
    (void)STEAL_FD(*passed);
    int rc = fuse_session_custom_io(s->fuse, &io, fuse_session_fd(s->fuse));
    int flags = fcntl(fuse_session_fd(s->fuse), F_GETFL);
    if (rc == 0 && (flags < 0 || fcntl(fuse_session_fd(s->fuse), F_SETFL, flags | O_NONBLOCK) < 0))
        rc = -errno;
    if (rc < 0) {
        fuse_session_unmount(s->fuse);
        return err_set(err, -rc, "FUSE: %s", strerror(-rc));
    }
    return 0;
}

void connection_raise_readahead(const struct session *s)
{
    struct stat st;
    char path[64];
    if (s->config.fuse_fd >= 0 || stat(s->mountpoint, &st) < 0) /* waits for INIT */
        return;
    (void)snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", major(st.st_dev),
                   minor(st.st_dev)); /* 2 numbers of 10 digits */
    AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || dprintf(fd, "%zu", (size_t)(READ_BYTES_MAX / KIB)) < 0)
        log_debug("%s: no readahead of %zu KiB: %s", s->mountpoint, (size_t)(READ_BYTES_MAX / KIB),
                  strerror(errno));
}

void connection_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    conn->max_background = READ_BUFFERS_MAX;
    conn->congestion_threshold = READ_BUFFERS_MAX * 3 / 4;
    conn->max_write = READ_BYTES_MAX; /* libfuse derives the largest read from it */
    conn->max_readahead = READ_BYTES_MAX;
    conn->want |= conn->capable & (FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ASYNC_READ |
                                   FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
    conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
    /* With it the kernel waits for O_DIRECT reads where not even SIGKILL reaches the reader. */
    conn->want &= ~(unsigned)FUSE_CAP_ASYNC_DIO;
}

void connection_detach(const char *mountpoint)
{
    if (umount2(mountpoint, MNT_DETACH) == 0 || errno != EPERM)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        execlp("fusermount3", "fusermount3", "-u", "-z", "-q", "--", mountpoint, (char *)NULL);
        _exit(1);
    }
    if (pid > 0)
        (void)waitpid(pid, NULL,
                      0); /* where it fails, the mount stays and says so by being there */
}
