/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of the cache: an LMDB environment, DIR/cache.mdb, with one record an object.
 *
 *   key    32 bytes: the object's id
 *   value  crc32c u32 | format u8 | etag length u8 | 0 u16 | size u64 | last use i64 (ms)
 *          | etag | presence bitmap, one bit a block
 *
 * The checksum covers the id and the rest of the value. Everything here can be fetched again, so a
 * damaged environment is deleted and made again empty: index_open walks all of it first, and what
 * it lets pass cannot crash a reader.
 *
 * Any thread; index_find may not run twice at once (the cache's lock sees to that). index_write
 * waits for the disk.
 */
#ifndef CACHE_INDEX_H
#define CACHE_INDEX_H

#include "base/err.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/slice.h"

struct object_id {
    uint8_t bytes[SHA256_BYTES];
};

struct index_record {
    uint64_t size;
    int64_t used_ms;
    char etag[ETAG_BYTES_MAX];
    const uint8_t *present; /* bitmap, borrowed; NULL: nothing is present */
};

/* A record to put, or (record NULL) to delete. */
struct index_change {
    struct object_id id;
    const struct index_record *record;
};

struct index;

/* budget_bytes: of the cache; bounds the environment. */
struct index *index_open(int dirfd, uint64_t budget_bytes, struct err *err);
void index_close(struct index *ix);

/* 0; -ENOENT; -EIO. out->present is a copy that the caller frees. */
int index_find(struct index *ix, const struct object_id *id, struct index_record *out);

/*
 * Each record in the order of ids, borrowed for the call; `each` must not write to the index.
 * Stops where it returns other than 0, and returns that.
 */
int index_each(struct index *ix,
               int (*each)(void *arg, const struct object_id *id, const struct index_record *r),
               void *arg, struct err *err);

/* All changes in one durable transaction, or none. Deleting what is not there is no error. */
int index_write(struct index *ix, const struct index_change *changes, size_t count,
                struct err *err);

static inline uint64_t blocks_of(uint64_t size)
{
    return size / BLOCK_BYTES + (size % BLOCK_BYTES != 0);
}

static inline size_t bitmap_bytes(uint64_t size)
{
    return (size_t)((blocks_of(size) + 7) / 8);
}

static inline bool bitmap_has(const uint8_t *bits, uint64_t block)
{
    return bits && bits[block / 8] & 1U << block % 8;
}

static inline size_t block_length(uint64_t size, uint64_t block)
{
    uint64_t left = size - block * BLOCK_BYTES;
    return left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
}

/* Disk that a block of n bytes takes: whole pages. */
static inline uint64_t disk_bytes(size_t n)
{
    return (n + 4095) / 4096 * 4096;
}

/* Disk that the present blocks take. */
uint64_t index_record_disk(const struct index_record *r);

/* Bytes of the object that are present. */
uint64_t index_record_bytes(const struct index_record *r);

/* Where the last present block ends: a file that is shorter has lost bytes. */
uint64_t index_record_end(const struct index_record *r);

#endif
