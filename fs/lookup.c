/* SPDX-License-Identifier: Apache-2.0 */
/* LOOKUP, GETATTR, READLINK, STATFS: names and what they are. */
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"
#include "fs/attr.h"
#include "fs/ops.h"

int op_document(struct request *r, const struct where *w, struct document **out, struct err *err)
{
    struct document_of of = {
        .table = w->table, .version = w->version, .name = text_basename(buf_slice(&w->path))};
    return document_open(r->session->documents, &of, &r->task, out, err);
}

/* A document's size is that of what it says now. */
static int measure_document(struct request *r, struct where *w, struct err *err)
{
    AUTO(document) struct document *d = NULL;
    if (w->kind != WHERE_DOCUMENT)
        return 0;
    int rc = op_document(r, w, &d, err);
    if (rc == 0)
        w->size = document_size(d);
    return rc;
}

/* Finds the child; the parent, too, is filled in, but for the contents of a plain directory. */
static int find_child(struct request *r, struct where *parent, struct where *child, struct err *err)
{
    struct session *s = r->session;
    struct slice name = slice_of(r->name);
    int rc = -ENOENT;
    char kind = PLACE_FILE;
    if (node_of(r->ino).kind == NODE_PLACE)
        rc = attr_place_of(s, r->ino, &kind, &parent->path, err);
    if (rc == 0 && kind == PLACE_DIR)
        rc = where_known_child(s->lake, buf_slice(&parent->path), name, &r->task, child, err);
    if (rc != -ENOENT)
        return rc;
    where_done(child);
    where_init(child);
    rc = attr_where(r, r->ino, parent, err);
    return rc < 0 ? rc : where_child(s->lake, parent, name, &r->task, child, err);
}

int op_lookup(struct request *r, struct err *err)
{
    AUTO(where) struct where parent = {0}, child = {0};
    struct session *s = r->session;
    where_init(&parent);
    where_init(&child);
    if (strlen(r->name) > NAME_BYTES_MAX)
        return err_set(err, ENAMETOOLONG, "name too long");
    int rc = find_child(r, &parent, &child, err);
    if (rc == 0)
        rc = measure_document(r, &child, err);
    if (rc == -EINPROGRESS)
        return rc;
    struct fuse_entry_param entry = {.entry_timeout = attr_name_timeout(s, &parent)};
    if (rc == -ENOENT && parent.kind == WHERE_PINNED)
        return request_reply_entry(
            r, &entry); /* no inode: the kernel remembers that it is not there */
    if (rc == 0)
        rc = attr_entry(s, &child, &entry, err);
    return rc < 0 ? rc : request_reply_entry(r, &entry);
}

/* Directories that are places: nothing has to be asked, and a refused table has attributes too. */
static int reply_place_dir(struct request *r, struct slice path)
{
    struct stat st;
    attr_fill_dir(r->session, r->ino == NODE_ROOT ? NODE_ROOT : attr_ino(r->session, path, 0),
                  r->session->started_ms, &st);
    return request_reply_attr(r, &st, ATTR_LIVE_S);
}

int op_getattr(struct request *r, struct err *err)
{
    AUTO(where) struct where w = {0};
    AUTO(buf) struct buf path = {0};
    struct node node = node_of(r->ino);
    char kind;
    where_init(&w);
    buf_init(&path, REGISTRY_NAME_MAX);
    if (node.kind == NODE_PLACE) {
        int rc = attr_place_of(r->session, r->ino, &kind, &path, err);
        if (rc < 0)
            return rc;
        if (kind == PLACE_DIR)
            return reply_place_dir(r, buf_slice(&path));
    }
    struct fuse_entry_param entry = {.entry_timeout = ATTR_LIVE_S};
    int rc = attr_where(r, r->ino, &w, err);
    if (rc == 0)
        rc = measure_document(r, &w, err);
    if (rc == 0)
        rc = attr_entry(r->session, &w, &entry, err);
    if (rc == 0 && w.kind == WHERE_PINNED)
        entry.attr_timeout = ATTR_FOREVER_S;
    return rc < 0 ? rc : request_reply_attr(r, &entry.attr, entry.attr_timeout);
}

int op_readlink(struct request *r, struct err *err)
{
    AUTO(where) struct where w = {0};
    AUTO(buf) struct buf target = {0};
    where_init(&w);
    buf_init(&target, KEY_BYTES_MAX);
    int rc = attr_where(r, r->ino, &w, err);
    if (rc == 0)
        rc = where_link_target(&w, &target, err);
    return rc < 0 ? rc : request_reply_link(r, target.data);
}

/* The kernel checks no modes: nothing is written but `.tarn/prefetch`, no file is a program. */
int op_access(struct request *r, struct err *err)
{
    AUTO(where) struct where w = {0};
    bool writes = r->size & W_OK, runs = r->size & X_OK, file = false;
    where_init(&w);
    struct node node = node_of(r->ino);
    if (node.kind == NODE_PLACE && (writes || runs)) {
        char kind;
        int rc = attr_place_of(r->session, r->ino, &kind, &w.path, err);
        file = kind == PLACE_FILE;
        if (rc == 0 && file && writes)
            rc = attr_where(r, r->ino, &w, err);
        if (rc < 0)
            return rc;
    }
    if (writes && w.kind != WHERE_PREFETCH)
        return err_set(err, EROFS, "the lake is read-only");
    if (runs && (file || node.kind == NODE_FILE))
        return err_set(err, EACCES, "not a program");
    return request_reply_done(r);
}

int op_statfs(struct request *r, struct err *err)
{
    (void)err;
    struct statvfs st = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = NAME_BYTES_MAX};
    return request_reply_statfs(r, &st);
}
