/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/pool.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#define POOL_BYTES (TRANSFER_BLOCKS_MAX * BLOCK_BYTES)

int pool_init(struct pool *p, struct workers *workers, struct err *err)
{
    void *base = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return err_set(err, errno, "transfer buffers: %s", strerror(errno));
    *p = (struct pool){.workers = workers, .base = base};
    lock_init(&p->lock);
    while (p->free_count < TRANSFER_BLOCKS_MAX) {
        p->free[p->free_count] = TRANSFER_BLOCKS_MAX - 1 - p->free_count;
        p->free_count++;
    }
    return 0;
}

void pool_done(struct pool *p)
{
    if (!p->base)
        return;
    assert(p->free_count == TRANSFER_BLOCKS_MAX && !p->first);
    (void)munmap(p->base, POOL_BYTES); /* our own mapping, whole */
    p->base = NULL;
    lock_done(&p->lock);
}

char *pool_take(struct pool *p, struct pool_wait *wait)
{
    char *buffer = NULL;
    wait->buffer = NULL;
    wait->next = NULL;
    WITH_LOCK (&p->lock) {
        if (p->free_count) {
            unsigned i = p->free[--p->free_count];
            p->touched[i] = p->recent[i] = true;
            buffer = p->base + i * BLOCK_BYTES;
        } else if (p->last) {
            p->last = p->last->next = wait;
        } else {
            p->first = p->last = wait;
        }
    }
    return buffer;
}

bool pool_is_short(struct pool *p)
{
    bool waits;
    WITH_LOCK (&p->lock)
        waits = p->first != NULL;
    return waits;
}

bool pool_has_spare(struct pool *p)
{
    bool spare;
    WITH_LOCK (&p->lock)
        spare = p->free_count > TRANSFER_BLOCKS_MAX / 4;
    return spare;
}

unsigned pool_taken(struct pool *p)
{
    unsigned taken;
    WITH_LOCK (&p->lock)
        taken = TRANSFER_BLOCKS_MAX - p->free_count;
    return taken;
}

void pool_put(struct pool *p, char *buffer)
{
    unsigned i = (unsigned)((size_t)(buffer - p->base) / BLOCK_BYTES);
    struct pool_wait *wait;
    WITH_LOCK (&p->lock) {
        wait = p->first;
        if (wait) {
            p->first = wait->next;
            if (!p->first)
                p->last = NULL;
            p->recent[i] = true;
        } else {
            assert(p->free_count < TRANSFER_BLOCKS_MAX);
            p->free[p->free_count++] = i;
        }
    }
    if (wait) {
        /* On a worker, because the taker may fail at once and put the buffer back: handing it on
         * from here would recurse once for each in the queue. */
        wait->buffer = buffer;
        workers_submit(p->workers, &wait->job);
    }
}

bool pool_trim(struct pool *p)
{
    bool warm;
    WITH_LOCK (&p->lock) {
        warm = p->free_count < TRANSFER_BLOCKS_MAX;
        for (unsigned at = 0; at < p->free_count; at++) {
            unsigned i = p->free[at];
            if (p->touched[i] && !p->recent[i]) {
                /* Advice: where it fails the memory merely stays. */
                (void)madvise(p->base + i * BLOCK_BYTES, BLOCK_BYTES, MADV_DONTNEED);
                p->touched[i] = false;
            }
            warm = warm || p->touched[i];
        }
        memset(p->recent, 0, sizeof p->recent);
    }
    return warm;
}
