/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system that does nothing: the regular files of one directory, read by the kernel itself
 * through FUSE passthrough. What a mount of tarn is compared with when opens are counted.
 *
 *     noop_passthrough DIRECTORY MOUNTPOINT [THREADS]      (until SIGTERM or umount)
 *
 * The directory is read once. LOOKUP and GETATTR answer from a sorted table, for ever; OPEN opens
 * the file and tells the kernel so; opens of one file side by side share a backing id, which the
 * last RELEASE closes. FLUSH does not exist. Root only. What it leaves out on purpose: files that
 * change, subdirectories, FORGET (the table stays).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/lock.h"

/* The kernel's protocol since 7.40, which Debian 12's headers do not have. */
struct backing_map {
    int32_t fd;
    uint32_t flags;
    uint64_t padding;
};
#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)
#define OPEN_PASSTHROUGH (1U << 7)
struct open_reply {
    uint64_t fh;
    uint32_t flags;
    int32_t backing_id;
};
struct init_reply {
    uint32_t major, minor, max_readahead, flags;
    uint16_t max_background, congestion_threshold;
    uint32_t max_write, time_gran;
    uint16_t max_pages, map_alignment;
    uint32_t flags2, max_stack_depth, unused[6];
};
_Static_assert(sizeof(struct init_reply) == 64, "the kernel's fuse_init_out");
#define INIT_EXT (1U << 30)
#define INIT2_PASSTHROUGH (1U << 5)

#define FOREVER_S 1e9
#define THREADS_MAX 16
#define FIRST_INO 2 /* 1 is the directory */

struct file {
    char *name;
    struct stat st;
    struct lock lock;
    unsigned opens;     /* lock */
    int32_t backing_id; /* lock; while opens > 0 */
};

static struct file *files; /* sorted by name; immutable once mounted */
static size_t files_n;
static struct stat root;
static int dir_fd, dev_fd;
static struct fuse_session *session;
static atomic_bool init_answered;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static void read_directory(const char *path)
{
    size_t room = 0;
    dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = dir_fd < 0 ? NULL : opendir(path);
    if (!d || fstat(dir_fd, &root) < 0)
        die(path);
    root.st_ino = FUSE_ROOT_ID;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        struct file f = {.name = e->d_name};
        if (fstatat(dir_fd, e->d_name, &f.st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(f.st.st_mode))
            continue;
        if (files_n == room) {
            room = room ? room * 2 : 1024;
            files = reallocarray(files, room, sizeof *files);
        }
        f.name = files ? strdup(e->d_name) : NULL;
        if (!f.name)
            die("memory");
        files[files_n++] = f;
    }
    (void)closedir(d);
    qsort(files, files_n, sizeof *files, by_name);
    for (size_t i = 0; i < files_n; i++) {
        files[i].st.st_ino = i + FIRST_INO;
        lock_init(&files[i].lock);
    }
}

static struct file *file_of(fuse_ino_t ino)
{
    return &files[ino - FIRST_INO]; /* the kernel knows no other ids than those we gave */
}

static struct fuse_entry_param entry_of(const struct file *f)
{
    return (struct fuse_entry_param){.ino = f ? f->st.st_ino : 0,
                                     .attr = f ? f->st : (struct stat){0},
                                     .attr_timeout = FOREVER_S,
                                     .entry_timeout = FOREVER_S};
}

/*
 * libfuse 3.14 does not know passthrough: what it answers to INIT, the first thing that it writes,
 * is patched on its way.
 */
static ssize_t write_reply(int fd, struct iovec *iov, int count, void *userdata)
{
    (void)userdata;
    if (!atomic_load_explicit(&init_answered, memory_order_relaxed) && count == 2 &&
        iov[1].iov_len == sizeof(struct init_reply)) {
        struct init_reply *reply = iov[1].iov_base;
        reply->flags |= INIT_EXT;
        reply->flags2 |= INIT2_PASSTHROUGH;
        reply->max_stack_depth = 1;
        atomic_store(&init_answered, true);
    }
    return writev(fd, iov, count);
}

static ssize_t read_request(int fd, void *to, size_t n, void *userdata)
{
    (void)userdata;
    return read(fd, to, n);
}

static void ll_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    conn->want |= conn->capable & (FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ASYNC_READ |
                                   FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
    conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
                              FUSE_CAP_WRITEBACK_CACHE);
}

static void ll_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent;
    struct file key = {.name = (char *)name};
    struct fuse_entry_param entry = entry_of(bsearch(&key, files, files_n, sizeof *files, by_name));
    fuse_reply_entry(req, &entry);
}

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
    fuse_reply_attr(req, ino == FUSE_ROOT_ID ? &root : &file_of(ino)->st, FOREVER_S);
}

