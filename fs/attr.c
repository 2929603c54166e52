/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/attr.h"

#include <sys/stat.h>

#include "base/hash.h"
#include "lake/partition_path.h"
#include "lake/view/transform.h"

#define PLACE_PREFIX "place\n"

uint64_t attr_ino(const struct session *s, struct slice path, uint32_t ordinal)
{
    uint64_t ino = hash64(hash64(ordinal, slice_of(s->lake->layers.identity)), path);
    return ino > NODE_ROOT ? ino : ino + 2;
}

static double name_timeout(const struct session *s, const struct where *dir)
{
    switch (dir->kind) {
    case WHERE_PINNED:
        return ATTR_FOREVER_S;
    case WHERE_META:
        return dir->moving ? ATTR_LIVE_S : ATTR_FOREVER_S;
    case WHERE_DIR:
        return s->config.lake.refresh_ms < 1000 ? ATTR_LIVE_S : 1.0;
    case WHERE_LIVE:
    case WHERE_VERSIONS:
    case WHERE_LINK:
    case WHERE_DOCUMENT:
    case WHERE_PREFETCH:
    case WHERE_FILE:
    case WHERE_OBJECT:
        break;
    }
    return ATTR_LIVE_S;
}

double attr_name_timeout(const struct session *s, const struct where *dir)
{
    return governor_name_timeout(s->governor, name_timeout(s, dir));
}

static void fill(const struct session *s, uint64_t ino, int64_t mtime_ms, struct stat *out)
{
    struct timespec t = {.tv_sec = mtime_ms / 1000, .tv_nsec = mtime_ms % 1000 * 1000000};
    if (t.tv_nsec < 0) {
        t.tv_sec--;
        t.tv_nsec += 1000000000;
    }
    *out = (struct stat){.st_ino = ino,
                         .st_nlink = 1,
                         .st_uid = s->config.uid,
                         .st_gid = s->config.gid,
                         .st_blksize = 4096,
                         .st_mtim = t,
                         .st_ctim = t,
                         .st_atim = t};
}

void attr_fill_dir(const struct session *s, uint64_t ino, int64_t mtime_ms, struct stat *out)
{
    fill(s, ino, mtime_ms, out);
    out->st_mode = S_IFDIR | 0555;
    out->st_size = 4096;
}

/* A regular file, or a link of that many bytes. */
static void fill_file(const struct session *s, uint64_t ino, uint64_t size, int64_t mtime_ms,
                      struct stat *out)
{
    fill(s, ino, mtime_ms, out);
    out->st_mode = S_IFREG | 0444;
    out->st_size = (off_t)size;
    out->st_blocks = (blkcnt_t)((size + 511) / 512);
}

int attr_place(struct session *s, char kind, struct slice path, uint32_t *number, struct err *err)
{
    AUTO(buf) struct buf name = {0};
    buf_init(&name, REGISTRY_NAME_MAX);
    buf_addf(&name, PLACE_PREFIX "%c%s\n", kind, s->lake->layers.identity);
    buf_add_slice(&name, path);
    int rc = buf_check(&name, err);
    return rc < 0 ? rc : registry_number(s->config.lake.registry, buf_slice(&name), number, err);
}

int attr_place_of(struct session *s, uint64_t id, char *kind, struct buf *out, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    struct slice name, url = slice_of(s->lake->layers.identity);
    struct node node = node_of(id);
    *kind = PLACE_DIR;
    buf_reset(out);
    if (id == NODE_ROOT)
        return 0;
    buf_init(&text, REGISTRY_NAME_MAX);
    int rc = registry_name(s->config.lake.registry, node.number, &text, err);
    if (rc < 0)
        return rc == -ENOENT ? err_set(err, ESTALE, "node %llx is unknown", (unsigned long long)id)
                             : rc;
    name = buf_slice(&text);
    size_t head = sizeof PLACE_PREFIX - 1;
    if (!slice_starts(name, SLICE_LIT(PLACE_PREFIX)) || name.n < head + 1 + url.n + 1 ||
        !slice_starts(slice_from(name, head + 1), url) || name.p[head + 1 + url.n] != '\n')
        return err_set(err, ESTALE, "node %llx is of another lake", (unsigned long long)id);
    *kind = name.p[head];
    buf_add_slice(out, slice_from(name, head + 1 + url.n + 1));
    return buf_check(out, err);
}

