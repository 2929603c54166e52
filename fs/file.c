/* SPDX-License-Identifier: Apache-2.0 */
/* OPEN, READ, RELEASE. */
#include <fcntl.h>

#include "base/file.h"
#include "fs/attr.h"
#include "fs/ops.h"
#include "lake/view/transform.h"

/* An open file: an object through a transform, or a document. */
struct opened {
    struct handle handle;
    uint64_t node;
    struct object *object;
    struct document *document;
    struct table *table; /* NULL outside tables; borrowed from the lake */
    enum transform transform;
};

static void opened_free(struct opened *h)
{
    char etag[ETAG_BYTES_MAX];
    if (h->node)
        pages_note(&h->handle.session->pages, h->node, slice_of(object_etag(h->object, etag)));
    object_unref(h->object);
    document_unref(h->document);
    free(h);
}
DEFINE_AUTO(opened, struct opened *, opened_free)

static void free_handle(struct handle *h)
{
    opened_free(CONTAINER_OF(h, struct opened, handle));
}

static int open_object(struct request *r, const struct object_name *name, struct opened *h,
                       struct err *err)
{
    struct session *s = r->session;
    int rc =
        object_open_blocks(s->lake->store) ? task_to_worker(&r->task, s->config.lake.workers) : 0;
    return rc < 0 ? rc : object_open(s->config.lake.cache, name, &h->object, err);
}

/* A file of a snapshot: the driver says where its object is. */
static int open_file(struct request *r, const struct node *node, struct opened *h, struct err *err)
{
    AUTO(run) struct run *run = NULL;
    AUTO(buf) struct buf scratch = {0};
    struct entry entry;
    struct object_location where;
    struct session *s = r->session;
    int rc = lake_run_find(s->lake, node->number, &r->task, &h->table, &run, err);
    if (rc < 0)
        return rc;
    buf_init(&scratch, ACTION_BYTES_MAX);
    buf_init(&where.key, KEY_BYTES_MAX);
    buf_init(&where.etag, ETAG_BYTES_MAX);
    table_touch(h->table);
    rc = lake_heal_run(s->lake, h->table, run,
                       run_file(run, node->ordinal, &scratch, &entry, NULL, err), err);
    if (rc == 0)
        rc = table_ops(h->table)->locate(table_driver(h->table), &entry, &where, err);
    if (rc == 0) {
        struct object_name name = {.store = s->lake->store,
                                   .key = buf_slice(&where.key),
                                   .size = entry.size,
                                   .etag = buf_slice(&where.etag)};
        rc = open_object(r, &name, h, err);
    }
    if (rc < 0 && rc != -EINPROGRESS)
        (void)err_wrap(err, "table %.*s, file %.*s", SLICE_FMT(table_path(h->table)),
                       SLICE_FMT(entry.path));
    buf_done(&where.key);
    buf_done(&where.etag);
    return rc;
}

static int open_place(struct request *r, struct opened *h, struct err *err)
{
    AUTO(where) struct where w = {0};
    where_init(&w);
    int rc = attr_where(r, r->ino, &w, err);
    if (rc < 0)
        return rc;
    if (w.kind == WHERE_DOCUMENT) {
        r->file.direct_io = true; /* what it says may change under the kernel's pages */
        return op_document(r, &w, &h->document, err);
    }
    if (w.kind != WHERE_OBJECT)
        return err_set(err, EISDIR, "not a file");
    struct object_name name = {.store = r->session->lake->store,
                               .key = buf_slice(&w.path),
                               .size = w.size,
                               .etag = buf_slice(&w.etag)};
    return open_object(r, &name, h, err);
}

int op_open(struct request *r, struct err *err)
{
    if ((r->file.flags & O_ACCMODE) != O_RDONLY || (r->file.flags & O_TRUNC))
        return err_set(err, EROFS, "the lake is read-only");
    AUTO(opened) struct opened *h = calloc(1, sizeof *h);
    if (!h)
        return err_set(err, ENOMEM, "out of memory");
    struct node node = node_of(r->ino);
    int rc = node.kind == NODE_FILE ? open_file(r, &node, h, err) : open_place(r, h, err);
    if (rc < 0)
        return rc;
    if (node.kind == NODE_FILE && object_open_blocks(r->session->lake->store)) {
        r->file.keep_cache = true; /* an id is one object for ever */
    } else if (node.kind == NODE_FILE) {
        char etag[ETAG_BYTES_MAX];
        h->node = r->ino;
        r->file.keep_cache =
            pages_may_stay(&r->session->pages, r->ino, slice_of(object_etag(h->object, etag)));
    }
    return request_reply_open(r, &STEAL(h)->handle, free_handle);
}

/* The object's bytes have come, on whatever thread brought them. */
static void read_done(struct object_read *read)
{
    struct request *r = CONTAINER_OF(read, struct request, read);
    if (read->rc < 0) {
        request_fail(r, read->rc, &read->err);
        return;
    }
    (void)request_reply_buf(r, r->buffer, read->length); /* always 0 */
    request_end(r);
}

static int read_document(struct request *r, const struct document *d, struct err *err)
{
    uint64_t size = document_size(d), offset = (uint64_t)r->offset;
    size_t n = offset >= size ? 0 : r->size;
    if (n > size - offset)
        n = (size_t)(size - offset);
    int rc = task_to_worker(&r->task, r->session->config.lake.workers);
    if (rc == 0)
        rc = file_pread_full(document_fd(d), r->buffer, n, r->offset, err);
    return rc < 0 ? rc : request_reply_buf(r, r->buffer, n);
}

int op_read(struct request *r, struct err *err)
{
    struct opened *h = CONTAINER_OF((struct handle *)(uintptr_t)r->file.fh, struct opened, handle);
    if (r->size > READ_BYTES_MAX)
        r->size = READ_BYTES_MAX;
    if (!r->buffer) {
        int rc = buffers_get(r->session->buffers, &r->task.job, &r->buffer);
        if (rc < 0)
            return rc;
    }
    if (h->document)
        return read_document(r, h->document, err);
    if (h->table)
        table_touch(h->table);
    struct transform_piece piece =
        transform_map(h->transform, object_size(h->object), (uint64_t)r->offset, r->size);
    if (piece.length == 0)
        return request_reply_buf(r, NULL, 0);
    r->object = object_ref(h->object); /* an interrupted read may outlive the handle */
    r->read = (struct object_read){
        .offset = piece.offset, .length = piece.length, .to = r->buffer, .done = read_done};
    int rc = object_read(h->object, &r->read, err);
    return rc < 0 ? rc : request_reply_buf(r, r->buffer, piece.length);
}
