/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/codec.h"

#include <brotli/decode.h>
#include <lz4.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/bytes.h"
#include "base/limits.h"

/* zlib: window of 32 KiB, and the framing (gzip or zlib) is found out. */
#define ANY_FRAMING (MAX_WBITS + 32)

/* Each gives 0, -EIO (damaged, or another size) or -ENOMEM. */

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
        return err_set(err, EOPNOTSUPP, "compression codec %u (%s) is not supported", codec,
                       codec_name(codec));
    }
    if (rc == -ENOMEM)
        return err_set(err, ENOMEM, "out of memory");
    if (rc < 0)
        return err_set(err, EIO, "%zu bytes of %s do not decompress to %zu bytes", from.n,
                       codec_name(codec), n);
    return 0;
}
