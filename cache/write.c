/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has landed goes into the object's file, a train at a time.
 *
 *   landed ─► waits for its turn ─► room for it is counted ─► written ─► present; each flight ends,
 *             (WRITERS_MAX)                                             or is held (cache/held.c)
 *
 * What a reader passes by is written past the page cache: its pages would cost more than the
 * network (docs/FETCH.md). For what may be read again soon they are worth that.
 */
#include <fcntl.h>
#include <string.h>

#include "cache/private.h"

/* The least that every disk takes past the page cache. */
#define DIRECT_BYTES 4096
/*
 * Trains of one object that are written at once. Past the page cache one waits for the disk while
 * the other is on its way there. Into the page cache the kernel lets one write to a file at a
 * time, and the other would spin for its lock on a processor that could bring more bytes.
 */
#define WRITERS_MAX 2

static bool is_direct_locked(const struct object *o, const struct flight *f) REQUIRES(o->lock)
{
    return f->passing && !o->no_direct && !o->cache->cipher && o->size > BLOCK_BYTES &&
           f->length % DIRECT_BYTES == 0;
}

/* ---- the bytes ---- */

/* Neighbours of one train that are written in one way. */
struct run {
    struct flight *first, *next; /* next: behind the last one */
    struct granules granules;
    size_t length;
    bool direct;
};

/* The next run of what is reserved. False: there is none. */
static bool next_run(struct object *o, struct flight *f, struct run *run)
{
    while (f && !f->reserved)
        f = f->car;
    if (!f)
        return false;
    *run = (struct run){.first = f, .granules = {.offset = f->offset}};
    WITH_LOCK (&o->lock) {
        run->direct = is_direct_locked(o, f);
        for (; f && f->reserved && is_direct_locked(o, f) == run->direct; f = f->car) {
            run->granules.at[run->granules.count++] = (struct iovec){f->buffer, f->length};
            run->length += f->length;
        }
    }
    run->next = f;
    return true;
}

/* A descriptor of the same file that writes past the page cache; -EINVAL: it has none. */
static int direct_file(struct object *o, int fd)
{
    char path[32];
    int direct = -1;
    WITH_LOCK (&o->lock)
        direct = o->direct_fd;
    if (direct >= 0)
        return direct;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd); /* 24 bytes at most */
    AUTO_FD int made = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
    if (made < 0)
        return -EINVAL;
    WITH_LOCK (&o->lock) {
        if (o->direct_fd < 0)
            o->direct_fd = STEAL_FD(made);
        direct = o->direct_fd;
    }
    return direct;
}

static int write_run(struct object *o, int fd, const struct run *run, uint8_t *checks)
{
    if (run->direct) {
        int direct = direct_file(o, fd);
        int rc = direct < 0 ? direct : granules_write(o, direct, &run->granules, checks);
        if (rc != -EINVAL)
            return rc;
        WITH_LOCK (&o->lock)
            o->no_direct = true;
    }
    return granules_write(o, fd, &run->granules, checks);
}

/* ---- what is present ---- */

/* What one run has added. */
struct kept {
    uint64_t disk;
    bool object, any; /* any: of the flight that was looked at last */
    bool some;
};

static void mark_locked(struct object *o, uint64_t granule, const uint8_t *check, struct kept *kept)
    REQUIRES(o->lock)
{
    struct segment *s = segment_of_locked(o, granule);
    unsigned i = granule % SEGMENT_GRANULES, check_bytes = o->cache->check_bytes;
    size_t n = granule_length(o->size, granule);
    if (o->keeping != KEEP || !s)
        return;
    memcpy(s->checks + (size_t)i * check_bytes, check, check_bytes); /* of what is there now */
    s->dirty = true;
    o->unsynced = true;
    kept->any = true;
    if (bitmap_has(s->present, i))
        return;
    bitmap_set(s->present, i);
    bitmap_set(s->right, i);
    s->count++;
    s->disk += disk_bytes(n);
    kept->disk += disk_bytes(n);
    kept->object = kept->object || !o->counted;
    o->counted = true;
}

