/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/avro_block.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "lake/format/codec.h"

/* The two numbers before a block. */
#define HEAD_BYTES_MAX 20
#define SNAPPY_CRC_BYTES 4U
/* Some writers make zlib's frame and cut it off, but for what is left of its checksum. */
#define DEFLATE_REST_MAX 4
#define PLAIN_BYTES_MIN (64 * KIB)

int avro_codec_find(struct slice name, enum avro_codec *out, struct err *err)
{
    static const char *const names[] = {[AVRO_CODEC_NULL] = "null",
                                        [AVRO_CODEC_DEFLATE] = "deflate",
                                        [AVRO_CODEC_SNAPPY] = "snappy",
                                        [AVRO_CODEC_ZSTANDARD] = "zstandard"};
    if (!name.p) {
        *out = AVRO_CODEC_NULL;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (slice_is(name, names[i])) {
            *out = (enum avro_codec)i;
            return 0;
        }
    return err_set(err, EOPNOTSUPP, "Avro's codec %.*s is not supported", SLICE_FMT(name));
}

void avro_blocks_init(struct avro_blocks *b, const struct source *source, struct slice file)
{
    *b = (struct avro_blocks){.source = source};
    if (source) {
        b->size = source->size_bytes;
        return;
    }
    b->size = b->at = b->filled = file.n;
    b->bytes = (const uint8_t *)file.p;
}

void avro_blocks_done(struct avro_blocks *b)
{
    if (b->inflates)
        (void)inflateEnd(&b->inflater); /* frees; its result says nothing new */
    (void)ZSTD_freeDCtx(b->zstd);       /* cannot fail */
    free(b->window.at);
    free(b->plain.at);
}

/* At least n bytes; `kept` bytes of what is there stay. */
static int make_room(struct avro_room *r, size_t n, size_t kept, struct err *err)
{
    if (n <= r->size)
        return 0;
    uint8_t *more = malloc(n);
    if (!more)
        return err_set(err, ENOMEM, "out of memory");
    if (kept)
        memcpy(more, r->at, kept);
    free(r->at);
    *r = (struct avro_room){more, n};
    return 0;
}

static size_t unused(const struct avro_blocks *b)
{
    return b->filled - b->start;
}

/* The window has n bytes that are not used, or all that there are. */
static int fill(struct avro_blocks *b, size_t n, struct err *err)
{
    size_t have = unused(b);
    uint64_t left = b->size - b->at;
    if (have >= n || left == 0)
        return 0;
    if (have && b->start)
        memmove(b->window.at, b->window.at + b->start, have);
    b->start = 0;
    b->filled = have;
    size_t window = b->source->window_bytes ? b->source->window_bytes : SOURCE_WINDOW_BYTES;
    size_t want = n > window ? n : window;
    if (want - have > left)
        want = have + (size_t)left;
    int rc = make_room(&b->window, want, have, err);
    if (rc < 0)
        return rc;
    b->bytes = b->window.at;
    rc = b->source->read(b->source->arg, b->at, b->window.at + have, want - have, err);
    if (rc < 0)
        return rc;
    b->at += want - have;
    b->filled = want;
    return 0;
}

int avro_blocks_peek(struct avro_blocks *b, size_t n, struct bytes *out, struct err *err)
{
    int rc = fill(b, n, err);
    if (rc < 0)
        return rc;
    *out = unused(b) ? bytes_make(b->bytes + b->start, unused(b)) : bytes_make("", 0);
    return 0;
}

void avro_blocks_use(struct avro_blocks *b, size_t n)
{
    b->start += n;
}

static int damaged(const struct avro_blocks *b, const char *what, struct err *err)
{
    return err_set(err, EIO, "Avro block at byte %llu: %s", (unsigned long long)b->block_at, what);
}

/* Doubles the room of what is decompressed. */
static int grow(struct avro_blocks *b, size_t filled, struct err *err)
{
    if (b->plain.size >= AVRO_BLOCK_BYTES_MAX)
        return err_set(err, EOVERFLOW, "Avro block at byte %llu: over %zu bytes",
                       (unsigned long long)b->block_at, AVRO_BLOCK_BYTES_MAX);
    size_t more = b->plain.size * 2;
    if (more < PLAIN_BYTES_MIN)
        more = PLAIN_BYTES_MIN;
    return make_room(&b->plain, more < AVRO_BLOCK_BYTES_MAX ? more : AVRO_BLOCK_BYTES_MAX, filled,
                     err);
}

static int unpack_deflate(struct avro_blocks *b, struct slice from, size_t *n, struct err *err)
{
    z_stream *z = &b->inflater;
    if (!b->inflates && inflateInit2(z, -MAX_WBITS) != Z_OK)
        return err_set(err, ENOMEM, "out of memory");
    b->inflates = true;
    if (inflateReset(z) != Z_OK)
        return damaged(b, "it does not decompress", err);
    z->next_in = (z_const Bytef *)(uintptr_t)from.p;
    z->avail_in = (uInt)from.n;
    for (size_t filled = 0;;) {
        int rc = filled == b->plain.size ? grow(b, filled, err) : 0;
        if (rc < 0)
            return rc;
        z->next_out = b->plain.at + filled;
        z->avail_out = (uInt)(b->plain.size - filled);
        rc = inflate(z, Z_SYNC_FLUSH);
        filled = b->plain.size - z->avail_out;
        if (rc == Z_MEM_ERROR)
            return err_set(err, ENOMEM, "out of memory");
        if (rc == Z_STREAM_END && z->avail_in <= DEFLATE_REST_MAX) {
            *n = filled;
            return 0;
        }
        if ((rc != Z_OK && rc != Z_BUF_ERROR) || z->avail_out)
            return damaged(b, "it does not decompress", err);
    }
}

static int unpack_snappy(struct avro_blocks *b, struct slice from, size_t *n, struct err *err)
{
    if (from.n < SNAPPY_CRC_BYTES)
        return damaged(b, "it has no checksum", err);
    struct slice block = slice_make(from.p, from.n - SNAPPY_CRC_BYTES);
    struct bytes in = bytes_make(block.p, block.n);
    uint64_t size = bytes_varint(&in); /* as a raw block begins */
    if (in.bad)
        return damaged(b, "it does not decompress", err);
    if (size > AVRO_BLOCK_BYTES_MAX)
        return err_set(err, EOVERFLOW, "Avro block at byte %llu: over %zu bytes",
                       (unsigned long long)b->block_at, AVRO_BLOCK_BYTES_MAX);
    int rc = make_room(&b->plain, size ? (size_t)size : 1, 0, err);
    if (rc == 0)
        rc = codec_decompress(CODEC_SNAPPY, block, b->plain.at, (size_t)size, err);
    if (rc < 0)
        return rc;
    uint32_t crc;
    memcpy(&crc, from.p + block.n, sizeof crc);
    if (__builtin_bswap32(crc) != (uint32_t)crc32_z(0, b->plain.at, (size_t)size))
        return damaged(b, "its checksum is wrong", err);
    *n = (size_t)size;
    return 0;
}

static int unpack_zstd(struct avro_blocks *b, struct slice from, size_t *n, struct err *err)
{
    if (!b->zstd)
        b->zstd = ZSTD_createDCtx();
    if (!b->zstd)
        return err_set(err, ENOMEM, "out of memory");
    (void)ZSTD_DCtx_reset(b->zstd, ZSTD_reset_session_only); /* cannot fail */
    ZSTD_inBuffer in = {from.p, from.n, 0};
    for (size_t filled = 0, more = 1;;) {
        if (more == 0 && in.pos == in.size) {
            *n = filled;
            return 0;
        }
        int rc = filled == b->plain.size ? grow(b, filled, err) : 0;
        if (rc < 0)
            return rc;
        ZSTD_outBuffer out = {b->plain.at, b->plain.size, filled};
        more = ZSTD_decompressStream(b->zstd, &out, &in);
        bool moved = out.pos != filled || in.pos != in.size;
        filled = out.pos;
        if (ZSTD_isError(more) || (more && !moved && out.pos < out.size))
            return damaged(b, "it does not decompress", err);
    }
}

static int unpack(struct avro_blocks *b, struct slice from, struct bytes *out, struct err *err)
{
    size_t n = 0;
    int rc = 0;
    switch (b->codec) {
    case AVRO_CODEC_NULL:
        *out = bytes_make(from.p, from.n);
        return 0;
    case AVRO_CODEC_DEFLATE:
        rc = unpack_deflate(b, from, &n, err);
        break;
    case AVRO_CODEC_SNAPPY:
        rc = unpack_snappy(b, from, &n, err);
        break;
    case AVRO_CODEC_ZSTANDARD:
        rc = unpack_zstd(b, from, &n, err);
        break;
    }
    if (rc == 0)
        *out = bytes_make(b->plain.at, n);
    return rc;
}

/* The head of the next block, which is used; *bytes of it follow. 1, 0 at the end. */
static int next_head(struct avro_blocks *b, uint64_t *records, size_t *bytes, struct err *err)
{
    struct bytes in;
    b->block_at = b->at - unused(b);
    int rc = avro_blocks_peek(b, HEAD_BYTES_MAX, &in, err);
    if (rc < 0 || bytes_left(&in) == 0)
        return rc;
    const uint8_t *begin = in.p;
    int64_t count = bytes_zigzag(&in), size = bytes_zigzag(&in);
    if (in.bad || count < 0 || size < 0)
        return damaged(b, "its length is none", err);
    if (size > (int64_t)AVRO_BLOCK_BYTES_MAX)
        return err_set(err, EOVERFLOW, "Avro block at byte %llu: over %zu bytes",
                       (unsigned long long)b->block_at, AVRO_BLOCK_BYTES_MAX);
    avro_blocks_use(b, (size_t)(in.p - begin));
    *records = (uint64_t)count;
    *bytes = (size_t)size;
    return 1;
}

int avro_blocks_next(struct avro_blocks *b, uint64_t *records, struct bytes *out, struct err *err)
{
    for (;;) {
        size_t n = 0;
        struct bytes in;
        int rc = next_head(b, records, &n, err);
        if (rc <= 0)
            return rc;
        if (n + AVRO_SYNC_BYTES > b->size - b->at + unused(b))
            return damaged(b, "the file ends in it", err);
        rc = avro_blocks_peek(b, n + AVRO_SYNC_BYTES, &in, err);
        if (rc < 0)
            return rc;
        struct slice stored = bytes_slice(&in, n);
        if (memcmp(in.p, b->sync, AVRO_SYNC_BYTES) != 0)
            return damaged(b, "no sync marker behind it", err);
        avro_blocks_use(b, n + AVRO_SYNC_BYTES);
        if (*records == 0 && n == 0)
            continue;
        rc = unpack(b, stored, out, err);
        return rc < 0 ? rc : 1;
    }
}
