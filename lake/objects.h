/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a table's metadata says of objects: which version came to hold which, and which ceased to.
 * Drivers tell it event by event, in the order of versions; whoever wants to know what an object is
 * needed for sorts the events by objects (lake/tier/need.h).
 *
 *   position   0         1         2         3         4 (newest)
 *   f          added               removed                          needed by 0 and 1
 *   g                    added     removed,                         the rows that are deleted
 *                                  added                            changed: needed by 1 to 4
 *   log        state: f  ...       gap       state: h  ...          f ceased before 3, nobody
 *                                                                   knows why
 *
 * Pure declarations.
 */
#ifndef LAKE_OBJECTS_H
#define LAKE_OBJECTS_H

#include "base/err.h"
#include "base/slice.h"

struct store;

enum object_happening {
    OBJECT_STATE,   /* of no object: all that the version at `position` holds is told, as HELD */
    OBJECT_HELD,    /* it was there before, or nobody knows since when */
    OBJECT_REMOVED, /* the first version without it, as far as this holder goes */
    OBJECT_ADDED,
};

enum object_kind {
    OBJECT_DATA,    /* a table's rows */
    OBJECT_CHANGES, /* change data of one version */
    OBJECT_DELETES, /* which rows are deleted */
    OBJECT_LOG,     /* metadata that a version is read by, where its name does not tell */
};

struct object_partition {
    struct slice column; /* as the metadata names it there: object_column.stored */
    struct slice value;  /* empty: null */
};

/* Slices live for the call. */
struct object_event {
    enum object_happening what;
    enum object_kind kind;
    size_t position;     /* of the version in the history */
    struct store *store; /* of driver_config.outside; NULL: the table's own. Borrowed */
    struct slice key;    /* in the store; empty where the lake must not read it: then */
    struct slice url;    /* its name, `s3://bucket/key`, not encoded */
    uint64_t holder;     /* what holds it: one object may be several logical files */
    bool moves_rows;     /* REMOVED: the rows stay in the table, in other files (compaction) */
    uint64_t size;       /* ADDED, HELD, of data; 0: not told */
    int64_t mtime_ms;    /* likewise, when it was written; 0: not told */
    const struct object_partition *partitions; /* ADDED, HELD, of data */
    size_t partitions_n;
};

struct object_column {
    struct slice name, stored;
};

/* Of the newest version. */
struct object_facts {
    int64_t retention_ms; /* the table's clean-up leaves removed files so long; -1: no such rule */
    const struct object_column *columns; /* that it is partitioned by */
    size_t columns_n;
};

/* Other than 0 ends it and is returned. */
struct object_sink {
    int (*event)(void *arg, const struct object_event *e, struct err *err);
    int (*facts)(void *arg, const struct object_facts *f, struct err *err); /* once, at the end */
    void *arg;
};

#endif
