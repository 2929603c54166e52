/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/codec.h"

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <lz4.h>
#include <lz4hc.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/bytes.h"
#include "base/limits.h"

/* zlib: window of 32 KiB, and the framing (gzip or zlib) is found out. */
#define ANY_FRAMING (MAX_WBITS + 32)

/* Of ZSTD_c_experimentalParam5, literal compression mode: bytes without repetitions are compressed
 * also where few of them are looked for, and of so many bytes one is where it looks. */
#define LITERALS_COMPRESSED 1
#define DIGITS_STRIDE 32

/* Decompression. Each gives 0, -EIO (damaged, or another size) or -ENOMEM. */

static int copy(struct slice from, void *to, size_t n)
{
    if (from.n != n)
        return -EIO;
    if (n)
        memcpy(to, from.p, n);
    return 0;
}

static int snappy(struct slice from, void *to, size_t n)
{
    /* The length is asked for first: it says what will be written. */
    size_t length;
    bool ok = snappy_uncompressed_length(from.p, from.n, &length) == SNAPPY_OK && length == n &&
              snappy_uncompress(from.p, from.n, to, &length) == SNAPPY_OK;
    return ok ? 0 : -EIO;
}

static int inflate_members(z_stream *z)
{
    for (;;) {
        int rc = inflate(z, Z_FINISH);
        if (rc == Z_MEM_ERROR)
            return -ENOMEM;
        if (rc != Z_STREAM_END)
            return -EIO; /* Z_BUF_ERROR too: cut off, or more than the room */
        if (z->avail_in == 0)
            return z->avail_out == 0 ? 0 : -EIO;
        if (inflateReset(z) != Z_OK)
            return -EIO;
    }
}

static int gzip(struct slice from, void *to, size_t n)
{
    uint8_t none; /* zlib refuses NULL even where there is no room */
    z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)from.p,
                  .avail_in = (uInt)from.n,
                  .next_out = to ? to : &none,
                  .avail_out = (uInt)n};
    if (inflateInit2(&z, ANY_FRAMING) != Z_OK)
        return -ENOMEM;
    int rc = inflate_members(&z);
    (void)inflateEnd(&z); /* frees; its result says nothing new */
    return rc;
}

static int brotli(struct slice from, void *to, size_t n)
{
    BrotliDecoderState *state = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    if (!state)
        return -ENOMEM;
    size_t in = from.n, out = n;
    const uint8_t *next_in = (const uint8_t *)from.p;
    uint8_t *next_out = to;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(state, &in, &next_in, &out, &next_out, NULL);
    BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(state);
    BrotliDecoderDestroyInstance(state);
    if (result == BROTLI_DECODER_RESULT_SUCCESS && in == 0 && out == 0)
        return 0;
    bool memory = code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
                  code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
    return memory ? -ENOMEM : -EIO;
}

static int lz4_block(struct slice from, void *to, size_t n)
{
    return LZ4_decompress_safe(from.p, to, (int)from.n, (int)n) == (int)n ? 0 : -EIO;
}

static uint32_t be32(struct bytes *in)
{
    return __builtin_bswap32(bytes_le32(in));
}

/* Hadoop: blocks of (size after, size, bytes), both sizes 32 bits big-endian. */
static int lz4_hadoop(struct slice from, char *to, size_t n)
{
    struct bytes in = bytes_make(from.p, from.n);
    size_t done = 0;
    while (bytes_left(&in)) {
        uint32_t after = be32(&in);
        struct slice block = bytes_slice(&in, be32(&in));
        if (in.bad || after > n - done || lz4_block(block, to + done, after) < 0)
            return -EIO;
        done += after;
    }
    return done == n ? 0 : -EIO;
}

static int zstd(struct slice from, void *to, size_t n)
{
    size_t rc = ZSTD_decompress(to, n, from.p, from.n);
    if (ZSTD_isError(rc))
        return ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation ? -ENOMEM : -EIO;
    return rc == n ? 0 : -EIO;
}

