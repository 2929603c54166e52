/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/session.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/instant.h"
#include "base/log.h"
#include "cache/store/url.h"
#include "fs/connection.h"
#include "fs/ops.h"

static const struct fuse_lowlevel_ops ops; /* at the end of this file */

#define FIRST_WORD_MS 10000

struct lake *session_lake(const struct session *s)
{
    return s->lake;
}

const char *session_mountpoint(const struct session *s)
{
    return s->mountpoint;
}

const char *session_source(const struct session *s)
{
    return s->source;
}

bool session_denies(const struct session *s, struct err *why)
{
    return s->governor && governor_denies(s->governor, why);
}

bool session_reload(const struct session *s)
{
    if (s->governor)
        governor_reload(s->governor);
    return s->governor != NULL;
}

static void free_parts(struct session *s)
{
    follow_done(&s->follow);
    governor_free(s->governor);
    neighbours_done(&s->neighbours); /* before the lake, whose objects it may hold */
    if (s->fuse)
        fuse_session_destroy(s->fuse);
    presents_done(s);
    if (s->lake)
        lake_close(s->lake);
    if (s->documents)
        document_cache_free(s->documents);
    if (s->buffers)
        buffers_free(s->buffers);
    open_modes_done(&s->modes);
    layouts_done(&s->layouts);
    pages_done(&s->pages);
    watch_done(&s->watch);
    passthrough_done(&s->passthrough);
    cond_done(&s->drained);
    lock_done(&s->lock);
    free(s->mountpoint);
    free(s->source);
    free(s);
}
DEFINE_AUTO(session_parts, struct session *, free_parts)

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
    watch_end(&s->watch);
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
    struct slice point = slice_of(s->mountpoint);
    for (size_t i = 0; s->config.fuse_fd < 0 && i < s->lake->layers.at.n; i++) {
        const struct store *store = s->lake->layers.at.at[i].store;
        if (!store || !store->ops->open_in_place)
            continue;
        struct slice root = slice_from(slice_of(store->home), sizeof "file://" - 1);
        if (slice_starts(point, root) && (point.n == root.n || point.p[root.n] == '/'))
            return err_set(err, EINVAL, "the mount point %s lies inside the source %s",
                           s->mountpoint, store->url);
    }
    return 0;
}

