/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/index/entry_coder.h"

#include "base/limits.h"
#include "lake/index/run_format.h"

void entry_coder_init(struct entry_coder *c)
{
    *c = (struct entry_coder){.mtime_ms = 0};
    buf_init(&c->path, RUN_PATH_BYTES_MAX);
    buf_init(&c->raw, RUN_TEXT_BYTES_MAX);
}

void entry_coder_done(struct entry_coder *c)
{
    buf_done(&c->path);
    buf_done(&c->raw);
}

void entry_coder_reset(struct entry_coder *c)
{
    buf_reset(&c->path);
    buf_reset(&c->raw);
    c->mtime_ms = 0;
    c->version = 0;
}

static size_t common_head(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n, i = 0;
    while (i < n && a.p[i] == b.p[i])
        i++;
    return i;
}

static size_t common_tail(struct slice a, struct slice b, size_t max)
{
    size_t i = 0;
    while (i < max && a.p[a.n - 1 - i] == b.p[b.n - 1 - i])
        i++;
    return i;
}

static void put_coded(struct buf *to, struct slice text, size_t shared, size_t tail)
{
    buf_add_varint(to, shared);
    buf_add_varint(to, tail);
    buf_add_varint(to, text.n - shared - tail);
    buf_add(to, text.p + shared, text.n - shared - tail);
}

static uint64_t zigzag(int64_t value, int64_t previous)
{
    uint64_t d = (uint64_t)value - (uint64_t)previous;
    return d << 1 ^ (0 - (d >> 63));
}

void entry_coder_encode(const struct entry_coder *c, const struct entry *e,
                        const uint32_t *dir_index, struct buf *to)
{
    bool raw_differs = !slice_eq(e->raw, e->path);
    struct slice before = buf_slice(&c->path);
    size_t shared = common_head(before, e->path);
    size_t room = (before.n < e->path.n ? before.n : e->path.n) - shared;
    buf_reset(to);
    buf_add_char(to, (char)((dir_index ? RUN_TAG_DIR : 0) | (raw_differs ? RUN_TAG_RAW : 0) |
                            (e->extra.n ? RUN_TAG_EXTRA : 0) |
                            (e->flags & ENTRY_BUILT ? RUN_TAG_BUILT : 0) |
                            (e->flags & ENTRY_RENAMED ? RUN_TAG_RENAMED : 0) |
                            (e->flags & ENTRY_AS_STORED ? RUN_TAG_AS_STORED : 0) |
                            (e->flags & ENTRY_DELETES ? RUN_TAG_DELETES : 0)));
    put_coded(to, e->path, shared, common_tail(before, e->path, room));
    if (dir_index)
        buf_add_varint(to, *dir_index);
    if (raw_differs) {
        shared = common_head(buf_slice(&c->raw), e->raw);
        room = e->raw.n - shared < e->path.n ? e->raw.n - shared : e->path.n;
        put_coded(to, e->raw, shared, common_tail(e->path, e->raw, room));
    }
    buf_add_varint(to, e->size);
    buf_add_varint(to, zigzag(e->mtime_ms, c->mtime_ms));
    buf_add_varint(to, zigzag(e->version, c->version));
    if (e->extra.n) {
        buf_add_varint(to, e->extra.n);
        buf_add_slice(to, e->extra);
    }
}

int entry_coder_advance(struct entry_coder *c, const struct entry *e, struct err *err)
{
    buf_reset(&c->path);
    buf_add_slice(&c->path, e->path);
    buf_reset(&c->raw);
    buf_add_slice(&c->raw, e->raw);
    c->mtime_ms = e->mtime_ms;
    c->version = e->version;
    int rc = buf_check(&c->path, err);
    return rc < 0 ? rc : buf_check(&c->raw, err);
}
