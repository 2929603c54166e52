/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object into an archive store: read at home, hashed, framed, written, and read back. One
 * thread's; blocks.
 */
#ifndef LAKE_ARCHIVE_PUT_H
#define LAKE_ARCHIVE_PUT_H

#include "lake/archive/archive.h"

/* An object at home. */
struct put_source {
    struct store *store;
    const char *key;
    const char *etag, *version; /* as a listing told them; NULL: not told */
    uint64_t size;              /* UINT64_MAX: not known */
    bool twice;                 /* what no sum proves is read twice */
};

/*
 * Reads it into a file without a name (*fd the caller's) and tells what it is; out->content.stored
 * is not set. etag: room for what home says of it. -ESTALE where it is not of the size that it
 * should be; -EIO where it reads differently each time.
 */
int put_read(const struct put_source *from, int scratch_dirfd, int *fd, struct archive_object *out,
             char etag[ETAG_BYTES_MAX], struct err *err);

/*
 * Puts the content of a file that is not there yet, and sees that what is there reads as it; sets
 * c->stored. *written: bytes that the store took, 0 where it had it already.
 */
int put_content(struct archive *a, int scratch_dirfd, int fd, struct archive_content *c,
                uint64_t *written, struct err *err);

#endif
