/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table: its versions, the one that the live path shows, and those that are loaded.
 *
 * The live path holds still (design.md section 2). Everybody is shown `live`; it moves when the
 * first request after a pause finds it due, which then waits for the refresh:
 *
 *   idle >= refresh                            due
 *   age >= hold, idle >= 50 ms                 due, asked again at most once a second
 *   age >= 2 * hold                            due, likewise
 *
 * (idle: since the last request; age: since the version was first shown, or since the first request
 * after a rest found it still the newest). All network and disk
 * work of a table is done by one background job at a time, on the lake's workers; requests that
 * need it park on `waiting` and look again when it has done something.
 *
 * Errors are kept with what they belong to for a second, so that a parked request sees the error
 * of the attempt that it waited for; refusals until the next refresh.
 */
#ifndef LAKE_TABLE_H
#define LAKE_TABLE_H

#include "lake/lake.h"
#include "lake/ref.h"
#include "lake/tags.h"

enum table_version_kind {
    TABLE_VERSION, /* the files of a version */
    TABLE_RANGE,   /* those that the versions behind another one up to it added as new data */
    TABLE_CHANGES, /* the change data of those */
};

/* A version, or a range of some, that is loaded. Immutable, shared by reference. */
struct table_version {
    _Atomic unsigned refs;
    enum table_version_kind kind;
    int64_t after;             /* of ranges: the version before the first one; -1: none is before */
    struct version version;    /* of ranges the last one, with a fingerprint of both ends */
    struct snapshot *snapshot; /* NULL: the table has no version yet, it is empty */
    uint32_t base_number, patch_number;
};
struct table_version *table_version_ref(struct table_version *v);
void table_version_unref(struct table_version *v);
DEFINE_AUTO(table_version, struct table_version *, table_version_unref)

/* How a ref names it, appended: `12`, or `10..12`. */
void table_version_name(const struct table_version *v, struct buf *out);

struct table;

/* Takes `cataloged`, also where it fails; NULL: no catalog knows the table. */
struct table *table_new(struct lake *lake, struct slice path, const struct driver_ops *ops,
                        struct cataloged *cataloged, struct err *err);
/* Waits for the background job. */
void table_free(struct table *t);
DEFINE_AUTO(table, struct table *, table_free)

/* Immutable, borrowed while the table lives. */
struct lake *table_lake(const struct table *t);
struct store *table_store(const struct table *t); /* its own: the layer's, or its catalog's word */
/* Where its objects may lie besides. */
struct store *const *table_others(const struct table *t, size_t *n);
/* What its catalog says of it; NULL: no catalog knows it. */
struct cataloged *table_cataloged(const struct table *t);
struct slice table_prefix(const struct table *t); /* in that store: empty, or ends in `/` */
struct slice table_path(const struct table *t); /* in the lake; empty where the root is the table */
const struct driver_ops *table_ops(const struct table *t);
struct driver *table_driver(const struct table *t);
int table_index_dirfd(const struct table *t);
/* Of its kind in registry and on disk. */
struct slice table_id(const struct table *t);

/*
 * Its catalog is asked where its last answer is older than --refresh (a second at least), whichever
 * version is read: cataloged_answer is true then. What refuses the table is the error; a catalog
 * that cannot be reached is none. 0 where no catalog knows the table. Parks.
 */
int table_catalog_allows(struct table *t, struct task *task, struct err *err);

/* What the live path shows now, as a new reference. Parks; counts as a request. */
int table_live(struct table *t, struct task *task, struct table_version **out, struct err *err);

/*
 * The version that a ref means. *moving: the ref follows the live path's rules (a time after the
 * last commit). -ENOENT for unknown and malformed ones. Parks.
 */
int table_at(struct table *t, struct slice ref, struct task *task, struct table_version **out,
             bool *moving, struct err *err);

#define TABLE_CHANGES_NAME "changes" /* in `.tarn/` */

/* The run is of change data: its name begins so, whatever the format. */
bool table_is_changes(const struct run *run);

/*
 * The change data of what is shown: of a range's versions, or of the one version. -ENOENT where the
 * format has none. Parks.
 */
int table_changes(struct table *t, const struct table_version *of, struct task *task,
                  struct table_version **out, struct err *err);

/* The versions as last heard, as a new reference. Parks. */
int table_history(struct table *t, struct task *task, struct history **out, struct err *err);

/* The same with those that --as-of takes away, behind the first *shown. Parks. */
int table_whole_history(struct table *t, struct task *task, struct history **out, size_t *shown,
                        struct err *err);

/* The tags as last heard, as a new reference. Parks. */
int table_tags(struct table *t, struct task *task, struct tags **out, struct err *err);

/* The history as it was heard last, a new reference; NULL: not yet. */
struct history *table_heard(struct table *t);

/* Sets a tag or takes one away; it counts from now on. -EEXIST where the format has a branch or tag
 * of that name. Blocks. */
int table_change_tag(struct table *t, const struct tag_change *change, struct err *err);

/* Where the tags are; borrowed while the table lives. */
struct tags_place table_tags_place(const struct table *t);

/* A file that the live path has shown within `--keep` and that is gone from it: its run's number
 * and its ordinal. False where there is none. */
bool table_kept(struct table *t, struct slice path, uint32_t *number, uint32_t *ordinal);

/* Somebody reads a file of the table: the live path holds still for that too. Cheap. */
void table_touch(struct table *t);

/*
 * An object of a file that a version added is not there any more (-ENOENT in err, returned): what
 * may have taken it is put before the message. Cheap; asks nobody.
 */
int table_tell_gone(struct table *t, int64_t version, struct err *err);

/* Forgets all versions that stand on the run of that name, which was damaged. */
void table_forget(struct table *t, const char *run_name);

#endif
