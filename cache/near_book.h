/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies in near stores, as far as this machine knows: near.mdb in the cache directory.
 *
 *   key    hash of the near store's URL u64 | identity 32 bytes
 *   value  when it was last used or put there, u32, seconds since 1970 (little-endian)
 *
 * All of it can be found out again: a damaged or full book is begun anew. The threads of near
 * stores only: each call may wait for the disk.
 */
#ifndef CACHE_NEAR_BOOK_H
#define CACHE_NEAR_BOOK_H

#include "base/err.h"
#include "base/hash.h"

struct near_book;

/* Never NULL but when out of memory: where the disk takes none, it knows nothing. Blocks. */
struct near_book *near_book_open(int dirfd, struct err *err);
void near_book_close(struct near_book *book);

struct near_place {
    uint64_t store;
    uint8_t identity[SHA256_BYTES];
};

/* When it was last used; 0: it is not known to be there. */
uint32_t near_book_find(struct near_book *book, const struct near_place *place);

struct near_note {
    struct near_place place;
    uint32_t used_s; /* 0: it is not there */
};

/* All of them at once. Blocks. */
void near_book_write(struct near_book *book, const struct near_note *notes, size_t count);

#endif