static const char *codec_name(unsigned codec)
{
    static const char *const names[] = {"uncompressed", "Snappy", "gzip", "LZO",
                                        "Brotli",       "LZ4",    "zstd", "raw LZ4"};
    return codec < sizeof names / sizeof *names ? names[codec] : "unknown";
}

int codec_check(unsigned codec, struct err *err)
{
    if (codec <= CODEC_LZ4_RAW && codec != CODEC_LZO)
        return 0;
    return err_set(err, EOPNOTSUPP, "compression codec %u (%s) is not supported", codec,
                   codec_name(codec));
}

int codec_decompress(unsigned codec, struct slice from, void *to, size_t n, struct err *err)
{
    if (from.n > PAGE_BYTES_MAX || n > PAGE_BYTES_MAX)
        return err_set(err, EOVERFLOW, "a page of %zu bytes (%zu as stored), permitted are %zu", n,
                       from.n, PAGE_BYTES_MAX);
    int rc = -EIO;
    switch (codec) {
    case CODEC_UNCOMPRESSED:
        rc = copy(from, to, n);
        break;
    case CODEC_SNAPPY:
        rc = snappy(from, to, n);
        break;
    case CODEC_GZIP:
        rc = gzip(from, to, n);
        break;
    case CODEC_BROTLI:
        rc = brotli(from, to, n);
        break;
    case CODEC_LZ4:
        rc = lz4_hadoop(from, to, n);
        if (rc < 0)
            rc = lz4_block(from, to, n);
        break;
    case CODEC_ZSTD:
        rc = zstd(from, to, n);
        break;
    case CODEC_LZ4_RAW:
        rc = lz4_block(from, to, n);
        break;
    default:
        return codec_check(codec, err);
    }
    if (rc == -ENOMEM)
        return err_set(err, ENOMEM, "out of memory");
    if (rc < 0)
        return err_set(err, EIO, "%zu bytes of %s do not decompress to %zu bytes", from.n,
                       codec_name(codec), n);
    return 0;
}

/* Compression. Each gives the bytes that it has written to `to`, whose room is its own bound's, or
 * 0: out of memory. */

#define GZIP_FRAMING (MAX_WBITS + 16)
#define GZIP_FRAMING_BYTES 18
/* Two sizes before a block. */
#define HADOOP_HEAD_BYTES 8

static size_t compress_snappy(struct slice from, char *to, size_t room)
{
    size_t n = room;
    return snappy_compress(from.p, from.n, to, &n) == SNAPPY_OK ? n : 0;
}

