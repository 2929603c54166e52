/* SPDX-License-Identifier: Apache-2.0 */
/* OPENDIR, READDIR, READDIRPLUS: one stream shows one version, whatever happens meanwhile. */
#include <assert.h>

#include "base/log.h"
#include "fs/attr.h"
#include "fs/ops.h"

/* Offsets: 0 start, 1 behind `.`, 2 behind `..`, then the entries' own cookies above that. */
#define OFFSET_DOT 1
#define OFFSET_DOTDOT 2

struct dir_handle {
    struct handle handle;
    struct where where; /* holds the version or listing that the stream shows */
    struct asker asker; /* who opened it, as the next line */
    struct shown shown;
    uint8_t *hidden;         /* of the listing's entries; NULL: none */
    bool parts;              /* of a table without columns; each entry is asked for */
    struct history *history; /* of VERSIONS, as the next line */
    struct tags *tags;
    bool damaged; /* the index was, before anything was shown: the stream begins with a new one */
};

static void dir_handle_free(struct dir_handle *h)
{
    where_done(&h->where);
    asker_done(&h->asker);
    shown_done(&h->shown);
    held_free(h->handle.held);
    free(h->hidden);
    history_unref(h->history);
    tags_unref(h->tags);
    free(h);
}
DEFINE_AUTO(dir_handle, struct dir_handle *, dir_handle_free)

static void free_handle(struct handle *h)
{
    dir_handle_free(CONTAINER_OF(h, struct dir_handle, handle));
}

static struct dir_handle *handle_of(const struct request *r)
{
    return CONTAINER_OF((struct handle *)(uintptr_t)r->file.fh, struct dir_handle, handle);
}

/* What is not shown is said once. */
static void warn_left_out(const char *mountpoint, struct listing *l, struct slice path)
{
    if (l && listing_tell_left_out(l))
        log_warn("%s: directory /%.*s: %zu objects have no name that a file can have; "
                 "tarn doctor lists them",
                 mountpoint, SLICE_FMT(path), listing_left_out(l)->count);
}

/* The directory, for who opens it. Of the mount's root there is always something to open. */
static int open_shown(struct request *r, struct dir_handle *h, struct err *err)
{
    int rc = govern_ask(r, &h->asker, err);
    if (rc == 0)
        rc = attr_shown(r, &h->asker, &h->where, &h->shown, err);
    if (rc == 0 && h->where.table)
        h->parts = govern_keeps_parts_below(&h->asker, h->where.table);
    if (rc == 0)
        rc = govern_list(&h->asker, buf_slice(&h->where.path), h->where.listing, &r->task,
                         &h->hidden, err);
    return rc == 0 ? govern_hold(&h->asker, &h->where, &h->shown, r->ino, &h->handle.held, err)
                   : rc;
}

int op_opendir(struct request *r, struct err *err)
{
    AUTO(dir_handle) struct dir_handle *h = calloc(1, sizeof *h);
    if (!h)
        return err_set(err, ENOMEM, "out of memory");
    where_init(&h->where);
    int rc = open_shown(r, h, err);
    if (rc == 0 && h->where.kind == WHERE_VERSIONS)
        rc = table_history(h->where.table, &r->task, &h->history, err);
    if (rc == 0 && h->history && h->history->numbered)
        rc = table_tags(h->where.table, &r->task, &h->tags, err);
    if (rc < 0)
        return rc;
    warn_left_out(r->session->mountpoint, h->where.listing, buf_slice(&h->where.path));
    r->file.cache_readdir = h->where.kind == WHERE_PINNED && !h->asker.governor;
    r->file.keep_cache = r->file.cache_readdir;
    return request_reply_open(r, 0, &STEAL(h)->handle, free_handle);
}

/* One reply that is being filled. */
struct filling {
    struct request *r;
    struct dir_handle *handle;
    bool plus;
    char *to;
    size_t used;
    double name_timeout_s;
    struct err *err;
};