static int find_file(struct request *r, struct node node, struct where *out, struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    AUTO(run) struct run *run = NULL;
    struct table *table;
    struct entry entry;
    int rc = lake_run_find(r->session->lake, node.number, &r->task, &table, &run, err);
    if (rc < 0)
        return rc;
    buf_init(&scratch, ACTION_BYTES_MAX);
    rc = lake_heal_run(r->session->lake, table, run,
                       run_file(run, node.ordinal, &scratch, &entry, NULL, err), err);
    struct where_file file = {table, run, node.number, node.ordinal, &entry};
    return rc < 0 ? rc : where_set_file(out, &file, err);
}

int attr_where(struct request *r, uint64_t id, struct where *out, struct err *err)
{
    AUTO(buf) struct buf path = {0};
    struct session *s = r->session;
    struct node node = node_of(id);
    char kind;
    if (node.kind == NODE_FILE)
        return find_file(r, node, out, err);
    buf_init(&path, REGISTRY_NAME_MAX);
    int rc = attr_place_of(s, id, &kind, &path, err);
    if (rc < 0)
        return rc;
    if (node.kind == NODE_PINNED)
        return where_pinned(s->lake, buf_slice(&path), node.ordinal, &r->task, out, err);
    return where_find(s->lake, buf_slice(&path), &r->task, out, err);
}

int attr_shown(struct request *r, const struct asker *a, struct where *out, struct shown *shown,
               struct err *err)
{
    AUTO(buf) struct buf place = {0};
    char kind;
    int rc = 0;
    if (a->governor && node_of(r->ino).kind != NODE_FILE) {
        buf_init(&place, REGISTRY_NAME_MAX);
        rc = attr_place_of(r->session, r->ino, &kind, &place, err);
        if (rc == 0)
            rc = govern_path(a, buf_slice(&place), err);
    }
    if (rc == 0)
        rc = attr_where(r, r->ino, out, err);
    return rc < 0 ? rc : govern_where(a, out, &r->task, shown, err);
}

/*
 * The version's time below a ref that never changes. Elsewhere the mount's: a directory's time that
 * changed while somebody walks it would be a change to tar and rsync.
 */
static int64_t dir_mtime(const struct session *s, const struct where *w)
{
    return w->version && w->version->snapshot && !w->moving && w->kind != WHERE_META
               ? w->version->version.timestamp_ms
               : s->started_ms;
}

static int place_entry(struct session *s, char kind, const struct where *w,
                       struct fuse_entry_param *out, struct err *err)
{
    uint32_t number;
    struct slice path = buf_slice(&w->path);
    int rc = attr_place(s, kind, path, &number, err);
    if (rc < 0)
        return rc;
    struct node node = {.kind = NODE_PLACE, .number = number};
    if (w->kind == WHERE_PINNED) {
        node.kind = NODE_PINNED;
        node.ordinal = w->dir;
    }
    out->ino = node_id(node);
    /* GETATTR knows of a place only its path (fs/lookup.c): both say the same. */
    attr_fill_dir(s, attr_ino(s, path, node.ordinal),
                  node.kind == NODE_PINNED ? dir_mtime(s, w) : s->started_ms, &out->attr);
    out->attr_timeout = out->entry_timeout;
    return 0;
}

static uint64_t presented_size(const struct session *s, const struct where *w)
{
    return w->other_format ? w->size : transform_size(&s->config.slack, w->size, w->shape);
}

int session_presented(const struct session *s, const struct where *w, const struct shown *shown,
                      struct partition_values *values, struct presented_file *out, struct err *err)
{
    struct row_filter *filter = shown->view ? shown->view->filter : NULL;
    int rc = filter ? shown_partitions(shown, buf_slice(&w->shown_path), w->built, values, err) : 0;
    if (rc < 0)
        return rc;
    *out = (struct presented_file){.key = buf_slice(&w->key),
                                   .etag = buf_slice(&w->etag),
                                   .object_bytes = w->size,
                                   .size = presented_size(s, w),
                                   .other_format = w->other_format,
                                   .shape = w->shape,
                                   .deletes = w->deletes,
                                   .extra = buf_slice(&w->extra),
                                   .filter = filter,
                                   .values = values->at,
                                   .driver = table_driver(w->table)};
    return 0;
}

