/* SPDX-License-Identifier: Apache-2.0 */
/* OPEN and RELEASE of files: the object behind a node, and the mode in which it is read. */
#include <fcntl.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "fs/archived.h"
#include "fs/attr.h"
#include "fs/opened.h"
#include "fs/ops.h"
#include "lake/format/shape.h"
#include "lake/partition_path.h"

static void close_way(struct session *s, const struct open_way *way)
{
    if (way->backing)
        passthrough_close(fuse_session_fd(s->fuse), way->backing);
    object_unref(way->object);
}

/* Whose pages they are: a slot of views may be of another view later. */
static uint64_t pages_of(const struct opened *h)
{
    uint64_t view = shown_hash(&h->shown);
    return view ? hash64(h->node, slice_make(&view, sizeof view)) : h->node;
}

static void opened_free(struct opened *h)
{
    char etag[ETAG_BYTES_MAX];
    if (h->mode == OPEN_CACHED && node_of(h->node).kind == NODE_FILE)
        pages_note(&h->handle.session->pages, pages_of(h), slice_of(object_etag(h->object, etag)));
    if (h->mode != OPEN_NONE) {
        struct open_way left;
        open_mode_leave(&h->handle.session->modes, h->node, &left);
        close_way(h->handle.session, &left);
    }
    reader_done(&h->reader, h->object); /* before the session may end with the object's store */
    if (h->recipe)
        recipe_put(h->recipe, h->object);
    object_unref(h->object);
    document_unref(h->document);
    held_free(h->handle.held);
    shown_done(&h->shown);
    asker_done(&h->asker);
    free(h);
}
DEFINE_AUTO(opened, struct opened *, opened_free)

static void free_handle(struct handle *h)
{
    opened_free(CONTAINER_OF(h, struct opened, handle));
}

/* the object */

/* What the kernel has in its caches is opened here and now, the rest by a worker. */
static int open_object(struct session *s, struct task *task, struct object_name *name,
                       struct object **out, struct err *err)
{
    name->at_once = !task->on_worker;
    int rc = object_open(s->config.lake.cache, name, out, err);
    return rc == -EAGAIN ? task_to_worker(task, s->config.lake.workers) : rc;
}

/* What is made of an object, where it may not be shown as it is stored. */
static int open_presented(struct session *s, const struct where_file *f,
                          const struct object_location *at, struct task *task, struct op_file *out,
                          struct err *err)
{
    const struct shown *shown = out->shown;
    AUTO(shape) struct shape *shape = NULL;
    AUTO(partition_values) struct partition_values values;
    enum op_file_for whom = out->whom;
    int rc = 0;
    partition_values_init(&values);
    if (!shown->view)
        rc = lake_run_shape(s->lake, f->table, f->run, f->run_number, &shape, err);
    else
        shape = shape_ref(shown->view->shape);
    if (rc == 0 && shown->view && shown->view->filter)
        rc = shown_partitions(shown, f->entry->path, f->entry->flags & ENTRY_BUILT, &values, err);
    if (rc < 0)
        return rc;
    bool other = where_is_other_format(f->table, f->entry);
    uint64_t bytes = f->entry->size;
    struct presented_file p = {.key = buf_slice(&at->key),
                               .etag = buf_slice(&at->etag),
                               .version = buf_slice(&at->version),
                               .object_bytes = bytes,
                               .size =
                                   other ? bytes : transform_size(&s->config.slack, bytes, shape),
                               .other_format = other,
                               .shape = shape,
                               .deletes = f->entry->flags & ENTRY_DELETES,
                               .extra = f->entry->extra,
                               .filter = shown->view ? shown->view->filter : NULL,
                               .values = values.at,
                               .driver = table_driver(f->table),
                               .entry = f->entry};
    struct store *presented = session_presents(s, out->store, err);
    if (!presented)
        return err ? -err->code : -ENOMEM;
    if (whom == OP_FILE_READER)
        return presented_open(presented, &p, task, &out->object, &out->recipe, err);
    bool prepared = whom == OP_FILE_AHEAD || p.size <= BLOCK_BYTES;
    return presented_open_ahead(presented, &p, prepared, task, &out->object, err);
}

