/* SPDX-License-Identifier: Apache-2.0 */
/* The file of an object: opening and checking it, reading granules, and what happens on damage. */
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "cache/private.h"
#include "cache/store/event.h"

/* ---- opening ---- */

/* Opens or makes the file and its directory. fd or -errno. */
static int open_file(struct cache *c, const char *path, int flags)
{
    int fd = openat(c->objects_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd < 0 && errno == ENOENT && flags & O_CREAT) {
        char directory[3] = {path[0], path[1], '\0'};
        if (mkdirat(c->objects_fd, directory, 0700) < 0 && errno != EEXIST)
            return -errno;
        fd = openat(c->objects_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    }
    return fd < 0 ? -errno : fd;
}

/* A file of ours is regular, has one name, and the object's size from its first moment on. */
static int check_file(const struct object *o, int fd, bool recorded)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        return -ENODATA;
    if ((uint64_t)st.st_size == o->size)
        return 0;
    if (recorded)
        return -ENODATA;
    return ftruncate(fd, (off_t)o->size) < 0 ? -errno : 0;
}

/* recorded: the index names bytes in it. -ENODATA: it is not there, or not as it was left. */
static int open_checked(struct object *o, bool recorded)
{
    char path[OBJECT_PATH_BYTES];
    object_path(&o->id, path);
    int fd = open_file(o->cache, path, recorded ? 0 : O_CREAT);
    if (fd == -ENOENT || fd == -ELOOP || fd == -EISDIR || fd == -ENXIO || fd == -ENODEV)
        return -ENODATA;
    if (fd < 0)
        return fd;
    int rc = check_file(o, fd, recorded);
    if (rc == 0)
        return fd;
    (void)close(fd); /* nothing was written */
    return rc;
}

int keep_open_recorded(struct object *o, bool trusted, bool at_once)
{
    char path[OBJECT_PATH_BYTES];
    struct open_how how = {.flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW,
                           .resolve = at_once ? RESOLVE_CACHED : 0};
    object_path(&o->id, path);
    AUTO_FD int fd = (int)syscall(SYS_openat2, o->cache->objects_fd, path, &how, sizeof how);
    return fd >= 0 && (trusted || check_file(o, fd, true) == 0) ? STEAL_FD(fd) : -1;
}

