/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed objects as files that the kernel reads by itself. */
#include <string.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "cache/private.h"

#define PROBE_MS 20

bool cache_can_pass(const struct cache *c)
{
    return !c->cipher;
}

/* The kernel's reads are not seen: who opens the object is taken to read all of it. */
static void note_all(struct object *o)
{
    int64_t now_s = clock_real_ms() / 1000;
    if (atomic_exchange(&o->noted, true))
        return;
    for (uint32_t n = 0; n < o->segment_count; n++)
        uses_note(o->cache->uses, segment_key(&o->id, n), segment_bytes(o->size, n), now_s);
}

/* Without waiting: what is open, or what the kernel can open from its caches. -1: neither. */
static int file_at_once(struct object *o)
{
    int fd;
    bool free_to_open, trusted;
    WITH_LOCK (&o->lock) {
        fd = o->fd;
        free_to_open = o->keeping == KEEP;
        trusted = !o->unchecked;
    }
    if (fd >= 0 || !free_to_open)
        return fd;
    int opened = keep_open_at_once(o, trusted);
    if (opened < 0)
        return -1;
    WITH_LOCK (&o->lock) {
        if (o->fd < 0 && !o->opening)
            o->fd = STEAL_FD(opened);
        fd = o->fd;
    }
    if (opened >= 0)
        (void)close(opened); /* somebody was quicker */
    return fd;
}

/*
 * The disk cannot be read any more, as far as that can be told of a file without waiting; looked at
 * now and then. The kernel would hand that on to the reader; who reads through us is given the
 * store's bytes.
 */
static bool is_dead(struct cache *c, int fd)
{
    char byte;
    struct iovec to = {&byte, sizeof byte};
    int64_t now_ms = clock_mono_ms();
    if (now_ms - c->probed_ms < PROBE_MS)
        return false;
    if (preadv2(fd, &to, 1, 0, RWF_NOWAIT) < 0 && errno == EIO)
        return true;
    c->probed_ms = now_ms;
    return false;
}

int object_backing(struct object *o, struct task *t, int *fd, struct err *err)
{
    struct cache *c = o->cache;
    int opened = o->in_place ? o->fd : -1;
    if (!object_is_sealed(o))
        return err_set(err, ENODATA, "%s: not all of it is in the cache", o->key);
    if (!o->in_place && c->cipher)
        return err_set(err, EOPNOTSUPP, "%s: it is encrypted in the cache", o->key);
    if (opened < 0)
        opened = file_at_once(o);
    if (opened < 0) {
        int rc = task_to_worker(t, c->workers);
        if (rc == 0)
            rc = object_file(o, &t->job, &opened);
        if (rc == -EINPROGRESS)
            return rc;
        if (rc < 0)
            return err_set(err, ENODATA, "%s: its file in the cache is lost", o->key);
    }
    if (!o->in_place && is_dead(c, opened)) {
        cache_failed(c, EIO);
        object_discard(o);
        return err_set(err, ENODATA, "%s: its file in the cache cannot be read", o->key);
    }
    if (!o->in_place)
        note_all(o);
    *fd = opened;
    return 0;
}