/* The driver says where the object is. */
static int open_entry(struct session *s, const struct where_file *f, struct task *task,
                      struct op_file *out, struct err *err)
{
    const struct shown *shown = out->shown;
    AUTO(object_location) struct object_location at;
    object_location_init(&at);
    if (!shown_has_file(shown, f->entry->path, f->entry->flags & ENTRY_BUILT))
        return err_set(err, ENOENT, "no row of it is shown");
    int rc = table_ops(f->table)->locate(table_driver(f->table), f->entry, &at, err);
    out->store = at.store ? at.store : table_store(f->table);
    out->readable = at.readable;
    /* Nobody has asked whether who reads its neighbours may have it. */
    if (rc == 0 && s->governor && out->whom == OP_FILE_AHEAD_SMALL &&
        !govern_is_own(f->table, out->store, buf_slice(&at.key)))
        return err_set(err, EACCES, "its object lies elsewhere");
    if (rc == 0 && (shown->view || !where_is_as_stored(f->table, f->entry)))
        return open_presented(s, f, &at, task, out, err);
    struct object_name name = {.store = out->store,
                               .key = buf_slice(&at.key),
                               .size = f->entry->size,
                               .etag = buf_slice(&at.etag),
                               .version = buf_slice(&at.version)};
    return rc < 0 ? rc : open_object(s, task, &name, &out->object, err);
}

int op_file_open(struct session *s, const struct node *node, struct task *task, struct op_file *out,
                 struct err *err)
{
    AUTO(run) struct run *run = NULL;
    AUTO(buf) struct buf scratch = {0};
    struct entry entry = {.path = SLICE_NONE};
    *out = (struct op_file){.whom = out->whom, .shown = out->shown};
    int rc = lake_run_find(s->lake, node->number, task, &out->table, &run, err);
    if (rc < 0)
        return rc;
    buf_init(&scratch, ACTION_BYTES_MAX);
    if (node->ordinal >= run_files(run))
        rc = err_set(err, ENOENT, "no file %u of %u", node->ordinal, run_files(run));
    else
        rc = lake_heal_run(s->lake, out->table, run,
                           run_file(run, node->ordinal, &scratch, &entry, NULL, err), err);
    struct where_file file = {out->table, run, node->number, node->ordinal, &entry};
    if (rc == 0)
        rc = open_entry(s, &file, task, out, err);
    if (rc < 0 && rc != -EINPROGRESS)
        (void)err_wrap(err, "table %.*s, file %.*s", SLICE_FMT(table_path(out->table)),
                       SLICE_FMT(entry.path));
    return rc;
}

int op_file_open_ahead(struct session *s, const struct node *node, struct task *task,
                       struct op_file *out, struct err *err)
{
    AUTO(run) struct run *run = NULL;
    AUTO(shown) struct shown shown = {.view = NULL};
    struct table *table = NULL;
    int rc = node->view ? lake_run_find(s->lake, node->number, task, &table, &run, err) : 0;
    if (rc == 0)
        rc = govern_node(s->governor, table, node->view, &shown, err);
    if (rc < 0)
        return rc;
    out->shown = &shown;
    rc = op_file_open(s, node, task, out, err);
    out->shown = NULL;
    return rc;
}

/* Who opens it is shown what the node is of, at this moment. Before anything else is done for it.
 */
static int hold(struct request *r, const struct where *w, struct opened *h, struct err *err)
{
    AUTO(buf) struct buf version = {0};
    int rc = govern_hold(&h->asker, w, &h->shown, r->ino, &h->handle.held, err);
    if (rc < 0 || !h->asker.governor)
        return rc;
    rc = govern_hold_object(&h->asker, w, &r->task, h->handle.held, err);
    if (rc < 0)
        return rc;
    buf_init(&version, 64);
    if (w->version)
        table_version_name(w->version, &version);
    else if (w->kind == WHERE_FILE && table_ops(w->table)->marker)
        buf_addf(&version, "%lld", (long long)w->added);
    return govern_opened(&h->asker, w, &h->shown, buf_slice(&version), &r->task, err);
}

static int open_file(struct request *r, const struct node *node, struct opened *h, struct err *err)
{
    AUTO(where) struct where w = {0};
    struct op_file found = {.whom = OP_FILE_READER, .shown = &h->shown};
    int rc = 0;
    if (h->asker.governor) {
        where_init(&w);
        rc = attr_shown(r, &h->asker, &w, &h->shown, err);
        if (rc == 0)
            rc = hold(r, &w, h, err);
    }
    if (rc == 0)
        rc = op_file_open(r->session, node, &r->task, &found, err);
    if (rc < 0)
        return rc;
    h->table = found.table;
    h->object = found.object;
    h->recipe = found.recipe;
    h->store = found.store;
    h->readable = found.readable;
    table_touch(h->table);
    return 0;
}