/* 0: it is in; 1: the reply is full. */
static int put(struct filling *f, const char *name, const struct fuse_entry_param *e, off_t next)
{
    size_t room = f->r->size - f->used;
    size_t n = f->plus ? fuse_add_direntry_plus(f->r->req, f->to + f->used, room, name, e, next)
                       : fuse_add_direntry(f->r->req, f->to + f->used, room, name, &e->attr, next);
    if (n > room)
        return 1;
    f->used += n;
    return 0;
}

/* An entry that the kernel is told without its attributes; it asks for them if it wants them. */
static int put_bare(struct filling *f, const char *name, mode_t type, uint64_t ino, off_t next)
{
    struct fuse_entry_param e = {.attr = {.st_mode = type, .st_ino = ino}};
    return put(f, name, &e, next);
}

/* The inode number of a name that is a place of its own below the directory. */
static uint64_t place_ino(const struct filling *f, const char *name)
{
    AUTO(buf) struct buf path = {0};
    const struct buf *dir = &f->handle->where.path;
    buf_init(&path, REGISTRY_NAME_MAX);
    buf_addf(&path, "%.*s%s%s", SLICE_FMT(buf_slice(dir)), dir->len ? "/" : "", name);
    return attr_ino(f->r->session, buf_slice(&path), 0);
}

static int put_dots(struct filling *f, off_t *offset)
{
    int rc = 0;
    if (*offset == 0) {
        rc = put_bare(f, ".", S_IFDIR, NODE_ROOT, OFFSET_DOT);
        *offset = OFFSET_DOT;
    }
    if (rc == 0 && *offset == OFFSET_DOT) {
        rc = put_bare(f, "..", S_IFDIR, NODE_ROOT, OFFSET_DOTDOT);
        *offset = OFFSET_DOTDOT;
    }
    return rc;
}

/* Node and attributes of a snapshot's entry, without walking to it. */
static int snapshot_entry(struct filling *f, const char *name, const struct snapshot_node *node,
                          const struct entry *entry, struct fuse_entry_param *out)
{
    const struct where *dir = &f->handle->where;
    AUTO(where) struct where child = {0};
    where_init(&child);
    if (entry) {
        struct where_file file = where_file_of(dir->table, dir->version, node, entry);
        int rc = where_set_file(&child, &file, f->err);
        shown_narrow(&f->handle->shown, &child);
        return rc < 0 ? rc : attr_entry(f->r->session, &child, &f->handle->shown, out, f->err);
    }
    child.kind = dir->kind;
    child.table = dir->table;
    child.version = table_version_ref(dir->version);
    child.dir = node->ordinal;
    buf_add_slice(&child.path, buf_slice(&dir->path));
    if (dir->kind == WHERE_LIVE)
        buf_addf(&child.path, "%s%s", dir->path.len ? "/" : "", name);
    int rc = buf_check(&child.path, f->err);
    return rc < 0 ? rc : attr_entry(f->r->session, &child, &f->handle->shown, out, f->err);
}

/* As its attributes will say, without writing a live directory's place down. */
static int snapshot_ino(const struct filling *f, const char *name, const struct snapshot_node *node,
                        const struct entry *entry, uint64_t *out)
{
    const struct where *dir = &f->handle->where;
    if (entry) {
        struct where_file file = where_file_of(dir->table, dir->version, node, entry);
        int rc = where_identity(&file, out, f->err);
        if (rc == 0)
            *out = shown_identity(&f->handle->shown, *out);
        return rc;
    }
    *out = dir->kind == WHERE_LIVE ? place_ino(f, name)
                                   : attr_ino(f->r->session, buf_slice(&dir->path), node->ordinal);
    return 0;
}

