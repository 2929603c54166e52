/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frozen segments: their files, and reading them back.
 *
 * A frozen segment has a record that names a frozen file, objects/ab/cdef...N.zst for segment N,
 * and keeps the checks of all granules. Reading one of its blocks is a flight from that file
 * (cache/flight.c): the granules land in the plain file, and when all have landed and are synced,
 * the flusher writes a record without the frozen file, and then deletes that.
 *
 *   plain --cache/freeze.c--> frozen, no granules --flights--> frozen, some granules
 *     ^                                                                |
 *     '------------------------------ all granules: the flusher <------'
 */
#include <fcntl.h>
#include <string.h>

#include "cache/frozen.h"
#include "cache/private.h"

void frozen_path(const struct segment_id *id, char out[FROZEN_PATH_BYTES])
{
    char path[OBJECT_PATH_BYTES];
    object_path(&id->object, path);
    (void)snprintf(out, FROZEN_PATH_BYTES, "%s.%u.zst", path, id->number);
}

void frozen_remove(struct cache *c, const struct segment_id *id)
{
    char path[FROZEN_PATH_BYTES];
    frozen_path(id, path);
    (void)cache_clear(c, path); /* what stays is found by cache_gc */
}

/* One block of the object, decompressed. */
static int read_frozen(struct object *o, const struct segment_id *id, uint64_t block, char *to)
{
    char path[FROZEN_PATH_BYTES];
    uint64_t begin = id->number * (uint64_t)SEGMENT_BYTES, at = block * BLOCK_BYTES;
    uint64_t left = o->size - at;
    frozen_path(id, path);
    AUTO_FD int fd =
        openat(o->cache->objects_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    struct err err = ERR_INIT;
    AUTO(frozen) struct frozen *f = frozen_open(fd, segment_bytes(o->size, id->number), &err);
    if (!f)
        return -err.code;
    size_t n = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
    return frozen_read(f, (at - begin) / BLOCK_BYTES, to, n, &err);
}

/* Compares with the check that the record has kept. */
static bool is_right(struct object *o, uint64_t granule, char *bytes)
{
    uint8_t check[CHECK_BYTES_MAX];
    return object_check_of(o, granule, true, check) && granule_open(o, granule, bytes, check);
}

/* The frozen file is of no use: what is not in the plain one is fetched. */
static void forget_frozen(struct object *o, uint32_t n)
{
    struct cache *c = o->cache;
    uint64_t bytes = 0;
    WITH_LOCK (&o->lock) {
        struct segment *s = o->segments ? o->segments[n] : NULL;
        if (s && s->frozen_bytes) {
            bytes = s->frozen_bytes;
            s->frozen_bytes = 0;
            s->dirty = true;
        }
    }
    if (!bytes)
        return; /* somebody was quicker */
    struct segment_id id = {.object = o->id, .number = n};
    frozen_remove(c, &id);
    c->damaged++;
    cache_count(c, -(int64_t)bytes, 0, 0);
    cache_count_frozen(c, -1, -(int64_t)bytes);
    cache_dirty(o);
}

int object_thaw(struct object *o, uint64_t offset, char *to, size_t length)
{
    struct segment_id id = {.object = o->id, .number = (uint32_t)(offset / SEGMENT_BYTES)};
    uint64_t block = offset / BLOCK_BYTES;
    int rc = read_frozen(o, &id, block, to);
    if (rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE)
        return rc; /* not the file's fault */
    if (rc == 0 && offset != block * BLOCK_BYTES)
        memmove(to, to + (offset - block * BLOCK_BYTES), length);
    for (size_t at = 0; rc == 0 && at < length; at += GRANULE_BYTES)
        if (!is_right(o, (offset + at) / GRANULE_BYTES, to + at))
            rc = -EBADMSG;
    if (rc < 0)
        forget_frozen(o, id.number);
    return rc;
}

bool segment_is_frozen(struct object *o, uint32_t n)
{
    bool frozen;
    WITH_LOCK (&o->lock)
        frozen = o->segments && o->segments[n] && o->segments[n]->frozen_bytes;
    return frozen;
}

/* ---- when it is complete again ---- */

/* The size of a frozen file that the segment's record does without; else 0. */
static uint64_t take_thawed(struct object *o, uint32_t n)
{
    uint64_t bytes = 0;
    WITH_LOCK (&o->lock) {
        struct segment *s = o->segments ? o->segments[n] : NULL;
        if (s && s->thawed) {
            bytes = s->frozen_bytes;
            s->frozen_bytes = 0;
        }
        if (s)
            s->thawed = s->writing = false;
    }
    return bytes;
}

void object_written(struct object *o)
{
    for (uint32_t n = 0; n < o->segment_count; n++) {
        uint64_t bytes = take_thawed(o, n);
        if (!bytes)
            continue;
        struct segment_id id = {.object = o->id, .number = n};
        frozen_remove(o->cache, &id);
        cache_count(o->cache, -(int64_t)bytes, 0, 0);
        cache_count_frozen(o->cache, -1, -(int64_t)bytes);
    }
}

void object_remove_frozen(struct object *o)
{
    for (uint32_t n = 0; n < o->segment_count; n++) {
        struct segment_id id = {.object = o->id, .number = n};
        frozen_remove(o->cache, &id);
    }
}
