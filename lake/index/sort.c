/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two areas of memory take turns: while one is filled, the other is sorted and written to the
 * temporary file by a thread of its own, which is joined before anything else needs what it works
 * on. So nothing here is shared, and where no thread is to be had the same happens in place.
 */
#include "lake/index/sort.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/vec.h"
#include "lake/index/sort_area.h"

/* Parts of one merge; with the least window each they still fit in an area's memory. */
#define PARTS_MAX ((size_t)4 << 10)
#define WINDOW_BYTES_MIN (4 * KIB)
#define WINDOW_BYTES_MAX MIB
#define WRITE_BYTES MIB
/* Where parts are no more than these, what is in memory at the end stays there beside their
 * windows. */
#define IN_MEMORY_PARTS_MAX 32
/* Fewer records are sorted before a thread has been started. */
#define THREAD_RECORDS_MIN 4096

/* A sorted part of the temporary file, read through a window; or what is in memory. */
struct part {
    bool in_memory;
    uint64_t at, end; /* of the file, what is not in the window yet */
    char *window;
    size_t capacity, from, fill;
    struct slice record; /* the next one, in the window */
};

/* What is done with a full area, mostly on a thread of its own. */
struct work {
    pthread_t thread;
    bool running; /* the thread is to be joined */
    struct sort_area *area;
    int fd;           /* -1: sort only */
    uint64_t at, end; /* of the file: where the part begins, and, done, where it ends */
    int rc;
    struct err err;
};

struct sorter {
    int dirfd;
    int fd; /* the temporary file, -1: none yet */
    size_t memory_bytes;
    struct sort_area areas[2];
    struct sort_area *area; /* the one that is filled; in the end what is in memory */
    struct work work;
    uint32_t next; /* record of the area */
    VEC(struct part) parts;
    uint32_t *heap; /* parts that have a record; the least one first */
    size_t heap_n;
    bool ended, finished, started;
};

static int out_of_memory(struct err *err)
{
    return err_set(err, ENOMEM, "sort: out of memory");
}

struct sorter *sorter_new(int dirfd, size_t memory_bytes,
                          int (*compare)(struct slice a, struct slice b), struct err *err)
{
    struct sorter *s = calloc(1, sizeof *s);
    if (s) {
        struct sort_area area = {.order.compare = compare};
        *s = (struct sorter){.dirfd = dirfd,
                             .fd = -1,
                             .memory_bytes = memory_bytes,
                             .areas = {area, area},
                             .parts = VEC_MAX(PARTS_MAX)};
        s->area = &s->areas[0];
    }
    if (!s || !sort_area_reserve(s->area, memory_bytes)) {
        sorter_free(s);
        (void)out_of_memory(err);
        return NULL;
    }
    return s;
}

void sorter_by_bytes(struct sorter *s, bool (*bytes)(struct slice record, size_t at, uint64_t *out))
{
    assert(s->area->n == 0 && s->parts.n == 0);
    s->areas[0].order.bytes = s->areas[1].order.bytes = bytes;
}

/* Work ---------------------------------------------------------------------------------------- */

static int flush(struct work *w, struct buf *out)
{
    int rc = file_pwrite_full(w->fd, out->data, out->len, (off_t)w->end, &w->err);
    if (rc < 0)
        return err_wrap(&w->err, "sort");
    w->end += out->len;
    buf_reset(out);
    return 0;
}

static int write_part(struct work *w)
{
    AUTO(buf) struct buf out = {0};
    const struct sort_area *a = w->area;
    int rc = 0;
    buf_init(&out, WRITE_BYTES + a->memory_bytes);
    for (uint32_t i = 0; rc == 0 && i < a->n; i++) {
        struct slice record = sort_area_at(a, i);
        buf_add(&out, record.p - SORT_LENGTH_BYTES, record.n + SORT_LENGTH_BYTES);
        rc = buf_check(&out, &w->err);
        if (rc == 0 && out.len >= WRITE_BYTES)
            rc = flush(w, &out);
    }
    return rc < 0 ? rc : flush(w, &out);
}

static void *work_run(void *arg)
{
    struct work *w = arg;
    sort_area_sort(w->area);
    w->rc = w->fd < 0 ? 0 : write_part(w);
    return NULL;
}

