/* SPDX-License-Identifier: Apache-2.0 */
/* Writing lists to `.tarn/prefetch`, and whose take whose places. */
#include <fcntl.h>

#include "base/file.h"
#include "fs/attr.h"
#include "fs/follow_private.h"
#include "fs/ops.h"

struct list_file {
    struct handle handle;
    struct follow_list *list; /* until it counts */
};

/* What is to go for a list of `uid`: the higher, the rather. */
static unsigned share_locked(const struct follow *f, const struct follow_list *l, uid_t uid)
    REQUIRES(f->lock)
{
    unsigned n = 0;
    for (size_t i = 0; i < FOLLOW_LISTS_MAX; i++)
        n += f->lists[i] && f->lists[i]->uid == l->uid;
    return 2 * n + (l->uid == uid);
}

/* A place for it: its writer's before, a free one, or the oldest of who has most of them. */
static size_t place_locked(const struct follow *f, const struct follow_list *l) REQUIRES(f->lock)
{
    size_t free_place = FOLLOW_LISTS_MAX, place = 0;
    unsigned most = 0;
    for (size_t i = 0; i < FOLLOW_LISTS_MAX; i++) {
        const struct follow_list *other = f->lists[i];
        if (!other) {
            free_place = i;
            continue;
        }
        if (other->uid == l->uid && other->pid == l->pid)
            return i;
        unsigned share = share_locked(f, other, l->uid);
        if (share > most || (share == most && other->began < f->lists[place]->began)) {
            most = share;
            place = i;
        }
    }
    return free_place < FOLLOW_LISTS_MAX ? free_place : place;
}

/* False: too many are. */
static bool begin_writing_locked(struct follow *f, uid_t uid) REQUIRES(f->lock)
{
    unsigned own = 0;
    for (unsigned i = 0; i < f->writing; i++)
        own += f->writers[i] == uid;
    if (f->writing == FOLLOW_WRITING_MAX || own == FOLLOW_WRITING_MAX / 2)
        return false;
    f->writers[f->writing++] = uid;
    return true;
}

static void end_writing_locked(struct follow *f, uid_t uid) REQUIRES(f->lock)
{
    unsigned i = 0;
    while (f->writers[i] != uid)
        i++;
    f->writers[i] = f->writers[--f->writing];
}

static void list_counts(struct follow *f, struct follow_list *l)
{
    struct follow_list *before = NULL;
    bool ended;
    WITH_LOCK (&f->lock) {
        end_writing_locked(f, l->uid);
        ended = f->ended;
        if (!ended) {
            l->began = ++f->clock;
            size_t i = place_locked(f, l);
            before = follow_take_out_locked(f, i);
            f->lists[i] = l;
            f->live++;
            l->busy = true;
            l->refs++;
        }
    }
    if (before) {
        prefetch_cancel(before->prefetch);
        follow_list_unref(f, before);
    }
    if (ended)
        follow_list_unref(f, l);
    else
        follow_submit(l);
}

static void list_closed(struct handle *h)
{
    struct list_file *file = CONTAINER_OF(h, struct list_file, handle);
    list_counts(&h->session->follow, file->list);
    free(file);
}

/* The directory above `.tarn/prefetch`. */
static struct slice base_of(struct slice path)
{
    struct slice tail = SLICE_LIT(".tarn/prefetch");
    size_t n = path.n - tail.n;
    return slice_make(path.p, n ? n - 1 : 0);
}

int op_open_list(struct request *r, struct err *err)
{
    AUTO(where) struct where w = {0};
    struct session *s = r->session;
    where_init(&w);
    AUTO(asker) struct asker asker;
    AUTO(shown) struct shown shown = {.view = NULL};
    int rc = govern_ask(r, &asker, err);
    if (rc == 0 && node_of(r->ino).kind == NODE_PLACE)
        rc = attr_shown(r, &asker, &w, &shown, err);
    if (rc < 0)
        return rc;
    if (w.kind != WHERE_PREFETCH || (r->file.flags & O_ACCMODE) != O_WRONLY)
        return err_set(err, EROFS, "the lake is read-only");
    rc = task_to_worker(&r->task, s->config.lake.workers);
    if (rc < 0)
        return rc;
    AUTO(follow_list) struct follow_list *l = follow_list_new(s, err);
    AUTO_FREE struct list_file *file = calloc(1, sizeof *file);
    if (!l || !file)
        return l ? err_set(err, ENOMEM, "out of memory") : -err->code;
    buf_add_slice(&l->base, base_of(buf_slice(&w.path)));
    l->uid = fuse_req_ctx(r->req)->uid;
    l->pid = fuse_req_ctx(r->req)->pid;
    bool taken;
    WITH_LOCK (&s->follow.lock)
        taken = begin_writing_locked(&s->follow, l->uid);
    if (!taken)
        return err_set(err, EMFILE, "too many lists are being written");
    file->list = STEAL(l);
    r->file.direct_io = true;
    return request_reply_open(r, 0, &STEAL(file)->handle, list_closed);
}

int op_write(struct request *r, struct err *err)
{
    struct list_file *file =
        CONTAINER_OF((struct handle *)(uintptr_t)r->file.fh, struct list_file, handle);
    int rc = task_to_worker(&r->task, r->session->config.lake.workers);
    if (rc < 0)
        return rc;
    if (r->offset < 0 || (uint64_t)r->offset > FOLLOW_TEXT_MAX - r->size)
        return err_set(err, EFBIG, "a list has %llu bytes at most",
                       (unsigned long long)FOLLOW_TEXT_MAX);
    rc = file_pwrite_full(file->list->fd, r->name, r->size, r->offset, err);
    return rc < 0 ? rc : request_reply_write(r, r->size);
}
