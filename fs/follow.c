/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/follow.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "fs/attr.h"
#include "fs/follow_private.h"
#include "fs/ops.h"

/* lists */

void follow_list_free(struct follow_list *l)
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

struct follow_list *follow_list_new(struct session *s, struct err *err)
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
    l->text = malloc(FOLLOW_TEXT_BYTES);
    l->prefetch = prefetch_new(s->config.lake.cache);
    if (!l->text || !l->prefetch) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    return file_temporary(s->config.temporary_dirfd, &l->fd, err) < 0 ? NULL : STEAL(l);
}

void follow_list_unref(struct follow *f, struct follow_list *l)
{
    bool last;
    WITH_LOCK (&f->lock) {
        last = --l->refs == 0;
        if (last)
            f->lines -= l->entries.n;
    }
    if (last)
        follow_list_free(l);
}

void follow_init(struct follow *f)
{
    *f = (struct follow){.live = 0};
    lock_init(&f->lock);
}

struct follow_list *follow_take_out_locked(struct follow *f, size_t i)
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
        l = follow_take_out_locked(f, i);
    if (!l)
        return;
    prefetch_cancel(l->prefetch);
    follow_list_unref(f, l);
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
        if (l->end - l->at == FOLLOW_TEXT_BYTES)
            return -ENAMETOOLONG;
        memmove(l->text, from, l->end - l->at);
        l->end -= l->at;
        l->at = 0;
        ssize_t n = pread(l->fd, l->text + l->end, FOLLOW_TEXT_BYTES - l->end, l->offset);
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

static size_t lines_of_locked(const struct follow *f, uid_t uid) REQUIRES(f->lock)
{
    size_t n = 0;
    for (size_t i = 0; i < FOLLOW_LISTS_MAX; i++)
        n += f->lists[i] && f->lists[i]->uid == uid ? f->lists[i]->entries.n : 0;
    return n;
}

static int keep_entry(struct follow *f, struct follow_list *l, uint64_t e)
{
    int rc;
    WITH_LOCK (&f->lock) {
        bool room =
            f->lines < FOLLOW_LINES_MAX && lines_of_locked(f, l->uid) < FOLLOW_LINES_MAX / 2;
        rc = room ? vec_push(&l->entries, e) : -EOVERFLOW;
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
    follow_list_unref(f, l);
    session_release(s);
}

void follow_submit(struct follow_list *l)
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
            follow_submit(due);
    }
}
