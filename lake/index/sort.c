/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/index/sort.h"

#include <assert.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/vec.h"

/* In memory: records (le32 length, bytes) grow from the bottom, their slots from the top. */
#define LENGTH_BYTES sizeof(uint32_t)
#define SLOT_BYTES sizeof(struct slot)

/* Slots whose records are fetched into the CPU's cache before they are looked at. */
#define AHEAD 12
/* So few are sorted by insertion. */
#define FEW 12

/* Parts of one merge; with the least window each they still fit in a sort's memory. */
#define PARTS_MAX ((size_t)8 << 10)
#define WINDOW_BYTES_MIN (4 * KIB)
#define WINDOW_BYTES_MAX MIB
#define WRITE_BYTES MIB
/* Where parts are no more than these, what is in memory at the end stays there beside their
 * windows: two thirds of a sort's memory more. */
#define IN_MEMORY_PARTS_MAX 32

/* A sorted part of the temporary file, read through a window; or what is in memory. */
struct part {
    bool in_memory;
    uint64_t at, end; /* of the file, what is not in the window yet */
    char *window;
    size_t capacity, from, fill;
    struct slice record; /* the next one, in the window */
};

/* A record in memory, and the bytes of its order that decide now (zeros without sorter_by_bytes).
 */
struct slot {
    uint64_t bytes;
    uint32_t offset, zero;
};
_Static_assert(sizeof(struct slot) == 16, "slot has no holes");

struct sorter {
    int dirfd;
    int fd; /* the temporary file, -1: none yet */
    size_t memory_bytes;
    int (*compare)(struct slice a, struct slice b);
    bool (*bytes)(struct slice record, size_t at, uint64_t *out); /* NULL: none are told */
    char *memory; /* NULL once everything is in the file */
    size_t used;  /* bytes of records */
    uint32_t n;   /* records in memory */
    uint32_t next;
    uint64_t file_bytes;
    VEC(struct part) parts;
    uint32_t *heap; /* parts that have a record; the least one first */
    size_t heap_n;
    bool finished, started;
};

struct sorter *sorter_new(int dirfd, size_t memory_bytes,
                          int (*compare)(struct slice a, struct slice b), struct err *err)
{
    assert(memory_bytes <= UINT32_MAX);
    struct sorter *s = calloc(1, sizeof *s);
    if (s)
        *s = (struct sorter){.dirfd = dirfd,
                             .fd = -1,
                             .memory_bytes = memory_bytes & ~(size_t)7,
                             .compare = compare,
                             .parts = VEC_MAX(PARTS_MAX)};
    /* Pages that no record reaches cost nothing: the whole is only reserved. */
    if (s)
        s->memory = malloc(s->memory_bytes);
    if (!s || !s->memory) {
        sorter_free(s);
        (void)err_set(err, ENOMEM, "sort: out of memory");
        return NULL;
    }
    return s;
}

void sorter_by_bytes(struct sorter *s, bool (*bytes)(struct slice record, size_t at, uint64_t *out))
{
    assert(s->n == 0 && s->parts.n == 0);
    s->bytes = bytes;
}

void sorter_free(struct sorter *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->parts.n; i++)
        free(s->parts.at[i].window);
    vec_done(&s->parts);
    free(s->heap);
    free(s->memory);
    if (s->fd >= 0)
        (void)close(s->fd); /* nothing in it is to last */
    free(s);
}

static struct slot *slots(const struct sorter *s)
{
    return (struct slot *)(void *)(s->memory + s->memory_bytes) - s->n;
}

static struct slice record_at(const struct sorter *s, uint32_t offset)
{
    uint32_t n;
    memcpy(&n, s->memory + offset, sizeof n);
    return slice_make(s->memory + offset + LENGTH_BYTES, n);
}

/* Records lie in the order they came, so each that is looked at in another one is far away. */
static void fetch(const struct sorter *s, const struct slot *slot)
{
    __builtin_prefetch(s->memory + slot->offset);
    __builtin_prefetch(s->memory + slot->offset + 64); /* nothing where that is not there */
}

