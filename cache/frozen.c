/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/frozen.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <zstd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/limits.h"

#define SKIPPABLE_MAGIC 0x184D2A5EU
#define SEEKABLE_MAGIC 0x8F92EAB1U
#define HEAD_BYTES 8  /* skippable magic, length of the rest */
#define ENTRY_BYTES 8 /* without a checksum */
#define FOOT_BYTES 9  /* frames, descriptor, seekable magic */
/* The two low bits of the descriptor say nothing. */
#define DESCRIPTOR_MEANS 0xfcU
#define ENTRIES_AT_ONCE 512

#define SAMPLES_MAX 16
#define SAMPLE_LEVEL 1 /* quick: the ratio of the better level is a little better */
#define WRITE_LEVEL 3
#define WORTH_PERCENT 80
#define PAGE_BYTES 4096 /* disk is taken in whole pages */

#define FRAME_BYTES_MAX ZSTD_COMPRESSBOUND(BLOCK_BYTES)

struct frozen {
    int fd;
    uint64_t size, blocks;
    uint64_t at[]; /* where each block's frame begins; and the seek table */
};

static uint64_t count_blocks(uint64_t size)
{
    return size / BLOCK_BYTES + (size % BLOCK_BYTES != 0);
}

static size_t length_of(uint64_t size, uint64_t block)
{
    uint64_t left = size - block * BLOCK_BYTES;
    return left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
}

static uint64_t table_bytes(uint64_t blocks)
{
    return HEAD_BYTES + blocks * ENTRY_BYTES + FOOT_BYTES;
}

static uint64_t pages(uint64_t bytes)
{
    return bytes / PAGE_BYTES + (bytes % PAGE_BYTES != 0);
}

/* What one walk over an object's blocks needs. */
struct room {
    ZSTD_CCtx *zstd;
    char *plain, *frame;
};

static void room_done(struct room *r)
{
    (void)ZSTD_freeCCtx(r->zstd); /* cannot fail, NULL is fine */
    free(r->plain);
    free(r->frame);
}
DEFINE_AUTO_DONE(room, struct room, room_done)

static int room_init(struct room *r, int level, struct err *err)
{
    *r = (struct room){ZSTD_createCCtx(), malloc(BLOCK_BYTES), malloc(FRAME_BYTES_MAX)};
    if (!r->zstd || !r->plain || !r->frame ||
        ZSTD_isError(ZSTD_CCtx_setParameter(r->zstd, ZSTD_c_compressionLevel, level)))
        return err_set(err, ENOMEM, "out of memory");
    return 0;
}

/* No readahead: what it reads could not be told from what was in the page cache before. */
static void expect_blocks(int fd)
{
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* advice */
}

/* Reads a block; its pages stay in the page cache only where all of them were there. */
static int read_block(const struct frozen_source *from, uint64_t block, char *to, size_t n,
                      struct err *err)
{
    int fd = from->fd;
    off_t at = (off_t)(from->offset + block * BLOCK_BYTES);
    struct iovec v = {to, n};
    if (preadv2(fd, &v, 1, at, RWF_NOWAIT) == (ssize_t)n)
        return 0;
    int rc = file_pread_full(fd, to, n, at, err);
    (void)posix_fadvise(fd, at, (off_t)n, POSIX_FADV_DONTNEED); /* advice */
    return rc;
}

static int compress(struct room *r, size_t n, size_t *frame_bytes, struct err *err)
{
    size_t rc = ZSTD_compress2(r->zstd, r->frame, FRAME_BYTES_MAX, r->plain, n);
    if (ZSTD_isError(rc))
        return err_set(err, ENOMEM, "zstd: %s", ZSTD_getErrorName(rc));
    *frame_bytes = rc;
    return 0;
}

