/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/follow.h"

#include <fcntl.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/vec.h"
#include "cache/prefetch.h"
#include "fs/attr.h"
#include "fs/ops.h"

#define TEXT_BYTES (64 * KIB)

struct follow_list {
    struct session *session;
    struct prefetch *prefetch;
    uid_t uid; /* the writer */
    pid_t pid;
    unsigned refs; /* follow's lock, as all to lost_id */
    bool dropped;
    bool busy;             /* its job is under way */
    VEC(uint64_t) entries; /* pass nodes, as its writer is shown the files */
    bool whole;            /* all lines are entries */
    size_t position, issued;
    uint64_t sizes[FOLLOW_FILES_AHEAD]; /* of what is issued, by index modulo */
    uint64_t ahead_bytes;
    unsigned lost; /* opens in a row that were not found */
    uint64_t lost_id;

    struct task task; /* the job's, as the rest */
    int fd;           /* the text */
    struct buf base;  /* the directory's path, in the lake */
    off_t offset;
    char *text; /* TEXT_BYTES of it */
    size_t at, end;
    uint64_t lines, unknown;
    char first_unknown[128];
    struct where parent; /* of the line before */
    struct buf parent_path;
    bool has_parent;
};

/* lists */

static void list_free(struct follow_list *l)
{
    if (!l)
        return;
    prefetch_free(l->prefetch);
    vec_done(&l->entries);
    if (l->fd >= 0)
        (void)close(l->fd); /* a temporary file */
    buf_done(&l->base);
    buf_done(&l->parent_path);
    where_done(&l->parent);
    free(l->text);
    free(l);
}
DEFINE_AUTO(follow_list, struct follow_list *, list_free)

static struct follow_list *list_new(struct session *s, struct err *err)
{
    AUTO(follow_list) struct follow_list *l = calloc(1, sizeof *l);
    if (!l) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    l->session = s;
    l->fd = -1;
    l->refs = 1;
    l->entries.max = FOLLOW_LINES_MAX;
    where_init(&l->parent);
    buf_init(&l->base, KEY_BYTES_MAX);
    buf_init(&l->parent_path, KEY_BYTES_MAX);
    l->text = malloc(TEXT_BYTES);
    l->prefetch = prefetch_new(s->config.lake.cache);
    if (!l->text || !l->prefetch) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    return file_temporary(s->config.temporary_dirfd, &l->fd, err) < 0 ? NULL : STEAL(l);
}

static void list_unref(struct follow *f, struct follow_list *l)
{
    bool last;
    WITH_LOCK (&f->lock) {
        last = --l->refs == 0;
        if (last)
            f->lines -= l->entries.n;
    }
    if (last)
        list_free(l);
}

void follow_init(struct follow *f)
{
    *f = (struct follow){.live = 0};
    lock_init(&f->lock);
}

/* Takes it out of its place; the reference is the caller's. */
static struct follow_list *take_out_locked(struct follow *f, size_t i) REQUIRES(f->lock)
{
    struct follow_list *l = f->lists[i];
    f->lists[i] = NULL;
    if (l) {
        l->dropped = true;
        f->live--;
    }
    return l;
}

static void drop(struct follow *f, size_t i)
{
    struct follow_list *l;
    WITH_LOCK (&f->lock)
        l = take_out_locked(f, i);
    if (!l)
        return;
    prefetch_cancel(l->prefetch);
    list_unref(f, l);
}

void follow_end(struct follow *f)
{
    WITH_LOCK (&f->lock)
        f->ended = true;
    for (size_t i = 0; i < FOLLOW_LISTS_MAX; i++)
        drop(f, i);
}

void follow_done(struct follow *f)
{
    for (size_t i = 0; i < FOLLOW_LISTS_MAX; i++)
        drop(f, i);
    lock_done(&f->lock);
}

/* lines */

