/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/slots.h"

#include "fs/govern.h"
#include "lake/table.h"

#define TABLES_MAX ((size_t)1 << 20)

#define SLOTS_AT_FIRST 4

struct slot {
    struct shown shown; /* its references */
    uint64_t used;      /* the clock then */
    uint64_t taker;     /* who asked for the view first */
    unsigned opens;
};

struct table_slots {
    struct slice path; /* the map's key; its bytes are at the end */
    uint64_t clock;
    unsigned n, room;
    struct slot *at; /* slot i + 1 */
    char text[];
};

void slots_init(struct slots *s)
{
    lock_init(&s->lock);
    map_init(&s->tables, TABLES_MAX);
}

void slots_done(struct slots *s)
{
    const struct map_entry *e;
    for (size_t at = 0; (e = map_next(&s->tables, &at));) {
        struct table_slots *t = e->value;
        for (unsigned i = 0; i < t->n; i++)
            shown_done(&t->at[i].shown);
        free(t->at);
        free(t);
    }
    map_done(&s->tables);
    lock_done(&s->lock);
}

static struct table_slots *find_locked(struct slots *s, const struct table *table) REQUIRES(s->lock)
{
    return map_find(&s->tables, table_path(table));
}

static struct table_slots *make_locked(struct slots *s, const struct table *table) REQUIRES(s->lock)
{
    AUTO_FREE struct table_slots *t = find_locked(s, table);
    struct slice path = table_path(table);
    if (t)
        return STEAL(t);
    t = calloc(1, sizeof *t + path.n);
    if (!t)
        return NULL;
    if (path.n)
        memcpy(t->text, path.p, path.n);
    t->path = slice_make(t->text, path.n);
    return map_put(&s->tables, t->path, t) == 0 ? STEAL(t) : NULL;
}

/* One more; NULL: out of memory. */
static struct slot *grow(struct table_slots *t)
{
    if (t->n == t->room) {
        unsigned room = t->room ? 2 * t->room : SLOTS_AT_FIRST;
        struct slot *more = reallocarray(t->at, room, sizeof *more);
        if (!more)
            return NULL;
        t->at = more;
        t->room = room;
    }
    t->at[t->n] = (struct slot){.used = 0};
    return &t->at[t->n++];
}

static struct slot *longest_unasked(const struct table_slots *t, const uint64_t *taker)
{
    struct slot *oldest = NULL;
    for (unsigned i = 0; i < t->n; i++)
        if (!t->at[i].opens && (!taker || t->at[i].taker == *taker) &&
            (!oldest || t->at[i].used < oldest->used))
            oldest = &t->at[i];
    return oldest;
}

static unsigned count_taken(const struct table_slots *t, uint64_t taker)
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->n; i++)
        n += t->at[i].taker == taker;
    return n;
}

static int take(struct table_slots *t, uint64_t taker, struct slot **out)
{
    if (taker && count_taken(t, taker) >= SLOTS_EACH)
        *out = longest_unasked(t, &taker);
    else if (t->n == SLOTS_MAX)
        *out = longest_unasked(t, NULL);
    else if (!(*out = grow(t)))
        return -ENOMEM;
    return *out ? 0 : -ENFILE;
}

static int slot_for(struct table_slots *t, uint64_t taker, const struct shown *shown,
                    struct slot **out)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->at[i].shown.view->hash == shown->view->hash) {
            *out = &t->at[i];
            return 0;
        }
    int rc = take(t, taker, out);
    if (rc < 0)
        return rc;
    struct slot *slot = *out;
    uint64_t generation = slot->shown.generation + (slot->shown.view != NULL);
    shown_done(&slot->shown);
    shown_copy(&slot->shown, shown);
    slot->shown.slot = (unsigned)(slot - t->at) + 1;
    slot->shown.generation = generation;
    slot->taker = taker;
    return 0;
}

int slots_find(struct slots *s, const struct table *table, uint64_t taker, struct shown *shown,
               struct err *err)
{
    int rc;
    WITH_LOCK (&s->lock) {
        struct table_slots *t = make_locked(s, table);
        struct slot *slot;
        rc = t ? slot_for(t, taker, shown, &slot) : -ENOMEM;
        if (rc == 0) {
            slot->used = ++t->clock;
            shown->slot = slot->shown.slot;
            shown->generation = slot->shown.generation;
        }
    }
    return rc < 0 ? err_set(err, -rc, "views of one table: %s", strerror(-rc)) : 0;
}

static struct slot *at_locked(struct slots *s, const struct table *table, unsigned slot)
    REQUIRES(s->lock)
{
    struct table_slots *t = slot ? find_locked(s, table) : NULL;
    return t && slot <= t->n ? &t->at[slot - 1] : NULL;
}

bool slots_shown(struct slots *s, const struct table *table, unsigned slot, struct shown *out)
{
    const struct slot *found;
    WITH_LOCK (&s->lock) {
        found = at_locked(s, table, slot);
        if (found)
            shown_copy(out, &found->shown);
    }
    return found != NULL;
}

bool slots_hold(struct slots *s, const struct table *table, unsigned slot, uint64_t hash)
{
    bool held;
    WITH_LOCK (&s->lock) {
        struct slot *found = at_locked(s, table, slot);
        held = found && found->shown.view->hash == hash;
        if (held)
            found->opens++;
    }
    return held;
}

void slots_leave(struct slots *s, const struct table *table, unsigned slot)
{
    WITH_LOCK (&s->lock) {
        struct slot *found = at_locked(s, table, slot);
        if (found)
            found->opens--;
    }
}
