/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "cache/cache.h"
#include "tools/control.h"

#define LOCK_WAIT_MS 30000 /* an ending daemon flushes its cache */
#define LOCK_LOOK_MS 20
#define OPTIONS_FILE "options"
#define OPTIONS_BYTES_MAX (64 * KIB)

static int take_lock(struct directory *d, const char *path, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + LOCK_WAIT_MS;
    d->lock_fd = openat(d->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (d->lock_fd < 0 && errno == EROFS) /* who only reads can lock it as well */
        d->lock_fd = openat(d->dirfd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (d->lock_fd < 0)
        return err_set(err, errno, "%s/lock: %s", path, strerror(errno));
    while (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        int fd = -1;
        if (errno != EWOULDBLOCK)
            return err_set(err, errno, "%s/lock: %s", path, strerror(errno));
        if (clock_mono_ms() > until_ms)
            return err_set(err, EAGAIN,
                           "another process has %s/lock: a `tarn cache` command, or a daemon that "
                           "does not end",
                           path);
        if (control_connect(path, &fd, NULL) == 0) {
            (void)close(fd); /* it lives and listens: it is the one to be asked */
            return err_set(err, EBUSY, "another daemon serves %s", path);
        }
        (void)poll(NULL, 0, LOCK_LOOK_MS); /* it is starting or ending */
    }
    return 0;
}

/* A directory of ours, or, to make one, one that is empty: no other is made private, or written
 * into. */
static bool is_ours(int dirfd, bool make)
{
    if (faccessat(dirfd, "lock", F_OK, 0) == 0)
        return true;
    int fd = make ? openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    unsigned entries = 0;
    while (dir && entries < 3 && readdir(dir))
        entries++;
    if (dir)
        (void)closedir(dir);    /* only read */
    return dir && entries == 2; /* itself and its parent */
}

static int open_own(struct directory *d, const char *path, bool make, struct err *err)
{
    struct stat st;
    int rc = make ? file_mkdirs(path, 0700, err) : 0;
    if (rc < 0)
        return err_wrap(err, "cache directory");
    d->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->dirfd < 0 || fstat(d->dirfd, &st) < 0)
        return err_set(err, errno, "cache directory %s: %s", path, strerror(errno));
    if (st.st_uid != geteuid())
        return err_set(err, EPERM, "cache directory %s belongs to user %u", path,
                       (unsigned)st.st_uid);
    if (!is_ours(d->dirfd, make))
        return err_set(err, EEXIST,
                       make ? "%s is neither empty nor a cache directory of tarn"
                            : "%s is no cache directory of tarn",
                       path);
    if ((st.st_mode & 07777) != 0700 && fchmod(d->dirfd, 0700) < 0)
        return err_set(err, errno, "cache directory %s: %s", path, strerror(errno));
    return take_lock(d, path, err);
}

int directory_open(struct directory *d, const char *path, bool make, struct err *err)
{
    struct directory own = DIRECTORY_NONE;
    int rc = open_own(&own, path, make, err);
    if (rc < 0)
        directory_close(&own);
    else
        *d = own;
    return rc;
}

void directory_close(struct directory *d)
{
    int fds[] = {d->lock_fd, d->dirfd};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0)
            (void)close(fds[i]); /* nothing was written through them */
    d->lock_fd = d->dirfd = -1;
}

int directory_save_options(const struct directory *d, const struct options *o, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, OPTIONS_BYTES_MAX);
    options_format_cache(o, &text);
    buf_add_char(&text, '\n');
    int rc = buf_check(&text, err);
    if (rc == 0)
        rc = file_replace(d->dirfd, OPTIONS_FILE, buf_slice(&text), 0600, err);
    return rc < 0 ? err_wrap(err, "how the cache is kept is not remembered") : 0;
}

int directory_load_options(const struct directory *d, struct options *o, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, OPTIONS_BYTES_MAX);
    int rc = file_remove_other(d->dirfd, OPTIONS_FILE, err);
    if (rc >= 0)
        rc = file_read(d->dirfd, OPTIONS_FILE, &text, err);
    if (rc == -ENOENT)
        return 0;
    if (rc == 0)
        rc = options_parse(o, buf_slice(&text), err);
    return rc < 0 ? err_wrap(err, "%s/" OPTIONS_FILE, o->cache_dir) : 0;
}

/* Of the disk that stay free. */
static int free_bytes(const struct directory *d, const struct options *o, uint64_t *out,
                      struct err *err)
{
    struct statvfs st;
    if (fstatvfs(d->dirfd, &st) < 0)
        return err_set(err, errno, "the cache directory's disk: %s", strerror(errno));
    uint64_t share = (uint64_t)st.f_blocks * st.f_frsize / 100 * o->cache_free_percent;
    *out = o->cache_free_bytes < share ? o->cache_free_bytes : share;
    return 0;
}

/* What the cache has to say, where it is opened: on any thread of its own. */
static void log_of_cache(void *arg, const char *text)
{
    (void)arg;
    log_warn("cache: %s", text);
}

struct cache *directory_open_cache(const struct directory *d, const struct options *o,
                                   const struct directory_key *key, struct workers *workers,
                                   struct err *err)
{
    struct cache_config config = {.dirfd = d->dirfd,
                                  .size_bytes = o->cache_size_bytes,
                                  .workers = workers,
                                  .key = key->bytes,
                                  .any_key = key->any,
                                  .freeze_after_ms = o->cache_compress_after_ms,
                                  .tell = log_of_cache};
    if (free_bytes(d, o, &config.free_bytes, err) < 0)
        return NULL;
    struct cache *c = cache_open(&config, err);
    if (!c)
        (void)err_wrap(err, "cache %s", o->cache_dir);
    return c;
}