static int open_place(struct request *r, struct opened *h, struct err *err)
{
    AUTO(where) struct where w = {0};
    where_init(&w);
    int rc = attr_shown(r, &h->asker, &w, &h->shown, err);
    if (rc == 0 && w.kind != WHERE_PREFETCH)
        rc = hold(r, &w, h, err);
    if (rc < 0)
        return rc;
    if (w.kind == WHERE_DOCUMENT)
        return op_document(r, &w, &h->shown, &h->document, err);
    if (w.kind == WHERE_PREFETCH)
        return err_set(err, EACCES, ".tarn/prefetch can only be written to");
    if (w.kind != WHERE_OBJECT)
        return err_set(err, EISDIR, "not a file");
    struct object_name name = {
        .store = w.home, .key = buf_slice(&w.key), .size = w.size, .etag = buf_slice(&w.etag)};
    h->identity = w.identity;
    h->store = w.home;
    h->readable = w.readable;
    return open_object(r->session, &r->task, &name, &h->object, err);
}

/* completing it */

static void fill_done(struct object_fill *fill)
{
    struct request *r = CONTAINER_OF(fill, struct request, fill);
    r->filling = FILL_DONE;
    r->task.on_worker = true;
    workers_submit(r->session->config.lake.workers, &r->task.job);
}

/* Parks the open until its object is complete, then 0; also where the cache keeps nothing now. */
static int fill_object(struct request *r, struct object *o, struct err *err)
{
    if (r->filling == FILL_REFUSED)
        return 0;
    if (r->filling == FILL_NONE) {
        if (!r->object)
            r->object = object_ref(o); /* an interrupted open may end before */
        r->filling = FILL_UNDER_WAY;
        r->fill = (struct object_fill){.done = fill_done};
        int rc = object_fill(o, &r->fill, err);
        if (rc == -EINPROGRESS)
            return rc;
        r->filling = FILL_DONE;
        r->fill.rc = rc;
    } else if (r->fill.rc < 0) {
        (void)err_copy(err, &r->fill.err);
    }
    if (r->fill.rc != -ENOSPC)
        return r->fill.rc;
    r->filling = FILL_REFUSED;
    return 0;
}

/* the mode */

struct opening {
    struct open_ask ask;
    struct request *request;
    struct opened *opened;
};

/* What is refused of the cache's filesystem is refused for good; sources may lie on several. */
static void passing_refused(struct session *s, bool in_place, int rc)
{
    if (rc != -ELOOP && rc != -EOPNOTSUPP && rc != -EINVAL && rc != -EPERM && rc != -ENOTTY)
        return; /* memory is short, say: this open only */
    if (atomic_exchange(in_place ? &s->source_refused : &s->cache_refused, true))
        return;
    log_info("%s: no passthrough of %s, whose filesystem the kernel refuses: %s", s->mountpoint,
             in_place ? "some files of the source" : "cached files", strerror(-rc));
}

/* Its object is a file of the source, which is read where it lies. */
static bool is_in_place(const struct opened *h)
{
    return !h->recipe && h->store && object_open_blocks(h->store);
}

static struct opening *opening_of(struct open_ask *ask)
{
    return CONTAINER_OF(ask, struct opening, ask);
}

static int back(struct open_ask *ask, struct open_way *way, struct err *err)
{
    const struct opening *o = opening_of(ask);
    struct session *s = o->request->session;
    AUTO_FD int opened = -1;
    int fd;
    int rc = object_backing(o->opened->object, &o->request->task, &fd, &opened, err);
    if (rc == -ENODATA)
        ask->found.sealed = ask->found.kept = false;
    if (rc == -EOPNOTSUPP)
        ask->found.passes = false;
    if (rc < 0)
        return rc == -ENODATA || rc == -EOPNOTSUPP ? 0 : rc;
    rc = passthrough_open(fuse_session_fd(s->fuse), fd, &way->backing);
    if (rc < 0) {
        passing_refused(s, is_in_place(o->opened), rc);
        ask->found.passes = false;
        return 0;
    }
    way->object = object_ref(o->opened->object);
    return 0;
}

