/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Presented files as objects of a store of their own, above the one where their objects are at
 * home. They are opened through the cache like any object: so what is sealed, passed to the kernel,
 * evicted, fetched ahead and checked needs to know nothing of transforms.
 *
 *   presented_open ─► recipe: which object, columns, deleted rows, row filter; found by its key
 *                       │  the footer is read once and the plan made (lake/format/present.h)
 *                       │  REWRITE: the whole file is made once, into a file without a name
 *   cache ── get(key) ──┘─► object's bytes asked for at home │ zeros │ the plan's own bytes │ the
 * file
 *
 *   key    the object's key, a space, and a hash of all that makes the file different
 *   ETag   a hash of the object's ETag and of what was made: two makings never mix in the cache
 *
 *   recipe   NEW ──first open or get──► UNDER_WAY ──► READY        its work serves gets
 *             ^                            └────────► FAILED       for a second; for good where the
 *             └── its work is dropped: sealed, spoiled, not used   file cannot be presented
 *
 * A recipe is kept while a file of it is open, and of others the RECIPES_IDLE_MAX used last. An
 * unknown key is -ENOENT. Bytes of the object are not kept here: the cache has what was made of
 * them. A rewritten file is dropped when the cache has all of it; those that are left take no more
 * than `temporary_bytes_max` of the disk, but for one that is larger alone.
 *
 * Any thread. get() and opening never wait: footers are read without a thread, plans are made by
 * `workers`, rewriting has threads of its own, what is rewritten is read by `disk`.
 */
#ifndef LAKE_VIEW_PRESENTED_STORE_H
#define LAKE_VIEW_PRESENTED_STORE_H

#include "cache/cache.h"
#include "cache/store/share.h"
#include "lake/driver.h"

struct row_filter; /* lake/format/filter.h */

/* Recipes that nobody has open: some hundred bytes each, and what their plans take. The last one
 * stays, whatever it takes. */
#define RECIPES_IDLE_MAX 4096
#define RECIPES_IDLE_BYTES_MAX (64 * MIB)
/* An open waits until the whole file is rewritten unless its object is larger; reads do then. */
#define REWRITE_AWAITED_BYTES_MAX (2 * GIB)

struct presented_config {
    struct store *home;          /* where the objects are; must outlive the store */
    struct store_shares *shares; /* NULL: the store is its opener's own */
    struct cache *cache;         /* all that is borrowed: while the store lives */
    struct workers *workers, *disk;
    int dirfd; /* where rewritten files go */
    uint64_t temporary_bytes_max;
};

/* To be closed by store_leave, cache_drain_store and store_free, before its home. */
struct store *presented_store_open(const struct presented_config *config, struct err *err);
/* The caller's mount is gone: where nobody else has the store, nobody waits for what is rewritten.
 */
void presented_store_leaving(struct store *store);

/* A file that is not known to be presented as it is stored. Borrowed for the call. */
struct presented_file {
    struct slice key, etag, version; /* of the object: as struct object_name has them */
    uint64_t object_bytes;
    uint64_t size;       /* of the presented file: transform_size */
    bool other_format;   /* it is no Parquet file: shown as it is, or refused */
    struct shape *shape; /* NULL: the columns as they are */
    bool deletes;        /* rows were taken out: */
    struct slice extra;  /* what the driver says of them (of an entry); a newline ends it */
    /*
     * Rows that it decides against are taken out, too; NULL: none are. values: of the partition
     * columns, as row_filter_partition takes them. Kept as long as the recipe is.
     */
    struct row_filter *filter;
    const struct slice *values;
    struct driver *driver;     /* of the table; not needed where only a name is made */
    const struct entry *entry; /* for which the rows are asked for; likewise */
};

/* Its key in the store, appended. */
void presented_key(const struct presented_file *f, struct buf *out);

/* All of it is in the cache. Memory and the index only. */
bool presented_is_whole(struct store *s, const struct presented_file *f);

struct recipe;

/*
 * The presented file as an object of the cache, and its recipe, which the caller gives back when he
 * reads no more of it. Where it is not sealed, its plan is made before, so that what cannot be
 * presented is refused here with the reason. Parks. -EOPNOTSUPP, -EIO damaged, -ESTALE the object
 * has changed, -ENOSPC too much is being rewritten at once; the store's.
 */
int presented_open(struct store *s, const struct presented_file *f, struct task *task,
                   struct object **out, struct recipe **recipe, struct err *err);
/* As presented_open, of what nobody waits for. `prepared` false: its plan is not made either. */
int presented_open_ahead(struct store *s, const struct presented_file *f, bool prepared,
                         struct task *task, struct object **out, struct err *err);

/* `object` (may be NULL): where all of it is in the cache by now, what was made is dropped. */
void recipe_put(struct recipe *r, struct object *object);

/* What is done to the file, for `user.tarn.transform`. Parks: its footer is read, and where delete
 * files may have nothing of it, these and the columns that they compare. */
int presented_describe(struct store *s, const struct presented_file *f, struct task *task,
                       struct buf *out, struct err *err);

/*
 * Whether opening it would be refused, as far as its footer, what is deleted of it and what was
 * tried just now tell: 0, or the error. Nothing is rewritten. Parks.
 */
int presented_check(struct store *s, const struct presented_file *f, struct task *task,
                    struct err *err);

/* ETag of the object as far as it is known; empty where not. */
void presented_object_etag(struct store *s, const struct presented_file *f,
                           char out[ETAG_BYTES_MAX]);

#endif