int frozen_worth(const struct frozen_source *from, bool *worth, struct err *err)
{
    uint64_t size = from->size, blocks = count_blocks(size), plain = 0, small = 0;
    uint64_t samples = blocks < SAMPLES_MAX ? blocks : SAMPLES_MAX;
    AUTO(room) struct room r = {0};
    int rc = room_init(&r, SAMPLE_LEVEL, err);
    expect_blocks(from->fd);
    for (uint64_t i = 0; rc == 0 && size <= FROZEN_PLAIN_BYTES_MAX && i < samples; i++) {
        /* the middle of each of as many equal parts */
        uint64_t block = (2 * i + 1) * blocks / (2 * samples);
        size_t n = length_of(size, block), frame = 0;
        rc = read_block(from, block, r.plain, n, err);
        if (rc == 0)
            rc = compress(&r, n, &frame, err);
        plain += n;
        small += frame;
    }
    if (rc < 0)
        return rc;
    if (plain == 0) {
        *worth = false; /* empty, or over the maximum */
        return 0;
    }
    double whole = (double)small * ((double)size / (double)plain) + (double)table_bytes(blocks);
    *worth = pages((uint64_t)whole) * 100 < pages(size) * WORTH_PERCENT;
    return 0;
}

static void put_le32(char *to, uint64_t value)
{
    uint32_t v = (uint32_t)value;
    memcpy(to, &v, sizeof v); /* little-endian hosts only: base/bytes.h */
}

/* The seek table; the sizes of all frames are in `frames`. */
static int write_table(int fd, off_t at, uint64_t size, const uint32_t *frames, struct err *err)
{
    uint64_t blocks = count_blocks(size);
    size_t n = (size_t)table_bytes(blocks);
    AUTO_FREE char *table = malloc(n);
    if (!table)
        return err_set(err, ENOMEM, "out of memory");
    put_le32(table, SKIPPABLE_MAGIC);
    put_le32(table + 4, n - HEAD_BYTES);
    for (uint64_t i = 0; i < blocks; i++) {
        char *entry = table + HEAD_BYTES + i * ENTRY_BYTES;
        put_le32(entry, frames[i]);
        put_le32(entry + 4, length_of(size, i));
    }
    char *foot = table + n - FOOT_BYTES;
    put_le32(foot, blocks);
    foot[4] = 0;
    put_le32(foot + 5, SEEKABLE_MAGIC);
    return file_pwrite_full(fd, table, n, at, err);
}

static int too_much(const struct frozen_source *from, struct err *err)
{
    return err_set(err, EFBIG, "%llu bytes take more than the permitted %llu when frozen",
                   (unsigned long long)from->size, (unsigned long long)from->bytes_max);
}

/* Block i, read and compressed into the room. */
static int make_frame(const struct frozen_source *from, struct room *r, uint64_t i,
                      size_t *frame_bytes, struct err *err)
{
    size_t n = length_of(from->size, i);
    int rc = read_block(from, i, r->plain, n, err);
    if (rc == 0 && from->look)
        rc = from->look(from->arg, i, r->plain, n, err);
    return rc == 0 ? compress(r, n, frame_bytes, err) : rc;
}

int frozen_write(const struct frozen_source *from, int out_fd, uint64_t *out_bytes, struct err *err)
{
    if (from->size > FROZEN_PLAIN_BYTES_MAX)
        return err_set(err, EFBIG, "size %llu, at most %llu can be frozen",
                       (unsigned long long)from->size, (unsigned long long)FROZEN_PLAIN_BYTES_MAX);
    uint64_t blocks = count_blocks(from->size), at = 0;
    uint64_t most = from->bytes_max ? from->bytes_max : UINT64_MAX;
    AUTO(room) struct room r = {0};
    int rc = room_init(&r, WRITE_LEVEL, err);
    AUTO_FREE uint32_t *frames = calloc(blocks + 1, sizeof *frames);
    if (rc == 0 && !frames)
        rc = err_set(err, ENOMEM, "out of memory");
    expect_blocks(from->fd);
    for (uint64_t i = 0; rc == 0 && i < blocks; i++) {
        size_t frame = 0;
        rc = make_frame(from, &r, i, &frame, err);
        if (rc == 0 && at + frame + table_bytes(blocks) > most)
            rc = too_much(from, err);
        if (rc == 0)
            rc = file_pwrite_full(out_fd, r.frame, frame, (off_t)at, err);
        if (rc == 0)
            frames[i] = (uint32_t)frame;
        at += frame;
    }
    if (rc == 0)
        rc = write_table(out_fd, (off_t)at, from->size, frames, err);
    if (rc == 0)
        *out_bytes = at + table_bytes(blocks);
    return rc;
}

static int damaged(struct err *err, const char *what)
{
    return err_set(err, EBADMSG, "frozen file: %s", what);
}