bool keep_is_alone(int fd)
{
    /* Who opens the file in this very moment makes the kernel tell us, which ends a process by
     * default: a signal that does nothing by default is asked for instead. */
    if (fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
        return false;
    (void)fcntl(fd, F_SETLEASE, F_UNLCK); /* it was asked for the answer only */
    return true;
}

int keep_open_alone(int dir, const char *path)
{
    AUTO_FD int fd = openat(dir, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && keep_is_alone(fd) ? STEAL_FD(fd) : -1;
}

void object_discard(struct object *o)
{
    bool first = false, idle = false;
    WITH_LOCK (&o->lock) {
        first = o->keeping == KEEP;
        idle = o->keeping == KEEP_NO;
        if (first)
            o->keeping = DISCARD;
    }
    if (idle)
        (void)object_forget_all(o); /* of the memory: the records stay */
    if (!first)
        return;
    struct forgotten f = object_forget_all(o);
    cache_count_frozen(o->cache, -(int64_t)f.frozen, -(int64_t)f.frozen_bytes);
    WITH_LOCK (&o->lock)
        o->frozen_left = f.frozen > 0;
    o->cache->damaged += f.counted;
    cache_count(o->cache, -(int64_t)f.disk, f.counted ? -1 : 0, f.sealed ? -1 : 0);
    cache_dirty(o);
}

/* Not the file's fault: memory or descriptors are short, say. What is on disk stays, and counts. */
static void keep_nothing(struct object *o, int code)
{
    cache_failed(o->cache, code);
    WITH_LOCK (&o->lock)
        o->keeping = KEEP_NO;
    (void)object_forget_all(o); /* of the memory only */
}

int object_file(struct object *o, struct job *job, int *fd)
{
    bool mine = false, recorded = false;
    int rc = 0;
    WITH_LOCK (&o->lock) {
        if (o->fd >= 0) {
            *fd = o->fd;
        } else if (o->keeping != KEEP) {
            rc = -EIO;
        } else if (o->opening) {
            waitlist_add(&o->opened, job);
            rc = -EINPROGRESS;
        } else {
            mine = o->opening = true;
            recorded = o->counted;
        }
    }
    if (!mine)
        return rc;
    int opened = open_checked(o, recorded);
    if (opened == -ENODATA)
        object_discard(o);
    else if (opened < 0)
        keep_nothing(o, -opened);
    WITH_LOCK (&o->lock) {
        if (opened >= 0)
            *fd = o->fd = opened;
        o->opening = false;
        waitlist_wake(&o->opened, o->cache->workers);
    }
    return opened < 0 ? -EIO : 0;
}

struct file_wait {
    struct job job;
    struct event event;
};

static void file_opened(struct job *job)
{
    event_set(&CONTAINER_OF(job, struct file_wait, job)->event);
}

int object_file_wait(struct object *o, int *fd)
{
    for (;;) {
        struct file_wait wait = {.job = {.run = file_opened}};
        event_init(&wait.event);
        int rc = object_file(o, &wait.job, fd);
        if (rc == -EINPROGRESS)
            event_wait(&wait.event);
        event_done(&wait.event);
        if (rc != -EINPROGRESS)
            return rc;
    }
}

/* ---- reading ---- */

/* Whether all granules of the range were checked already. */
static bool all_right(struct object *o, uint64_t offset, size_t length)
{
    bool right = true;
    WITH_LOCK (&o->lock) {
        for (uint64_t g = offset / GRANULE_BYTES; g <= (offset + length - 1) / GRANULE_BYTES; g++) {
            const struct segment *s = segment_of_locked(o, g);
            right = right && s && bitmap_has(s->right, g % SEGMENT_GRANULES);
        }
    }
    return right;
}

enum look { RIGHT, WRONG, ABSENT };

/*
 * Makes the object's bytes of what the file has, in place, and compares them with the check that
 * the record has.
 */
static enum look check_granule(struct object *o, uint64_t granule, char *bytes)
{
    uint8_t check[CHECK_BYTES_MAX];
    unsigned i = granule % SEGMENT_GRANULES, size = o->cache->check_bytes;
    if (!object_check_of(o, granule, false, check))
        return ABSENT;
    if (!granule_open(o, granule, bytes, check))
        return WRONG;
    WITH_LOCK (&o->lock) {
        struct segment *s = segment_of_locked(o, granule);
        if (s && bitmap_has(s->present, i) &&
            memcmp(s->checks + (size_t)i * size, check, size) == 0)
            bitmap_set(s->right, i);
    }
    return RIGHT;
}

/* Reads and checks whole granules, and copies what is wanted of them. */
static int load_checked(struct object *o, int fd, uint64_t offset, char *to, size_t length)
{
    char bytes[GRANULE_BYTES];
    int wrong = 0;
    while (length) {
        uint64_t granule = offset / GRANULE_BYTES;
        size_t from = offset % GRANULE_BYTES, whole = granule_length(o->size, granule);
        size_t n = length < whole - from ? length : whole - from;
        int rc = file_pread_full(fd, bytes, whole, (off_t)(granule * GRANULE_BYTES), NULL);
        if (rc < 0)
            return -EIO;
        enum look look = check_granule(o, granule, bytes);
        if (look == WRONG)
            object_forget(o, granule);
        if (look != RIGHT)
            wrong = -EBADMSG;
        if (to) {
            memcpy(to, bytes + from, n);
            to += n;
        }
        offset += n;
        length -= n;
    }
    return wrong;
}

int object_load_bytes(struct object *o, int fd, uint64_t offset, char *to, size_t length)
{
    if (!to || o->cache->cipher || !all_right(o, offset, length))
        return load_checked(o, fd, offset, to, length);
    return file_pread_full(fd, to, length, (off_t)offset, NULL) < 0 ? -EIO : 0;
}

/* ---- making it last ---- */

int object_check_old(struct object *o)
{
    int fd;
    bool unchecked;
    WITH_LOCK (&o->lock)
        unchecked = o->unchecked;
    int rc = unchecked ? object_file_wait(o, &fd) : 0;
    if (!unchecked || rc < 0)
        return rc;
    rc = object_load_bytes(o, fd, 0, NULL, (size_t)o->size);
    if (rc == -EIO)
        object_discard(o);
    if (rc == 0)
        WITH_LOCK (&o->lock)
            o->unchecked = false;
    return rc;
}

int object_sync(struct object *o)
{
    struct cache *c = o->cache;
    bool full = object_is_full(o), busy, need, checked, sealed = false;
    int fd;
    WITH_LOCK (&o->lock) {
        busy = o->syncing;
        fd = o->fd;
        need = !busy && o->unsynced && fd >= 0;
        if (need) {
            o->syncing = true;
            o->unsynced = false;
        }
    }
    if (busy)
        return -EINPROGRESS;
    int rc = need && fdatasync(fd) < 0 ? -errno : 0;
    if (rc < 0) {
        /* What was written may be lost though it can still be read. */
        cache_failed(c, -rc);
        object_discard(o);
    }
    WITH_LOCK (&o->lock) {
        if (need)
            o->syncing = false;
        checked = !o->unchecked;
        sealed = rc == 0 && full && checked && o->keeping == KEEP && !o->unsynced && !o->syncing &&
                 o->counted && !atomic_exchange(&o->sealed, true);
    }
    if (sealed) {
        object_load(o, 0);
        WITH_LOCK (&o->lock)
            if (o->segments && o->segments[0])
                o->segments[0]->dirty = true;
        cache_count(c, 0, 0, 1);
        cache_dirty(o);
        WITH_LOCK (&c->lock)
            cache_tell_sealed_locked(c, o);
    }
    if (rc == 0 && full && !checked)
        upkeep_check(o);
    if (need)
        fill_poke(o);
    return rc;
}
