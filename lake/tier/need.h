/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which versions need an object: what the tables of a lake say (lake/objects.h) and what the stores
 * list, sorted by objects.
 *
 *   need_new -> need_place ... -> need_sink, need_listed ... -> need_finish -> need_next ... ->
 * free
 *
 * An object is (place, key): a place is a store of the lake, known by its home, so that an absolute
 * path in one table's log and a relative one in another's are one object. What lies in no place has
 * its whole name for a key.
 *
 *   object ── listed: size, class, ETag
 *          ── use by table 3: versions 4 to 9, removed at 10 by a compaction
 *          ── use by table 7 (a shallow clone of it): live
 *
 * Bounded memory: events and listings go through a sorter (lake/index/sort.h). Blocks on the disk.
 * Until need_finish any thread may tell of events and listings; the others are one thread's.
 */
#ifndef LAKE_TIER_NEED_H
#define LAKE_TIER_NEED_H

#include "cache/store/store.h"
#include "lake/driver.h"
#include "lake/objects.h"

struct need;

#define NEED_NOWHERE UINT8_MAX /* place of what lies in no place */
#define NEED_PLACES_MAX 200
#define NEED_LIVE SIZE_MAX

/* dirfd: for temporary files without names; borrowed while it lives. */
struct need *need_new(int dirfd, struct err *err);
void need_free(struct need *n);
DEFINE_AUTO(need, struct need *, need_free)

/* A store, borrowed; numbered from 0 in order. Before the first event. */
int need_place(struct need *n, const struct store *store, struct err *err);

/* An object's name: a place and the key there; what lies nowhere has its whole name for a key. */
struct need_name {
    uint8_t place;
    struct slice key;
};

/* Of a key of a store; points into `key`, or into scratch. */
int need_locate(const struct need *n, const struct store *store, struct slice key,
                struct buf *scratch, struct need_name *out, struct err *err);

/*
 * A table, numbered from 0 in order: what a driver's objects() tells goes to `sink`, which lives as
 * long as the need. History and store (the table's own) are borrowed.
 */
int need_table(struct need *n, const struct store *store, const struct history *h,
               const struct object_sink **sink, struct err *err);

/* What a store lists. */
int need_listed(struct need *n, const struct store *store, const struct store_entry *e,
                struct err *err);

/* No more events or listings. */
int need_finish(struct need *n, struct err *err);

/* Versions [from, to) of a table's history, by position; NEED_LIVE: to its end. */
struct need_span {
    size_t from, to;
};

/* What one table has to do with an object. */
struct need_use {
    size_t table;
    enum object_kind kind;
    uint64_t size;    /* as the log says; 0: it does not tell */
    int64_t added_ms; /* the first version that is known to hold it, or when it was written */
    size_t added;     /* position of that version */
    size_t until;     /* position behind the last version that holds it, which may be the history's
                       * length; NEED_LIVE: a newest one does (lake/tier/need_newest.h) */
    int64_t removed_ms;            /* when the newest version ceased to hold it */
    bool moved_rows;               /* its removal left the rows in the table: compaction */
    const struct need_span *spans; /* in order, apart from one another */
    size_t spans_n;
    struct slice partitions; /* for need_partition */
};

/* Slices live until the next call. */
struct need_object {
    uint8_t place;
    struct slice key;
    bool listed;
    uint64_t size; /* as listed; else the greatest that a log says */
    int64_t mtime_ms;
    struct slice class, etag;
    const struct need_use *uses; /* one a table, in order of tables */
    size_t uses_n;
};

/* The next object in order of places and keys: 1, 0 at the end, or -errno. */
int need_next(struct need *n, struct need_object *out, struct err *err);

/* The value of a partition column by its name in the newest version; false where the use tells
 * none. Null is an empty value. */
bool need_partition(const struct need *n, const struct need_use *use, struct slice column,
                    struct slice *value);

/* As object_facts; -1 also for tables of which none were told. */
int64_t need_retention_ms(const struct need *n, size_t table);

#endif
