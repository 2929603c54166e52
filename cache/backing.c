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

/*
 * The object's open file; or, for the caller to close, one that is opened for him: who reads
 * through the kernel needs none of ours. at_once: what the kernel can open from its caches. -1:
 * neither.
 */
static int find_file(struct object *o, bool at_once, int *opened)
{
    int fd;
    bool free_to_open, trusted;
    WITH_LOCK (&o->lock) {
        fd = o->fd;
        free_to_open = o->keeping == KEEP;
        trusted = !o->unchecked;
        o->lent += fd < 0 && free_to_open; /* before: no other file takes its place meanwhile */
    }
    if (fd >= 0 || !free_to_open)
        return fd;
    *opened = keep_open_recorded(o, trusted, at_once);
    if (*opened < 0)
        WITH_LOCK (&o->lock)
            o->lent--;
    return *opened;
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

int object_backing(struct object *o, struct task *t, int *fd, int *opened, struct err *err)
{
    struct cache *c = o->cache;
    AUTO_FD int own = -1;
    int file = o->in_place ? o->fd : -1;
    if (!object_is_sealed(o))
        return err_set(err, ENODATA, "%s: not all of it is in the cache", o->key);
    if (!o->in_place && c->cipher)
        return err_set(err, EOPNOTSUPP, "%s: it is encrypted in the cache", o->key);
    if (file < 0)
        file = find_file(o, !t->on_worker, &own);
    if (file < 0) {
        int rc = task_to_worker(t, c->workers);
        if (rc == 0)
            rc = object_file(o, &t->job, &file);
        if (rc == -EINPROGRESS)
            return rc;
        if (rc < 0)
            return err_set(err, ENODATA, "%s: its file in the cache is lost", o->key);
    }
    if (!o->in_place && is_dead(c, file)) {
        cache_failed(c, EIO);
        object_discard(o);
        return err_set(err, ENODATA, "%s: its file in the cache cannot be read", o->key);
    }
    if (!o->in_place)
        note_all(o);
    *fd = file;
    *opened = STEAL_FD(own);
    return 0;
}
