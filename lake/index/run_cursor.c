/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the files of a run: blocks, cursors, and finding by ordinal and by name. */
#include "base/bytes.h"
#include "base/text.h"
#include "lake/index/run_private.h"

struct block {
    uint64_t at, end;     /* in RUN_BLOCKS */
    uint32_t first, next; /* ordinals: its first one, and the first one behind it */
};

static int find_extent(const struct run *r, uint32_t block, struct block *out, struct err *err)
{
    uint32_t place[2];
    const uint8_t *at;
    struct run_place pair = {RUN_INDEX, block * (uint64_t)sizeof place[0], sizeof place};
    int rc = run_touch(r, pair, &at, err);
    if (rc < 0)
        return rc;
    memcpy(place, at, sizeof place);
    if (place[0] >= place[1] || place[1] > r->head.sections[RUN_BLOCKS].bytes / RUN_BLOCK_ALIGN)
        return run_damaged("extent of block", block, err);
    uint32_t first = block * RUN_BLOCK_FILES, left = r->head.files - first;
    *out = (struct block){.at = place[0] * (uint64_t)RUN_BLOCK_ALIGN,
                          .end = place[1] * (uint64_t)RUN_BLOCK_ALIGN,
                          .first = first,
                          .next = first + (left < RUN_BLOCK_FILES ? left : RUN_BLOCK_FILES)};
    return 0;
}

/* Moves to the start of a block. */
static int enter_block(struct run_cursor *c, uint32_t block, struct err *err)
{
    struct block b;
    const uint8_t *ignored;
    int rc = find_extent(c->run, block, &b, err);
    if (rc < 0)
        return rc;
    rc = run_touch(c->run, (struct run_place){RUN_BLOCKS, b.at, b.end - b.at}, &ignored, err);
    if (rc < 0)
        return rc;
    buf_reset(&c->path);
    buf_reset(&c->raw);
    c->at = b.at;
    c->end = b.end;
    c->ordinal = b.first;
    c->block = block + 1;
    c->raw_is_path = false;
    c->mtime_ms = 0;
    c->version = 0;
    return 0;
}

struct coded {
    uint64_t shared, tail;
    struct slice middle;
};

static inline struct coded read_coded(struct bytes *b)
{
    struct coded t = {.shared = bytes_varint(b), .tail = bytes_varint(b)};
    t.middle = bytes_slice(b, bytes_varint(b));
    return t;
}

/* b keeps its first t->shared bytes; the middle and `tail` (which may lie in b) follow. */
static bool splice(struct buf *b, const struct coded *t, struct slice tail)
{
    size_t len = t->shared + t->middle.n + tail.n;
    if (len == b->len &&
        tail.p == b->data + len - tail.n) { /* the names of a job are equally long */
        memcpy(b->data + t->shared, t->middle.p, t->middle.n);
        return true;
    }
    ptrdiff_t own = tail.p && b->data && tail.p >= b->data && tail.p <= b->data + b->len
                        ? tail.p - b->data
                        : -1;
    if (!buf_reserve(b, len > b->len ? len - b->len : 0))
        return false;
    const char *from = own >= 0 ? b->data + own : tail.p;
    if (tail.n)
        memmove(b->data + t->shared + t->middle.n, from, tail.n);
    if (t->middle.n)
        memcpy(b->data + t->shared, t->middle.p, t->middle.n);
    b->len = len;
    return true;
}

static int decode_path(struct run_cursor *c, const struct coded *t, struct err *err)
{
    if (t->shared > c->path.len || t->tail > c->path.len - t->shared)
        return run_damaged("path of file", c->ordinal, err);
    struct slice tail = {c->path.data ? c->path.data + c->path.len - t->tail : NULL, t->tail};
    if (!splice(&c->path, t, tail))
        return c->path.failed == ENOMEM ? buf_check(&c->path, err)
                                        : run_damaged("path of file", c->ordinal, err);
    if (c->path.len == 0 || c->path.data[c->path.len - 1] == '/')
        return run_damaged("path of file", c->ordinal, err);
    return 0;
}

static int decode_raw(struct run_cursor *c, const struct coded *t, struct err *err)
{
    if (t->shared > c->raw.len || t->tail > c->path.len)
        return run_damaged("raw name of file", c->ordinal, err);
    struct slice tail = {c->path.data + c->path.len - t->tail, t->tail};
    if (!splice(&c->raw, t, tail))
        return c->raw.failed == ENOMEM ? buf_check(&c->raw, err)
                                       : run_damaged("raw name of file", c->ordinal, err);
    return 0;
}

