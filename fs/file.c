/* SPDX-License-Identifier: Apache-2.0 */
/* READ: what the kernel does not read itself. */
#include "base/file.h"
#include "fs/opened.h"
#include "fs/ops.h"

static struct opened *opened_of(const struct request *r)
{
    return CONTAINER_OF((struct handle *)(uintptr_t)r->file.fh, struct opened, handle);
}

/* The object's bytes have come, on whatever thread brought them. */
static void read_done(struct object_read *read)
{
    struct request *r = CONTAINER_OF(read, struct request, read);
    int rc = read->rc;
    if (rc == 0)
        rc = govern_held(opened_of(r)->handle.held); /* as it is now, not when it was asked */
    if (rc == 0) {
        reader_was_read(opened_of(r), read->offset, read->bytes, read->length);
        (void)request_reply_buf(r, read->bytes, read->length); /* always 0 */
    }
    object_read_end(read);
    if (rc < 0)
        request_fail(r, rc, &read->err);
    else
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
    struct opened *h = opened_of(r);
    int held = govern_held(h->handle.held);
    if (held < 0)
        return held;
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
    uint64_t size = object_size(h->object), offset = (uint64_t)r->offset;
    uint64_t left = offset < size ? size - offset : 0;
    size_t length = left < r->size ? (size_t)left : r->size;
    if (length == 0)
        return request_reply_buf(r, NULL, 0);
    r->object = object_ref(h->object); /* an interrupted read may outlive the handle */
    r->read = (struct object_read){
        .offset = offset, .length = length, .to = r->buffer, .borrow = true, .done = read_done};
    /* Not after the read, with which the session may end. */
    r->read.fetch_bytes = reader_read(h, offset, length);
    int rc = object_read(h->object, &r->read, err);
    if (rc < 0)
        return rc;
    reader_was_read(h, offset, r->buffer, length);
    return request_reply_buf(r, r->buffer, length);
}