/* All of it can be read here now, or it is small. */
static bool is_whole(struct session *s, const struct where *w, const struct shown *shown)
{
    struct presented_file f;
    AUTO(partition_values) struct partition_values values;
    partition_values_init(&values);
    if (!w->presented)
        return w->whole;
    if (session_presented(s, w, shown, &values, &f, NULL) < 0)
        return true; /* whoever opens it is told why not */
    if (f.size <= BLOCK_BYTES)
        return true;
    struct store *presented = session_presents(s, where_store(w), NULL);
    return presented && presented_is_whole(presented, &f);
}

/* What opens of such a file cannot pass through would only be made worse by direct mode. */
static bool is_filling(struct session *s, const struct where *w, const struct shown *shown,
                       uint64_t pass_node)
{
    bool far = session_passes(s, false) && !is_whole(s, w, shown);
    return far || (w->kind == WHERE_OBJECT && open_mode_other(&s->modes, pass_node, w->identity));
}

/* The node of the two that opens of the file can use now. */
static uint64_t file_node(struct session *s, const struct where *w, const struct shown *shown,
                          struct node node)
{
    node.filling = is_filling(s, w, shown, node_id(node));
    return node_id(node);
}

static int file_entry(struct session *s, const struct where *w, const struct shown *shown,
                      struct fuse_entry_param *out)
{
    uint64_t size = w->presented ? presented_size(s, w) : w->size;
    out->ino = file_node(s, w, shown,
                         (struct node){.kind = NODE_FILE,
                                       .view = shown->slot,
                                       .number = w->run_number,
                                       .ordinal = w->ordinal});
    out->generation = shown->generation;
    fill_file(s, w->identity, size, w->mtime_ms, &out->attr);
    out->attr_timeout = ATTR_FOREVER_S;
    return 0;
}

/* A document says to each view what that shows, as a file has to be another node for each. */
static void set_view(const struct shown *shown, struct fuse_entry_param *out)
{
    struct node node = node_of(out->ino);
    node.view = shown->slot;
    out->ino = node_id(node);
    out->generation = shown->generation;
    out->attr.st_ino = shown_identity(shown, out->attr.st_ino);
}

int attr_entry(struct session *s, const struct where *w, const struct shown *shown,
               struct fuse_entry_param *out, struct err *err)
{
    int rc;
    switch (w->kind) {
    case WHERE_FILE:
        return file_entry(s, w, shown, out);
    case WHERE_OBJECT:
    case WHERE_DOCUMENT:
        if (w->kind == WHERE_DOCUMENT) /* it may be written anew with other words */
            out->entry_timeout = governor_name_timeout(s->governor, ATTR_LIVE_S);
        rc = place_entry(s, PLACE_FILE, w, out, err);
        if (rc == 0 && w->kind == WHERE_OBJECT)
            out->ino = file_node(s, w, shown, node_of(out->ino));
        else if (rc == 0)
            set_view(shown, out);
        if (rc == 0)
            fill_file(s, w->kind == WHERE_OBJECT ? w->identity : out->attr.st_ino, w->size,
                      w->kind == WHERE_OBJECT ? w->mtime_ms : dir_mtime(s, w), &out->attr);
        return rc;
    case WHERE_PREFETCH:
        out->entry_timeout = governor_name_timeout(s->governor, ATTR_LIVE_S);
        rc = place_entry(s, PLACE_FILE, w, out, err);
        if (rc == 0)
            fill_file(s, out->attr.st_ino, 0, s->started_ms, &out->attr);
        out->attr.st_mode = S_IFREG | 0222;
        return rc;
    case WHERE_LINK:
        rc = place_entry(s, PLACE_LINK, w, out, err);
        out->attr.st_mode = S_IFLNK | 0777;
        out->attr.st_size = (off_t)w->size;
        return rc;
    case WHERE_DIR:
    case WHERE_LIVE:
    case WHERE_PINNED:
    case WHERE_VERSIONS:
    case WHERE_META:
        break;
    }
    return place_entry(s, PLACE_DIR, w, out, err);
}