static void mark_run(struct object *o, const struct run *run, const uint8_t *checks,
                     struct kept *kept)
{
    uint64_t granule = run->granules.offset / GRANULE_BYTES;
    WITH_LOCK (&o->lock) {
        for (struct flight *f = run->first; f != run->next; f = f->car) {
            kept->any = false;
            for (size_t at = 0; at < f->length; at += GRANULE_BYTES) {
                mark_locked(o, granule++, checks, kept);
                checks += o->cache->check_bytes;
            }
            f->kept = kept->any;
            kept->some = kept->some || kept->any;
        }
    }
}

/* Takes back what was written; where that fails too, the next cache_gc does it. Not what the
 * kernel may be reading: it was wrong, but zeros are no better. */
static void take_back(struct object *o, int fd, const struct run *run)
{
    if (!o->noted)
        (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)run->first->offset,
                        (off_t)run->length);
}

static void keep_run(struct object *o, int fd, const struct run *run)
{
    struct cache *c = o->cache;
    struct kept kept = {0};
    uint8_t checks[TRAIN_FLIGHTS_MAX * BLOCK_GRANULES * CHECK_BYTES_MAX];
    object_load_range(o, run->first->offset, run->length);
    int rc = write_run(o, fd, run, checks);
    if (rc < 0) {
        take_back(o, fd, run);
        cache_failed(c, -rc);
    } else {
        cache_worked(c);
        mark_run(o, run, checks, &kept);
    }
    cache_count(c, (int64_t)kept.disk - (int64_t)disk_bytes(run->length), kept.object, 0);
    if (kept.some)
        cache_dirty(o);
}

/* ---- a train ---- */

/* -EINPROGRESS: the job runs again. */
static int write_down(struct flight *first, struct job *job)
{
    struct object *o = first->object;
    struct run run = {.next = first};
    uint64_t reserved = 0;
    int fd;
    for (struct flight *f = first; f; f = f->car) {
        if (!f->reserved)
            f->reserved = cache_reserve(o, disk_bytes(f->length));
        reserved += f->reserved ? disk_bytes(f->length) : 0;
    }
    int rc = reserved ? object_file(o, job, &fd) : 0;
    if (rc == -EINPROGRESS)
        return rc;
    if (rc < 0)
        cache_count(o->cache, -(int64_t)reserved, 0, 0);
    if (rc < 0 || !reserved)
        return 0;
    object_load(o, 0); /* whose record holds the ETag */
    while (next_run(o, run.next, &run))
        keep_run(o, fd, &run);
    return 0;
}

/* The next one may be written. */
static void pass_turn(struct object *o)
{
    struct job *next;
    WITH_LOCK (&o->lock) {
        next = waitlist_take(&o->to_write);
        if (!next)
            o->writers--;
    }
    if (next)
        workers_submit(o->cache->workers, next);
}

/* The flights are done; true: the file has all of them. */
static bool take_off(struct object *o, struct flight *first)
{
    bool kept = true;
    WITH_LOCK (&o->lock) {
        for (struct flight *f = first; f; f = f->car) {
            kept = kept && f->kept;
            if (held_wanted_locked(o, f))
                f->refs++; /* the list's */
            else
                flight_unlink_locked(o, f);
        }
    }
    return kept;
}

/* On a worker. */
static void train_run(struct job *job)
{
    struct flight *first = CONTAINER_OF(job, struct flight, job), *next;
    struct object *o = first->object;
    struct err err = ERR_INIT;
    if (write_down(first, job) == -EINPROGRESS)
        return;
    if (take_off(o, first))
        fill_poke(o);
    else
        fill_fail(o, err_set(&err, ENOSPC, "%s: the cache does not take it", o->key), &err);
    pass_turn(o);
    for (struct flight *f = first; f; f = next) {
        next = f->car;
        if (f->held)
            held_add(f);
        flight_unref(f);
    }
}

void train_write(struct flight *first)
{
    struct object *o = first->object;
    bool now;
    first->job.run = train_run;
    WITH_LOCK (&o->lock) {
        now = o->writers < (is_direct_locked(o, first) ? WRITERS_MAX : 1);
        if (now)
            o->writers++;
        else
            waitlist_add(&o->to_write, &first->job);
    }
    if (now)
        workers_submit(o->cache->workers, &first->job);
}
