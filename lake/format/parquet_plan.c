/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/parquet_plan.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "lake/format/parquet_footer.h"

/* Row groups that are planned at once, however small they are. */
#define GROUPS_AHEAD_MAX 1024
/* Who is further off than this does not read on: threads take row groups out of order. */
#define GROUPS_NEAR 8
/* What the kernel rounds a read out to is not wanted. */
#define PAGE 4096

struct chunk {
    uint64_t offset, length; /* 0: it has none */
};

struct parquet_layout {
    atomic_uint refs;
    uint32_t leaves, groups;
    uint32_t *by_offset;   /* chunks that have bytes, in the order of the file */
    uint32_t found;        /* of them */
    struct chunk chunks[]; /* group * leaves + leaf */
};

uint64_t parquet_tail_footer(const char tail[PARQUET_TAIL_BYTES], uint64_t file_bytes)
{
    const uint8_t *p = (const uint8_t *)tail;
    uint64_t n = p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
    bool fits = file_bytes >= PARQUET_TAIL_BYTES && n <= file_bytes - PARQUET_TAIL_BYTES;
    return memcmp(tail + 4, "PAR1", 4) == 0 && fits && n <= PARQUET_PLAN_FOOTER_MAX ? n : 0;
}

/* layouts */

static int by_offset(const void *a, const void *b, void *arg)
{
    const struct chunk *chunks = arg;
    uint64_t x = chunks[*(const uint32_t *)a].offset, y = chunks[*(const uint32_t *)b].offset;
    return x < y ? -1 : x > y;
}

static void place(struct parquet_layout *l, const struct parquet_footer *f, uint64_t file_bytes)
{
    for (uint32_t i = 0; i < l->groups * l->leaves; i++) {
        const struct parquet_chunk *c = &f->chunks[i / l->leaves][i % l->leaves];
        uint64_t end;
        if (c->external || __builtin_add_overflow(c->offset, c->size_bytes, &end) ||
            end > file_bytes || c->size_bytes == 0)
            continue;
        l->chunks[i] = (struct chunk){c->offset, c->size_bytes};
        l->by_offset[l->found++] = i;
    }
    qsort_r(l->by_offset, l->found, sizeof *l->by_offset, by_offset, l->chunks);
}

static struct parquet_layout *layout_new(size_t chunks)
{
    struct parquet_layout *l = calloc(1, sizeof *l + chunks * sizeof l->chunks[0]);
    uint32_t *order = calloc(chunks ? chunks : 1, sizeof *order);
    if (!l || !order) {
        free(l);
        free(order);
        return NULL;
    }
    l->refs = 1;
    l->by_offset = order;
    return l;
}

int parquet_layout_parse(struct slice footer, uint64_t file_bytes, struct parquet_layout **out,
                         struct err *err)
{
    AUTO(parquet_footer) struct parquet_footer f = {0};
    int rc = parquet_footer_parse(&f, footer, err);
    if (rc < 0)
        return rc;
    size_t n = f.groups_n * f.leaves_n; /* each was read from a byte of the footer at least */
    if (n > PARQUET_PLAN_CHUNKS_MAX)
        return err_set(err, EOVERFLOW, "%zu column chunks are too many to plan from", n);
    struct parquet_layout *l = layout_new(n);
    if (!l)
        return err_set(err, ENOMEM, "out of memory");
    l->leaves = (uint32_t)f.leaves_n;
    l->groups = (uint32_t)f.groups_n;
    place(l, &f, file_bytes);
    *out = l;
    return 0;
}

struct parquet_layout *parquet_layout_ref(struct parquet_layout *l)
{
    l->refs++;
    return l;
}

void parquet_layout_unref(struct parquet_layout *l)
{
    if (!l || --l->refs)
        return;
    free(l->by_offset);
    free(l);
}

size_t parquet_layout_bytes(const struct parquet_layout *l)
{
    return sizeof *l + (size_t)l->leaves * l->groups * (sizeof l->chunks[0] + sizeof(uint32_t));
}

/* plans */

struct column {
    uint32_t leaf;
    uint32_t next; /* the first row group that was not planned */
};

struct parquet_plan {
    struct parquet_layout *layout;
    uint32_t front; /* the last row group that was touched */
    uint32_t last;  /* the last one that is within the window */
    uint32_t scan;  /* every column is planned before this one */
    uint64_t window;
    uint32_t count;
    struct column columns[PARQUET_PLAN_COLUMNS_MAX]; /* touched, by leaf */
};

struct parquet_plan *parquet_plan_new(struct parquet_layout *l)
{
    struct parquet_plan *p = calloc(1, sizeof *p);
    if (p) {
        p->layout = parquet_layout_ref(l);
        p->window = PARQUET_PLAN_WINDOW_MIN;
    }
    return p;
}

void parquet_plan_free(struct parquet_plan *p)
{
    if (p)
        parquet_layout_unref(p->layout);
    free(p);
}

