/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Near stores: a store beside a far one (a NAS's directory, an on-premises S3) that is read first
 * and filled with what was read.
 *
 *   get ──► is it there? (near.mdb) ──► near store ──right──► done
 *                 │ no                      │ 404, late, wrong, dead
 *                 ▼                         ▼
 *               home ◄──────────────────────┘
 *   cache: sealed ──► queue ──► near store, from the cache's file
 *
 * It wraps the home store and has its URL, so that identities stay. An object is named there by the
 * identity that the cache gives it, `objects/ab/cdef...`, never by its path: nobody is given
 * another generation. Each granule carries its checksum, its place and the ETag of home behind it
 * (docs/NEAR.md); what does not fit is counted, removed, and read at home.
 *
 * Gets that do not name an object of the cache (logs, footers of others), and everything that
 * asks for names (head, list), go to home. Several machines fill one near store. Who finds it over
 * its budget removes what was not used for longest; who may not write there only reads.
 *
 * A near store that fails is left alone for a while; nobody waits for it longer than its deadline.
 * Its own workers read and write it, so that a directory that hangs holds nobody else up.
 */
#ifndef CACHE_NEAR_H
#define CACHE_NEAR_H

#include "cache/cache.h"

#define NEAR_SIZE_DEFAULT (200 * GIB)

struct near_config {
    const char *url;                     /* of the near store, or an absolute path */
    const struct store_options *options; /* of the near store; borrowed for the call */
    const struct store_runtime *runtime; /* its engine is used as long as the store lives */
    uint64_t size_bytes;                 /* what may lie in the near store, whoever put it there */
    struct cache *cache;                 /* must outlive the store */
};

/*
 * Takes `home`, also where it fails, and gives back the store to use instead: as store_runtime.wrap
 * may. NULL and err where the near store cannot be opened (-EINVAL, -ENOENT: a directory that is
 * not there), or for a home whose objects are files of this machine. Nothing is asked of the near
 * store yet. Blocks.
 */
struct store *near_wrap(struct store *home, const struct near_config *config, struct err *err);

#endif
