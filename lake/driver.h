/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver interface: every table format answers the same questions. Which versions are there,
 * what are the files of this version, where is this file's object, what happened when.
 *
 * A driver holds what it needs of one table and is used by many workers at once: its calls may run
 * concurrently, so what it keeps is immutable or under its own lock. Every call blocks (network,
 * disk): workers only. Deadlines are the store's.
 *
 * Errors: -EOPNOTSUPP a feature that tarn does not read (the reason names it), -EIO a damaged log
 * (the reason names the file; from history(), where the store's -EIO may pass, damage is -EBADMSG),
 * -ENOENT there is no such version (any more); the store's otherwise.
 */
#ifndef LAKE_DRIVER_H
#define LAKE_DRIVER_H

#include "base/arena.h"
#include "cache/store/store.h"
#include "lake/index/snapshot.h"

struct equality;    /* lake/format/equality.h */
struct former;      /* lake/former.h */
struct object_sink; /* lake/objects.h */
struct roaring;     /* lake/format/roaring.h */
struct shape;       /* lake/format/shape.h */

/* One committed version. */
struct version {
    int64_t number;       /* the format's own */
    int64_t timestamp_ms; /* commit time in effect; increasing with the number for Delta */
    uint64_t fingerprint; /* of its commit as listed (size, ETag) and of `schema`: another one is
                           * another history */
    int32_t schema;       /* by which it is read, as the format numbers them; 0: it has no number */
};

/* From this moment on the table was at that version; -1: one that has expired. */
struct history_moment {
    int64_t time_ms;
    ptrdiff_t position;
};

/* A tag or a branch of the format's own. */
struct history_name {
    struct slice name; /* decoded */
    bool branch;
    ptrdiff_t position;
};

/*
 * The versions that can be read, in the order of their commits. Immutable, shared by reference.
 *
 *   at   [0 ... n)             versions, each as it was committed
 *        [n ... n + heads_n)   heads: some of them once more, as branches show them, with columns
 *                              that the table was given since
 *
 * A position is an index into all of it. Drivers set what follows `heads_n`; history_new has set it
 * as for versions whose numbers ascend, of which the last one is live, without names.
 */
struct history {
    _Atomic unsigned refs;
    size_t n;       /* 0: a table without any version */
    size_t heads_n; /* position_version */
    /* Versions have numbers; else (`files`) there is one, "latest", and moments (driver_ops). */
    bool numbered;
    /* Each number follows the one before: where there is a gap, versions are lost. */
    bool consecutive;
    bool unordered;                     /* numbers are names, and ascend no way */
    ptrdiff_t live;                     /* what the live path shows; -1: no version */
    struct arena arena;                 /* of the following */
    const struct history_moment *clock; /* ascending; NULL: the versions' own times */
    size_t clock_n;
    const struct history_name *names; /* in order of names */
    size_t names_n;
    const int64_t *expired; /* numbers of versions that are gone, as far as they are known */
    size_t expired_n;
    struct version at[];
};
/* Zeroed but for what is said above, one reference. */
struct history *history_new(size_t n, size_t heads_n, struct err *err);
struct history *history_ref(struct history *h);
void history_unref(struct history *h);
DEFINE_AUTO(history, struct history *, history_unref)
/* The first n versions, without heads and names, the last of them live: the same history where it
 * is no other, or a shorter copy. A new reference; NULL and err. */
struct history *history_cut(struct history *h, size_t n, struct err *err);
/* The history as it was at that time: names are those of today that lead to a version of then.
 * Likewise. */
struct history *history_until(struct history *h, int64_t time_ms, struct err *err);
/* Position of a number, not of a head; or -1. */
ptrdiff_t history_find(const struct history *h, int64_t number);
/* The same of a head where it has one. */
ptrdiff_t history_find_head(const struct history *h, int64_t number);
/* Position of the version of that time, or -1; also where one that is lost may have been it. *last
 * (may be NULL): a later commit may change that. */
ptrdiff_t history_at(const struct history *h, int64_t time_ms, bool *last);
/* The tag or branch of that name, or NULL. */
const struct history_name *history_named(const struct history *h, struct slice name);
bool history_has_expired(const struct history *h, int64_t number);

/* Where a catalog says that a table's metadata is. Buffers belong to the caller. */
struct table_metadata {
    struct buf url;  /* of the metadata file; empty: only the text was told */
    struct buf text; /* the metadata itself; empty: it is to be read */
    struct buf etag; /* of the answer; set before: that of the answer before */
    bool same;       /* it is as it was: nothing else is set */
};
struct table_source {
    /* Blocks. -ENOENT where the catalog has no such table any more. */
    int (*metadata)(void *arg, struct table_metadata *out, struct err *err);
    void *arg;
};

/* Where a driver finds its table. */
struct driver_ops;
struct driver_config {
    struct store *store; /* borrowed while the driver lives */
    const char *prefix;  /* of the table in the store: "" or ends in `/`; borrowed likewise */
    int index_dirfd;     /* this table's own directory for runs; borrowed likewise */
    struct store *const *outside; /* where objects may lie besides; borrowed likewise */
    size_t outside_n;
    const struct driver_ops *const *drivers; /* that find tables by themselves, NULL at the end */
    const struct table_source *source; /* borrowed likewise; NULL: the driver looks for itself */
};

/* Where an object is. Buffers belong to the caller. */
struct object_location {
    struct store *store; /* one of driver_config.outside; NULL: the table's own. Borrowed */
    struct buf key;      /* in the store */
    struct buf etag;     /* as the table or a listing tells it; empty: not told */
    struct buf version;  /* the store's id of the version to read; empty: the newest */
    bool readable;       /* by its class, as a listing tells it, it is not archived */
};
void object_location_init(struct object_location *l);
void object_location_done(struct object_location *l);
DEFINE_AUTO_DONE(object_location, struct object_location, object_location_done)
/* As buf_check, of all three. */
int object_location_check(const struct object_location *l, struct err *err);

/* Versions of a history: those behind position `after` (-1: from the first on) up to `upto`. */
struct version_range {
    ptrdiff_t after;
    size_t upto;
    bool changes; /* their change data, not their files */
};

#define RETENTION_NONE INT64_MAX

struct retention {
    int64_t period_ms;     /* what was removed stays so long */
    int64_t *removable_ms; /* one a version of the history; the caller's, all RETENTION_NONE */
};

struct driver;

struct driver_ops {
    const char *format; /* "delta" */

    /*
     * A directory is the root of such a table if it has a subdirectory of this name, and in it,
     * where marker_inside is not NULL, something whose name ends so. NULL: not found by itself.
     */
    const char *marker, *marker_inside;
    /* 17 digits after `@` are a time (Delta), not a version. */
    bool digits17_is_time;

    /* Makes the driver; asks nobody. */
    int (*open)(const struct driver_config *config, struct driver **out, struct err *err);
    void (*close)(struct driver *d);

    /*
     * The versions as they are now. `previous` (may be NULL) is an older answer, from which the
     * driver may go on with a smaller request; where nothing has changed it may be returned itself,
     * with a new reference.
     */
    int (*history)(struct driver *d, struct history *previous, struct history **out,
                   struct err *err);

    /* The snapshot of the version at that position: its runs are found on disk, or made. */
    int (*load)(struct driver *d, const struct history *h, size_t position, struct snapshot **out,
                struct err *err);

    /*
     * For tables whose versions are moments (`files`): the snapshot as it was at a time that has
     * passed. It never changes: the same time is the same snapshot. -ENOENT where the store keeps
     * no versions, with the reason. NULL: versions are those of history() only.
     */
    int (*moment)(struct driver *d, int64_t time_ms, struct snapshot **out, struct err *err);

    /*
     * What the versions of a range added as new data, or their change data (in a run whose name
     * begins with `changes-`): a snapshot that never changes. NULL: the format tells of none.
     */
    int (*range)(struct driver *d, const struct history *h, const struct version_range *range,
                 struct snapshot **out, struct err *err);

    /* The object of a file of a snapshot. -EACCES where the lake must not read it (outside). */
    int (*locate)(struct driver *d, const struct entry *entry, struct object_location *out,
                  struct err *err);

    /*
     * The objects of the table's own store that load() makes the version of, beside those of its
     * files: calls emit with the key of each until that returns other than 0 (returned). NULL: the
     * format has none, a version is a listing.
     */
    int (*log_objects)(struct driver *d, const struct history *h, size_t position,
                       int (*emit)(void *arg, const char *key), void *arg, struct err *err);

    /*
     * Of what load() or range() made a run of, beside files: where the objects are that do not lie
     * below the table's root, one for each directory, until emit returns other than 0 (returned).
     * meta: the run's. NULL: the format has none there.
     */
    int (*log_elsewhere)(struct driver *d, struct slice meta,
                         int (*emit)(void *arg, const struct object_location *at), void *arg,
                         struct err *err);

    /*
     * Where the deletes of an entry with ENTRY_DELETES are written, one object after the other,
     * until emit returns other than 0 (returned); none where they are in the log. NULL: the format
     * deletes no rows.
     */
    int (*locate_deletes)(struct driver *d, const struct entry *entry,
                          int (*emit)(void *arg, const struct object_location *at), void *arg,
                          struct err *err);

    /* `.tarn/history.json`: an array, one object a version in order from the position `first` on;
     * tarn(1) names the fields. part: for who is shown a part of the table; nothing in it tells of
     * rows, files or columns then. */
    int (*describe_history)(struct driver *d, const struct history *h, size_t first, bool part,
                            struct buf *out, struct err *err);

    /*
     * What the table's own clean-up may take: for each version of the history the moment from which
     * it may remove some file of it, RETENTION_NONE where no such file is known. NULL: the format
     * has no such rule.
     */
    int (*retention)(struct driver *d, const struct history *h, struct retention *out,
                     struct err *err);

    /* The same of one version, for little: RETENTION_NONE where it is not before `now_ms`. */
    int (*removable)(struct driver *d, const struct history *h, size_t position, int64_t now_ms,
                     int64_t *since_ms, struct err *err);

    /*
     * Every object that a version of the history holds or held, event by event (lake/objects.h).
     * -ESTALE where the log is another one than the history's. NULL: the format cannot tell, or:
     */
    int (*objects)(struct driver *d, const struct history *h, const struct object_sink *sink,
                   struct err *err);

    /* The newest version holds each object below the table's root (`files`). */
    bool holds_all;

    /* `.tarn/schema.json` from a snapshot's meta; NULL where the format has none. shown: the
     * columns that are shown, a part of what shape() gives; NULL: all. */
    int (*describe_schema)(struct slice meta, const struct shape *shown, struct buf *out,
                           struct err *err);

    /* `.tarn/refs.json`: an array, one object a tag or branch of the history. NULL: the format has
     * neither. */
    int (*describe_refs)(struct driver *d, const struct history *h, struct buf *out,
                         struct err *err);

    /* `.tarn/properties.json` from a snapshot's meta: protocol and properties; NULL likewise. part:
     * as above, only properties that are known to name no column. */
    int (*describe_properties)(struct slice meta, bool part, struct buf *out, struct err *err);

    /*
     * The columns that files of runs with this meta present (base and patch of a snapshot have the
     * same); *out NULL: as they are stored. Pure. NULL: always as they are stored.
     */
    int (*shape)(struct slice meta, struct shape **out, struct err *err);

    /*
     * The columns that one file presents where the metadata has values of some that the file may
     * lack (Iceberg: identity partitions): `shape` is what shape() gives, or a part of it; extra
     * the entry's up to the newline. *out: a reference, perhaps to `shape`. Likewise pure. NULL:
     * all files of a run present the same.
     */
    int (*own_shape)(struct slice extra, struct shape *shape, struct shape **out, struct err *err);

    /*
     * The partition columns with their types, flat, in the order of partition values; *out NULL:
     * there are none. Likewise pure. NULL: the format has none.
     */
    int (*partitions)(struct slice meta, struct shape **out, struct err *err);

    /*
     * Names that columns of runs with this meta have, or once had, by their ids, as far as they are
     * known; *out NULL: columns have no ids. Likewise pure. NULL: the format has no ids.
     */
    int (*former)(struct slice meta, struct former **out, struct err *err);

    /*
     * The rows of a file that are not there any more, for roaring_free; *out NULL: all are there.
     * Of an entry with ENTRY_DELETES, whose `extra` tells where that is written. -EIO where what is
     * written there is damaged. NULL: the format deletes no rows.
     */
    int (*deleted)(struct driver *d, const struct entry *entry, struct roaring **out,
                   struct err *err);

    /*
     * The same by their values: the tuples of which a row that has one is not there any more, for
     * equality_unref; *out NULL: no such counts for the file. Likewise of an entry with
     * ENTRY_DELETES. -EOPNOTSUPP where it cannot be decided (says why). NULL: the format deletes no
     * rows so.
     */
    int (*deleted_values)(struct driver *d, const struct entry *entry, struct equality **out,
                          struct err *err);

    /*
     * The file is in a format of which nothing is made anew: it has the size of its object, and is
     * shown as it is stored or refused when it is opened. Pure. NULL: all files are Parquet.
     */
    bool (*other_format)(const struct entry *entry);

    /* driver_left_out. NULL: what `shape` refuses. */
    int (*left_out)(struct slice meta, struct buf *out, struct err *err);
};

/* Appends `user.tarn.left_out` of a snapshot with this meta (lake/left_out.h); nothing where
 * nothing is left out. */
int driver_left_out(const struct driver_ops *ops, struct slice meta, struct buf *out,
                    struct err *err);

/*
 * err_copy for what a driver tells of an error below it: a limit that a log or listing is over
 * (-EOVERFLOW) and a file that is not what it should be (-EBADMSG) are -EIO, as all damage is.
 */
int driver_refuse(struct err *to, const struct err *from);

/* Embedded first in every driver. */
struct driver {
    const struct driver_ops *ops;
};

/* May a name in the marker's directory be the one that there must be? Packed ones may end in how
 * they are packed (`v1.metadata.json.gz`). */
bool driver_marks_inside(const struct driver_ops *ops, struct slice name);

/* A path below some directory shows that a table's root is at or above it: a driver's marker is in
 * it. */
bool driver_marks(const struct driver_ops *const *drivers, struct slice path);

#endif
