/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache of sizes without bytes that evicts by samples, as cache/evict.c does: the worst few of
 * them go, until a part of the budget is free; never what is open, which here is what was used
 * last. Small and large objects are sampled apart: among thousands of small ones a sample would
 * miss the few large ones that take most of the room, and drop good small ones in their place. The
 * numbers decide the hit ratios: they are to be those of cache/evict.c.
 *
 * Objects are small numbers.
 */
#ifndef TESTS_EVICT_MODEL_H
#define TESTS_EVICT_MODEL_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/limits.h"
#include "cache/uses.h"

#define MODEL_LARGE_BYTES (4 * MIB)
#define MODEL_SAMPLE 512    /* of each of both looked at in one round */
#define MODEL_DROP 8        /* of which so many go */
#define MODEL_ROOM_SHARE 32 /* until so much of the budget is free */
#define MODEL_OPEN 8        /* objects of the latest uses, which cannot go */

enum { MODEL_SMALL, MODEL_LARGE, MODEL_CLASSES };

/* What is cached of one class of sizes, in no order. */
struct model_class {
    size_t *object, count;
};

struct model {
    struct uses *uses;
    uint64_t budget_bytes, bytes, seed, clock;
    size_t objects;
    struct model_class cached[MODEL_CLASSES];
    size_t *place;  /* of an object: 1 + its place in its class; 0: not cached */
    uint64_t *size; /* of each object, known by its first use */
    uint64_t *used; /* the clock at the latest use */
};

static uint64_t model_random(struct model *m)
{
    m->seed++;
    return hash64(m->seed, slice_make(&m->seed, sizeof m->seed));
}

static uint64_t model_key(size_t object)
{
    return hash64(1, slice_make(&object, sizeof object));
}

static void model_init(struct model *m, struct uses *u, uint64_t budget_bytes, size_t objects,
                       uint64_t seed)
{
    *m = (struct model){.uses = u, .budget_bytes = budget_bytes, .seed = seed << 32};
    m->objects = objects;
    m->place = calloc(objects, sizeof *m->place);
    m->size = calloc(objects, sizeof *m->size);
    m->used = calloc(objects, sizeof *m->used);
    if (!m->place || !m->size || !m->used)
        abort();
    for (size_t i = 0; i < MODEL_CLASSES; i++)
        if (!(m->cached[i].object = calloc(objects, sizeof(size_t))))
            abort();
}

static void model_done(struct model *m)
{
    for (size_t i = 0; i < MODEL_CLASSES; i++)
        free(m->cached[i].object);
    free(m->place);
    free(m->size);
    free(m->used);
}

static struct model_class *model_class(struct model *m, size_t object)
{
    return &m->cached[m->size[object] < MODEL_LARGE_BYTES ? MODEL_SMALL : MODEL_LARGE];
}

static void model_add(struct model *m, size_t object)
{
    struct model_class *c = model_class(m, object);
    c->object[c->count++] = object;
    m->place[object] = c->count;
    m->bytes += m->size[object];
}

static void model_remove(struct model *m, size_t object)
{
    struct model_class *c = model_class(m, object);
    size_t at = m->place[object] - 1, last = c->object[--c->count];
    c->object[at] = last;
    m->place[last] = at + 1;
    m->place[object] = 0;
    m->bytes -= m->size[object];
}

struct model_choice {
    size_t object;
    double score;
};

static int model_worst_first(const void *a, const void *b)
{
    const struct model_choice *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

static void model_evict_some(struct model *m, uint64_t target)
{
    struct model_choice sample[MODEL_CLASSES * MODEL_SAMPLE];
    size_t n = 0, dropped = 0;
    for (size_t i = 0; i < MODEL_CLASSES; i++) {
        const struct model_class *c = &m->cached[i];
        for (size_t j = 0; c->count && j < MODEL_SAMPLE; j++) {
            size_t object = c->object[model_random(m) % c->count];
            double score = uses_score(m->uses, model_key(object), m->size[object]);
            sample[n++] = (struct model_choice){object, score};
        }
    }
    qsort(sample, n, sizeof sample[0], model_worst_first);
    for (size_t i = 0; i < n && dropped < MODEL_DROP && m->bytes > target; i++) {
        size_t object = sample[i].object;
        if (m->place[object] && m->clock - m->used[object] >= MODEL_OPEN) {
            model_remove(m, object);
            dropped++;
        }
    }
}

/* True: it was cached. */
static bool model_use(struct model *m, size_t object, uint64_t bytes)
{
    bool hit = m->place[object];
    uses_note(m->uses, model_key(object), bytes, 1);
    m->used[object] = ++m->clock;
    m->size[object] = bytes;
    if (!hit)
        model_add(m, object);
    if (m->bytes > m->budget_bytes) {
        uint64_t target = m->budget_bytes - m->budget_bytes / MODEL_ROOM_SHARE;
        /* what is open may be more than the budget */
        while (m->bytes > target &&
               m->cached[MODEL_SMALL].count + m->cached[MODEL_LARGE].count > MODEL_OPEN)
            model_evict_some(m, target);
    }
    return hit;
}

#endif
