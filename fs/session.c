/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/session.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "fs/ops.h"

static const struct fuse_lowlevel_ops ops; /* at the end of this file */

#define FIRST_WORD_MS 10000

const char *session_mountpoint(const struct session *s)
{
    return s->mountpoint;
}

const char *session_source(const struct session *s)
{
    return s->source;
}

static void free_parts(struct session *s)
{
    if (s->fuse)
        fuse_session_destroy(s->fuse);
    if (s->lake)
        lake_close(s->lake);
    if (s->documents)
        document_cache_free(s->documents);
    if (s->buffers)
        buffers_free(s->buffers);
    pages_done(&s->pages);
    cond_done(&s->drained);
    lock_done(&s->lock);
    free(s->mountpoint);
    free(s->source);
    free(s);
}
DEFINE_AUTO(session_parts, struct session *, free_parts)

/* A comma ends an option, so the one that names the source has them escaped. */
static void add_escaped(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == ',' || *text == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, *text);
    }
}

static int new_fuse(struct session *s, struct err *err)
{
    AUTO(buf) struct buf options = {0};
    buf_init(&options, (size_t)4 * URL_BYTES_MAX);
    buf_add_str(&options, "ro,nosuid,nodev,noatime,default_permissions,subtype=tarn,fsname=");
    add_escaped(&options, s->source);
    if (s->config.allow_other)
        buf_add_str(&options, ",allow_other");
    int rc = buf_check(&options, err);
    if (rc < 0)
        return rc;
    char *argv[] = {(char *)"tarn", (char *)"-o", options.data, (char *)"-d", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(s->config.debug ? 4 : 3, argv);
    s->fuse = fuse_session_new(&args, &ops, sizeof ops, s);
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

static int mount_fuse(struct session *s, struct err *err)
{
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
    return 0;
}

/*
 * INIT cannot ask for more than the 128 KiB of readahead that a mount begins with; the device's
 * setting can, once INIT is over. Root's to write: others read on with less.
 */
static void raise_readahead(const struct session *s)
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

/* A FUSE thread: takes requests until the mount is gone. */
static void *serve(void *arg)
{
    struct session *s = arg;
    struct fuse_buf taken = {.mem = NULL};
    while (!fuse_session_exited(s->fuse)) {
        int n = fuse_session_receive_buf(s->fuse, &taken);
        if (n == -EINTR || n == -EAGAIN)
            continue;
        if (n <= 0)
            break;
        fuse_session_process_buf(s->fuse, &taken);
    }
    free(taken.mem);
    fuse_session_exit(s->fuse); /* the others end too */
    bool last;
    WITH_LOCK (&s->lock) {
        last = --s->threads_left == 0;
        cond_broadcast(&s->drained);
    }
    if (last)
        s->config.ended(s->config.arg);
    return NULL;
}

static int start_threads(struct session *s, struct err *err)
{
    s->threads_left = s->config.threads;
    while (s->threads_n < s->config.threads) {
        int rc = pthread_create(&s->threads[s->threads_n], NULL, serve, s);
        if (rc)
            return err_set(err, rc, "thread: %s", strerror(rc));
        (void)pthread_setname_np(s->threads[s->threads_n++], "tarn-fuse"); /* a help to debuggers */
    }
    return 0;
}

/* A walk through the lake would wait for the daemon that walks. */
static int check_mountpoint(const struct session *s, struct err *err)
{
    const struct store *store = s->lake->store;
    struct slice point = slice_of(s->mountpoint);
    if (!store->ops->open_in_place || s->config.fuse_fd >= 0)
        return 0;
    struct slice root = slice_from(slice_of(store->home), sizeof "file://" - 1);
    bool inside = slice_starts(point, root) && (point.n == root.n || point.p[root.n] == '/');
    return inside ? err_set(err, EINVAL, "the mount point %s lies inside the source", s->mountpoint)
                  : 0;
}

/* The kernel has spoken to us; a descriptor that is no mount never does. */
static int wait_for_kernel(struct session *s, struct err *err)
{
    bool spoken;
    int64_t until_ms = clock_mono_ms() + FIRST_WORD_MS;
    WITH_LOCK (&s->lock) {
        while (!s->initialised && s->threads_left == s->config.threads &&
               cond_wait_until(&s->drained, &s->lock, until_ms))
            continue;
        spoken = s->initialised;
    }
    return spoken
               ? 0
               : err_set(err, EIO, "%s: the kernel does not answer; is it mounted?", s->mountpoint);
}

struct session *session_start(const struct session_config *config, struct err *err)
{
    AUTO_FD int passed = config->fuse_fd; /* until FUSE has it */
    AUTO(session_parts) struct session *s = calloc(1, sizeof *s);
    if (!s) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    s->config = *config;
    s->started_ms = clock_real_ms();
    lock_init(&s->lock);
    cond_init(&s->drained);
    s->mountpoint = strdup(config->mountpoint ? config->mountpoint : "/dev/fd");
    s->source = strdup(config->lake.url);
    if (!s->mountpoint || !s->source) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    s->lake = lake_open(&config->lake, err);
    if (!s->lake) {
        (void)err_wrap(err, "%s", s->source);
        return NULL;
    }
    if (check_mountpoint(s, err) < 0)
        return NULL;
    s->documents = document_cache_new(config->temporary_dirfd, err);
    s->buffers = s->documents ? buffers_new(config->lake.workers, err) : NULL;
    if (!s->buffers || pages_init(&s->pages, err) < 0 || new_fuse(s, err) < 0 ||
        mount_fuse(s, err) < 0)
        return NULL;
    (void)STEAL_FD(passed);
    if (start_threads(s, err) < 0) {
        fuse_session_unmount(s->fuse);
        for (unsigned i = 0; i < s->threads_n; i++)
            (void)pthread_join(s->threads[i], NULL); /* our own, joined once */
        return NULL;
    }
    if (wait_for_kernel(s, err) < 0) {
        fuse_session_exit(s->fuse);
        session_unmount(s);
        session_free(STEAL(s));
        return NULL;
    }
    raise_readahead(s);
    return STEAL(s);
}

/* As `umount -l`: who has something open goes on; the session ends when they close it. */
static void detach_mount(const char *mountpoint)
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

void session_unmount(struct session *s)
{
    if (s->config.fuse_fd < 0) /* what others have mounted is theirs to unmount */
        detach_mount(s->mountpoint);
}

void session_free(struct session *s)
{
    for (unsigned i = 0; i < s->threads_n; i++)
        (void)pthread_join(s->threads[i], NULL); /* our own, joined once */
    WITH_LOCK (&s->lock)
        while (s->requests)
            cond_wait(&s->drained, &s->lock);
    handle_close_all(s);
    fuse_session_unmount(s->fuse); /* closes the descriptor; the mount itself is gone */
    free_parts(s);
}

/* what the kernel asks: each hands over to an op (fs/ops.h), or answers at once */

static void ll_init(void *userdata, struct fuse_conn_info *conn)
{
    struct session *s = userdata;
    WITH_LOCK (&s->lock) {
        s->initialised = true;
        cond_broadcast(&s->drained);
    }
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

static void ll_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    request_start(req, op_lookup, &(struct request_args){.ino = parent, .name = name});
}

/* Nothing is counted for a node: its id says all. */
static void ll_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
    (void)ino;
    (void)nlookup;
    fuse_reply_none(req);
}

static void ll_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    (void)count;
    (void)forgets;
    fuse_reply_none(req);
}