static int compare_slots(const void *a, const void *b, void *arg)
{
    const struct sorter *s = arg;
    const struct slot *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    int c = s->compare(record_at(s, x->offset), record_at(s, y->offset));
    return c ? c : (x->offset > y->offset) - (x->offset < y->offset);
}

static void insert(const struct sorter *s, struct slot *at, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct slot one = at[i];
        size_t to = i;
        for (; to > 0 && compare_slots(&one, &at[to - 1], (void *)(uintptr_t)s) < 0; to--)
            at[to] = at[to - 1];
        at[to] = one;
    }
}

static uint64_t median(uint64_t a, uint64_t b, uint64_t c)
{
    if (a > b) {
        uint64_t t = a;
        a = b;
        b = t;
    }
    return c < a ? a : c > b ? b : c;
}

/* Slots of equal bytes get their next ones; false where no record has more. */
static bool next_bytes(const struct sorter *s, struct slot *at, size_t n, size_t from)
{
    bool more = false;
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            fetch(s, &at[i + AHEAD]);
        at[i].bytes = 0;
        more |= s->bytes(record_at(s, at[i].offset), from, &at[i].bytes);
    }
    return more;
}

/*
 * Moves the slots of [from, n) whose bytes compare so with the pivot to the front; where the others
 * begin. Without a branch that depends on them: nothing could predict it.
 */
enum comparison { LESS, SAME };
static inline __attribute__((always_inline)) size_t split(struct slot *at, size_t from, size_t n,
                                                          enum comparison how, uint64_t pivot)
{
    size_t end = from;
    for (size_t i = from; i < n; i++) {
        struct slot one = at[i];
        at[i] = at[end];
        at[end] = one;
        end += how == LESS ? one.bytes < pivot : one.bytes == pivot;
    }
    return end;
}

/*
 * Quicksort by eight bytes of the order at a time: what has smaller ones, what has equal ones,
 * which is sorted by the bytes that follow, and what has greater ones. `budget` bounds the depth:
 * input that is made to be split badly is left to a sort that cannot be.
 */
static void sort_slots(const struct sorter *s, struct slot *at, size_t n, size_t from,
                       unsigned budget)
{
    while (n > FEW) {
        if (budget == 0) {
            qsort_r(at, n, sizeof *at, compare_slots, (void *)(uintptr_t)s);
            return;
        }
        uint64_t pivot = median(at[0].bytes, at[n / 2].bytes, at[n - 1].bytes);
        size_t less = split(at, 0, n, LESS, pivot);
        size_t greater = split(at, less, n, SAME, pivot);
        sort_slots(s, at, less, from, budget - 1);
        sort_slots(s, at + greater, n - greater, from, budget - 1);
        at += less;
        n = greater - less;
        from += sizeof pivot;
        if (n > 1 && !(s->bytes && next_bytes(s, at, n, from))) {
            qsort_r(at, n, sizeof *at, compare_slots, (void *)(uintptr_t)s);
            return;
        }
    }
    insert(s, at, n);
}

static void sort_memory(struct sorter *s)
{
    unsigned budget = 16;
    for (uint32_t n = s->n; n; n /= 2)
        budget += 2;
    sort_slots(s, slots(s), s->n, 0, budget);
}

static int flush(struct sorter *s, struct buf *out, struct err *err)
{
    int rc = file_pwrite_full(s->fd, out->data, out->len, (off_t)s->file_bytes, err);
    if (rc < 0)
        return err_wrap(err, "sort");
    s->file_bytes += out->len;
    buf_reset(out);
    return 0;
}

