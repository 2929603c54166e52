/* SPDX-License-Identifier: Apache-2.0 */
/* The file of an object: opening and checking it, writing blocks, and what happens on damage. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cache/private.h"

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

/* `end`: where the last block that the record names ends. -ENODATA: the file has lost bytes. */
static int open_checked(struct object *o, uint64_t end)
{
    char path[OBJECT_PATH_BYTES];
    struct stat st;
    object_path(&o->id, path);
    int fd = open_file(o->cache, path, end ? 0 : O_CREAT);
    if (fd == -ENOENT || fd == -ELOOP || fd == -EISDIR)
        return end ? -ENODATA : fd;
    if (fd < 0)
        return fd;
    int rc = fstat(fd, &st) < 0 ? -errno : 0;
    if (rc == 0 && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < end))
        rc = -ENODATA;
    if (rc == 0)
        return fd;
    (void)close(fd); /* nothing was written */
    return rc;
}

static uint64_t forget_locked(struct object *o) REQUIRES(o->lock)
{
    uint64_t disk = o->present_disk_bytes;
    free(o->present);
    o->present = NULL;
    o->present_disk_bytes = 0;
    o->unsynced = false;
    return disk;
}

void object_discard(struct object *o)
{
    uint64_t disk = 0;
    bool first = false;
    WITH_LOCK (&o->lock) {
        if (o->keeping == KEEP) {
            o->keeping = DISCARD;
            disk = forget_locked(o);
            first = true;
        }
    }
    if (!first)
        return;
    cache_count(o->cache, -(int64_t)disk, disk ? -1 : 0);
    cache_dirty(o);
}

/* Not the file's fault: memory or descriptors are short, say. What is on disk stays. */
static void keep_nothing(struct object *o)
{
    o->cache->write_errors++;
    WITH_LOCK (&o->lock) {
        o->keeping = KEEP_NO;
        (void)forget_locked(o); /* the bytes still count: they are still there */
    }
}

int object_file(struct object *o, struct job *job, int *fd)
{
    bool mine = false;
    uint64_t end = 0;
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
            if (o->present)
                end = index_record_end(
                    &(struct index_record){.size = o->size, .present = o->present});
        }
    }
    if (!mine)
        return rc;
    int opened = open_checked(o, end);
    if (opened == -ENODATA)
        object_discard(o);
    else if (opened < 0)
        keep_nothing(o);
    WITH_LOCK (&o->lock) {
        if (opened >= 0)
            *fd = o->fd = opened;
        o->opening = false;
        waitlist_wake(&o->opened, o->cache->workers);
    }
    return opened < 0 ? -EIO : 0;
}

static bool mark_present_locked(struct object *o, uint64_t block, uint64_t disk, bool *first)
    REQUIRES(o->lock)
{
    if (o->keeping != KEEP)
        return false;
    if (!o->present)
        o->present = calloc(1, bitmap_bytes(o->size));
    if (!o->present || bitmap_has(o->present, block))
        return false;
    o->present[block / 8] |= (uint8_t)(1U << block % 8);
    *first = o->present_disk_bytes == 0;
    o->present_disk_bytes += disk;
    o->unsynced = true;
    return true;
}

void object_keep(struct object *o, int fd, uint64_t block, const char *bytes)
{
    struct cache *c = o->cache;
    size_t length = block_length(o->size, block);
    uint64_t disk = disk_bytes(length);
    off_t offset = (off_t)(block * BLOCK_BYTES);
    bool kept = false, first = false;
    if (file_pwrite_full(fd, bytes, length, offset, NULL) < 0) {
        c->write_errors++;
        /* Takes back what was written; where that fails too, the next cache_open does it. */
        (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, (off_t)length);
    } else {
        WITH_LOCK (&o->lock)
            kept = mark_present_locked(o, block, disk, &first);
    }
    cache_count(c, kept ? 0 : -(int64_t)disk, first ? 1 : 0);
    if (kept)
        cache_dirty(o);
}
