/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A manifest as it is kept on disk once it was read: what lake/iceberg/manifest.h gives, a quarter
 * of its bytes, without statistics. Manifests never change, so all snapshots that list one share
 * it.
 *
 *   magic:8  frame frame ... frame of 0 bytes
 *   frame    bytes:le32 crc32c:le32 records
 *   record   'h' length path spec deletes   first: which manifest it is (varints, zigzag)
 *            't' a partition tuple | 'c' a set of columns    before the first file that has it
 *            'f' a file, its path front-coded after the one before
 *            'e' files                                       last
 *
 * The names in a table's directory of runs are those of lake/iceberg/runs.h. Not thread-safe.
 */
#ifndef LAKE_ICEBERG_DECODED_H
#define LAKE_ICEBERG_DECODED_H

#include "base/bytes.h"
#include "base/vec.h"
#include "lake/iceberg/manifest.h"

#define ICEBERG_DECODED_MAGIC "tarnmf 2"
/* Of a frame, by which it is written; the last record may go beyond it. */
#define ICEBERG_DECODED_FRAME_BYTES (64 * KIB)

/* Writing ------------------------------------------------------------------------------------- */

struct iceberg_decoded_writer {
    int fd; /* borrowed */
    const struct iceberg_manifest *manifest;
    struct iceberg_manifest_head head; /* for iceberg_manifest_read */
    bool begun;
    struct buf frame, path; /* path: of the file before */
    int64_t snapshot, sequence;
    uint64_t files;
};

/* Manifest and descriptor (of an empty file) are borrowed. */
void iceberg_decoded_writer_init(struct iceberg_decoded_writer *w, int fd,
                                 const struct iceberg_manifest *manifest);
void iceberg_decoded_writer_done(struct iceberg_decoded_writer *w);
DEFINE_AUTO_DONE(iceberg_decoded_writer, struct iceberg_decoded_writer, iceberg_decoded_writer_done)

/* Who takes the manifest: with `head` of the writer, which must not go away. */
struct iceberg_manifest_sink iceberg_decoded_sink(struct iceberg_decoded_writer *w);
/* After the manifest's end: the file is whole, not synced. */
int iceberg_decoded_finish(struct iceberg_decoded_writer *w, struct err *err);

/* Reading ------------------------------------------------------------------------------------- */

struct iceberg_decoded_tuple {
    const struct iceberg_tuple_value *values;
    size_t n;
};

struct iceberg_decoded {
    struct iceberg_manifest_head head;
    VEC(struct iceberg_decoded_tuple) tuples; /* those that were met so far, by number */
    VEC(struct iceberg_columns) columns;

    /* private */
    int fd; /* owned */
    struct arena arena;
    struct buf frame, path;
    struct bytes at;
    int64_t snapshot, sequence;
    uint64_t files;
    bool ended;
    int32_t *ids;
    size_t ids_capacity;
};

/* Takes the descriptor over (also where it fails). -EUCLEAN where it is no such file, or another
 * manifest's. */
int iceberg_decoded_open(int fd, const struct iceberg_manifest *manifest,
                         struct iceberg_decoded *out, struct err *err);
void iceberg_decoded_done(struct iceberg_decoded *d);
DEFINE_AUTO_DONE(iceberg_decoded, struct iceberg_decoded, iceberg_decoded_done)

/* The next file, whose slices live until the next call: 1, 0 at the end, -EUCLEAN damaged. */
int iceberg_decoded_next(struct iceberg_decoded *d, struct iceberg_entry *out, struct err *err);

#endif
