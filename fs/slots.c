/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/slots.h"

#include "fs/govern.h"
#include "lake/table.h"

#define TABLES_MAX ((size_t)1 << 20)

struct slot {
    struct shown shown; /* its references */
    uint64_t used;      /* the clock then */
    unsigned opens;
};

struct table_slots {
    struct slice path; /* the map's key; its bytes are at the end */
    uint64_t clock;
    unsigned n;
    struct slot at[SLOTS_MAX]; /* slot i + 1 */
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

/* A slot that nobody has, else that which was not asked for longest; NULL: all are open. */
static struct slot *take(struct table_slots *t)
{
    struct slot *oldest = NULL;
    if (t->n < SLOTS_MAX)
        return &t->at[t->n++];
    for (unsigned i = 0; i < SLOTS_MAX; i++)
        if (!t->at[i].opens && (!oldest || t->at[i].used < oldest->used))
            oldest = &t->at[i];
    return oldest;
}

static struct slot *slot_for(struct table_slots *t, const struct shown *shown)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->at[i].shown.view->hash == shown->view->hash)
            return &t->at[i];
    struct slot *slot = take(t);
    if (!slot)
        return NULL;
    uint64_t generation = slot->shown.generation + (slot->shown.view != NULL);
    shown_done(&slot->shown);
    shown_copy(&slot->shown, shown);
    slot->shown.slot = (unsigned)(slot - t->at) + 1;
    slot->shown.generation = generation;
    return slot;
}

int slots_find(struct slots *s, const struct table *table, struct shown *shown, struct err *err)
{
    int rc = 0;
    WITH_LOCK (&s->lock) {
        struct table_slots *t = make_locked(s, table);
        struct slot *slot = t ? slot_for(t, shown) : NULL;
        if (slot) {
            slot->used = ++t->clock;
            shown->slot = slot->shown.slot;
            shown->generation = slot->shown.generation;
        } else {
            rc = t ? -ENFILE : -ENOMEM;
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