/* Sorts the area, and writes it where there is a file to; work_join has to follow. */
static void work_start(struct sorter *s, struct sort_area *area, int fd)
{
    struct work *w = &s->work;
    uint64_t at = w->end;
    assert(!w->running);
    *w = (struct work){.area = area, .fd = fd, .at = at, .end = at, .err = ERR_INIT};
    if (area->n >= THREAD_RECORDS_MIN) {
        sigset_t all, before;
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
        w->running = pthread_create(&w->thread, NULL, work_run, w) == 0;
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (w->running)
        (void)pthread_setname_np(w->thread, "tarn-sort"); /* only a help to debuggers */
    else
        (void)work_run(w);
}

/* Waits for what was started: a part that was written is one of the merge, its area is empty. */
static int work_join(struct sorter *s, struct err *err)
{
    struct work *w = &s->work;
    if (w->running)
        (void)pthread_join(w->thread, NULL); /* our own, joined once */
    w->running = false;
    if (!w->area)
        return 0;
    struct sort_area *area = w->area;
    w->area = NULL;
    if (w->rc < 0)
        return err_copy(err, &w->err);
    if (w->fd < 0)
        return 0;
    sort_area_empty(area);
    int rc = vec_push(&s->parts, ((struct part){.at = w->at, .end = w->end}));
    return rc < 0 ? err_set(err, -rc, "sort: more than %zu parts", PARTS_MAX) : 0;
}

void sorter_free(struct sorter *s)
{
    if (!s)
        return;
    (void)work_join(s, NULL); /* whatever it came to */
    for (size_t i = 0; i < s->parts.n; i++)
        free(s->parts.at[i].window);
    vec_done(&s->parts);
    free(s->heap);
    sort_area_done(&s->areas[0]);
    sort_area_done(&s->areas[1]);
    if (s->fd >= 0)
        (void)close(s->fd); /* nothing in it is to last */
    free(s);
}

/* What is in memory becomes a sorted part of the file; the other area is the one to be filled. */
static int spill(struct sorter *s, struct err *err)
{
    int rc = work_join(s, err);
    if (rc == 0 && s->fd < 0)
        rc = file_temporary(s->dirfd, &s->fd, err);
    struct sort_area *other = s->area == &s->areas[0] ? &s->areas[1] : &s->areas[0];
    if (rc == 0 && !other->memory && !sort_area_reserve(other, s->memory_bytes))
        rc = out_of_memory(err);
    if (rc < 0)
        return rc;
    work_start(s, s->area, s->fd);
    s->area = other;
    return 0;
}

int sorter_add(struct sorter *s, struct slice record, struct err *err)
{
    assert(!s->ended);
    if (sort_area_add(s->area, record))
        return 0;
    if (!sort_area_fits(s->area, record.n))
        return err_set(err, EOVERFLOW, "sort: a record of %zu bytes in a memory of %zu", record.n,
                       s->memory_bytes);
    int rc = spill(s, err);
    if (rc == 0)
        (void)sort_area_add(s->area, record); /* an empty one: it fits */
    return rc;
}

/* Merging ------------------------------------------------------------------------------------- */

/* Makes `need` bytes stand in the window from `from` on. */
static int part_fill(struct sorter *s, struct part *p, size_t need, struct err *err)
{
    if (p->fill - p->from >= need)
        return 0;
    if (p->from) {
        memmove(p->window, p->window + p->from, p->fill - p->from);
        p->fill -= p->from;
        p->from = 0;
    }
    if (need > p->capacity) {
        char *more = realloc(p->window, need);
        if (!more)
            return out_of_memory(err);
        p->window = more;
        p->capacity = need;
    }
    size_t n = p->capacity - p->fill;
    if (n > p->end - p->at)
        n = (size_t)(p->end - p->at);
    int rc = file_pread_full(s->fd, p->window + p->fill, n, (off_t)p->at, err);
    if (rc < 0)
        return err_wrap(err, "sort");
    p->at += n;
    p->fill += n;
    return p->fill >= need ? 0 : err_set(err, EIO, "sort: the temporary file is damaged");
}

/* The next record in memory: 1, or 0 at the end. */
static int memory_next(struct sorter *s, struct slice *record)
{
    if (s->next == s->area->n)
        return 0;
    *record = sort_area_at(s->area, s->next++);
    return 1;
}

/* Puts the part's next record into place: 1, 0 at its end, or -errno. */
static int part_next(struct sorter *s, struct part *p, struct err *err)
{
    if (p->in_memory)
        return memory_next(s, &p->record);
    if (p->from == p->fill && p->at == p->end)
        return 0;
    uint32_t n;
    int rc = part_fill(s, p, sizeof n, err);
    if (rc < 0)
        return rc;
    memcpy(&n, p->window + p->from, sizeof n);
    rc = part_fill(s, p, SORT_LENGTH_BYTES + n, err);
    if (rc < 0)
        return rc;
    p->record = slice_make(p->window + p->from + SORT_LENGTH_BYTES, n);
    p->from += SORT_LENGTH_BYTES + n;
    return 1;
}

static bool part_less(const struct sorter *s, uint32_t a, uint32_t b)
{
    int c = s->areas[0].order.compare(s->parts.at[a].record, s->parts.at[b].record);
    return c ? c < 0 : a < b;
}

static void sift_down(struct sorter *s, size_t i)
{
    for (;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < s->heap_n; child++)
            if (part_less(s, s->heap[child], s->heap[least]))
                least = child;
        if (least == i)
            return;
        uint32_t saved = s->heap[i];
        s->heap[i] = s->heap[least];
        s->heap[least] = saved;
        i = least;
    }
}