/* What partition values leave of an entry. */
static bool snapshot_shows(const struct filling *f, struct slice name, const struct entry *entry)
{
    const struct dir_handle *h = f->handle;
    AUTO(buf) struct buf path = {0};
    if (!h->shown.view && !h->parts)
        return true;
    if (entry)
        return h->parts ? govern_has_path(&h->asker, h->where.table, entry->path)
                        : shown_has_file(&h->shown, entry->path, entry->flags & ENTRY_BUILT);
    buf_init(&path, KEY_BYTES_MAX);
    if (where_table_path(&h->where, &path, NULL) < 0)
        return false;
    buf_addf(&path, "%s%.*s", path.len ? "/" : "", SLICE_FMT(name));
    if (h->parts)
        return !path.failed && govern_has_path(&h->asker, h->where.table, buf_slice(&path));
    buf_add_char(&path, '/');
    return !path.failed && shown_has_dir(&h->shown, buf_slice(&path));
}

static int emit_snapshot(void *arg, struct slice name, const struct snapshot_node *node,
                         const struct entry *entry, uint64_t next)
{
    struct filling *f = arg;
    char text[NAME_BYTES_MAX + 1];
    off_t offset = (off_t)(next + OFFSET_DOTDOT);
    assert(name.n < sizeof text);
    if (!snapshot_shows(f, name, entry))
        return 0;
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    if (!f->plus) {
        uint64_t ino;
        int rc = snapshot_ino(f, text, node, entry, &ino);
        return rc < 0 ? rc : put_bare(f, text, entry ? S_IFREG : S_IFDIR, ino, offset);
    }
    struct fuse_entry_param e = {.entry_timeout = f->name_timeout_s};
    int rc = snapshot_entry(f, text, node, entry, &e);
    return rc < 0 ? rc : put(f, text, &e, offset);
}

static int fill_snapshot(struct filling *f, off_t offset)
{
    const struct where *w = &f->handle->where;
    if (!w->version->snapshot)
        return 0;
    int rc = snapshot_list(w->version->snapshot, w->dir, (uint64_t)(offset - OFFSET_DOTDOT),
                           emit_snapshot, f, f->err);
    return lake_heal_version(f->r->session->lake, w->table, w->version, rc, f->err);
}

static bool is_hidden(const struct dir_handle *h, size_t i)
{
    return h->hidden && h->hidden[i / 8] >> i % 8 & 1;
}

/* Without attributes also in READDIRPLUS: what an entry is, is asked when it is looked up. */
static int fill_listing(struct filling *f, off_t offset)
{
    struct listing *l = f->handle->where.listing;
    /* As of a moment: what plain objects were then is not known. */
    bool dirs_only = where_moment(buf_slice(&f->handle->where.path), NULL);
    int rc = 0;
    for (size_t i = (size_t)(offset - OFFSET_DOTDOT); rc == 0 && i < listing_count(l); i++) {
        const struct listing_entry *e = listing_at(l, i);
        char text[NAME_BYTES_MAX + 1];
        if ((dirs_only && !e->is_dir) || is_hidden(f->handle, i))
            continue;
        (void)snprintf(text, sizeof text, "%.*s", SLICE_FMT(e->name)); /* bounded by the listing */
        rc = put_bare(f, text, e->is_dir ? S_IFDIR : S_IFREG, place_ino(f, text),
                      (off_t)i + 1 + OFFSET_DOTDOT);
    }
    return rc;
}

/* The i-th of the format's names, then of ours; false where it is not listed. */
static bool name_at(const struct filling *f, size_t i, struct buf *name)
{
    const struct history *h = f->handle->history;
    const struct tags *tags = f->handle->tags;
    if (i < h->names_n) {
        ref_name_format(name, h->names[i].name, h->names[i].branch);
        return true;
    }
    const struct tag *tag = &tags->at[i - h->names_n];
    tag_name_format(name, tag->name);
    return !tag->hidden && !history_named(h, tag->name) && history_find(h, tag->version) >= 0;
}

/* Behind the versions, by their places in the list. */
static int fill_names(struct filling *f, size_t from)
{
    const struct history *h = f->handle->history;
    size_t n = h->names_n + (f->handle->tags ? f->handle->tags->n : 0);
    int rc = 0;
    for (size_t i = from; rc == 0 && i < n; i++) {
        AUTO(buf) struct buf text = {0};
        buf_init(&text, KEY_BYTES_MAX);
        if (name_at(f, i, &text) && !text.failed && text.len <= NAME_BYTES_MAX)
            rc = put_bare(f, text.data, S_IFLNK, place_ino(f, text.data),
                          (off_t)(h->n + i) + 1 + OFFSET_DOTDOT);
    }
    return rc;
}