/* 1: a line; 0: the text's end; else -errno. It stays until `at` moves behind it. */
static int next_line(struct follow_list *l, struct slice *line)
{
    for (;;) {
        const char *from = l->text + l->at;
        const char *newline = memchr(from, '\n', l->end - l->at);
        if (newline) {
            *line = slice_make(from, (size_t)(newline - from));
            return 1;
        }
        if (l->end - l->at == TEXT_BYTES)
            return -ENAMETOOLONG;
        memmove(l->text, from, l->end - l->at);
        l->end -= l->at;
        l->at = 0;
        ssize_t n = pread(l->fd, l->text + l->end, TEXT_BYTES - l->end, l->offset);
        if (n < 0)
            return -errno;
        if (n == 0) { /* the last line may have no end */
            *line = slice_make(l->text, l->end);
            return l->end > 0;
        }
        l->offset += n;
        l->end += (size_t)n;
    }
}

/* The path in the lake of what a line names. */
static bool line_path(const struct follow_list *l, struct slice line, struct buf *out)
{
    struct slice mount = slice_of(l->session->mountpoint);
    buf_reset(out);
    if (line.n && line.p[0] == '/') {
        if (!slice_starts(line, mount) || line.n <= mount.n || line.p[mount.n] != '/')
            return false;
        buf_add_slice(out, slice_from(line, mount.n + 1));
        return !out->failed;
    }
    while (slice_starts(line, SLICE_LIT("./")))
        line = slice_from(line, 2);
    if (l->base.len)
        buf_addf(out, "%.*s/", SLICE_FMT(buf_slice(&l->base)));
    buf_add_slice(out, line);
    return !out->failed;
}

/* The directory that a path lies in. Lines in order of their directories find it at hand. */
static int find_parent(struct follow_list *l, struct slice path, struct err *err)
{
    if (l->has_parent && slice_eq(buf_slice(&l->parent_path), path))
        return 0;
    l->has_parent = false;
    where_done(&l->parent);
    where_init(&l->parent);
    buf_reset(&l->parent_path);
    int rc = where_find(l->session->lake, path, &l->task, &l->parent, err);
    if (rc < 0)
        return rc;
    buf_add_slice(&l->parent_path, path);
    l->has_parent = buf_check(&l->parent_path, err) == 0;
    return 0;
}

/* -ENOENT: it names no file of a table that its writer is shown. Parks. */
static int find_file(struct follow_list *l, struct slice line, uint64_t *out)
{
    AUTO(buf) struct buf path = {0};
    AUTO(where) struct where w = {0};
    AUTO(asker) struct asker asker;
    AUTO(shown) struct shown shown = {.view = NULL};
    struct err err = ERR_INIT;
    int rc = govern_ask_as(l->session, l->uid, l->pid, &l->task, &asker, &err);
    where_init(&w);
    buf_init(&path, KEY_BYTES_MAX);
    if (rc < 0 || !line_path(l, line, &path))
        return rc < 0 ? rc : -ENOENT;
    struct slice name = text_basename(buf_slice(&path));
    size_t above = path.len - name.n;
    struct slice dir = slice_make(path.data, above ? above - 1 : 0);
    rc = govern_path(&asker, dir, &err);
    if (rc == 0)
        rc = find_parent(l, dir, &err);
    if (rc == 0)
        rc = where_child(l->session->lake, &l->parent, name, &l->task, &w, &err);
    if (rc == 0)
        rc = govern_where(&asker, &w, &l->task, &shown, &err);
    if (rc == 0)
        rc = govern_object(&asker, &w, &l->task, NULL, &err);
    if (rc < 0)
        return rc;
    *out = node_id((struct node){
        .kind = NODE_FILE, .view = shown.slot, .number = w.run_number, .ordinal = w.ordinal});
    return w.kind == WHERE_FILE ? 0 : -ENOENT;
}

static void text_ended(struct follow *f, struct follow_list *l, int rc)
{
    const char *mount = l->session->mountpoint;
    if (rc < 0)
        log_warn("%s: list for prefetch: line %llu: %s", mount, (unsigned long long)l->lines + 1,
                 strerror(-rc));
    if (l->unknown)
        log_warn("%s: list for prefetch: %llu of %llu lines name no file of a table, first: %s",
                 mount, (unsigned long long)l->unknown, (unsigned long long)l->lines,
                 l->first_unknown);
    (void)close(l->fd); /* a temporary file */
    l->fd = -1;
    WITH_LOCK (&f->lock)
        l->whole = true;
}