/* Head and foot, which say the same thing three times. */
static int check_frame(int fd, uint64_t table_at, uint64_t blocks, struct err *err)
{
    uint8_t head[HEAD_BYTES] = {0}, foot[FOOT_BYTES] = {0};
    uint64_t n = table_bytes(blocks);
    int rc = file_pread_full(fd, head, sizeof head, (off_t)table_at, err);
    if (rc == 0)
        rc = file_pread_full(fd, foot, sizeof foot, (off_t)(table_at + n - FOOT_BYTES), err);
    if (rc < 0)
        return rc;
    struct bytes h = bytes_make(head, sizeof head), f = bytes_make(foot, sizeof foot);
    bool ok = bytes_le32(&h) == SKIPPABLE_MAGIC;
    ok = bytes_le32(&h) == n - HEAD_BYTES && ok;
    ok = bytes_le32(&f) == blocks && ok;
    ok = (bytes_u8(&f) & DESCRIPTOR_MEANS) == 0 && ok;
    ok = bytes_le32(&f) == SEEKABLE_MAGIC && ok;
    return ok ? 0 : damaged(err, "there is no seek table of this object at its end");
}

/* Takes over the entries; the frames must fill the file up to the table. */
static int load_entries(struct frozen *f, uint64_t table_at, struct err *err)
{
    uint8_t chunk[ENTRIES_AT_ONCE * ENTRY_BYTES];
    uint64_t at = 0;
    for (uint64_t i = 0; i < f->blocks; i++) {
        uint8_t *entry = chunk + i % ENTRIES_AT_ONCE * ENTRY_BYTES;
        if (entry == chunk) {
            uint64_t n = f->blocks - i < ENTRIES_AT_ONCE ? f->blocks - i : ENTRIES_AT_ONCE;
            off_t from = (off_t)(table_at + HEAD_BYTES + i * ENTRY_BYTES);
            int rc = file_pread_full(f->fd, chunk, (size_t)n * ENTRY_BYTES, from, err);
            if (rc < 0)
                return rc;
        }
        struct bytes b = bytes_make(entry, ENTRY_BYTES);
        uint32_t frame = bytes_le32(&b), plain = bytes_le32(&b);
        if (frame == 0 || frame > FRAME_BYTES_MAX || plain != length_of(f->size, i) ||
            frame > table_at - at)
            return damaged(err, "its seek table has sizes that cannot be");
        f->at[i] = at;
        at += frame;
    }
    f->at[f->blocks] = at;
    return at == table_at ? 0 : damaged(err, "its seek table names other bytes than it has");
}

struct frozen *frozen_open(int fd, uint64_t size, struct err *err)
{
    struct stat st;
    uint64_t blocks = count_blocks(size);
    if (fstat(fd, &st) < 0) {
        (void)err_set(err, errno, "frozen file: %s", strerror(errno));
        return NULL;
    }
    /* before anything is allocated: the sizes that were frozen, and room for the table */
    if (size > FROZEN_PLAIN_BYTES_MAX || !S_ISREG(st.st_mode) ||
        (uint64_t)st.st_size < table_bytes(blocks)) {
        (void)damaged(err, "too short for its object");
        return NULL;
    }
    uint64_t table_at = (uint64_t)st.st_size - table_bytes(blocks);
    AUTO(frozen) struct frozen *f = malloc(sizeof *f + (blocks + 1) * sizeof f->at[0]);
    if (!f) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    f->fd = fd;
    f->size = size;
    f->blocks = blocks;
    if (check_frame(fd, table_at, blocks, err) < 0 || load_entries(f, table_at, err) < 0)
        return NULL;
    return STEAL(f);
}

int frozen_read(const struct frozen *f, uint64_t block, void *to, size_t length, struct err *err)
{
    assert(block < f->blocks && length == length_of(f->size, block));
    size_t n = (size_t)(f->at[block + 1] - f->at[block]);
    AUTO_FREE char *frame = malloc(n);
    if (!frame)
        return err_set(err, ENOMEM, "out of memory");
    int rc = file_pread_full(f->fd, frame, n, (off_t)f->at[block], err);
    if (rc < 0)
        return rc;
    size_t got = ZSTD_decompress(to, length, frame, n);
    if (ZSTD_isError(got))
        return damaged(err, ZSTD_getErrorName(got));
    return got == length ? 0 : damaged(err, "a block has another length");
}

void frozen_free(struct frozen *f)
{
    free(f);
}
