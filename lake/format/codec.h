/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compression of one block, and decompression of one whose size afterwards is known: what Parquet
 * pages are. Pure, bounded by the room that is given.
 */
#ifndef LAKE_FORMAT_CODEC_H
#define LAKE_FORMAT_CODEC_H

#include "base/buf.h"

/* parquet.thrift: enum CompressionCodec. */
enum codec {
    CODEC_UNCOMPRESSED,
    CODEC_SNAPPY,
    CODEC_GZIP, /* also zlib's framing, and several members one after the other */
    CODEC_LZO,  /* not supported */
    CODEC_BROTLI,
    CODEC_LZ4, /* Hadoop's framing, or a raw block, as writers disagreed */
    CODEC_ZSTD,
    CODEC_LZ4_RAW,
};

/* 0, or -EOPNOTSUPP for LZO and codecs that are not known; any number may be passed. */
int codec_check(unsigned codec, struct err *err);

/*
 * Fills exactly n bytes at `to`. -EIO where the input is damaged or has another size, -EOVERFLOW
 * where either size is over PAGE_BYTES_MAX, -ENOMEM, and as codec_check. After a failure the bytes
 * at `to` are unspecified.
 */
int codec_decompress(unsigned codec, struct slice from, void *to, size_t n, struct err *err);

enum codec_effort {
    CODEC_QUICK,  /* as writers of tables do by default */
    CODEC_SMALL,  /* about ten times as slow, where the codec has a choice */
    CODEC_DIGITS, /* repetitions are hardly looked for: ZSTD's; of the others as CODEC_QUICK */
};

/*
 * Appends the block, compressed, to `out`; CODEC_LZ4 in Hadoop's framing. Errors as above, and
 * -EOVERFLOW or -ENOMEM of the buffer, whose contents are unspecified after a failure.
 */
int codec_compress(unsigned codec, enum codec_effort effort, struct slice from, struct buf *out,
                   struct err *err);

#endif