/* What is in memory becomes a sorted part of the file. */
static int spill(struct sorter *s, struct err *err)
{
    int rc = s->fd < 0 ? file_temporary(s->dirfd, &s->fd, err) : 0;
    if (rc < 0)
        return rc;
    sort_memory(s);
    AUTO(buf) struct buf out = {0};
    buf_init(&out, WRITE_BYTES + s->memory_bytes);
    struct part part = {.at = s->file_bytes};
    const struct slot *slot = slots(s);
    for (uint32_t i = 0; rc == 0 && i < s->n; i++) {
        if (i + AHEAD < s->n)
            fetch(s, &slot[i + AHEAD]);
        struct slice record = record_at(s, slot[i].offset);
        buf_add(&out, record.p - LENGTH_BYTES, record.n + LENGTH_BYTES);
        rc = buf_check(&out, err);
        if (rc == 0 && out.len >= WRITE_BYTES)
            rc = flush(s, &out, err);
    }
    if (rc == 0)
        rc = flush(s, &out, err);
    if (rc < 0)
        return rc;
    part.end = s->file_bytes;
    s->used = 0;
    s->n = 0;
    rc = vec_push(&s->parts, part);
    return rc < 0 ? err_set(err, -rc, "sort: more than %zu parts", PARTS_MAX) : 0;
}

int sorter_add(struct sorter *s, struct slice record, struct err *err)
{
    assert(!s->finished);
    size_t need = LENGTH_BYTES + record.n + SLOT_BYTES;
    if (record.n > s->memory_bytes || need > s->memory_bytes)
        return err_set(err, EOVERFLOW, "sort: a record of %zu bytes in a memory of %zu", record.n,
                       s->memory_bytes);
    if (need > s->memory_bytes - s->used - s->n * SLOT_BYTES) {
        int rc = spill(s, err);
        if (rc < 0)
            return rc;
    }
    uint32_t n = (uint32_t)record.n;
    memcpy(s->memory + s->used, &n, sizeof n);
    if (n)
        memcpy(s->memory + s->used + LENGTH_BYTES, record.p, n);
    struct slot slot = {.offset = (uint32_t)s->used};
    if (s->bytes)
        (void)s->bytes(record, 0, &slot.bytes); /* none: zeros */
    s->n++;
    *slots(s) = slot;
    s->used += LENGTH_BYTES + n;
    return 0;
}

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
            return err_set(err, ENOMEM, "sort: out of memory");
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
    if (s->next == s->n)
        return 0;
    const struct slot *slot = slots(s) + s->next++;
    if (s->n - s->next > AHEAD)
        fetch(s, slot + AHEAD);
    *record = record_at(s, slot->offset);
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
    rc = part_fill(s, p, LENGTH_BYTES + n, err);
    if (rc < 0)
        return rc;
    p->record = slice_make(p->window + p->from + LENGTH_BYTES, n);
    p->from += LENGTH_BYTES + n;
    return 1;
}

static bool part_less(const struct sorter *s, uint32_t a, uint32_t b)
{
    int c = s->compare(s->parts.at[a].record, s->parts.at[b].record);
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
        return err_set(err, ENOMEM, "sort: out of memory");
    for (uint32_t i = 0; i < s->parts.n; i++) {
        struct part *p = &s->parts.at[i];
        p->window = p->in_memory ? NULL : malloc(window);
        if (!p->in_memory && !p->window)
            return err_set(err, ENOMEM, "sort: out of memory");
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

int sorter_finish(struct sorter *s, struct err *err)
{
    assert(!s->finished);
    s->finished = true;
    if (s->n && s->parts.n >= IN_MEMORY_PARTS_MAX) {
        int rc = spill(s, err);
        if (rc < 0)
            return rc;
    }
    sort_memory(s);
    if (s->parts.n == 0)
        return 0;
    if (s->n) {
        int rc = vec_push(&s->parts, (struct part){.in_memory = true});
        if (rc < 0)
            return err_set(err, -rc, "sort: more than %zu parts", PARTS_MAX);
    } else {
        free(s->memory); /* before the windows are made */
        s->memory = NULL;
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
