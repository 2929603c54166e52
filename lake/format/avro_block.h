/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocks of an Avro file, one behind the other, decompressed (Avro 1.11, "Object Container
 * Files", "Required Codecs", "Optional Codecs").
 *
 *   block   records:long bytes:long (compressed records) sync:16
 *   null    the records       deflate    RFC 1951, no framing     zstandard   frames
 *   snappy  a raw block of them, crc32:be32 of what is in it
 *
 * Of a file that is in memory nothing is copied. One thread.
 */
#ifndef LAKE_FORMAT_AVRO_BLOCK_H
#define LAKE_FORMAT_AVRO_BLOCK_H

#include <zlib.h>
#include <zstd.h>

#include "base/bytes.h"
#include "lake/format/source.h"

#define AVRO_SYNC_BYTES 16

enum avro_codec { AVRO_CODEC_NULL, AVRO_CODEC_DEFLATE, AVRO_CODEC_SNAPPY, AVRO_CODEC_ZSTANDARD };

/* The codec of a name (p NULL: null). -EOPNOTSUPP one that is not supported. */
int avro_codec_find(struct slice name, enum avro_codec *out, struct err *err);

struct avro_room {
    uint8_t *at;
    size_t size;
};

struct avro_blocks {
    const struct source *source; /* NULL: the file is in memory */
    uint64_t size;               /* of the file */
    uint64_t at;                 /* the file's next byte that is not in the window */
    size_t start, filled;        /* of the window: what lies between was not used yet */
    const uint8_t *bytes;        /* the window, or the file */
    struct avro_room window, plain;
    enum avro_codec codec;
    uint8_t sync[AVRO_SYNC_BYTES];
    uint64_t block_at; /* of the last block, for messages */
    z_stream inflater;
    bool inflates; /* and it is to be ended */
    ZSTD_DCtx *zstd;
};

/* Either a source, or a file in memory; borrowed. Codec and sync are the caller's to set. */
void avro_blocks_init(struct avro_blocks *b, const struct source *source, struct slice file);
void avro_blocks_done(struct avro_blocks *b);

/* What comes next: n bytes, or all that the file still has; it is not used by that. Until the next
 * call. */
int avro_blocks_peek(struct avro_blocks *b, size_t n, struct bytes *out, struct err *err);
/* So many bytes of that are used. */
void avro_blocks_use(struct avro_blocks *b, size_t n);

/* The next block that has records: 1, its records and their bytes (until the next call); 0 at the
 * end; or -errno as avro.h. */
int avro_blocks_next(struct avro_blocks *b, uint64_t *records, struct bytes *out, struct err *err);

#endif
