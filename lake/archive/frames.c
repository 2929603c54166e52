/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/archive/frames.h"

#include <zstd.h>

#include "base/bytes.h"

#define SKIPPABLE_MAGIC 0x184D2A5EU
#define SEEKABLE_MAGIC 0x8F92EAB1U
#define HEAD_BYTES 8  /* skippable magic, length of the rest */
#define ENTRY_BYTES 8 /* without a checksum: the frames have theirs */
#define FOOT_BYTES 9  /* frames, descriptor, seekable magic */
/* The two low bits of the descriptor say nothing. */
#define DESCRIPTOR_MEANS 0xfcU
#define FRAME_BYTES_MAX ZSTD_COMPRESSBOUND(FRAME_PLAIN_BYTES)

#define DENSE_LEVEL 3
/* So quick that what does not compress is copied at the speed of memory. */
#define STORED_LEVEL (-50)

/* Byte of a frame that tells what its header has, and the bit for a checksum (RFC 8878, 3.1.1.1.1).
 */
#define DESCRIPTOR_AT 4
#define HAS_CHECKSUM 4U

struct frames_writer {
    ZSTD_CCtx *zstd;
    uint64_t size, count, n; /* n: frames that were made */
    char *frame;
    struct buf table;
};

uint64_t frames_count(uint64_t size)
{
    return size / FRAME_PLAIN_BYTES + (size % FRAME_PLAIN_BYTES != 0);
}

uint64_t frames_table_bytes(uint64_t count)
{
    return HEAD_BYTES + count * ENTRY_BYTES + FOOT_BYTES;
}

size_t frames_length(uint64_t size, uint64_t i)
{
    uint64_t left = size - i * FRAME_PLAIN_BYTES;
    return left < FRAME_PLAIN_BYTES ? (size_t)left : FRAME_PLAIN_BYTES;
}

static void add_le32(struct buf *b, uint64_t value)
{
    uint32_t v = (uint32_t)value;
    buf_add(b, &v, sizeof v); /* little-endian hosts only: base/bytes.h */
}

struct frames_writer *frames_writer_new(uint64_t size, bool dense, struct err *err)
{
    AUTO(frames_writer) struct frames_writer *w = calloc(1, sizeof *w);
    if (size > FRAMES_PLAIN_BYTES_MAX) {
        (void)err_set(err, EFBIG, "size %llu, at most %llu can be archived",
                      (unsigned long long)size, (unsigned long long)FRAMES_PLAIN_BYTES_MAX);
        return NULL;
    }
    if (w) {
        w->zstd = ZSTD_createCCtx();
        w->frame = malloc(FRAME_BYTES_MAX);
    }
    if (!w || !w->zstd || !w->frame ||
        ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel,
                                            dense ? DENSE_LEVEL : STORED_LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1))) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    w->size = size;
    w->count = frames_count(size);
    buf_init(&w->table, (size_t)frames_table_bytes(w->count));
    add_le32(&w->table, SKIPPABLE_MAGIC);
    add_le32(&w->table, frames_table_bytes(w->count) - HEAD_BYTES);
    return STEAL(w);
}

int frames_writer_add(struct frames_writer *w, struct slice plain, struct slice *frame,
                      struct err *err)
{
    if (w->n == w->count || plain.n != frames_length(w->size, w->n))
        return err_set(err, EINVAL, "frame %llu of %llu with %zu bytes", (unsigned long long)w->n,
                       (unsigned long long)w->count, plain.n);
    size_t n = ZSTD_compress2(w->zstd, w->frame, FRAME_BYTES_MAX, plain.p, plain.n);
    if (ZSTD_isError(n))
        return err_set(err, ENOMEM, "zstd: %s", ZSTD_getErrorName(n));
    add_le32(&w->table, n);
    add_le32(&w->table, plain.n);
    w->n++;
    *frame = slice_make(w->frame, n);
    return 0;
}

int frames_writer_end(struct frames_writer *w, struct slice *table, struct err *err)
{
    if (w->n != w->count)
        return err_set(err, EINVAL, "%llu of %llu frames", (unsigned long long)w->n,
                       (unsigned long long)w->count);
    add_le32(&w->table, w->count);
    buf_add_char(&w->table, 0);
    add_le32(&w->table, SEEKABLE_MAGIC);
    *table = buf_slice(&w->table);
    return buf_check(&w->table, err);
}

void frames_writer_free(struct frames_writer *w)
{
    if (!w)
        return;
    (void)ZSTD_freeCCtx(w->zstd); /* cannot fail, NULL is fine */
    free(w->frame);
    buf_done(&w->table);
    free(w);
}

static int damaged(struct err *err, const char *what)
{
    return err_set(err, EBADMSG, "archived object: %s", what);
}

/* Head and foot, which say the same thing three times. */
static bool ends_hold(struct slice table, uint64_t count)
{
    struct bytes h = bytes_make(table.p, HEAD_BYTES);
    struct bytes f = bytes_make(table.p + table.n - FOOT_BYTES, FOOT_BYTES);
    bool ok = bytes_le32(&h) == SKIPPABLE_MAGIC;
    ok = bytes_le32(&h) == table.n - HEAD_BYTES && ok;
    ok = bytes_le32(&f) == count && ok;
    ok = (bytes_u8(&f) & DESCRIPTOR_MEANS) == 0 && ok;
    return bytes_le32(&f) == SEEKABLE_MAGIC && ok;
}

struct frames *frames_parse(struct slice table, uint64_t size, uint64_t stored, struct err *err)
{
    uint64_t count = frames_count(size), at = 0;
    if (size > FRAMES_PLAIN_BYTES_MAX || table.n != frames_table_bytes(count) || stored < table.n ||
        !ends_hold(table, count)) {
        (void)damaged(err, "there is no seek table of this object at its end");
        return NULL;
    }
    uint64_t table_at = stored - table.n;
    AUTO_FREE struct frames *f = malloc(sizeof *f + (count + 1) * sizeof f->at[0]);
    if (!f) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    struct bytes entries = bytes_make(table.p + HEAD_BYTES, count * ENTRY_BYTES);
    for (uint64_t i = 0; i < count; i++) {
        uint32_t frame = bytes_le32(&entries), plain = bytes_le32(&entries);
        if (frame == 0 || frame > FRAME_BYTES_MAX || plain != frames_length(size, i) ||
            frame > table_at - at) {
            (void)damaged(err, "its seek table has sizes that cannot be");
            return NULL;
        }
        f->at[i] = at;
        at += frame;
    }
    if (at != table_at) {
        (void)damaged(err, "its seek table names other bytes than it has");
        return NULL;
    }
    f->at[count] = at;
    f->size = size;
    f->count = count;
    return STEAL(f);
}

int frames_decode(struct slice frame, void *to, size_t length, struct err *err)
{
    if (frame.n <= DESCRIPTOR_AT || !((unsigned char)frame.p[DESCRIPTOR_AT] & HAS_CHECKSUM))
        return damaged(err, "a frame has no checksum");
    size_t got = ZSTD_decompress(to, length, frame.p, frame.n);
    if (ZSTD_isError(got))
        return damaged(err, ZSTD_getErrorName(got));
    return got == length ? 0 : damaged(err, "a frame has another length");
}
