/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the disk refuses: how much may be kept, and when nothing is.
 *
 *   on  --a write fails-->  off, for a while  --the next write--> on | off again
 *
 * Off turns caching off, not reading: nothing is written, what is there is still read.
 */
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "cache/private.h"

#define FULL_OFF_MS 5000 /* eviction may make room */
#define DEAD_OFF_MS 60000

void cache_tell(struct cache *c, const char *text)
{
    if (c->tell)
        c->tell(c->tell_arg, text);
}

void cache_failed(struct cache *c, int code)
{
    char text[160];
    bool full = code == ENOSPC || code == EDQUOT;
    c->write_errors++;
    if (code == ENOMEM || code == EMFILE || code == ENFILE)
        return; /* not the disk's fault */
    c->dead = !full;
    int64_t until = clock_mono_ms() + (full ? FULL_OFF_MS : DEAD_OFF_MS);
    if (index_is_blind(c->index))
        until = INT64_MAX; /* until the next start */
    if (atomic_exchange(&c->off_until_ms, until) != 0)
        return;
    (void)snprintf(text, sizeof text,
                   "caching is off, because the cache directory cannot be written: %s; reads go on",
                   strerror(code));
    cache_tell(c, text);
}

void cache_worked(struct cache *c)
{
    c->dead = false;
    if (!index_is_blind(c->index) && c->off_until_ms && atomic_exchange(&c->off_until_ms, 0) != 0)
        cache_tell(c, "caching is on again");
}

bool cache_is_off(struct cache *c)
{
    return c->off_until_ms && clock_mono_ms() < c->off_until_ms;
}

void cache_measure(struct cache *c)
{
    struct statvfs disk;
    if (c->free_bytes == 0 || fstatvfs(c->objects_fd, &disk) < 0)
        return; /* it is told when a write fails */
    uint64_t available = (uint64_t)disk.f_bavail * disk.f_frsize;
    WITH_LOCK (&c->lock) {
        uint64_t room = c->bytes + available;
        room = room > c->free_bytes ? room - c->free_bytes : 0;
        c->limit_bytes = room < c->size_bytes ? room : c->size_bytes;
        if (c->bytes > c->limit_bytes && !c->evict) {
            c->evict = true;
            cond_broadcast(&c->changed);
        }
    }
}