static size_t compress_gzip(struct slice from, void *to, size_t room, enum codec_effort effort)
{
    z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)from.p,
                  .avail_in = (uInt)from.n,
                  .next_out = to,
                  .avail_out = (uInt)room};
    if (deflateInit2(&z, effort == CODEC_SMALL ? 9 : 4, Z_DEFLATED, GZIP_FRAMING, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    int rc = deflate(&z, Z_FINISH);
    size_t n = rc == Z_STREAM_END ? room - z.avail_out : 0;
    (void)deflateEnd(&z); /* frees; its result says nothing new */
    return n;
}

static size_t compress_brotli(struct slice from, char *to, size_t room, enum codec_effort effort)
{
    size_t n = room;
    return BrotliEncoderCompress(effort == CODEC_SMALL ? 9 : 4, BROTLI_DEFAULT_WINDOW,
                                 BROTLI_MODE_GENERIC, from.n, (const uint8_t *)from.p, &n,
                                 (uint8_t *)to)
               ? n
               : 0;
}

static size_t compress_lz4(struct slice from, char *to, size_t room, enum codec_effort effort)
{
    int n = effort == CODEC_SMALL
                ? LZ4_compress_HC(from.p, to, (int)from.n, (int)room, LZ4HC_CLEVEL_DEFAULT)
                : LZ4_compress_default(from.p, to, (int)from.n, (int)room);
    return n > 0 ? (size_t)n : 0;
}

static size_t compress_lz4_hadoop(struct slice from, char *to, size_t room,
                                  enum codec_effort effort)
{
    size_t n = compress_lz4(from, to + HADOOP_HEAD_BYTES, room - HADOOP_HEAD_BYTES, effort);
    uint32_t sizes[2] = {__builtin_bswap32((uint32_t)from.n), __builtin_bswap32((uint32_t)n)};
    memcpy(to, sizes, sizeof sizes);
    return n ? n + HADOOP_HEAD_BYTES : 0;
}

/* Digits, by how often each of them is: every so many bytes a repetition is looked for, with little
 * memory, which is what a new context of the library costs. */
static size_t compress_digits(struct slice from, char *to, size_t room)
{
    static const struct {
        ZSTD_cParameter name;
        int value;
    } how[] = {{ZSTD_c_compressionLevel, 1},
               {ZSTD_c_strategy, ZSTD_fast},
               {ZSTD_c_windowLog, 17},
               {ZSTD_c_hashLog, 12},
               {ZSTD_c_targetLength, DIGITS_STRIDE},
               {ZSTD_c_experimentalParam5, LITERALS_COMPRESSED}};
    ZSTD_CCtx *context = ZSTD_createCCtx();
    bool good = context != NULL;
    for (size_t i = 0; i < ARRAY_SIZE(how) && good; i++)
        good = !ZSTD_isError(ZSTD_CCtx_setParameter(context, how[i].name, how[i].value));
    size_t n = good ? ZSTD_compress2(context, to, room, from.p, from.n) : 0;
    (void)ZSTD_freeCCtx(context); /* cannot fail */
    return ZSTD_isError(n) ? 0 : n;
}

static size_t compress_zstd(struct slice from, char *to, size_t room, enum codec_effort effort)
{
    if (effort == CODEC_DIGITS)
        return compress_digits(from, to, room);
    size_t n = ZSTD_compress(to, room, from.p, from.n, effort == CODEC_SMALL ? 12 : 1);
    return ZSTD_isError(n) ? 0 : n;
}

/* The most that n bytes may become. */
static size_t bound(unsigned codec, size_t n)
{
    switch (codec) {
    case CODEC_SNAPPY:
        return snappy_max_compressed_length(n);
    case CODEC_GZIP:
        return compressBound((uLong)n) + GZIP_FRAMING_BYTES;
    case CODEC_BROTLI:
        return BrotliEncoderMaxCompressedSize(n);
    case CODEC_LZ4:
        return (size_t)LZ4_compressBound((int)n) + HADOOP_HEAD_BYTES;
    case CODEC_ZSTD:
        return ZSTD_compressBound(n);
    case CODEC_LZ4_RAW:
        return (size_t)LZ4_compressBound((int)n);
    default:
        return 0;
    }
}

static size_t compress_to(unsigned codec, enum codec_effort effort, struct slice from, char *to,
                          size_t room)
{
    switch (codec) {
    case CODEC_SNAPPY:
        return compress_snappy(from, to, room);
    case CODEC_GZIP:
        return compress_gzip(from, to, room, effort);
    case CODEC_BROTLI:
        return compress_brotli(from, to, room, effort);
    case CODEC_LZ4:
        return compress_lz4_hadoop(from, to, room, effort);
    case CODEC_ZSTD:
        return compress_zstd(from, to, room, effort);
    case CODEC_LZ4_RAW:
        return compress_lz4(from, to, room, effort);
    default:
        return 0;
    }
}

int codec_compress(unsigned codec, enum codec_effort effort, struct slice from, struct buf *out,
                   struct err *err)
{
    if (from.n > PAGE_BYTES_MAX)
        return err_set(err, EOVERFLOW, "a page of %zu bytes, permitted are %zu", from.n,
                       PAGE_BYTES_MAX);
    if (codec == CODEC_UNCOMPRESSED) {
        buf_add_slice(out, from);
        return buf_check(out, err);
    }
    int rc = codec_check(codec, err);
    if (rc < 0)
        return rc;
    size_t room = bound(codec, from.n);
    char *to = buf_reserve(out, room);
    if (!to)
        return buf_check(out, err);
    size_t n = compress_to(codec, effort, from.n ? from : SLICE_LIT(""), to, room);
    if (n == 0)
        return err_set(err, ENOMEM, "out of memory");
    out->len += n;
    return 0;
}
