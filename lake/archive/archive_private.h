/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lake/archive/archive.h share. */
#ifndef LAKE_ARCHIVE_ARCHIVE_PRIVATE_H
#define LAKE_ARCHIVE_ARCHIVE_PRIVATE_H

#include "base/lock.h"
#include "lake/archive/archive.h"
#include "lake/archive/frames.h"

#define MANIFESTS_MAX 4096 /* kept at once, of 6 KiB each; then begun anew */
#define FILES_MAX_OPEN 32
#define FILES_BYTES_MAX ((uint64_t)4 << 30) /* of those files; the last one may be larger */
/* A store that does not answer is not asked by everybody who misses something. */
#define LISTING_ERROR_MS 5000
#define TABLES_KEPT 64 /* seek tables; of objects of 1 GiB 8 KiB each */

struct kept_manifest {
    char *key;
    struct archive_version *version;
};

struct kept_content {
    uint8_t sha256[SHA256_BYTES];
    uint64_t used; /* the archive's clock; 0: the place is free */
    uint64_t size;
    int fd;                /* of files */
    struct frames *frames; /* of tables */
};

struct archive {
    struct store *store; /* immutable, as is the next one */
    int scratch_dirfd;
    struct lock lock;                /* all below; never held over a request */
    struct archive_listing *listing; /* NULL: not heard yet */
    struct err listing_err;          /* of the last attempt; code 0: it was good */
    int64_t failed_ms;               /* when that was */
    char class[STORE_CLASS_BYTES_MAX];
    struct kept_manifest *manifests;
    size_t manifests_n;
    uint64_t clock;
    struct kept_content files[FILES_MAX_OPEN], tables[TABLES_KEPT];
};

void archive_contents_done(struct archive *a);

#endif