/* Some of its files are read by way of the cache. */
static bool has_far_layer(const struct lake *lake)
{
    for (size_t i = 0; i < lake->layers.at.n; i++)
        if (!lake->layers.at.at[i].store || !object_open_blocks(lake->layers.at.at[i].store))
            return true;
    return false;
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

/* Once, with the reason, where files that could pass do not. */
static void tell_passthrough(struct session *s)
{
    if (!s->config.passthrough)
        return;
    if (!passthrough_on(&s->passthrough))
        log_info("%s: no passthrough, reads go through the daemon: %s", s->mountpoint,
                 s->passthrough.why.msg);
    else if (has_far_layer(s->lake) && !cache_can_pass(s->config.lake.cache))
        log_info("%s: no passthrough, reads go through the daemon: the cache is encrypted",
                 s->mountpoint);
}

static void warn_removable(void *arg, const struct table *table, const struct version *version,
                           int64_t since_ms)
{
    const struct session *s = arg;
    AUTO(buf) struct buf since = {0};
    buf_init(&since, 64);
    instant_format(&since, since_ms);
    log_warn("%s: table %.*s: version %lld, which is in use, holds files that VACUUM may remove "
             "since %s",
             s->mountpoint, SLICE_FMT(table_path(table)), (long long)version->number, since.data);
}

/* Takes nothing of the config but what governor_new does. */
static int open_governor(struct session *s, const struct governor_config *config, struct err *err)
{
    if (!config)
        return 0;
    struct governor_config own = *config;
    own.session = s;
    s->governor = governor_new(&own, err);
    return s->governor ? 0 : -1;
}

struct session *session_start(const struct session_config *config, struct err *err)
{
    AUTO_FD int passed = config->fuse_fd; /* -1 when FUSE has it */
    AUTO(session_parts) struct session *s = calloc(1, sizeof *s);
    if (!s) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    s->config = *config;
    s->started_ms = clock_real_ms();
    lock_init(&s->lock);
    cond_init(&s->drained);
    presents_init(s);
    watch_init(&s->watch);
    open_modes_init(&s->modes);
    layouts_init(&s->layouts);
    neighbours_init(&s->neighbours, s);
    follow_init(&s->follow);
    passthrough_init(&s->passthrough, config->passthrough);
    s->mountpoint = strdup(config->mountpoint ? config->mountpoint : "/dev/fd");
    s->source = strdup(config->lake.url);
    if (!s->mountpoint || !s->source) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    s->config.lake.narrows = config->policy != NULL;
    s->config.lake.removable = warn_removable;
    s->config.lake.arg = s;
    s->lake = lake_open(&s->config.lake, err);
    if (!s->lake) {
        struct slice shown = url_shown(slice_of(s->source));
        if (!config->lake.file) /* it names itself, with the line */
            (void)err_wrap(err, "%.*s", SLICE_FMT(shown));
        return NULL;
    }
    if (check_mountpoint(s, err) < 0 || presents_open(s, config, err) < 0)
        return NULL;
    if (open_governor(s, config->policy, err) < 0)
        return NULL;
    s->documents = document_cache_new(config->temporary_dirfd, err);
    s->buffers = s->documents ? buffers_new(config->lake.workers, err) : NULL;
    if (!s->buffers || pages_init(&s->pages, err) < 0 ||
        connection_new(s, &ops, sizeof ops, err) < 0 || connection_mount(s, &passed, err) < 0)
        return NULL;
    if (start_threads(s, err) < 0) {
        fuse_session_unmount(s->fuse);
        for (unsigned i = 0; i < s->threads_n; i++)
            (void)pthread_join(s->threads[i], NULL); /* our own, joined once */
        return NULL;
    }
    if (wait_for_kernel(s, err) < 0 || (s->governor && governor_start(s->governor, err) < 0)) {
        fuse_session_exit(s->fuse);
        watch_end(&s->watch);
        session_unmount(s);
        session_free(STEAL(s));
        return NULL;
    }
    connection_raise_readahead(s);
    tell_passthrough(s);
    return STEAL(s);
}

void session_unmount(struct session *s)
{
    if (s->config.fuse_fd < 0) /* what others have mounted is theirs to unmount */
        connection_detach(s->mountpoint);
}

void session_free(struct session *s)
{
    for (unsigned i = 0; i < s->threads_n; i++)
        (void)pthread_join(s->threads[i], NULL); /* our own, joined once */
    governor_end(s->governor);
    neighbours_end(&s->neighbours);
    follow_end(&s->follow);
    presents_leaving(s);
    WITH_LOCK (&s->lock)
        while (s->requests)
            cond_wait(&s->drained, &s->lock);
    handle_close_all(s);
    fuse_session_unmount(s->fuse); /* closes the descriptor; the mount itself is gone */
    free_parts(s);
}

bool session_passes(struct session *s, bool in_place)
{
    return passthrough_on(&s->passthrough) && governor_passes(s->governor) &&
           (in_place || (cache_can_pass(s->config.lake.cache) && !s->cache_refused));
}

/* what the kernel asks: each hands over to an op (fs/ops.h), or answers at once */

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

static void ll_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
    request_start(req, op_write,
                  &(struct request_args){.ino = ino,
                                         .data = data,
                                         .size = size,
                                         .offset = offset,
                                         .file = fi,
                                         .uses_handle = true});
}

static void ll_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
    request_start(req, op_access, &(struct request_args){.ino = ino, .size = (size_t)mask});
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
 * Changes: `.tarn/prefetch` is written to, so the mount is not read-only to the kernel, and they
 * are refused here.
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
    .init = connection_init,
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
    .write = ll_write,
    .access = ll_access,
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
