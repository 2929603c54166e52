/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/index/sort_area.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_BYTES sizeof(struct slot)

/* Slots whose records are fetched into the CPU's cache before they are looked at. */
#define AHEAD 12
/* So few are sorted by insertion. */
#define FEW 12
#define CACHE_LINE 64

/* A record, and the bytes of its order that decide now (zeros where the order tells none). */
struct slot {
    uint64_t bytes;
    uint32_t offset, zero;
};
_Static_assert(sizeof(struct slot) == 16, "slot has no holes");

bool sort_area_reserve(struct sort_area *a, size_t memory_bytes)
{
    assert(!a->memory && memory_bytes <= UINT32_MAX);
    a->memory_bytes = memory_bytes & ~(size_t)7;
    /* Pages that no record reaches cost nothing: the whole is only reserved. */
    a->memory = malloc(a->memory_bytes);
    return a->memory != NULL;
}

void sort_area_done(struct sort_area *a)
{
    free(a->memory);
    a->memory = NULL;
}

static size_t need(size_t n)
{
    return SORT_LENGTH_BYTES + n + SLOT_BYTES;
}

bool sort_area_fits(const struct sort_area *a, size_t n)
{
    return n <= a->memory_bytes && need(n) <= a->memory_bytes;
}

void sort_area_empty(struct sort_area *a)
{
    a->used = 0;
    a->n = 0;
}

static struct slot *slots(const struct sort_area *a)
{
    return (struct slot *)(void *)(a->memory + a->memory_bytes) - a->n;
}

bool sort_area_add(struct sort_area *a, struct slice record)
{
    if (need(record.n) > a->memory_bytes - a->used - a->n * SLOT_BYTES)
        return false;
    uint32_t n = (uint32_t)record.n;
    memcpy(a->memory + a->used, &n, sizeof n);
    if (n)
        memcpy(a->memory + a->used + SORT_LENGTH_BYTES, record.p, n);
    struct slot slot = {.offset = (uint32_t)a->used};
    if (a->order.bytes)
        (void)a->order.bytes(record, 0, &slot.bytes); /* none: zeros */
    a->n++;
    *slots(a) = slot;
    a->used += SORT_LENGTH_BYTES + n;
    return true;
}

static struct slice record_at(const struct sort_area *a, uint32_t offset)
{
    uint32_t n;
    memcpy(&n, a->memory + offset, sizeof n);
    return slice_make(a->memory + offset + SORT_LENGTH_BYTES, n);
}

/* Records lie in the order they came, so each that is looked at in another one is far away. */
static void fetch(const struct sort_area *a, const struct slot *slot)
{
    const char *at = a->memory + slot->offset;
    for (size_t line = 0; line < 3; line++)
        __builtin_prefetch(at + line * CACHE_LINE); /* nothing where that is not there */
}

struct slice sort_area_at(const struct sort_area *a, uint32_t i)
{
    const struct slot *slot = slots(a) + i;
    if (a->n - i > AHEAD)
        fetch(a, slot + AHEAD);
    return record_at(a, slot->offset);
}

static int compare_slots(const void *left, const void *right, void *arg)
{
    const struct sort_area *area = arg;
    const struct slot *x = left, *y = right;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    int c = area->order.compare(record_at(area, x->offset), record_at(area, y->offset));
    return c ? c : (x->offset > y->offset) - (x->offset < y->offset);
}

static void insert(const struct sort_area *a, struct slot *at, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct slot one = at[i];
        size_t to = i;
        for (; to > 0 && compare_slots(&one, &at[to - 1], (void *)(uintptr_t)a) < 0; to--)
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
static bool next_bytes(const struct sort_area *a, struct slot *at, size_t n, size_t from)
{
    bool more = false;
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            fetch(a, &at[i + AHEAD]);
        at[i].bytes = 0;
        more |= a->order.bytes(record_at(a, at[i].offset), from, &at[i].bytes);
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
static void sort_slots(const struct sort_area *a, struct slot *at, size_t n, size_t from,
                       unsigned budget)
{
    while (n > FEW) {
        if (budget == 0) {
            qsort_r(at, n, sizeof *at, compare_slots, (void *)(uintptr_t)a);
            return;
        }
        uint64_t pivot = median(at[0].bytes, at[n / 2].bytes, at[n - 1].bytes);
        size_t less = split(at, 0, n, LESS, pivot);
        size_t greater = split(at, less, n, SAME, pivot);
        sort_slots(a, at, less, from, budget - 1);
        sort_slots(a, at + greater, n - greater, from, budget - 1);
        at += less;
        n = greater - less;
        from += sizeof pivot;
        if (n > 1 && !(a->order.bytes && next_bytes(a, at, n, from))) {
            qsort_r(at, n, sizeof *at, compare_slots, (void *)(uintptr_t)a);
            return;
        }
    }
    insert(a, at, n);
}

void sort_area_sort(struct sort_area *a)
{
    unsigned budget = 16;
    for (uint32_t n = a->n; n; n /= 2)
        budget += 2;
    sort_slots(a, slots(a), a->n, 0, budget);
}
