/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who brings the granules of a range: the file, a flight under way, or a new one.
 *
 * A range is cut into pieces, each with one source, under the object's lock; what was found is
 * served and started when that is left.
 */
#include "cache/private.h"

/* What one call of flights_join has found, to be served and started when the lock is left. */
struct joining {
    struct object *object;
    struct object_read *read;
    uint64_t end;
    size_t fetch_bytes;
    bool ahead;          /* for prefetch */
    bool sequence;       /* the reader is in sequence, or follows a plan */
    struct flight *made; /* by made_next, in order of their bytes */
    struct flight *made_last;
    struct piece *landed; /* each with a reference to its flight */
    unsigned failed;      /* pieces that there was no memory for */
};

static bool missing_locked(struct object *o, uint64_t granule) REQUIRES(o->lock)
{
    return !present_locked(o, granule) && !flight_at_locked(o, granule * GRANULE_BYTES);
}

/* The granules of a flight that would begin here: what it may bring, whatever is there already. */
struct reach {
    uint64_t first, last;
    bool frozen; /* they come from the frozen file first */
};

/*
 * From the granule on: as far as it is wanted, and so much as one fetch brings. An object of one
 * block comes whole, and so does a block that is frozen. A flight is of one segment.
 */
static struct reach reach_locked(struct object *o, const struct joining *j, uint64_t granule)
    REQUIRES(o->lock)
{
    const struct segment *s = segment_of_locked(o, granule);
    bool frozen = s && s->frozen_bytes;
    uint64_t of_object = (o->size - 1) / GRANULE_BYTES;
    uint64_t of_segment = granule / SEGMENT_GRANULES * SEGMENT_GRANULES + SEGMENT_GRANULES - 1;
    uint64_t want = (j->end - 1) / GRANULE_BYTES;
    uint64_t fetch = granule + j->fetch_bytes / GRANULE_BYTES - 1;
    struct reach r = {.first = granule, .last = granule + BLOCK_GRANULES - 1, .frozen = frozen};
    if (frozen || o->size <= BLOCK_BYTES) {
        r.first = granule / BLOCK_GRANULES * BLOCK_GRANULES;
        r.last = r.first + BLOCK_GRANULES - 1;
    } else if ((want > fetch ? want : fetch) < r.last) {
        r.last = want > fetch ? want : fetch;
    }
    if (r.last > of_segment)
        r.last = of_segment;
    if (r.last > of_object)
        r.last = of_object;
    return r;
}

/* Whoever wants it takes all of it at once, and goes on. */
static bool is_passing(const struct joining *j, const struct flight *f)
{
    return j->ahead || (j->sequence && j->read && j->read->offset <= f->offset &&
                        f->offset + f->length <= j->read->offset + j->read->length);
}

/* A flight from the granule on, up to what is there already or on its way. */
static struct flight *make_flight_locked(struct object *o, struct joining *j, uint64_t granule)
    REQUIRES(o->lock)
{
    struct reach r = reach_locked(o, j, granule);
    uint64_t first = granule, last = granule;
    while (first > r.first && missing_locked(o, first - 1))
        first--;
    while (last < r.last && missing_locked(o, last + 1))
        last++;
    size_t length = (size_t)((last - first) * GRANULE_BYTES + granule_length(o->size, last));
    struct flight *f = flight_new_locked(o, first * GRANULE_BYTES, length);
    if (!f)
        return NULL;
    f->frozen = r.frozen;
    f->ahead = j->ahead;
    f->passing = is_passing(j, f);
    if (j->made_last)
        j->made_last->made_next = f;
    else
        j->made = f;
    j->made_last = f;
    return f;
}