static int merge_init(struct sorter *s, struct err *err)
{
    size_t window = s->memory_bytes / s->parts.n;
    if (window > WINDOW_BYTES_MAX)
        window = WINDOW_BYTES_MAX;
    if (window < WINDOW_BYTES_MIN)
        window = WINDOW_BYTES_MIN;
    s->heap = calloc(s->parts.n, sizeof *s->heap);
    if (!s->heap)
        return out_of_memory(err);
    for (uint32_t i = 0; i < s->parts.n; i++) {
        struct part *p = &s->parts.at[i];
        p->window = p->in_memory ? NULL : malloc(window);
        if (!p->in_memory && !p->window)
            return out_of_memory(err);
        p->capacity = window;
        int rc = part_next(s, p, err);
        if (rc < 0)
            return rc;
        s->heap[s->heap_n] = i;
        s->heap_n += rc == 1;
    }
    for (size_t i = s->heap_n / 2; i-- > 0;)
        sift_down(s, i);
    return 0;
}

void sorter_end(struct sorter *s)
{
    assert(!s->ended);
    s->ended = true;
    if (!s->work.area) /* else a part is being written; sorter_finish waits for it */
        work_start(s, s->area, -1);
}

int sorter_finish(struct sorter *s, struct err *err)
{
    assert(!s->finished);
    bool sorted = s->ended && s->work.area == s->area;
    s->ended = s->finished = true;
    int rc = work_join(s, err);
    if (rc == 0 && s->area->n && s->parts.n >= IN_MEMORY_PARTS_MAX) {
        rc = spill(s, err);
        if (rc == 0)
            rc = work_join(s, err);
    } else if (rc == 0 && !sorted) {
        sort_area_sort(s->area);
    }
    if (rc < 0 || s->parts.n == 0)
        return rc;
    for (size_t i = 0; i < ARRAY_SIZE(s->areas); i++) /* before the windows are made */
        if (s->areas[i].n == 0)
            sort_area_done(&s->areas[i]);
    if (s->area->n) {
        rc = vec_push(&s->parts, (struct part){.in_memory = true});
        if (rc < 0)
            return err_set(err, -rc, "sort: more than %zu parts", PARTS_MAX);
    }
    return merge_init(s, err);
}

int sorter_next(struct sorter *s, struct slice *record, struct err *err)
{
    assert(s->finished);
    if (s->parts.n == 0)
        return memory_next(s, record);
    if (s->started && s->heap_n) { /* the one that was given last makes way only now */
        int rc = part_next(s, &s->parts.at[s->heap[0]], err);
        if (rc < 0)
            return rc;
        if (rc == 0)
            s->heap[0] = s->heap[--s->heap_n];
        sift_down(s, 0);
    }
    s->started = true;
    if (s->heap_n == 0)
        return 0;
    *record = s->parts.at[s->heap[0]].record;
    return 1;
}