static int fill(struct open_ask *ask, struct err *err)
{
    const struct opening *o = opening_of(ask);
    int rc = fill_object(o->request, o->opened->object, err);
    ask->found.sealed = rc == 0 && object_is_sealed(o->opened->object);
    ask->found.kept = ask->found.sealed;
    return rc;
}

static void drop(struct open_ask *ask, const struct open_way *way)
{
    close_way(opening_of(ask)->request->session, way);
}

/* Pages that another reader brings would be read by who is revoked. */
static bool is_direct(const struct session *s, const struct opened *h)
{
    return h->handle.held && !governor_passes(s->governor);
}

static int open_in_mode(struct request *r, struct opened *h, int32_t *backing, struct err *err)
{
    struct session *s = r->session;
    struct node node = node_of(h->node);
    struct open_way way;
    struct opening o = {
        .request = r,
        .opened = h,
        .ask = {.node = h->node,
                .identity = h->identity,
                .thread = fuse_req_ctx(r->req)->pid,
                .came_back = r->came_back,
                .remember = &r->came_back,
                .now_ms = clock_mono_ms(),
                .found = {.filling = node.filling,
                          .passes = session_passes(s, is_in_place(h)),
                          .direct = is_direct(s, h),
                          .sealed = object_is_sealed(h->object),
                          .small = object_size(h->object) <= BLOCK_BYTES,
                          .kept = true},
                .back = back,
                .fill = fill,
                .drop = drop},
    };
    node.filling = false;
    o.ask.pass_node = node_id(node);
    int rc = open_mode_open(&s->modes, &o.ask, &way, err);
    if (rc < 0)
        return rc;
    h->mode = way.mode;
    *backing = way.backing;
    return 0;
}

/* An id is one object for ever, but the store may have another generation of it. */
static bool pages_stay(struct session *s, const struct opened *h)
{
    char etag[ETAG_BYTES_MAX];
    if (h->mode != OPEN_CACHED || node_of(h->node).kind != NODE_FILE)
        return false;
    return is_in_place(h) ||
           pages_may_stay(&s->pages, pages_of(h), slice_of(object_etag(h->object, etag)));
}

/* The mode in which it is read; what is archived is refused before. */
static int open_object_of(struct request *r, struct opened *h, int32_t *backing, struct err *err)
{
    struct session *s = r->session;
    bool small = object_size(h->object) <= BLOCK_BYTES;
    bool fills = small && session_passes(s, is_in_place(h)) && !is_direct(s, h);
    int rc = archived_open(r, h, fills, err);
    if (rc == 0)
        rc = open_in_mode(r, h, backing, err);
    if (rc == 0 && r->filling == FILL_REFUSED)
        rc = archived_open(r, h, false, err);
    return rc;
}

int op_open(struct request *r, struct err *err)
{
    if ((r->file.flags & O_ACCMODE) != O_RDONLY || (r->file.flags & O_TRUNC))
        return op_open_list(r, err);
    AUTO(opened) struct opened *h = calloc(1, sizeof *h);
    if (!h)
        return err_set(err, ENOMEM, "out of memory");
    reader_init(&h->reader);
    h->handle.session = r->session;
    h->node = r->ino;
    int32_t backing = 0;
    struct node node = node_of(r->ino);
    int rc = govern_ask(r, &h->asker, err);
    if (rc == 0)
        rc = node.kind == NODE_FILE ? open_file(r, &node, h, err) : open_place(r, h, err);
    if (rc == 0 && h->object)
        rc = open_object_of(r, h, &backing, err);
    if (rc < 0)
        /* Nothing is restored for who was not found to be shown it. */
        return rc == -EREMOTE && (!h->asker.governor || h->handle.held) ? archived_refuse(r, err)
                                                                        : rc;
    if (node.kind == NODE_FILE && h->object)
        follow_opened(&r->session->follow, &node);
    if (node.kind == NODE_FILE && object_size(h->object) <= BLOCK_BYTES)
        neighbours_opened(&r->session->neighbours, &node,
                          r->filling != FILL_NONE || !object_is_sealed(h->object));
    r->file.direct_io = h->document || h->mode == OPEN_DIRECT; /* a document's words may change */
    r->file.keep_cache = pages_stay(r->session, h);
    return request_reply_open(r, backing, &STEAL(h)->handle, free_handle);
}
