/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frozen form of a part of an object: a seekable zstd file, as zstd's contrib/seekable_format
 * describes it, so that `zstd -d` gives the bytes back without tarn; also those of several parts,
 * one file after the other.
 *
 *   frame of block 0 | frame of block 1 | ...      one zstd frame a block of BLOCK_BYTES,
 *                                                counted from the part's start
 *   skippable frame: 0x184D2A5E u32 | length u32   the seek table
 *     | (compressed u32, plain u32) of each block
 *     | frames u32 | descriptor u8: 0 | 0x8F92EAB1 u32
 *
 * There are no checksums in it: whoever reads a block checks it against those of its granules.
 * The reader takes what the writer makes and nothing else of that format, and allocates no more
 * than the size of the part, which the caller knows, allows.
 *
 * Descriptors are borrowed. Those of plain objects should be used by nobody else: they are told to
 * read ahead no more, so that the page cache afterwards has what it had before. Calls block.
 * Syncing and naming the files is the caller's.
 */
#ifndef CACHE_FROZEN_H
#define CACHE_FROZEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

/* Larger parts are not frozen: the table of an open one takes 512 KiB of memory at most. */
#define FROZEN_PLAIN_BYTES_MAX ((uint64_t)64 << 30)

/* What is to be frozen. */
struct frozen_source {
    int fd;             /* of the plain object; see above */
    uint64_t offset;    /* where the part begins in it */
    uint64_t size;      /* of the part, in bytes */
    uint64_t bytes_max; /* -EFBIG where the frozen form would take more; 0: no maximum */
    /*
     * Called with each block before it is compressed, in order; may be NULL. Other than 0 ends
     * the writing with that result: the block is damaged, or there is no time any more.
     */
    int (*look)(void *arg, uint64_t block, const void *bytes, size_t n, struct err *err);
    void *arg;
};

/*
 * Whether the part would take less than 80 % of its disk when frozen, judged by up to 16 of its
 * blocks. -errno, *worth untouched. Uses fd, offset and size only.
 */
int frozen_worth(const struct frozen_source *from, bool *worth, struct err *err);

/*
 * Writes the frozen form from the start of out_fd, an empty file; *out_bytes is its length. -EFBIG
 * where a maximum is passed; -errno otherwise, as of the source's `look`. What has been written by
 * then is of no use. Other threads may read the object meanwhile.
 */
int frozen_write(const struct frozen_source *from, int out_fd, uint64_t *out_bytes,
                 struct err *err);

/* A frozen file with its seek table read. Immutable: any threads may read at once. */
struct frozen;

/*
 * Opens the frozen form of a part of `size` bytes; fd must outlive it. NULL and err: -EBADMSG
 * where it is not what frozen_write makes of such a part.
 */
struct frozen *frozen_open(int fd, uint64_t size, struct err *err);

/*
 * Decompresses one block: `length` must be that of the block. -EBADMSG where it is damaged; what
 * stands at `to` after a failure is unspecified.
 */
int frozen_read(const struct frozen *f, uint64_t block, void *to, size_t length, struct err *err);

void frozen_free(struct frozen *f);
DEFINE_AUTO(frozen, struct frozen *, frozen_free)

#endif
