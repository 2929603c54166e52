/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/neighbours.h"

#include "base/clock.h"
#include "fs/ops.h"

void neighbours_init(struct neighbours *n, struct session *s)
{
    *n = (struct neighbours){.live = 0};
    lock_init(&n->lock);
    for (size_t i = 0; i < NEIGHBOURS_STREAMS; i++)
        n->streams[i].session = s;
}

void neighbours_end(struct neighbours *n)
{
    WITH_LOCK (&n->lock)
        n->ended = true;
}

void neighbours_done(struct neighbours *n)
{
    for (size_t i = 0; i < NEIGHBOURS_STREAMS; i++)
        prefetch_free(n->streams[i].prefetch);
    lock_done(&n->lock);
}

/* the job */

/*
 * Wants one file of the run; *missing: it was not there. -EINPROGRESS: parked; other errors are for
 * who opens it to see.
 */
static int want(struct stream *t, uint32_t ordinal, uint64_t *size, bool *missing)
{
    struct op_file found = {.whom = OP_FILE_AHEAD_SMALL};
    struct node file = {
        .kind = NODE_FILE, .view = t->view, .number = t->number, .ordinal = ordinal};
    *size = 0;
    *missing = false;
    int rc = op_file_open_ahead(t->session, &file, &t->task, &found, NULL);
    AUTO(object) struct object *o = rc == 0 ? found.object : NULL;
    if (rc == 0 && object_size(o) <= BLOCK_BYTES) {
        *size = object_size(o);
        *missing = !object_is_sealed(o);
        (void)prefetch_whole(t->prefetch, o); /* a guess */
    }
    return rc;
}

enum step { STEP_ON, STEP_PARKED, STEP_OVER };

/* Looks up one file more. */
static enum step step(struct neighbours *n, struct stream *t)
{
    uint64_t size;
    bool more, missing;
    WITH_LOCK (&n->lock) {
        more = t->prefetch && !n->ended && t->planned < t->target;
        t->busy = more;
    }
    if (!more)
        return STEP_OVER;
    int rc = want(t, t->planned, &size, &missing);
    if (rc == -EINPROGRESS)
        return STEP_PARKED;
    WITH_LOCK (&n->lock) {
        if (rc < 0) /* the run's end, or it is not to be had */
            t->limit = t->target = t->planned;
        else
            t->planned++;
        t->mean_bytes = (t->mean_bytes * 7 + size) / 8;
        if (missing)
            n->idle = 0;
    }
    return STEP_ON;
}

static void plan(struct job *job)
{
    struct stream *t = CONTAINER_OF(job, struct stream, task.job);
    struct session *s = t->session;
    enum step now;
    t->task.on_worker = true;
    if (!t->prefetch)
        t->prefetch = prefetch_new(s->config.lake.cache);
    do {
        now = step(&s->neighbours, t);
    } while (now == STEP_ON);
    if (now == STEP_OVER)
        session_release(s);
}

/* opens */

static bool is_near(const struct stream *t, const struct node *file)
{
    uint64_t near = NEIGHBOURS_NEAR + 4 * (uint64_t)t->hits;
    uint64_t distance = file->ordinal > t->next ? file->ordinal - t->next : t->next - file->ordinal;
    return t->number == file->number && t->view == file->view &&
           distance <= (near < NEIGHBOURS_NEAR_MAX ? near : NEIGHBOURS_NEAR_MAX);
}

static struct stream *find_locked(struct neighbours *n, const struct node *file) REQUIRES(n->lock)
{
    for (size_t i = 0; i < NEIGHBOURS_STREAMS; i++)
        if (is_near(&n->streams[i], file))
            return &n->streams[i];
    return NULL;
}

/* In the place of what was not used for longest. */
static void begin_locked(struct neighbours *n, const struct node *file) REQUIRES(n->lock)
{
    struct stream *oldest = NULL;
    for (size_t i = 0; i < NEIGHBOURS_STREAMS; i++) {
        struct stream *t = &n->streams[i];
        if (!t->busy && (!oldest || t->used < oldest->used))
            oldest = t;
    }
    if (!oldest)
        return;
    n->live += oldest->number == 0;
    if (oldest->prefetch)
        prefetch_cancel(oldest->prefetch);
    *oldest = (struct stream){.session = oldest->session,
                              .prefetch = oldest->prefetch,
                              .number = file->number,
                              .view = file->view,
                              .next = file->ordinal + 1,
                              .planned = file->ordinal + 1,
                              .limit = UINT32_MAX,
                              .used = ++n->clock};
}

/* How many files ahead are worth fetching now. */
static uint32_t window_of(const struct stream *t)
{
    uint64_t files = 2 * (uint64_t)t->hits;
    uint64_t most = NEIGHBOURS_BYTES_MAX / (t->mean_bytes ? t->mean_bytes : BLOCK_BYTES);
    if (files > NEIGHBOURS_FILES_MAX)
        files = NEIGHBOURS_FILES_MAX;
    return (uint32_t)(files < most ? files : most);
}

/* True: its job shall run. By some files at a time, not for each open. */
static bool move_locked(struct neighbours *n, struct stream *t, uint32_t ordinal) REQUIRES(n->lock)
{
    t->used = ++n->clock;
    t->hits += t->hits < NEIGHBOURS_FILES_MAX;
    if (ordinal >= t->next)
        t->next = ordinal + 1;
    if (t->planned < t->next && !t->busy)
        t->planned = t->next;
    uint32_t window = window_of(t), target = t->next + window;
    if (target > t->limit)
        target = t->limit;
    bool due = t->hits >= NEIGHBOURS_HITS_MIN && target > t->planned + window / 4;
    if (due)
        t->target = target;
    due = due && !t->busy && !n->ended;
    t->busy = t->busy || due;
    return due;
}

static void end_all_locked(struct neighbours *n) REQUIRES(n->lock)
{
    for (size_t i = 0; i < NEIGHBOURS_STREAMS; i++) {
        struct stream *t = &n->streams[i];
        t->target = t->planned; /* a job that is under way stops */
        if (t->busy || t->number == 0)
            continue;
        t->number = 0;
        n->live--;
    }
}

void neighbours_opened(struct neighbours *n, const struct node *file, bool missed)
{
    struct stream *due = NULL;
    if (!missed && !n->live)
        return;
    WITH_LOCK (&n->lock) {
        n->idle = missed ? 0 : n->idle + 1;
        struct stream *t = find_locked(n, file);
        if (n->idle > NEIGHBOURS_IDLE_MAX)
            end_all_locked(n);
        else if (t && move_locked(n, t, file->ordinal))
            due = t;
        else if (!t && missed)
            begin_locked(n, file);
    }
    if (!due)
        return;
    session_hold(due->session);
    due->task = (struct task){.job = {.run = plan}, .since_ms = clock_mono_ms()};
    workers_submit(due->session->config.lake.workers, &due->task.job);
}
