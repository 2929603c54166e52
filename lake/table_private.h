/* SPDX-License-Identifier: Apache-2.0 */
/* What lake/table.c (the live path), lake/table_at.c (refs) and lake/table_work.c (the background
 * job) share of a table. */
#ifndef LAKE_TABLE_PRIVATE_H
#define LAKE_TABLE_PRIVATE_H

#include "base/clock.h"
#include "lake/kept.h"
#include "lake/table.h"

#define PAUSE_MS 50   /* a pause of the one who walks (design.md section 2) */
#define LOADED_MAX 64 /* versions of one table at hand; more are opened again in milliseconds */
#define WANTED_MAX 64 /* versions that requests wait for at once; further ones ask again */
#define ERROR_KEPT_MS 1000 /* longer than a parked request takes to look again */
#define HEARD_SINCE (-1)   /* of table_known_history: after the task came, however lately before */

/* What is asked for: a version, or a range up to it. Of the latter `after` is the version before.
 */
struct wanted {
    enum table_version_kind kind;
    int64_t after, number;
    bool head; /* the version as branches show it */
};

/* Since when files of a version may be removed; RETENTION_NONE: they may not, or it is not known
 * yet. */
struct told {
    int64_t version, since_ms;
};

struct loaded {
    struct wanted what;
    uint64_t fingerprint;
    struct table_version *version; /* NULL: err */
    struct err err;
    int64_t at_ms;
};

struct table {
    struct lake *lake; /* immutable, as are the next ones */
    const struct layer *layer;
    struct cataloged *cataloged; /* NULL: no catalog knows it */
    struct store *store;         /* the layer's, or where the catalog says that it lies */
    char *path, *prefix;         /* in the lake; in the store */
    char id[17]; /* hex of the hash of store and prefix: its directory below indexes/ */
    const struct driver_ops *ops;
    struct driver *driver;
    int index_dirfd;

    _Atomic int64_t touched_ms; /* the last request, clock_mono_ms */

    struct lock lock; /* guards all below */
    struct cond idle; /* working became false */
    struct job job;
    bool working;
    struct waitlist waiting;
    bool want_history, want_live, want_tags;
    bool moving; /* the job refreshes for the live path now */
    struct wanted wanted[WANTED_MAX];
    size_t wanted_n;

    struct history *heard;   /* as the driver told it */
    struct history *history; /* the same up to --as-of; NULL: not heard yet */
    struct err catalog_err;  /* of the last time that its catalog was asked, likewise */
    struct err history_err;  /* of the last attempt, code 0: it was good */
    int64_t heard_ms;        /* the end of the last attempt */
    int64_t asked_ms;        /* its beginning: what was committed before is in it */

    struct tags *tags;   /* NULL: nobody has asked for any yet, or tags_err */
    struct err tags_err; /* of the last attempt */
    int64_t tags_ms;     /* likewise */

    struct table_version *live; /* NULL: live_err tells */
    struct err live_err;
    int64_t held_since_ms;   /* this version was shown first, or somebody came after a rest */
    int64_t live_checked_ms; /* compared with the store's newest */
    struct kept kept;

    struct loaded loaded[LOADED_MAX];
    size_t loaded_n;

    struct told
        told[LOADED_MAX]; /* of versions that are before the newest; the oldest goes first */
    size_t told_n;
    int64_t told_expired; /* the last one that was told of; 0: none */
    unsigned asking;      /* jobs that find out */
};

/* A version was loaded that is not the newest one: finds out, aside, whether its files may be
 * removed, and tells (lake_config.removable). Once a version. Takes no reference. */
void table_ask_removable(struct table *t, struct history *h, size_t position);

bool table_wanted_same(const struct wanted *a, const struct wanted *b);
/* The version at that position. */
struct wanted table_wanted_at(const struct history *h, ptrdiff_t position);
/* The other way, of a range its end; -1: it is not in the history. */
ptrdiff_t table_wanted_position(const struct history *h, const struct wanted *what);

/* A moment of a table that has no numbers, as a version: its number is its time, which tells what
 * it is. */
struct version table_moment(int64_t time_ms);

/* A range of versions as one: its fingerprint is of both ends. false: it is not in the history. */
bool table_range_version(const struct history *h, const struct wanted *what, struct version *out);

/* What is loaded, or the error of the last attempt; NULL: nothing that still counts. */
struct loaded *table_loaded_find(struct table *t, const struct wanted *what, uint64_t fingerprint,
                                 int64_t errors_ms) REQUIRES(&t->lock);
/* The history, if it was heard at most that long ago, or after the task came. Parks. */
int table_known_history(struct table *t, struct task *task, int64_t max_age_ms, struct err *err)
    REQUIRES(&t->lock);
/* Parks the task until the background job has done something. */
int table_park(struct table *t, struct task *task) REQUIRES(&t->lock);

/*
 * A version is shown as it was heard long ago (--hold): that the table was dropped and made anew is
 * heard meanwhile, for those who come later.
 */
void table_hear_aside(struct table *t) REQUIRES(&t->lock);

/* The tags, heard at most that long ago, or after the task came. Parks. */
int table_known_tags(struct table *t, struct task *task, int64_t max_age_ms, struct err *err)
    REQUIRES(&t->lock);

/* Forgets the i-th of what is loaded. */
void table_loaded_drop(struct table *t, size_t i) REQUIRES(&t->lock);

/*
 * Where the directory of the table's runs takes nothing more, another one is used from now on; it
 * is tried whether that is so unless it is known to be `full`. True: what failed may be tried
 * again. Blocks.
 */
bool table_move_index(struct table *t, bool full);

/* The background job's part of it. Blocks. */
void table_load_tags(struct table *t);

/* Where the background job runs: what a catalog holds up, it holds up for its own tables. */
struct workers *table_workers(const struct table *t);

/* The background job: does one of the things that are wanted, and wakes who waits. */
void table_work(struct job *job);

#endif
