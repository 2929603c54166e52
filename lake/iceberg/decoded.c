/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/decoded.h"

#include "base/hash.h"
#include "lake/iceberg/decoded_private.h"

static int damaged(struct err *err)
{
    return err_set(err, EUCLEAN, "a manifest that was kept is damaged");
}

static int read_all(int fd, void *to, size_t n, struct err *err)
{
    char *at = to;
    while (n) {
        ssize_t got = read(fd, at, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(err, errno, "a manifest that was kept: %s", strerror(errno));
        if (got == 0)
            return damaged(err);
        at += got;
        n -= (size_t)got;
    }
    return 0;
}

/* The next frame. 1, 0 it is the empty one at the end. */
static int next_frame(struct iceberg_decoded *d, struct err *err)
{
    uint32_t head[2];
    int rc = read_all(d->fd, head, sizeof head, err);
    if (rc < 0)
        return rc;
    if (head[0] > FRAME_BYTES_MAX)
        return damaged(err);
    buf_reset(&d->frame);
    void *to = buf_reserve(&d->frame, head[0]);
    if (!to && head[0])
        return buf_check(&d->frame, err);
    rc = read_all(d->fd, to, head[0], err);
    if (rc < 0)
        return rc;
    d->frame.len = head[0];
    if (crc32c(0, d->frame.data, d->frame.len) != head[1])
        return damaged(err);
    d->at = bytes_make(d->frame.data, d->frame.len);
    return head[0] > 0;
}

static struct slice take_text(struct bytes *b)
{
    uint64_t n = bytes_varint(b);
    if (n > bytes_left(b)) {
        b->bad = true;
        return SLICE_NONE;
    }
    return bytes_slice(b, (size_t)n);
}

static int take_head(struct iceberg_decoded *d, const struct iceberg_manifest *manifest,
                     struct err *err)
{
    struct bytes *b = &d->at;
    bool first = bytes_u8(b) == RECORD_HEAD;
    uint64_t length = bytes_varint(b);
    struct slice path = take_text(b);
    int64_t spec = bytes_zigzag(b);
    d->head.deletes = bytes_u8(b);
    d->head.spec_id = (int32_t)spec;
    return first && !b->bad && length == manifest->length && slice_eq(path, manifest->path) &&
                   spec >= ICEBERG_NONE && spec <= INT32_MAX
               ? 0
               : damaged(err);
}

int iceberg_decoded_open(int fd, const struct iceberg_manifest *manifest,
                         struct iceberg_decoded *out, struct err *err)
{
    char magic[sizeof ICEBERG_DECODED_MAGIC - 1];
    *out = (struct iceberg_decoded){
        .fd = fd, .tuples.max = ICEBERG_TUPLES_MAX, .columns.max = ICEBERG_TUPLES_MAX};
    arena_init(&out->arena, ICEBERG_MANIFEST_MEMORY_MAX);
    buf_init(&out->frame, FRAME_BYTES_MAX);
    buf_init(&out->path, ACTION_BYTES_MAX);
    int rc = read_all(fd, magic, sizeof magic, err);
    if (rc == 0 && memcmp(magic, ICEBERG_DECODED_MAGIC, sizeof magic) != 0)
        rc = damaged(err);
    if (rc == 0)
        rc = next_frame(out, err);
    if (rc == 0)
        rc = damaged(err);
    if (rc > 0)
        rc = take_head(out, manifest, err);
    if (rc < 0)
        iceberg_decoded_done(out);
    return rc;
}

void iceberg_decoded_done(struct iceberg_decoded *d)
{
    if (d->fd >= 0)
        (void)close(d->fd); /* only read */
    d->fd = -1;
    arena_done(&d->arena);
    buf_done(&d->frame);
    buf_done(&d->path);
    vec_done(&d->tuples);
    vec_done(&d->columns);
    free(d->ids);
    d->ids = NULL;
    d->ids_capacity = 0;
}

static int no_room(int rc, struct err *err)
{
    return err_set(err, -rc, "no room for a manifest's partitions");
}

static void take_value(struct iceberg_decoded *d, struct iceberg_value *v)
{
    struct bytes *b = &d->at;
    const uint8_t *real;
    uint8_t kind = bytes_u8(b);
    b->bad = b->bad || kind > ICEBERG_BYTES;
    if (b->bad)
        return;
    v->kind = (enum iceberg_value_kind)kind;
    switch (v->kind) {
    case ICEBERG_NULL:
        break;
    case ICEBERG_NUMBER:
        v->number = bytes_zigzag(b);
        break;
    case ICEBERG_REAL:
        real = bytes_take(b, sizeof v->real);
        if (real)
            memcpy(&v->real, real, sizeof v->real);
        break;
    case ICEBERG_BYTES:
        v->bytes = arena_slice(&d->arena, take_text(b));
        break;
    }
}

static int take_tuple(struct iceberg_decoded *d, struct err *err)
{
    struct bytes *b = &d->at;
    uint64_t n = bytes_varint(b);
    if (b->bad || n > bytes_left(b))
        return damaged(err);
    struct iceberg_tuple_value *values = arena_calloc(&d->arena, (size_t)n + 1, sizeof values[0]);
    if (!values)
        return arena_failed(&d->arena, "a manifest's partitions", err);
    for (size_t i = 0; i < n; i++) {
        values[i].field_id = (int32_t)bytes_zigzag(b);
        values[i].name = arena_slice(&d->arena, take_text(b));
        take_value(d, &values[i].value);
    }
    if (d->arena.full)
        return arena_failed(&d->arena, "a manifest's partitions", err);
    if (b->bad)
        return damaged(err);
    int rc = vec_push(&d->tuples, ((struct iceberg_decoded_tuple){values, (size_t)n}));
    return rc < 0 ? no_room(rc, err) : 0;
}

/* Differences of ascending numbers, into room for n of them. */
static bool take_ids(struct bytes *b, int32_t *ids, uint64_t n, bool differences)
{
    uint64_t before = 0;
    for (size_t i = 0; i < n && !b->bad; i++) {
        uint64_t id = bytes_varint(b);
        before = differences ? before + id : id;
        if (id > INT32_MAX || before > INT32_MAX)
            return false;
        ids[i] = (int32_t)before;
    }
    return !b->bad;
}

static int take_columns(struct iceberg_decoded *d, struct err *err)
{
    struct bytes *b = &d->at;
    uint64_t n = bytes_varint(b);
    if (b->bad || n > bytes_left(b))
        return damaged(err);
    int32_t *ids = arena_calloc(&d->arena, (size_t)n + 1, sizeof ids[0]);
    if (!ids)
        return arena_failed(&d->arena, "a manifest's columns", err);
    if (!take_ids(b, ids, n, true))
        return damaged(err);
    int rc = vec_push(&d->columns, ((struct iceberg_columns){ids, (size_t)n}));
    return rc < 0 ? no_room(rc, err) : 0;
}

static int take_of_deletes(struct iceberg_decoded *d, struct iceberg_entry *f, struct err *err)
{
    struct bytes *b = &d->at;
    f->referenced = take_text(b);
    if (bytes_u8(b)) {
        f->lower = take_text(b);
        f->upper = take_text(b);
    }
    f->offset = bytes_zigzag(b);
    f->length = bytes_zigzag(b);
    uint64_t n = bytes_varint(b);
    if (b->bad || n > bytes_left(b))
        return damaged(err);
    if (n > d->ids_capacity) {
        int32_t *more = reallocarray(d->ids, (size_t)n, sizeof more[0]);
        if (!more)
            return no_room(-ENOMEM, err);
        d->ids = more;
        d->ids_capacity = (size_t)n;
    }
    f->ids = d->ids;
    f->ids_n = (size_t)n;
    return take_ids(b, d->ids, n, false) ? 0 : damaged(err);
}

static int take_file(struct iceberg_decoded *d, struct iceberg_entry *f, struct err *err)
{
    struct bytes *b = &d->at;
    uint8_t flags = bytes_u8(b);
    d->snapshot = (int64_t)((uint64_t)d->snapshot + (uint64_t)bytes_zigzag(b));
    d->sequence = (int64_t)((uint64_t)d->sequence + (uint64_t)bytes_zigzag(b));
    uint64_t shared = bytes_varint(b);
    struct slice rest = take_text(b);
    *f = (struct iceberg_entry){
        .status = (enum iceberg_status)(flags & 3),
        .content = (enum iceberg_content)(flags >> 2 & 3),
        .format = (enum iceberg_format)(flags >> 4 & 3),
        .encrypted = flags >> 6 & 1,
        .snapshot = d->snapshot,
        .sequence = d->sequence,
        .size = bytes_varint(b),
        .rows = bytes_varint(b),
        .offset = ICEBERG_NONE,
        .length = ICEBERG_NONE,
    };
    uint64_t tuple = bytes_varint(b), columns = bytes_varint(b);
    if (b->bad || shared > d->path.len || tuple >= d->tuples.n || columns >= d->columns.n)
        return damaged(err);
    d->path.len = (size_t)shared;
    buf_add_slice(&d->path, rest);
    int rc = buf_check(&d->path, err);
    if (rc < 0)
        return rc;
    f->path = buf_slice(&d->path);
    f->tuple = (uint32_t)tuple;
    f->columns = (uint32_t)columns;
    d->files++;
    return f->content == ICEBERG_DATA ? 0 : take_of_deletes(d, f, err);
}

int iceberg_decoded_next(struct iceberg_decoded *d, struct iceberg_entry *out, struct err *err)
{
    while (!d->ended) {
        int rc = bytes_left(&d->at) ? 1 : next_frame(d, err);
        if (rc <= 0)
            return rc < 0 ? rc : damaged(err);
        switch (bytes_u8(&d->at)) {
        case RECORD_TUPLE:
            rc = take_tuple(d, err);
            break;
        case RECORD_COLUMNS:
            rc = take_columns(d, err);
            break;
        case RECORD_FILE:
            rc = take_file(d, out, err);
            return rc < 0 ? rc : 1;
        case RECORD_END:
            d->ended = bytes_varint(&d->at) == d->files && !d->at.bad && !bytes_left(&d->at);
            rc = d->ended ? next_frame(d, err) : damaged(err);
            rc = rc > 0 ? damaged(err) : rc;
            break;
        default:
            rc = damaged(err);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}
