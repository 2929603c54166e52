/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of the cache: an LMDB environment, DIR/cache.mdb, with one record for each segment of
 * an object of which anything is cached.
 *
 *   key    id 32 bytes, the first 8 mixed with the segment's number | segment u32
 *   value  crc32c u32 | format u8 | flags u8 | etag length u8 | bytes of a check u8 | size u64
 *          | checked i64 (ms) | frozen u64 | etag | presence, a bit a granule | a check a granule
 *
 * The mixing scatters the segments of one object among all records of its class, so that a random
 * place in the index is as near to any of them. The first bit of an id tells the class: large
 * objects are in the upper half. The checksum covers the key and the rest of the value. A record
 * names only granules whose bytes are synced. Everything here can be fetched again, so a damaged
 * environment is deleted and made again empty: index_open walks all of it first, and what it lets
 * pass cannot crash a reader.
 *
 * Any thread; index_find and index_head may not run twice at once (the cache's lock sees to
 * that). index_write waits for the disk.
 */
#ifndef CACHE_INDEX_H
#define CACHE_INDEX_H

#include "base/err.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/slice.h"

#define SEGMENT_GRANULES ((unsigned)(SEGMENT_BYTES / GRANULE_BYTES))
#define BLOCK_GRANULES ((unsigned)(BLOCK_BYTES / GRANULE_BYTES))
/* The longest check of a granule: a cipher's nonce and tag. */
#define CHECK_BYTES_MAX 28

struct object_id {
    uint8_t bytes[SHA256_BYTES];
};

/* One segment of one object. */
struct segment_id {
    struct object_id object;
    uint32_t number;
};

struct index_record {
    uint64_t size;         /* of the object */
    int64_t checked_ms;    /* when all that is present was last read and found right, or written */
    uint64_t frozen_bytes; /* disk that its frozen file takes; 0: there is none */
    bool dense;            /* it does not compress */
    bool sealed;           /* all segments are full. Of segment 0 only */
    unsigned check_bytes;  /* 1 to CHECK_BYTES_MAX */
    char etag[ETAG_BYTES_MAX];
    const uint8_t *present; /* bitmap of the segment's granules */
    const uint8_t *checks;  /* check_bytes for each of them */
};

/* A record to put, or (record NULL) to delete. */
struct index_change {
    struct segment_id id;
    const struct index_record *record;
};

struct index;

/*
 * budget_bytes: of the cache; bounds the environment. Where the disk refuses one (full, dead, read
 * only), the index is blind: nothing is found in it, nothing can be written.
 */
struct index *index_open(int dirfd, uint64_t budget_bytes, struct err *err);
bool index_is_blind(const struct index *ix);
/* Why it is blind since index_open; or else what was wrong with the file that was there, which
 * index_open made anew. NULL: nothing. */
const struct err *index_damage(const struct index *ix);
void index_close(struct index *ix);

/* 0; -ENOENT; -EIO. *owned holds what out points to, for the caller to free. */
int index_find(struct index *ix, const struct segment_id *id, struct index_record *out,
               void **owned);

/* The same without the bitmap and the checks, which are NULL; nothing is copied. */
int index_head(struct index *ix, const struct segment_id *id, struct index_record *out);

/* Called with records that are borrowed for the call; must not write to the index. */
typedef int index_visit(void *arg, const struct segment_id *id, const struct index_record *r);

/* Each record in the order of keys. Stops where visit returns other than 0, and returns that. */
int index_each(struct index *ix, index_visit *visit, void *arg, struct err *err);

/* Up to `count` records in the order of their places, from `place` on; else as index_each. */
int index_from(struct index *ix, uint64_t place, unsigned count, index_visit *visit, void *arg,
               struct err *err);

/*
 * The next record that match says true of, from *place on, which moves behind it; 0 where the end
 * was reached. False: there is none up to the end. *size: of its object.
 */
typedef bool index_match(void *arg, const struct segment_id *id, const struct index_record *r);
bool index_search(struct index *ix, uint64_t *place, index_match *match, void *arg,
                  struct segment_id *found, uint64_t *size);

/* The place from which on objects of LARGE_BYTES and more are. */
#define INDEX_PLACE_LARGE (UINT64_C(1) << 63)

/* Where the record stands among all: evenly spread over the numbers. */
uint64_t index_place(const struct segment_id *id);

/* All changes in one durable transaction, or none. Deleting what is not there is no error. */
int index_write(struct index *ix, const struct index_change *changes, size_t count,
                struct err *err);

/* ---- the shape of objects ---- */

static inline uint32_t segments_of(uint64_t size)
{
    return (uint32_t)(size / SEGMENT_BYTES + (size % SEGMENT_BYTES != 0));
}

/* Granules of one segment. */
static inline unsigned granules_of(uint64_t size, uint32_t segment)
{
    uint64_t left = size - segment * (uint64_t)SEGMENT_BYTES;
    return left >= SEGMENT_BYTES ? SEGMENT_GRANULES
                                 : (unsigned)((left + GRANULE_BYTES - 1) / GRANULE_BYTES);
}

/* Bytes of a granule, counted from the object's start. */
static inline size_t granule_length(uint64_t size, uint64_t granule)
{
    uint64_t left = size - granule * GRANULE_BYTES;
    return left < GRANULE_BYTES ? (size_t)left : GRANULE_BYTES;
}

static inline size_t bitmap_bytes(unsigned granules)
{
    return (granules + 7) / 8;
}

static inline bool bitmap_has(const uint8_t *bits, unsigned i)
{
    return bits[i / 8] & 1U << i % 8;
}

static inline void bitmap_set(uint8_t *bits, unsigned i)
{
    bits[i / 8] |= (uint8_t)(1U << i % 8);
}

static inline void bitmap_clear(uint8_t *bits, unsigned i)
{
    bits[i / 8] &= (uint8_t) ~(1U << i % 8);
}

/* Disk that a granule of n bytes takes: whole pages. */
static inline uint64_t disk_bytes(size_t n)
{
    return (n + 4095) / 4096 * 4096;
}

/* Of the segment's present granules: the disk that they take, and their bytes. */
struct present_sum {
    uint64_t disk, bytes;
    unsigned granules;
};
struct present_sum present_sum(uint64_t size, uint32_t segment, const uint8_t *present);

#endif