static const struct chunk *chunk_of(const struct parquet_plan *p, uint32_t group, uint32_t column)
{
    const struct parquet_layout *l = p->layout;
    return &l->chunks[(size_t)group * l->leaves + p->columns[column].leaf];
}

/* How far the window reaches: whole row groups. */
static void reach(struct parquet_plan *p)
{
    uint64_t bytes = 0;
    uint32_t groups = p->layout->groups - 1 - p->front;
    if (groups > GROUPS_AHEAD_MAX)
        groups = GROUPS_AHEAD_MAX;
    p->last = p->front;
    for (uint32_t g = p->front + 1; g <= p->front + groups; g++) {
        for (uint32_t i = 0; i < p->count; i++)
            bytes += chunk_of(p, g, i)->length;
        if (bytes > p->window)
            break;
        p->last = g;
    }
}

static void begin_at(struct parquet_plan *p, uint32_t group)
{
    p->front = p->scan = group;
    p->window = PARQUET_PLAN_WINDOW_MIN;
    for (uint32_t i = 0; i < p->count; i++)
        p->columns[i].next = group;
}

/* Of a group that is touched: reads on, or elsewhere (false). */
static bool move(struct parquet_plan *p, uint32_t group)
{
    if (p->count == 0 || group > p->last + GROUPS_NEAR || group + GROUPS_NEAR < p->front) {
        begin_at(p, group);
        return p->count == 0;
    }
    if (group > p->front) {
        p->front = group;
        p->window =
            p->window * 2 < PARQUET_PLAN_WINDOW_MAX ? p->window * 2 : PARQUET_PLAN_WINDOW_MAX;
    }
    return true;
}

static bool choose(struct parquet_plan *p, uint32_t leaf, uint32_t group)
{
    uint32_t low = 0, high = p->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (p->columns[middle].leaf < leaf)
            low = middle + 1;
        else
            high = middle;
    }
    if (p->count == PARQUET_PLAN_COLUMNS_MAX || (low < p->count && p->columns[low].leaf == leaf))
        return false;
    memmove(p->columns + low + 1, p->columns + low, (p->count - low) * sizeof p->columns[0]);
    p->columns[low] = (struct column){.leaf = leaf, .next = group};
    p->count++;
    if (group < p->scan)
        p->scan = group;
    return true;
}

/* The first chunk, in the order of the file, that ends behind the offset. */
static uint32_t find(const struct parquet_layout *l, uint64_t offset)
{
    uint32_t low = 0, high = l->found;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct chunk *c = &l->chunks[l->by_offset[middle]];
        if (c->offset + c->length <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_wanted(const struct chunk *c, uint64_t offset, uint64_t end)
{
    uint64_t from = c->offset > offset ? c->offset : offset;
    uint64_t to = c->offset + c->length < end ? c->offset + c->length : end;
    if (from >= to)
        return false;
    return to - from > PAGE || to - from == c->length || to - from == end - offset;
}

bool parquet_plan_touch(struct parquet_plan *p, uint64_t offset, uint64_t length)
{
    const struct parquet_layout *l = p->layout;
    bool on = true, changed = false;
    uint64_t end = offset + length;
    for (uint32_t i = find(l, offset); i < l->found; i++) {
        uint32_t number = l->by_offset[i], front = p->front;
        const struct chunk *c = &l->chunks[number];
        if (c->offset >= end)
            break;
        if (!is_wanted(c, offset, end))
            continue;
        on = move(p, number / l->leaves) && on;
        changed = choose(p, number % l->leaves, number / l->leaves) || changed;
        changed = changed || p->front != front;
    }
    if (changed)
        reach(p);
    return on;
}

/* The first column of the group that is to be planned; count where there is none. */
static uint32_t first_due(const struct parquet_plan *p, uint32_t group)
{
    uint32_t i = 0;
    while (i < p->count && p->columns[i].next > group)
        i++;
    return i;
}

/* One range of the group's chunks from that column on. */
static void join(struct parquet_plan *p, uint32_t group, uint32_t i, uint64_t *offset,
                 uint64_t *length)
{
    const struct chunk *c = chunk_of(p, group, i);
    uint64_t wanted = c->length;
    *offset = c->offset;
    *length = c->length;
    p->columns[i].next = group + 1;
    while (wanted && ++i < p->count) {
        c = chunk_of(p, group, i);
        uint64_t end = *offset + *length;
        if (p->columns[i].next > group)
            continue;
        if (c->offset < end || (c->offset - end) * PARQUET_PLAN_GAP_SHARE > wanted + c->length)
            return;
        wanted += c->length;
        *length = c->offset + c->length - *offset;
        p->columns[i].next = group + 1;
    }
}

bool parquet_plan_next(struct parquet_plan *p, uint64_t *offset, uint64_t *length)
{
    while (p->count && p->scan <= p->last) {
        uint32_t i = first_due(p, p->scan);
        if (i == p->count) {
            p->scan++;
            continue;
        }
        join(p, p->scan, i, offset, length);
        if (*length)
            return true;
    }
    return false;
}