/* The directory from the path's depth and the place within it. */
static int decode_dir(struct run_cursor *c, uint64_t index, struct err *err)
{
    const struct run *r = c->run;
    uint64_t level = 0;
    for (size_t i = 0; i < c->path.len; i++)
        level += c->path.data[i] == '/';
    const uint8_t *at;
    uint32_t first[2];
    struct run_place pair = {RUN_LEVELS, level * sizeof first[0], sizeof first};
    int rc = run_touch(r, pair, &at, err);
    if (rc < 0)
        return rc;
    memcpy(first, at, sizeof first);
    if (first[1] > r->head.dirs || first[0] >= first[1] || index >= first[1] - first[0])
        return run_damaged("directory of file", c->ordinal, err);
    c->dir = first[0] + (uint32_t)index;
    return 0;
}

static int64_t add_wrapping(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

/* One entry as it stands in a block; the slices lie in the map. */
struct record {
    uint8_t tag;
    struct coded path, raw;
    uint64_t index, size;
    int64_t mtime, version;
    struct slice extra;
};

static inline bool read_record(struct bytes *from, struct record *out)
{
    struct bytes b = *from; /* in registers */
    out->tag = bytes_u8(&b);
    out->path = read_coded(&b);
    out->index = out->tag & RUN_TAG_DIR ? bytes_varint(&b) : 0;
    out->raw = out->tag & RUN_TAG_RAW ? read_coded(&b) : (struct coded){0};
    out->size = bytes_varint(&b);
    out->mtime = bytes_zigzag(&b);
    out->version = bytes_zigzag(&b);
    out->extra = out->tag & RUN_TAG_EXTRA ? bytes_slice(&b, bytes_varint(&b)) : SLICE_NONE;
    *from = b;
    return !b.bad && !(out->tag & ~RUN_TAG_ALL);
}

/* What the next entries stand upon: moves the cursor over this one. */
static int apply(struct run_cursor *c, const struct record *r, struct err *err)
{
    if (c->path.len == 0 && !(r->tag & RUN_TAG_DIR))
        return run_damaged("file", c->ordinal, err);
    if (r->tag & RUN_TAG_RAW && c->raw_is_path) { /* raw follows upon the previous one */
        buf_reset(&c->raw);
        buf_add_slice(&c->raw, buf_slice(&c->path));
        c->raw_is_path = false;
    }
    int rc = decode_path(c, &r->path, err);
    if (rc == 0 && r->tag & RUN_TAG_RAW)
        rc = c->raw.failed ? buf_check(&c->raw, err) : decode_raw(c, &r->raw, err);
    if (rc == 0 && r->tag & RUN_TAG_DIR)
        rc = decode_dir(c, r->index, err);
    if (rc < 0)
        return rc;
    c->raw_is_path = !(r->tag & RUN_TAG_RAW);
    c->mtime_ms = add_wrapping(c->mtime_ms, r->mtime);
    c->version = add_wrapping(c->version, r->version);
    c->ordinal++;
    return 0;
}

static struct bytes rest_of_block(const struct run_cursor *c)
{
    return bytes_make(c->run->map + c->run->head.sections[RUN_BLOCKS].page * RUN_PAGE_BYTES + c->at,
                      c->end - c->at);
}

static int decode(struct run_cursor *c, struct entry *out, struct err *err)
{
    struct bytes b = rest_of_block(c);
    size_t whole = bytes_left(&b);
    struct record r;
    if (!read_record(&b, &r))
        return run_damaged("file", c->ordinal, err);
    int rc = apply(c, &r, err);
    if (rc < 0)
        return rc;
    c->at += whole - bytes_left(&b);
    *out = (struct entry){.path = buf_slice(&c->path),
                          .raw = buf_slice(c->raw_is_path ? &c->path : &c->raw),
                          .extra = r.extra,
                          .size = r.size,
                          .mtime_ms = c->mtime_ms,
                          .version = c->version,
                          .flags = (r.tag & RUN_TAG_BUILT ? ENTRY_BUILT : 0) |
                                   (r.tag & RUN_TAG_RENAMED ? ENTRY_RENAMED : 0) |
                                   (r.tag & RUN_TAG_AS_STORED ? ENTRY_AS_STORED : 0) |
                                   (r.tag & RUN_TAG_DELETES ? ENTRY_DELETES : 0)};
    return 0;
}

/* Moves within the block to an ordinal: every open of a file comes here. */
static int skip_to(struct run_cursor *c, uint32_t ordinal, struct err *err)
{
    struct bytes b = rest_of_block(c);
    struct record r;
    while (c->ordinal < ordinal) {
        if (!read_record(&b, &r))
            return run_damaged("file", c->ordinal, err);
        int rc = apply(c, &r, err);
        if (rc < 0)
            return rc;
    }
    c->at = c->end - bytes_left(&b);
    return 0;
}

static void cursor_start(struct run_cursor *c, const struct run *r)
{
    *c = (struct run_cursor){.run = r};
    buf_init(&c->path, RUN_PATH_BYTES_MAX);
    buf_init(&c->raw, RUN_TEXT_BYTES_MAX);
}

int run_cursor_init(struct run_cursor *c, const struct run *r, uint32_t ordinal, struct err *err)
{
    cursor_start(c, r);
    if (ordinal >= r->head.files) {
        c->ordinal = r->head.files;
        return 0;
    }
    int rc = enter_block(c, ordinal / RUN_BLOCK_FILES, err);
    if (rc == 0)
        rc = skip_to(c, ordinal, err);
    if (rc < 0)
        run_cursor_done(c);
    return rc;
}

void run_cursor_done(struct run_cursor *c)
{
    buf_done(&c->path);
    buf_done(&c->raw);
}

int run_cursor_next(struct run_cursor *c, struct entry *out, struct err *err)
{
    if (c->ordinal >= c->run->head.files)
        return 0;
    struct block b;
    int rc = find_extent(c->run, c->block - 1, &b, err);
    if (rc == 0 && c->ordinal >= b.next)
        rc = enter_block(c, c->block, err);
    if (rc == 0)
        rc = decode(c, out, err);
    if (rc == 0 && run_lost(c->run))
        rc = run_damaged("its disk failed at file", c->ordinal, err);
    return rc < 0 ? rc : 1;
}

int run_file(const struct run *r, uint32_t ordinal, struct buf *scratch, struct entry *out,
             uint32_t *dir, struct err *err)
{
    if (ordinal >= r->head.files)
        return run_damaged("there is no file", ordinal, err);
    AUTO(run_cursor) struct run_cursor c = {0};
    struct entry e;
    int rc = run_cursor_init(&c, r, ordinal, err);
    if (rc < 0)
        return rc;
    rc = run_cursor_next(&c, &e, err);
    if (rc <= 0)
        return rc < 0 ? rc : run_damaged("there is no file", ordinal, err);
    buf_reset(scratch);
    buf_add_slice(scratch, e.path);
    if (!c.raw_is_path)
        buf_add_slice(scratch, e.raw);
    buf_add_slice(scratch, e.extra);
    rc = buf_check(scratch, err);
    if (rc < 0)
        return rc;
    const char *raw = c.raw_is_path ? scratch->data : scratch->data + e.path.n;
    size_t extra = e.path.n + (c.raw_is_path ? 0 : e.raw.n);
    e.path.p = scratch->data;
    e.raw.p = raw;
    e.extra.p = scratch->data + extra;
    *out = e;
    if (dir)
        *dir = c.dir;
    return 0;
}

/* The name of a block's first file, which stands there in full. */
static int first_name(const struct run *r, uint32_t block, struct slice *out, struct err *err)
{
    struct block e;
    const uint8_t *at;
    int rc = find_extent(r, block, &e, err);
    if (rc < 0)
        return rc;
    rc = run_touch(r, (struct run_place){RUN_BLOCKS, e.at, e.end - e.at}, &at, err);
    if (rc < 0)
        return rc;
    struct bytes b = bytes_make(at, e.end - e.at);
    (void)bytes_u8(&b); /* the tag says nothing about the path */
    struct coded path = read_coded(&b);
    if (b.bad || path.shared || path.tail)
        return run_damaged("first file of block", block, err);
    *out = text_basename(path.middle);
    return 0;
}

int run_find_file(const struct run *r, uint32_t dir, struct slice name, uint32_t *out,
                  struct err *err)
{
    struct run_dir d;
    int rc = run_dir(r, dir, &d, err);
    if (rc < 0)
        return rc;
    if (d.files == 0)
        return err_set(err, ENOENT, "no file %.*s", SLICE_FMT(name));
    /* Blocks: the name is in one of [low, high] if anywhere. */
    uint32_t low = d.first_file / RUN_BLOCK_FILES;
    uint32_t high = (d.first_file + d.files - 1) / RUN_BLOCK_FILES;
    while (rc == 0 && low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        struct slice first = SLICE_NONE;
        rc = first_name(r, middle, &first, err);
        if (slice_cmp(first, name) <= 0)
            low = middle;
        else
            high = middle - 1;
    }
    if (rc < 0)
        return rc;
    AUTO(run_cursor) struct run_cursor c = {0};
    cursor_start(&c, r);
    struct block b;
    struct entry e;
    rc = find_extent(r, low, &b, err);
    if (rc == 0)
        rc = enter_block(&c, low, err);
    while (rc == 0 && c.ordinal < b.next && c.ordinal < d.first_file + d.files) {
        uint32_t ordinal = c.ordinal;
        rc = decode(&c, &e, err);
        int order =
            rc == 0 && ordinal >= d.first_file ? slice_cmp(text_basename(e.path), name) : -1;
        if (order == 0)
            *out = ordinal;
        if (order >= 0)
            return order ? err_set(err, ENOENT, "no file %.*s", SLICE_FMT(name)) : 0;
    }
    return rc < 0 ? rc : err_set(err, ENOENT, "no file %.*s", SLICE_FMT(name));
}
