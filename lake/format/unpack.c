/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/unpack.h"

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/limits.h"

#define GZIP "\x1f\x8b"
#define ZSTD "\x28\xb5\x2f\xfd"
/* zlib: window of 32 KiB, gzip's framing. */
#define GZIP_FRAMING (MAX_WBITS + 16)
/* Room for what comes next: a step. */
#define STEP_BYTES (64 * KIB)

static bool is_gzip(struct slice from)
{
    return slice_starts(from, SLICE_LIT(GZIP));
}

static bool is_zstd(struct slice from)
{
    return slice_starts(from, SLICE_LIT(ZSTD));
}

bool unpack_is_packed(struct slice from)
{
    return is_gzip(from) || is_zstd(from);
}

/* Room for a step, or for what is left; at least a byte. */
static char *room(struct buf *out, size_t *n)
{
    size_t left = out->max - out->len;
    *n = left > STEP_BYTES ? STEP_BYTES : left ? left : 1; /* one too many tells */
    return buf_reserve(out, *n);
}

static int damaged(const char *what, struct err *err)
{
    return err_set(err, EIO, "what is compressed by %s is damaged or cut off", what);
}

static int inflate_all(z_stream *z, struct buf *out, struct err *err)
{
    for (;;) {
        size_t n;
        char *to = room(out, &n);
        if (!to)
            return buf_check(out, err);
        z->next_out = (Bytef *)to;
        z->avail_out = (uInt)n;
        int rc = inflate(z, Z_NO_FLUSH);
        size_t got = n - z->avail_out;
        out->len += got;
        if (rc == Z_STREAM_END && z->avail_in == 0)
            return 0;
        if (rc == Z_STREAM_END)
            rc = inflateReset(z); /* another member */
        if (rc == Z_MEM_ERROR)
            return err_set(err, ENOMEM, "out of memory");
        if (rc != Z_OK || (got == 0 && z->avail_in == 0))
            return damaged("gzip", err);
    }
}

static int unpack_gzip(struct slice from, struct buf *out, struct err *err)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)from.p, .avail_in = (uInt)from.n};
    if (from.n > UINT32_MAX)
        return err_set(err, EOVERFLOW, "%zu bytes of gzip", from.n);
    if (inflateInit2(&z, GZIP_FRAMING) != Z_OK)
        return err_set(err, ENOMEM, "out of memory");
    int rc = inflate_all(&z, out, err);
    (void)inflateEnd(&z);
    return rc;
}

static int decompress_all(ZSTD_DStream *z, struct slice from, struct buf *out, struct err *err)
{
    ZSTD_inBuffer in = {from.p, from.n, 0};
    for (;;) {
        size_t n;
        char *to = room(out, &n);
        if (!to)
            return buf_check(out, err);
        ZSTD_outBuffer step = {to, n, 0};
        size_t rc = ZSTD_decompressStream(z, &step, &in);
        out->len += step.pos;
        if (ZSTD_isError(rc))
            return ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation
                       ? err_set(err, ENOMEM, "out of memory")
                       : damaged("zstandard", err);
        if (in.pos == in.size && (rc == 0 || step.pos < n))
            return rc == 0 ? 0 : damaged("zstandard", err);
    }
}

static int unpack_zstd(struct slice from, struct buf *out, struct err *err)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    if (!z)
        return err_set(err, ENOMEM, "out of memory");
    int rc = decompress_all(z, from, out, err);
    (void)ZSTD_freeDStream(z);
    return rc;
}

int unpack(struct slice from, struct buf *out, struct err *err)
{
    if (is_gzip(from))
        return unpack_gzip(from, out, err);
    if (is_zstd(from))
        return unpack_zstd(from, out, err);
    return err_set(err, EIO, "what is compressed is neither gzip nor zstandard");
}