/* NULL: out of memory, or nobody reads. */
static struct piece *add_piece_locked(struct object *o, struct joining *j, uint64_t offset,
                                      uint64_t end) REQUIRES(o->lock)
{
    (void)o; /* whose lock guards the lists */
    struct object_read *r = j->read;
    if (!r)
        return NULL;
    struct piece *p = malloc(sizeof *p);
    r->missing++;
    if (!p) {
        j->failed++;
        return NULL;
    }
    *p = (struct piece){.read = r,
                        .next_all = r->pieces,
                        .offset = offset,
                        .length = (size_t)(end - offset),
                        .to = r->to + (offset - r->offset)};
    r->pieces = p;
    return p;
}

/* Where the granules that are in the file end. */
static uint64_t present_end_locked(struct object *o, const struct joining *j, uint64_t offset)
    REQUIRES(o->lock)
{
    uint64_t granule = offset / GRANULE_BYTES + 1;
    while (granule * GRANULE_BYTES < j->end && present_locked(o, granule) &&
           !flight_at_locked(o, granule * GRANULE_BYTES))
        granule++;
    uint64_t end = granule * GRANULE_BYTES;
    return end < j->end ? end : j->end;
}

static void wait_for_locked(struct object *o, struct joining *j, struct flight *f, uint64_t offset,
                            uint64_t end) REQUIRES(o->lock)
{
    struct piece *p = add_piece_locked(o, j, offset, end);
    if (!p)
        return;
    p->flight = f;
    p->last = held_used_locked(o, f, end);
    if (f->state == FLIGHT_LANDED) {
        f->refs++;
        p->next = j->landed;
        j->landed = p;
    } else {
        p->next = f->waiters;
        f->waiters = p;
    }
}

/* Finds one source for what begins at the offset; returns where that ends. */
static uint64_t join_some_locked(struct object *o, struct joining *j, uint64_t offset)
    REQUIRES(o->lock)
{
    struct flight *f = flight_at_locked(o, offset);
    if (!f && present_locked(o, offset / GRANULE_BYTES)) {
        uint64_t end = present_end_locked(o, j, offset);
        struct piece *p = add_piece_locked(o, j, offset, end);
        if (p) {
            p->next = j->read->on_disk;
            j->read->on_disk = p;
        }
        return end;
    }
    if (!f)
        f = make_flight_locked(o, j, offset / GRANULE_BYTES);
    if (!f) {
        if (j->read)
            j->read->missing++;
        j->failed++;
        return j->end;
    }
    uint64_t end = f->offset + f->length;
    end = end < j->end ? end : j->end;
    wait_for_locked(o, j, f, offset, end);
    return end;
}

static void settle(struct joining *j)
{
    while (j->landed) {
        struct piece *p = j->landed;
        j->landed = p->next;
        flight_serve(p);
    }
    flights_start(j->made);
    struct err err = ERR_INIT;
    for (; j->failed && j->read; j->failed--)
        read_finish(j->read, err_set(&err, ENOMEM, "%s: out of memory", j->object->key), &err);
}

/* Who reads much at once knows what he wants; who reads little reads more of it soon. */
static size_t usual_fetch(uint64_t length)
{
    return length >= FETCH_RANDOM_BYTES / 2 ? GRANULE_BYTES : FETCH_RANDOM_BYTES;
}

static void join(struct joining *j, uint64_t offset)
{
    struct object *o = j->object;
    object_load_range(o, offset, j->end - offset);
    WITH_LOCK (&o->lock) {
        while (offset < j->end)
            offset = join_some_locked(o, j, offset);
    }
    settle(j);
}

void flights_join(struct object *o, struct object_read *r, uint64_t offset, uint64_t length,
                  size_t fetch_bytes)
{
    struct joining j = {.object = o,
                        .read = r,
                        .end = offset + length,
                        .fetch_bytes = fetch_bytes ? fetch_bytes : usual_fetch(length),
                        .sequence = fetch_bytes == GRANULE_BYTES};
    join(&j, offset);
}

void flights_ahead(struct object *o, uint64_t offset, uint64_t length)
{
    struct joining j = {
        .object = o, .end = offset + length, .fetch_bytes = GRANULE_BYTES, .ahead = true};
    join(&j, offset);
}
