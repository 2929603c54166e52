/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/buffers.h"

#include <assert.h>
#include <sys/mman.h>

#include "base/lock.h"

struct buffers {
    struct workers *workers;
    char *memory; /* READ_BUFFERS_MAX of READ_BYTES_MAX */
    struct lock lock;
    struct waitlist waiting;      /* lock */
    char *free[READ_BUFFERS_MAX]; /* lock; the one used last is taken first */
    unsigned free_n;              /* lock */
};

struct buffers *buffers_new(struct workers *workers, struct err *err)
{
    struct buffers *b = calloc(1, sizeof *b);
    void *memory = mmap(NULL, READ_BUFFERS_MAX * READ_BYTES_MAX, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!b || memory == MAP_FAILED) {
        free(b);
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    b->workers = workers;
    b->memory = memory;
    lock_init(&b->lock);
    while (b->free_n < READ_BUFFERS_MAX) {
        b->free[b->free_n] = b->memory + (READ_BUFFERS_MAX - 1 - b->free_n) * READ_BYTES_MAX;
        b->free_n++;
    }
    return b;
}

void buffers_free(struct buffers *b)
{
    assert(b->free_n == READ_BUFFERS_MAX);
    (void)munmap(b->memory, READ_BUFFERS_MAX * READ_BYTES_MAX); /* our own mapping */
    lock_done(&b->lock);
    free(b);
}

int buffers_get(struct buffers *b, struct job *job, char **out)
{
    int rc = 0;
    WITH_LOCK (&b->lock) {
        if (b->free_n) {
            *out = b->free[--b->free_n];
        } else {
            waitlist_add(&b->waiting, job);
            rc = -EINPROGRESS;
        }
    }
    return rc;
}

void buffers_put(struct buffers *b, char *buffer)
{
    WITH_LOCK (&b->lock) {
        b->free[b->free_n++] = buffer;
        waitlist_wake(&b->waiting, b->workers);
    }
}