static void ll_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    request_start(req, op_getattr, &(struct request_args){.ino = ino});
}

static void ll_readlink(fuse_req_t req, fuse_ino_t ino)
{
    request_start(req, op_readlink, &(struct request_args){.ino = ino});
}

static void ll_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    request_start(req, op_opendir, &(struct request_args){.ino = ino, .file = fi});
}

static void ll_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
    request_start(req, op_readdir,
                  &(struct request_args){
                      .ino = ino, .size = size, .offset = offset, .file = fi, .uses_handle = true});
}

static void ll_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                           struct fuse_file_info *fi)
{
    request_start(req, op_readdirplus,
                  &(struct request_args){
                      .ino = ino, .size = size, .offset = offset, .file = fi, .uses_handle = true});
}

static void ll_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    request_start(req, op_open, &(struct request_args){.ino = ino, .file = fi});
}

static void ll_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
    request_start(req, op_read,
                  &(struct request_args){
                      .ino = ino, .size = size, .offset = offset, .file = fi, .uses_handle = true});
}

static void ll_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    handle_close((struct handle *)(uintptr_t)fi->fh);
    fuse_reply_err(req, 0);
}

static void ll_statfs(fuse_req_t req, fuse_ino_t ino)
{
    request_start(req, op_statfs, &(struct request_args){.ino = ino});
}

static void ll_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    request_start(req, op_getxattr, &(struct request_args){.ino = ino, .name = name, .size = size});
}

static void ll_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    request_start(req, op_listxattr, &(struct request_args){.ino = ino, .size = size});
}

/*
 * Writes: the mount is read-only, so the kernel refuses them itself; a descriptor that was mounted
 * by somebody else may not be.
 */
static void ll_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
                       struct fuse_file_info *fi)
{
    (void)ino;
    (void)st;
    (void)to_set;
    (void)fi;
    fuse_reply_err(req, EROFS);
}

static void ll_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
    (void)parent;
    (void)name;
    (void)mode;
    (void)dev;
    fuse_reply_err(req, EROFS);
}

static void ll_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    (void)parent;
    (void)name;
    (void)mode;
    fuse_reply_err(req, EROFS);
}

static void ll_remove(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent;
    (void)name;
    fuse_reply_err(req, EROFS);
}

static void ll_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target;
    ll_remove(req, parent, name);
}

static void ll_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to,
                      const char *to_name, unsigned flags)
{
    (void)to;
    (void)to_name;
    (void)flags;
    ll_remove(req, parent, name);
}

static void ll_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    (void)ino;
    ll_remove(req, parent, name);
}

static void ll_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *fi)
{
    (void)fi;
    ll_mknod(req, parent, name, mode, 0);
}

static void ll_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                        size_t size, int flags)
{
    (void)value;
    (void)size;
    (void)flags;
    ll_remove(req, ino, name);
}

static const struct fuse_lowlevel_ops ops = {
    .init = ll_init,
    .lookup = ll_lookup,
    .forget = ll_forget,
    .forget_multi = ll_forget_multi,
    .getattr = ll_getattr,
    .readlink = ll_readlink,
    .opendir = ll_opendir,
    .readdir = ll_readdir,
    .readdirplus = ll_readdirplus,
    .releasedir = ll_release,
    .open = ll_open,
    .read = ll_read,
    .release = ll_release,
    .statfs = ll_statfs,
    .getxattr = ll_getxattr,
    .listxattr = ll_listxattr,
    .setattr = ll_setattr,
    .mknod = ll_mknod,
    .mkdir = ll_mkdir,
    .unlink = ll_remove,
    .rmdir = ll_remove,
    .symlink = ll_symlink,
    .rename = ll_rename,
    .link = ll_link,
    .create = ll_create,
    .setxattr = ll_setxattr,
    .removexattr = ll_remove,
};
