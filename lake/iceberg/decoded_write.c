/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "lake/iceberg/decoded_private.h"

void iceberg_decoded_writer_init(struct iceberg_decoded_writer *w, int fd,
                                 const struct iceberg_manifest *manifest)
{
    *w = (struct iceberg_decoded_writer){
        .fd = fd, .manifest = manifest, .head.deletes = manifest->deletes};
    buf_init(&w->frame, FRAME_BYTES_MAX);
    buf_init(&w->path, ACTION_BYTES_MAX);
}

void iceberg_decoded_writer_done(struct iceberg_decoded_writer *w)
{
    buf_done(&w->frame);
    buf_done(&w->path);
}

static void add_zigzag(struct buf *b, int64_t v)
{
    buf_add_varint(b, ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0));
}

static void add_text(struct buf *b, struct slice s)
{
    buf_add_varint(b, s.n);
    buf_add_slice(b, s);
}

static int write_all(int fd, const char *data, size_t n, struct err *err)
{
    while (n) {
        ssize_t done = write(fd, data, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return err_set(err, done < 0 ? errno : EIO, "a manifest is not kept: %s",
                           done < 0 ? strerror(errno) : "nothing was written");
        data += done;
        n -= (size_t)done;
    }
    return 0;
}

/* Writes what is in the frame; the empty one ends the file. */
static int flush(struct iceberg_decoded_writer *w, struct err *err)
{
    int rc = buf_check(&w->frame, err);
    if (rc < 0)
        return rc;
    uint32_t head[2] = {(uint32_t)w->frame.len, crc32c(0, w->frame.data, w->frame.len)};
    rc = write_all(w->fd, (const char *)head, sizeof head, err);
    if (rc == 0)
        rc = write_all(w->fd, w->frame.data, w->frame.len, err);
    buf_reset(&w->frame);
    return rc;
}

/* Before every record. */
static int begin(struct iceberg_decoded_writer *w, struct err *err)
{
    if (w->begun)
        return w->frame.len < ICEBERG_DECODED_FRAME_BYTES ? 0 : flush(w, err);
    w->begun = true;
    int rc = write_all(w->fd, ICEBERG_DECODED_MAGIC, sizeof ICEBERG_DECODED_MAGIC - 1, err);
    buf_add_char(&w->frame, RECORD_HEAD);
    buf_add_varint(&w->frame, w->manifest->length);
    add_text(&w->frame, w->manifest->path);
    add_zigzag(&w->frame, w->head.spec_id);
    buf_add_char(&w->frame, w->head.deletes);
    return rc;
}

static int take_tuple(void *arg, const struct iceberg_tuple_value *values, size_t n,
                      struct err *err)
{
    struct iceberg_decoded_writer *w = arg;
    struct buf *b = &w->frame;
    int rc = begin(w, err);
    buf_add_char(b, RECORD_TUPLE);
    buf_add_varint(b, n);
    for (size_t i = 0; i < n; i++) {
        const struct iceberg_value *v = &values[i].value;
        add_zigzag(b, values[i].field_id);
        add_text(b, values[i].name);
        buf_add_char(b, (char)v->kind);
        switch (v->kind) {
        case ICEBERG_NULL:
            break;
        case ICEBERG_NUMBER:
            add_zigzag(b, v->number);
            break;
        case ICEBERG_REAL:
            buf_add(b, &v->real, sizeof v->real);
            break;
        case ICEBERG_BYTES:
            add_text(b, v->bytes);
            break;
        }
    }
    return rc < 0 ? rc : buf_check(b, err);
}

static int take_columns(void *arg, const struct iceberg_columns *columns, struct err *err)
{
    struct iceberg_decoded_writer *w = arg;
    int rc = begin(w, err);
    int32_t before = 0;
    buf_add_char(&w->frame, RECORD_COLUMNS);
    buf_add_varint(&w->frame, columns->n);
    for (size_t i = 0; i < columns->n; i++) {
        buf_add_varint(&w->frame, (uint64_t)(columns->ids[i] - before));
        before = columns->ids[i];
    }
    return rc < 0 ? rc : buf_check(&w->frame, err);
}

static void add_of_deletes(struct buf *b, const struct iceberg_entry *f)
{
    add_text(b, f->referenced);
    buf_add_char(b, f->lower.p && f->upper.p);
    if (f->lower.p && f->upper.p) {
        add_text(b, f->lower);
        add_text(b, f->upper);
    }
    add_zigzag(b, f->offset);
    add_zigzag(b, f->length);
    buf_add_varint(b, f->ids_n);
    for (size_t i = 0; i < f->ids_n; i++)
        buf_add_varint(b, (uint64_t)f->ids[i]);
}

static int take_file(void *arg, const struct iceberg_entry *f, struct err *err)
{
    struct iceberg_decoded_writer *w = arg;
    struct buf *b = &w->frame;
    int rc = begin(w, err);
    if (rc < 0)
        return rc;
    size_t shared = 0;
    while (shared < f->path.n && shared < w->path.len && f->path.p[shared] == w->path.data[shared])
        shared++;
    buf_add_char(b, RECORD_FILE);
    buf_add_char(b, (char)(f->status | f->content << 2 | f->format << 4 | f->encrypted << 6));
    add_zigzag(b, (int64_t)((uint64_t)f->snapshot - (uint64_t)w->snapshot));
    add_zigzag(b, (int64_t)((uint64_t)f->sequence - (uint64_t)w->sequence));
    buf_add_varint(b, shared);
    add_text(b, slice_from(f->path, shared));
    buf_add_varint(b, f->size);
    buf_add_varint(b, f->rows);
    buf_add_varint(b, f->tuple);
    buf_add_varint(b, f->columns);
    if (f->content != ICEBERG_DATA)
        add_of_deletes(b, f);
    w->snapshot = f->snapshot;
    w->sequence = f->sequence;
    w->path.len = shared;
    buf_add_slice(&w->path, slice_from(f->path, shared));
    w->files++;
    rc = buf_check(&w->path, err);
    return rc < 0 ? rc : buf_check(b, err);
}

struct iceberg_manifest_sink iceberg_decoded_sink(struct iceberg_decoded_writer *w)
{
    return (struct iceberg_manifest_sink){take_tuple, take_columns, take_file, w};
}

int iceberg_decoded_finish(struct iceberg_decoded_writer *w, struct err *err)
{
    int rc = begin(w, err);
    buf_add_char(&w->frame, RECORD_END);
    buf_add_varint(&w->frame, w->files);
    if (rc == 0)
        rc = flush(w, err);
    return rc < 0 ? rc : flush(w, err);
}
