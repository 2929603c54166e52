/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which view the view bits of a node id mean (fs/node.h). A file of a table is another node, with
 * other pages in the kernel, for each distinct view of it:
 *
 *   table ─► 1..255, each a view by its hash; 0 is the whole table
 *
 * A table is its path: one that was away for a while and is back has the node ids that it had.
 * A slot belongs to its view while something is open under it, and until all others are used and it
 * was not asked for longest; then another view takes it with another *generation*, upon which the
 * kernel makes a new inode and lets nobody do more with the old one. Of several principals nobody
 * takes more than SLOTS_EACH: beyond that his views take the places of his own.
 *
 * Any thread; one lock, under which nothing is called but what frees a view.
 */
#ifndef FS_SLOTS_H
#define FS_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "base/map.h"
#include "fs/node.h"

#define SLOTS_MAX ((1U << NODE_VIEW_BITS) - 1)
/* One who opens a file in each version, with other columns in each, leaves room for others. */
#define SLOTS_EACH 64U

struct shown;
struct table;

struct slots {
    struct lock lock;
    struct map tables; /* lock; the table's path -> struct table_slots */
};

void slots_init(struct slots *s);
void slots_done(struct slots *s);

/*
 * The slot of what is shown of a table (not all of it), with its generation, into *shown; a new one
 * keeps references of its view and basis. `taker`: a number of who asks, 0 where there is only one.
 * -ENFILE where all that may be taken are open; -ENOMEM.
 */
int slots_find(struct slots *s, const struct table *table, uint64_t taker, struct shown *shown,
               struct err *err) EXCLUDES(s->lock);

/* What a slot stands for now, as references: false where nobody has it. */
bool slots_shown(struct slots *s, const struct table *table, unsigned slot, struct shown *out)
    EXCLUDES(s->lock);

/* An open begins: the slot stays what it is until it ends. False where it is of another view than
 * that of `hash` by now. */
bool slots_hold(struct slots *s, const struct table *table, unsigned slot, uint64_t hash)
    EXCLUDES(s->lock);
void slots_leave(struct slots *s, const struct table *table, unsigned slot) EXCLUDES(s->lock);

#endif
