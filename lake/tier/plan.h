/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans: which objects belong into which storage class, by the rules of a lake file.
 *
 *   logs of all tables ──► need (lake/tier/need.h): object by object ──► rules ──► moves
 *   listings of stores ──┘
 *
 * A move is due when its rule says so:
 *
 *   after     counts from when the object was added to its table; of a rule with `need`, from when
 *             it ceased to be needed
 *   need      older-than: from N after the version that does not hold it any more was committed;
 *             compacted: from the commit that rewrote its rows
 *   partition the end of the day (or of what its value names) is so long ago
 *
 * The first rule of the file that takes an object (its table, who needs it, its partition) counts
 * for it. Never moved: what the newest version of any table of the lake holds (unless the rule says
 * `live`), logs, checkpoints, deletion vectors, objects that no version of the table names in whose
 * directory they lie, and objects in no table's directory. Nothing is moved to a class that is not
 * colder than its own, or where it costs more each month.
 *
 * Objects come from the store's listing: what is not there any more is not moved, and a class is
 * what it says now. So a plan that is made again leaves out what was done.
 */
#ifndef LAKE_TIER_PLAN_H
#define LAKE_TIER_PLAN_H

#include "lake/lake.h"

struct lakefile;

enum tier_why {
    TIER_AGE,       /* since it was added */
    TIER_OLD,       /* only old versions hold it */
    TIER_COMPACTED, /* left behind by compaction */
};

/* One object that is to change its class. Borrowed for the call. */
struct tier_move {
    struct store *store; /* borrowed from the lake */
    const char *key;     /* in the store */
    struct slice layer;  /* the lake file's name of it */
    struct slice table;  /* path in the lake, of the table that it belongs to */
    uint64_t size;
    int64_t mtime_ms;    /* of the object, as listed */
    struct slice etag;   /* likewise, with its quotes; empty: not told */
    struct slice from;   /* class now */
    const char *to;      /* class; the lake file's, lives as long as it */
    size_t rule;         /* number in the lake file, from 0 */
    size_t table_number; /* in the plan's tables */
    enum tier_why why;
    int64_t since_ms;                 /* it is due since then */
    double month_before, month_after; /* in the money of the prices */
    double once; /* what the move itself costs: request, minimum duration in `from` */
};

/* Other than 0 ends the plan and is returned. On the thread that plans; may block. */
typedef int tier_emit(void *arg, const struct tier_move *move, struct err *err);

/* What a rule moves of one table, into one class. */
struct tier_sum {
    size_t table, rule;
    const char *to;
    uint64_t files, bytes;
    double month_before, month_after, once;
    double read_all;                 /* what reading it all once costs there */
    uint64_t dear_files, dear_bytes; /* stay: the class's minimum size makes them cost more */
    uint64_t early_files;            /* leave a class before its minimum duration; in `once` */
    uint64_t passing_files;          /* VACUUM may take them before the class's minimum duration,
                                      * which is paid all the same */
    unsigned minimum_days;           /* of the class */
};

struct tier_plan_config {
    struct lake *lake;
    const struct lakefile *file;
    int64_t now_ms;
    /* Patterns of tables that are planned for (lake file's rules of patterns); n 0: all. Logs of
     * the others are read too: they may need the same objects. */
    const char *const *tables;
    size_t tables_n;
    int scratch_dirfd; /* for temporary files without names */
};

struct tier_plan;

/*
 * Plans; the moves go to `emit` (may be NULL) in order of stores and keys, as they are found.
 * Blocks; bounded memory. -EINVAL for a pattern that no table matches; -EIO and others where a
 * store or a log cannot be read: what another table needs must be known. A table whose format or
 * features are not read, or which is damaged, is a note: nothing of it is moved.
 */
int tier_plan(const struct tier_plan_config *config, tier_emit *emit, void *arg,
              struct tier_plan **out, struct err *err);
void tier_plan_free(struct tier_plan *p);
DEFINE_AUTO(tier_plan, struct tier_plan *, tier_plan_free)

/* By table, rule and class, in that order. Borrowed, as is all below. */
size_t tier_plan_sums(const struct tier_plan *p, const struct tier_sum **out);
/* Path of a table by its number. */
struct slice tier_plan_table(const struct tier_plan *p, size_t table);
/* Sentences: tables that were not read and why, what would be due but for the newest version. */
size_t tier_plan_notes(const struct tier_plan *p);
const char *tier_plan_note(const struct tier_plan *p, size_t i);

#endif
