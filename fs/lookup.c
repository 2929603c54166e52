/* SPDX-License-Identifier: Apache-2.0 */
/* LOOKUP, GETATTR, READLINK, STATFS: names and what they are. */
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"
#include "fs/attr.h"
#include "fs/ops.h"

static bool document_has(void *arg, const struct entry *entry)
{
    return shown_has_file(arg, entry->path, entry->flags & ENTRY_BUILT);
}

int op_document(struct request *r, const struct where *w, const struct shown *shown,
                struct document **out, struct err *err)
{
    struct shown own = *shown; /* borrows */
    const struct document_shown part = {.hash = shown_hash(shown),
                                        .shape = shown->view ? shown->view->shape : NULL,
                                        .file = document_has,
                                        .arg = &own};
    struct document_of of = {.table = w->table,
                             .version = w->version,
                             .name = text_basename(buf_slice(&w->path)),
                             .shown = shown->view ? &part : NULL};
    return document_open(r->session->documents, &of, &r->task, out, err);
}

/* A document's size is that of what it says now. */
static int measure_document(struct request *r, struct where *w, const struct shown *shown,
                            struct err *err)
{
    AUTO(document) struct document *d = NULL;
    if (w->kind != WHERE_DOCUMENT)
        return 0;
    int rc = op_document(r, w, shown, &d, err);
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

/* What the parent's node stands for, as a place; nothing of a file. */
static int parent_place(struct request *r, struct buf *out, struct err *err)
{
    char kind;
    buf_init(out, REGISTRY_NAME_MAX);
    return node_of(r->ino).kind == NODE_FILE ? err_set(err, ENOTDIR, "not a directory")
                                             : attr_place_of(r->session, r->ino, &kind, out, err);
}

/* As find_child, for who asks: what he may not know of is not there, whatever became of it. */
static int find_shown(struct request *r, const struct asker *a, struct where *parent,
                      struct where *child, struct shown *shown, struct err *err)
{
    AUTO(buf) struct buf place = {0};
    int rc = parent_place(r, &place, err);
    if (rc == 0)
        rc = govern_path(a, buf_slice(&place), err);
    if (rc < 0)
        return rc;
    rc = find_child(r, parent, child, err);
    if (rc == 0)
        return child->kind == WHERE_DIR ? govern_name(a, child, &r->task, err)
                                        : govern_where(a, child, &r->task, shown, err);
    if (rc == -EINPROGRESS || rc == -ENOENT)
        return rc;
    buf_addf(&place, "%s%s", place.len ? "/" : "", r->name);
    return govern_path(a, buf_slice(&place), NULL) < 0 ? -ENOENT : rc;
}

int op_lookup(struct request *r, struct err *err)
{
    AUTO(where) struct where parent = {0}, child = {0};
    AUTO(asker) struct asker asker;
    AUTO(shown) struct shown shown = {.view = NULL};
    struct session *s = r->session;
    int rc = govern_ask(r, &asker, err);
    if (rc < 0)
        return rc;
    where_init(&parent);
    where_init(&child);
    if (strlen(r->name) > NAME_BYTES_MAX)
        return err_set(err, ENAMETOOLONG, "name too long");
    rc = asker.governor ? find_shown(r, &asker, &parent, &child, &shown, err)
                        : find_child(r, &parent, &child, err);
    if (rc == 0)
        rc = measure_document(r, &child, &shown, err);
    if (rc == -EINPROGRESS)
        return rc;
    struct fuse_entry_param entry = {.entry_timeout = attr_name_timeout(s, &parent)};
    if (rc == -ENOENT && parent.kind == WHERE_PINNED)
        return request_reply_entry(
            r, &entry); /* no inode: the kernel remembers that it is not there */
    if (rc == 0)
        rc = attr_entry(s, &child, &shown, &entry, err);
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
    AUTO(shown) struct shown shown = {.view = NULL};
    int rc = attr_where(r, r->ino, &w, err);
    if (rc == 0)
        rc = govern_node(r->session->governor, w.table, node.view, &shown, err);
    if (rc < 0)
        return rc;
    shown_narrow(&shown, &w);
    rc = measure_document(r, &w, &shown, err);
    if (rc == 0)
        rc = attr_entry(r->session, &w, &shown, &entry, err);
    if (rc == 0 && w.kind == WHERE_PINNED)
        entry.attr_timeout = ATTR_FOREVER_S;
    return rc < 0 ? rc : request_reply_attr(r, &entry.attr, entry.attr_timeout);
}

int op_readlink(struct request *r, struct err *err)
{
    AUTO(where) struct where w = {0};
    AUTO(asker) struct asker asker;
    AUTO(shown) struct shown shown = {.view = NULL};
    AUTO(buf) struct buf target = {0};
    where_init(&w);
    buf_init(&target, KEY_BYTES_MAX);
    int rc = govern_ask(r, &asker, err);
    if (rc == 0)
        rc = attr_shown(r, &asker, &w, &shown, err);
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
