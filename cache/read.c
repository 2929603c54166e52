/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads: cut into pieces, each with one source.
 *
 * A read counts its pieces, the function that starts it, and the job that reads the file, in
 * `missing`; whoever finishes the last of these ends the read.
 */
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/file.h"
#include "cache/private.h"

static void free_pieces(struct object_read *r)
{
    while (r->pieces) {
        struct piece *p = r->pieces;
        r->pieces = p->next_all;
        free(p);
    }
}

void read_finish(struct object_read *r, int rc, const struct err *err)
{
    struct object *o = r->object;
    struct cache *c = o->cache;
    bool last;
    WITH_LOCK (&o->lock) {
        if (rc < 0 && r->rc == 0) {
            r->rc = rc;
            (void)err_copy(&r->err, err);
        }
        last = --r->missing == 0;
    }
    if (!last)
        return;
    free_pieces(r);
    r->object = NULL;
    /* Before `done`, after which the owner may close the cache: it counts on no reference. */
    object_unref(o);
    cache_end(c, false);
    r->done(r);
}

/* Reads a piece from the file; what turns out to be lost there is fetched. */
static void read_piece(struct object *o, struct piece *p, int fd)
{
    struct object_read *r = p->read;
    int rc = fd < 0 ? -EIO : object_load_bytes(o, fd, p->offset, p->to, p->length);
    if (rc == 0) {
        o->cache->hit_bytes += p->length;
    } else {
        if (rc != -EBADMSG)
            object_discard(o);
        flights_join(o, r, p->offset, p->length, 0);
    }
    read_finish(r, 0, NULL);
}

static void read_run(struct job *job)
{
    struct object_read *r = CONTAINER_OF(job, struct object_read, job);
    struct object *o = r->object;
    int fd = -1;
    if (object_file(o, job, &fd) == -EINPROGRESS)
        return;
    struct piece *next, *list = r->on_disk;
    r->on_disk = NULL;
    for (struct piece *p = list; p; p = next) {
        next = p->next;
        read_piece(o, p, fd);
    }
    if (r->on_disk) /* it came into the file just now */
        workers_submit(o->cache->workers, job);
    else
        read_finish(r, 0, NULL);
}

static void read_in_place_run(struct job *job)
{
    struct object_read *r = CONTAINER_OF(job, struct object_read, job);
    struct object *o = r->object;
    struct err err = ERR_INIT;
    int rc = file_pread_full(o->fd, r->to, r->length, (off_t)r->offset, &err);
    struct stat st;
    if (rc < 0 && fstat(o->fd, &st) == 0 && (uint64_t)st.st_size < o->size)
        rc = err_set(&err, ESTALE, "size %llu expected, the file has %llu",
                     (unsigned long long)o->size, (unsigned long long)st.st_size);
    if (rc < 0)
        (void)err_wrap(&err, "%s", o->key);
    else
        o->cache->hit_bytes += r->length;
    read_finish(r, rc, &err);
}

static void begin_wait(struct object *o, struct object_read *r)
{
    r->object = object_ref(o);
    r->missing = 1;
    cache_begin(o->cache, false);
}

static void read_wait(struct object *o, struct object_read *r)
{
    begin_wait(o, r);
    flights_join(o, r, r->offset, r->length, r->fetch_bytes);
    object_note(o, r->offset, r->length);
    if (r->on_disk) {
        WITH_LOCK (&o->lock)
            r->missing++;
        r->job.run = read_run;
        workers_submit(o->cache->workers, &r->job);
    }
    read_finish(r, 0, NULL);
}

/* True: the page cache had all of it. */
static bool read_now(int fd, const struct object_read *r)
{
    struct iovec to = {r->to, r->length};
    return preadv2(fd, &to, 1, (off_t)r->offset, RWF_NOWAIT) == (ssize_t)r->length;
}

/* The open file, where the whole read is in it and was checked; else -1. */
static int file_with_all(struct object *o, const struct object_read *r)
{
    int fd;
    uint64_t last = (r->offset + r->length - 1) / GRANULE_BYTES;
    if (o->cache->cipher)
        return -1; /* what the file has is not what is read */
    WITH_LOCK (&o->lock) {
        fd = o->fd;
        for (uint64_t i = r->offset / GRANULE_BYTES; fd >= 0 && i <= last; i++) {
            const struct segment *s = segment_of_locked(o, i);
            if (!s || !s->noted || !bitmap_has(s->right, i % SEGMENT_GRANULES) ||
                flight_at_locked(o, i * GRANULE_BYTES)) /* it may have the bytes in memory */
                fd = -1;
        }
    }
    return fd;
}

int object_read(struct object *o, struct object_read *r, struct err *err)
{
    r->rc = 0;
    r->err = (struct err)ERR_INIT;
    r->pieces = r->on_disk = NULL;
    r->bytes = r->to;
    r->lent = NULL;
    if (r->offset > o->size || r->length > o->size - r->offset)
        return err_set(err, EINVAL, "%s: read of %zu at %llu, the size is %llu", o->key, r->length,
                       (unsigned long long)r->offset, (unsigned long long)o->size);
    if (r->length == 0)
        return 0;
    int fd = o->in_place ? o->fd : file_with_all(o, r);
    if (fd >= 0 && read_now(fd, r)) {
        o->cache->hit_bytes += r->length;
        return 0;
    }
    if (!o->in_place) {
        read_wait(o, r);
        return -EINPROGRESS;
    }
    begin_wait(o, r);
    r->job.run = read_in_place_run;
    workers_submit(o->cache->workers, &r->job);
    return -EINPROGRESS;
}

void object_read_end(struct object_read *r)
{
    if (r->lent)
        flight_unref(r->lent);
    r->lent = NULL;
}
