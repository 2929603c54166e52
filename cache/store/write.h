/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing objects: whole or not at all.
 *
 *   store_put_begin ─► store_writer_add ... ─► store_writer_end     it is there, whole
 *                                         └──► store_writer_free    nothing is, and nothing stays
 *
 * An object is there from the end of store_writer_end on, and not before: readers see what was
 * there until then. A writer that is killed leaves nothing that a listing names. What it leaves
 * behind is the store's to forget: parts of multipart uploads by the bucket's lifecycle, Azure's
 * uncommitted blocks after a week, GCS's sessions after a week, files of a local store whose file
 * system knows no files without names by who writes there a day later.
 *
 * What arrives is checked by the server where its protocol has sums for that (CRC32C and SHA-256 of
 * S3, MD5 of Azure), by us where it only tells the sum (GCS). Memory is bounded: two parts of
 * STORE_PART_BYTES for objects that have more than one, more where they would be over 10,000.
 *
 * Everything here blocks: workers and tools only. A writer is one thread's at a time; writers of
 * one store may run side by side. Errors as of the store, and -EEXIST (if_absent), -ENOSPC,
 * -EROFS (nothing can be written there), -EINVAL (no such class, or not the promised size).
 */
#ifndef CACHE_STORE_WRITE_H
#define CACHE_STORE_WRITE_H

#include "cache/store/store.h"

/* S3 wants 5 MiB; of more, less is lost by a fault. */
#define STORE_PART_BYTES (8 * MIB)

struct store_writer_ops {
    int (*add)(struct store_writer *w, struct slice data, struct err *err);
    int (*end)(struct store_writer *w, struct store_info *out, struct err *err);
    void (*free)(struct store_writer *w);
};

/* Embedded first in a store's own. */
struct store_writer {
    const struct store_writer_ops *ops;
    uint64_t left; /* bytes that are still to be added */
    int failed;    /* -errno of a call that failed: the others do so too */
};

/* Begins an object. *out is the caller's, to be freed. `how` is borrowed for the call. */
int store_put_begin(struct store *s, const char *key, const struct store_put *how,
                    struct store_writer **out, struct err *err);

/* The next bytes, of any number; all in all exactly `how->size`. */
int store_writer_add(struct store_writer *w, struct slice data, struct err *err);

/*
 * Makes the object be there. `out` may be NULL; its ETag is that of what was written (empty: not
 * told), its time may be 0. After a failure it may be there all the same where an answer was lost
 * and nothing more could be learned.
 */
int store_writer_end(struct store_writer *w, struct store_info *out, struct err *err);

/* Ends it in whatever state: what was not ended is not there, parts that were sent are removed. */
void store_writer_free(struct store_writer *w);
DEFINE_AUTO(store_writer, struct store_writer *, store_writer_free)

/* Begin, add and end at once. */
int store_write(struct store *s, const char *key, const struct store_put *how, struct slice data,
                struct store_info *out, struct err *err);

/*
 * Removes the object; 0 also where it is not there. Of a bucket that keeps versions it is the
 * newest one's name only that goes.
 */
int store_remove(struct store *s, const char *key, struct err *err);

#endif