static int fill_versions(struct filling *f, off_t offset)
{
    const struct history *h = f->handle->history;
    size_t from = (size_t)(offset - OFFSET_DOTDOT);
    int rc = 0;
    if (!h->numbered)
        return 0;
    for (size_t i = from; rc == 0 && i < h->n; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%lld", (long long)h->at[i].number); /* 20 digits */
        rc = put_bare(f, text, S_IFLNK, place_ino(f, text), (off_t)i + 1 + OFFSET_DOTDOT);
    }
    return rc ? rc : fill_names(f, from > h->n ? from - h->n : 0);
}

static int fill_meta(struct filling *f, off_t offset)
{
    int rc = 0;
    const char *name;
    if (!f->handle->where.table)
        return 0; /* the root's: found by name */
    const struct driver_ops *ops = table_ops(f->handle->where.table);
    for (size_t i = (size_t)(offset - OFFSET_DOTDOT); rc == 0 && (name = document_name(ops, i));
         i++)
        rc = put_bare(f, name, S_IFREG, place_ino(f, name), (off_t)i + 1 + OFFSET_DOTDOT);
    return rc;
}

static int fill(struct filling *f, off_t offset)
{
    switch (f->handle->where.kind) {
    case WHERE_DIR:
        return fill_listing(f, offset);
    case WHERE_LIVE:
    case WHERE_PINNED:
        return fill_snapshot(f, offset);
    case WHERE_VERSIONS:
        return fill_versions(f, offset);
    case WHERE_META:
        return fill_meta(f, offset);
    case WHERE_LINK:
    case WHERE_DOCUMENT:
    case WHERE_PREFETCH:
    case WHERE_FILE:
    case WHERE_OBJECT:
        break;
    }
    return err_set(f->err, ENOTDIR, "not a directory");
}

/* The directory as it is now, for a stream that has shown nothing yet. */
static int begin_again(struct request *r, struct dir_handle *h, struct err *err)
{
    AUTO(where) struct where fresh = {0};
    where_init(&fresh);
    int rc = attr_where(r, r->ino, &fresh, err);
    if (rc < 0)
        return rc;
    if (h->asker.governor) /* the view is of the version as it was opened */
        return err_set(err, ESTALE, "the index was damaged while the directory was open");
    where_done(&h->where);
    h->where = fresh;
    h->damaged = false;
    where_init(&fresh);
    return 0;
}

static int read_entries(struct request *r, bool plus, struct err *err)
{
    struct dir_handle *h = handle_of(r);
    int held = govern_held(h->handle.held);
    if (held < 0)
        return held;
    if (h->damaged) {
        int rc = begin_again(r, h, err);
        if (rc < 0)
            return rc;
    }
    if (r->size > READ_BYTES_MAX)
        r->size = READ_BYTES_MAX;
    if (!r->buffer) {
        int rc = buffers_get(r->session->buffers, &r->task.job, &r->buffer);
        if (rc < 0)
            return rc;
    }
    struct filling f = {.r = r,
                        .handle = h,
                        .plus = plus,
                        .to = r->buffer,
                        .name_timeout_s = attr_name_timeout(r->session, &h->where),
                        .err = err};
    if (h->where.table)
        table_touch(h->where.table);
    off_t offset = r->offset;
    int rc = put_dots(&f, &offset);
    if (rc == 0)
        rc = fill(&f, offset);
    if (rc == -ESTALE && r->offset == 0 && !r->again) {
        r->again = h->damaged = true;
        return read_entries(r, plus, err);
    }
    return rc < 0 ? rc : request_reply_buf(r, f.to, f.used);
}

int op_readdir(struct request *r, struct err *err)
{
    return read_entries(r, false, err);
}

int op_readdirplus(struct request *r, struct err *err)
{
    return read_entries(r, true, err);
}