/* The first opener asks the kernel for a backing id; those beside it share that. */
static int get_backing(struct file *f)
{
    int rc = 0;
    WITH_LOCK (&f->lock) {
        if (f->opens == 0) {
            struct backing_map map = {.fd = openat(dir_fd, f->name, O_RDONLY | O_CLOEXEC)};
            f->backing_id = map.fd < 0 ? -1 : ioctl(dev_fd, BACKING_OPEN, &map);
            rc = f->backing_id < 0 ? -errno : 0;
            if (map.fd >= 0)
                (void)close(map.fd); /* the kernel has a reference of its own */
        }
        f->opens += rc == 0;
    }
    return rc;
}

static void put_backing(struct file *f)
{
    WITH_LOCK (&f->lock) {
        uint32_t id = (uint32_t)f->backing_id;
        if (--f->opens == 0)
            (void)ioctl(dev_fd, BACKING_CLOSE, &id); /* ours: it cannot fail */
    }
}

static void ll_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    struct file *f = file_of(ino);
    int rc = get_backing(f);
    if (rc < 0) {
        fuse_reply_err(req, -rc);
        return;
    }
    struct open_reply reply = {.flags = OPEN_PASSTHROUGH, .backing_id = f->backing_id};
    if (fuse_reply_buf(req, (const char *)&reply, sizeof reply) < 0)
        put_backing(f); /* interrupted: no RELEASE will come */
}

static void ll_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    fuse_reply_err(req, 0);
    put_backing(file_of(ino));
}

static void ll_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    fi->cache_readdir = true;
    fi->keep_cache = true;
    fuse_reply_open(req, fi);
}

static void reply_list(fuse_req_t req, size_t size, off_t offset, bool plus)
{
    AUTO_FREE char *room = malloc(size);
    size_t used = 0;
    for (size_t i = (size_t)offset; room && i < files_n; i++) {
        struct fuse_entry_param e = entry_of(&files[i]);
        off_t next = (off_t)i + 1;
        size_t n =
            plus ? fuse_add_direntry_plus(req, room + used, size - used, files[i].name, &e, next)
                 : fuse_add_direntry(req, room + used, size - used, files[i].name, &files[i].st,
                                     next);
        if (n > size - used)
            break;
        used += n;
    }
    fuse_reply_buf(req, room, used);
}

static void ll_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
    (void)ino;
    (void)fi;
    reply_list(req, size, offset, false);
}

static void ll_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                           struct fuse_file_info *fi)
{
    (void)ino;
    (void)fi;
    reply_list(req, size, offset, true);
}

static const struct fuse_lowlevel_ops ops = {
    .init = ll_init,
    .lookup = ll_lookup,
    .forget = ll_forget,
    .forget_multi = ll_forget_multi,
    .getattr = ll_getattr,
    .open = ll_open,
    .release = ll_release,
    .opendir = ll_opendir,
    .readdir = ll_readdir,
    .readdirplus = ll_readdirplus,
};

static void *serve(void *arg)
{
    (void)arg;
    struct fuse_buf taken = {.mem = NULL};
    while (!fuse_session_exited(session)) {
        int n = fuse_session_receive_buf(session, &taken);
        if (n == -EINTR || n == -EAGAIN)
            continue;
        if (n <= 0)
            break;
        fuse_session_process_buf(session, &taken);
    }
    free(taken.mem);
    fuse_session_exit(session);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: noop_passthrough DIRECTORY MOUNTPOINT [THREADS]\n");
        return 2;
    }
    unsigned long threads = argc > 3 ? strtoul(argv[3], NULL, 10) : 2;
    pthread_t ids[THREADS_MAX];
    char *words[] = {argv[0], (char *)"-o",
                     (char *)"ro,nosuid,nodev,noatime,default_permissions,fsname=noop", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, words);
    const struct fuse_custom_io io = {.writev = write_reply, .read = read_request};
    if (threads < 1 || threads > THREADS_MAX)
        return 2;
    read_directory(argv[1]);
    session = fuse_session_new(&args, &ops, sizeof ops, NULL);
    if (!session || fuse_session_mount(session, argv[2]) < 0)
        return 1;
    dev_fd = fuse_session_fd(session);
    if (fuse_session_custom_io(session, &io, dev_fd) < 0 || fuse_set_signal_handlers(session) < 0)
        return 1;
    for (unsigned long i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, serve, NULL))
            return 1;
    for (unsigned long i = 0; i < threads; i++)
        (void)pthread_join(ids[i], NULL);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    return 0;
}