static int keep_entry(struct follow *f, struct follow_list *l, uint64_t e)
{
    int rc;
    WITH_LOCK (&f->lock) {
        rc = f->lines < FOLLOW_LINES_MAX ? vec_push(&l->entries, e) : -EOVERFLOW;
        f->lines += rc == 0;
    }
    return rc;
}

/* Makes an entry of the next line. -EINPROGRESS: parked. */
static int read_line(struct follow *f, struct follow_list *l)
{
    struct slice line = SLICE_NONE;
    uint64_t e;
    int rc = next_line(l, &line);
    if (rc > 0 && line.n) {
        rc = find_file(l, line, &e);
        if (rc == -EINPROGRESS)
            return rc;
        l->lines++;
        if (rc < 0 && l->unknown++ == 0)
            (void)snprintf(l->first_unknown, sizeof l->first_unknown, "%.*s",
                           SLICE_FMT(line)); /* may be cut */
        rc = rc < 0 ? 1 : keep_entry(f, l, e);
        rc = rc < 0 ? rc : 1;
    }
    if (rc <= 0) {
        text_ended(f, l, rc);
        return 0;
    }
    l->at += line.n;
    l->at += l->at < l->end; /* its line feed */
    return 0;
}

/* fetching */

static bool has_room_locked(const struct follow_list *l)
{
    return l->issued < l->entries.n && l->issued < l->position + FOLLOW_FILES_AHEAD &&
           (l->issued <= l->position || l->ahead_bytes < FOLLOW_BYTES_AHEAD);
}

/* Wants the next file. -EINPROGRESS: parked. What cannot be had is for who opens it to see. */
static int issue(struct follow *f, struct follow_list *l)
{
    struct op_file found = {.whom = OP_FILE_AHEAD};
    uint64_t e;
    size_t i;
    WITH_LOCK (&f->lock) {
        i = l->issued;
        e = l->entries.at[i];
    }
    struct node node = node_of(e);
    int rc = op_file_open_ahead(l->session, &node, &l->task, &found, NULL);
    if (rc == -EINPROGRESS)
        return rc;
    AUTO(object) struct object *o = rc == 0 ? found.object : NULL;
    uint64_t size = rc == 0 ? object_size(o) : 0;
    WITH_LOCK (&f->lock) {
        if (l->issued == i) { /* nobody has jumped */
            l->sizes[i % FOLLOW_FILES_AHEAD] = i < l->position ? 0 : size;
            l->ahead_bytes += i < l->position ? 0 : size;
            l->issued++;
        }
    }
    if (rc == 0)
        (void)prefetch_whole(l->prefetch, o); /* a guess */
    return 0;
}

static void move_locked(struct follow_list *l, size_t to)
{
    for (; l->position < to; l->position++)
        if (l->position < l->issued)
            l->ahead_bytes -= l->sizes[l->position % FOLLOW_FILES_AHEAD];
    if (l->issued + FOLLOW_FILES_AHEAD < to) { /* nobody will want what was passed by */
        l->issued = to;
        l->ahead_bytes = 0;
    }
    l->lost = 0;
}

/* Where is it that readers are? */
static void search_locked(struct follow_list *l)
{
    for (size_t i = l->issued; i < l->entries.n; i++)
        if (l->entries.at[i] == l->lost_id) {
            l->issued = l->position;
            l->ahead_bytes = 0;
            l->position = l->issued = i + 1;
            break;
        }
    l->lost = 0;
}

enum todo { TODO_ISSUE, TODO_READ, TODO_NOTHING, TODO_DROP };

static enum todo what_next(struct follow *f, struct follow_list *l)
{
    enum todo todo;
    WITH_LOCK (&f->lock) {
        if (l->whole && l->lost >= FOLLOW_LOST_MAX)
            search_locked(l);
        if (l->dropped || f->ended)
            todo = TODO_NOTHING;
        else if (has_room_locked(l))
            todo = TODO_ISSUE;
        else if (!l->whole)
            todo = TODO_READ;
        else
            todo = l->position >= l->entries.n ? TODO_DROP : TODO_NOTHING;
        l->busy = todo != TODO_NOTHING;
    }
    return todo;
}

