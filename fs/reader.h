/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is fetched ahead of the reader of one open file.
 *
 *   a read ─► the file's column chunks are known ─► parquet_plan: the same columns further on
 *          └► else ───────────────────────────────► sequence: a window ahead of a run
 *   a read of the file's end, in Parquet's magic ─► its footer is read and parsed by a worker
 *
 * Who begins with a long read of the file's start copies it, columns or not: he has a window. Files
 * that the cache has whole, or that are read in place, are left alone.
 *
 * Any thread; nothing waits. Everything ends with the handle: what was not sent is dropped.
 */
#ifndef FS_READER_H
#define FS_READER_H

#include "base/lock.h"
#include "cache/prefetch.h"
#include "fs/layouts.h"
#include "fs/sequence.h"

/* Reads that are remembered until the footer is parsed. */
#define READER_EARLY_MAX 32
/* Ranges that one read may cause to be planned. */
#define READER_RANGES_MAX 64

struct opened;
struct session;

/* Embedded in an open file. */
struct reader {
    struct lock lock;
    struct prefetch *prefetch; /* lock; NULL until something is worth fetching */
    struct parquet_plan *plan; /* lock; NULL: its columns are not known */
    struct sequence sequence;  /* lock */
    bool began, copies;        /* lock: there was a read; the first one was of a copy */
    bool studied;              /* lock: the footer was asked for */
    unsigned early;            /* lock */
    struct reader_range {
        uint64_t offset, length;
    } early_reads[READER_EARLY_MAX]; /* lock */
};

void reader_init(struct reader *r);
/* Cancels what was not sent. The object: what it has read, may be NULL. */
void reader_done(struct reader *r, struct object *o);

/*
 * Notes a read that is about to begin, and asks for what should follow it. How much a miss of it
 * should fetch, for struct object_read.
 */
size_t reader_read(struct opened *h, uint64_t offset, uint64_t length);

/* A read has ended: where it was of the end of a Parquet file, its footer is looked at. The caller
 * has a request under way. */
void reader_was_read(struct opened *h, uint64_t offset, const char *bytes, size_t length);

#endif