static void drop_list(struct follow *f, const struct follow_list *l)
{
    size_t found = FOLLOW_LISTS_MAX;
    WITH_LOCK (&f->lock)
        for (size_t i = 0; i < FOLLOW_LISTS_MAX; i++)
            if (f->lists[i] == l)
                found = i;
    if (found < FOLLOW_LISTS_MAX)
        drop(f, found);
}

static void follow_run(struct job *job)
{
    struct follow_list *l = CONTAINER_OF(job, struct follow_list, task.job);
    struct session *s = l->session;
    struct follow *f = &s->follow;
    int rc = 0;
    l->task.on_worker = true;
    for (enum todo todo; rc == 0 && (todo = what_next(f, l)) != TODO_NOTHING;) {
        if (todo == TODO_DROP)
            drop_list(f, l);
        else
            rc = todo == TODO_ISSUE ? issue(f, l) : read_line(f, l);
    }
    if (rc == -EINPROGRESS)
        return;
    list_unref(f, l);
    session_release(s);
}

/* The caller has made it busy and has taken a reference for the job. */
static void submit(struct follow_list *l)
{
    session_hold(l->session);
    l->task = (struct task){.job = {.run = follow_run}, .since_ms = clock_mono_ms()};
    workers_submit(l->session->config.lake.workers, &l->task.job);
}

/* opens */

/* True: its job shall run. */
static bool note_locked(struct follow_list *l, const struct node *file)
{
    struct node pass = *file;
    pass.filling = false;
    uint64_t opened = node_id(pass);
    size_t i = l->position;
    while (i < l->issued && l->entries.at[i] != opened)
        i++;
    if (i < l->issued) {
        move_locked(l, i + 1);
    } else {
        l->lost++;
        l->lost_id = opened;
    }
    bool due = !l->busy &&
               (l->position >= l->entries.n || has_room_locked(l) || l->lost >= FOLLOW_LOST_MAX);
    l->busy = l->busy || due;
    l->refs += due;
    return due;
}

void follow_opened(struct follow *f, const struct node *file)
{
    for (size_t i = 0; f->live && i < FOLLOW_LISTS_MAX; i++) {
        struct follow_list *due = NULL;
        WITH_LOCK (&f->lock)
            if (f->lists[i] && !f->ended && note_locked(f->lists[i], file))
                due = f->lists[i];
        if (due)
            submit(due);
    }
}

/* writing */

struct list_file {
    struct handle handle;
    struct follow_list *list; /* until it counts */
};

/* A place for it: its writer's before, a free one, or any. */
static size_t place_locked(const struct follow *f, const struct follow_list *l)
{
    size_t free_place = FOLLOW_LISTS_MAX;
    for (size_t i = 0; i < FOLLOW_LISTS_MAX; i++) {
        const struct follow_list *other = f->lists[i];
        if (other && other->uid == l->uid && other->pid == l->pid)
            return i;
        if (!other)
            free_place = i;
    }
    return free_place < FOLLOW_LISTS_MAX ? free_place : (size_t)l->pid % FOLLOW_LISTS_MAX;
}

static void list_counts(struct follow *f, struct follow_list *l)
{
    struct follow_list *before = NULL;
    bool ended;
    WITH_LOCK (&f->lock) {
        f->writing--;
        ended = f->ended;
        if (!ended) {
            size_t i = place_locked(f, l);
            before = take_out_locked(f, i);
            f->lists[i] = l;
            f->live++;
            l->busy = true;
            l->refs++;
        }
    }
    if (before) {
        prefetch_cancel(before->prefetch);
        list_unref(f, before);
    }
    if (ended)
        list_unref(f, l);
    else
        submit(l);
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
    AUTO(follow_list) struct follow_list *l = list_new(s, err);
    AUTO_FREE struct list_file *file = calloc(1, sizeof *file);
    if (!l || !file)
        return l ? err_set(err, ENOMEM, "out of memory") : -err->code;
    buf_add_slice(&l->base, base_of(buf_slice(&w.path)));
    l->uid = fuse_req_ctx(r->req)->uid;
    l->pid = fuse_req_ctx(r->req)->pid;
    bool taken;
    WITH_LOCK (&s->follow.lock) {
        taken = s->follow.writing < FOLLOW_LISTS_MAX;
        s->follow.writing += taken;
    }
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
