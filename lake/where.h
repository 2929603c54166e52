/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a path of the mount leads: the one reader of design.md section 2.
 *
 *   silver                        DIR        plain, or a layer
 *   silver@2026-03-01             DIR        as of then: its place is `silver//2026-03-01`, and
 *                                            below it LIVE and PINNED as the table's own refs
 *   silver/orders                 LIVE       a table: what the live path shows
 *   silver/orders/date=x          LIVE       a directory in it
 *   silver/orders/.tarn           META       documents about what is shown
 *   silver/orders/.tarn/version   DOCUMENT
 *   silver/orders/.tarn/prefetch  PREFETCH   to be written to (fs/follow.h); also .tarn/prefetch of
 *                                            the mount's root
 *   silver/orders/.tarn/changes   LIVE       change data of what is shown (below a ref: PINNED)
 *   silver/orders/.tarn/raw       LIVE       the stored files of what is shown (lake/raw.h; below a
 *                                            ref: PINNED)
 *   silver/orders@12              PINNED     and silver/orders/@12
 *   silver/orders@10..12          PINNED     what 11 and 12 added
 *   silver/orders@12/date=x       PINNED     by its number in the snapshot
 *   silver/orders@                VERSIONS   and silver/orders/@
 *   silver/orders@/12             LINK       to ../orders@12; also .../gold, a tag of version 12
 *   silver/orders@gold            LIVE       a tag
 *   .../part-0.parquet            FILE       of a snapshot: (run, ordinal)
 *   silver/notes.txt              OBJECT     outside tables
 *
 * An entry whose real name contains `@` wins over its reading as a ref. A ref that may come to
 * mean a later version (a time after the last commit) is LIVE, not PINNED.
 *
 * Errors are those of design.md section 10; a table that is refused refuses everything below it.
 */
#ifndef LAKE_WHERE_H
#define LAKE_WHERE_H

#include "lake/dir.h"
#include "lake/table.h"

enum where_kind {
    WHERE_DIR,
    WHERE_LIVE,
    WHERE_PINNED,
    WHERE_VERSIONS,
    WHERE_LINK,
    WHERE_META,
    WHERE_DOCUMENT,
    WHERE_PREFETCH,
    WHERE_FILE,
    WHERE_OBJECT,
};

struct where {
    enum where_kind kind;
    struct buf path;               /* the place's name in the registry; of PINNED the root's */
    struct table *table;           /* all but DIR and OBJECT, and the root's META; borrowed from the
                                      lake */
    struct table_version *version; /* LIVE, PINNED, META, DOCUMENT: a reference */
    struct listing *listing;       /* DIR: a reference */
    bool moving;                   /* LIVE, META, DOCUMENT: may show another version later */
    uint32_t dir;                  /* LIVE, PINNED: ordinal in the version's snapshot */
    uint32_t run_number, ordinal;  /* FILE */
    uint64_t size;                 /* FILE, OBJECT, LINK: attributes */
    int64_t mtime_ms;
    uint64_t identity; /* FILE, OBJECT: hash of the object, the same everywhere */
    struct buf key;    /* OBJECT: in the store */
    struct buf etag;   /* OBJECT: as listed */
    bool readable;     /* OBJECT: by its class it is not archived */
    /*
     * FILE: nobody has proved that it is presented as it is stored. `size` is the object's then,
     * key and etag are set as far as the lake may read it, and `whole` is not.
     */
    bool presented;
    struct store *home;  /* OBJECT: where it is; FILE: where its object is; NULL: in the store of
                          * the table's layer (where_store). Borrowed from the lake */
    bool other_format;   /* driver_ops.other_format: `size` is what is shown, too */
    bool deletes;        /* some rows are taken out: */
    struct buf extra;    /* what the driver says of them */
    struct shape *shape; /* the columns that it presents: a reference; NULL: those that it has, or
                          * they cannot be read: then nobody opens it */
    /* FILE, where lake_config.narrows; key, etag and extra are always set then, too. */
    struct buf shown_path; /* below the table */
    bool built;            /* it is made of partition values (ENTRY_BUILT) */
    int64_t added;         /* the version that added it */
    bool whole;   /* FILE, OBJECT: all of it can be read here now, or it is not above BLOCK_BYTES */
    int64_t link; /* LINK: the version that it names */
};

/* FILE, OBJECT: the store that its object is in. */
struct store *where_store(const struct where *w);

void where_init(struct where *w);
void where_done(struct where *w);
DEFINE_AUTO_DONE(where, struct where, where_done)

/* Follows a path from the mount's root. `out` is initialised. Parks. */
int where_find(struct lake *lake, struct slice path, struct task *task, struct where *out,
               struct err *err);

/* A name in what where_find or where_pinned gave. `out` is initialised. Parks. */
int where_child(struct lake *lake, const struct where *parent, struct slice name, struct task *task,
                struct where *out, struct err *err);

/*
 * The same for a plain directory's child that is known not to have gone lately: a directory, or a
 * table's ref. Saves a listing of every directory on the way to a table each second. -ENOENT where
 * only where_child can tell. Parks.
 */
int where_known_child(struct lake *lake, struct slice dir_path, struct slice name,
                      struct task *task, struct where *out, struct err *err);

/* A directory of a pinned snapshot, from its root's path and its ordinal. Parks. */
int where_pinned(struct lake *lake, struct slice root_path, uint32_t dir, struct task *task,
                 struct where *out, struct err *err);

/* A file of a run, as a snapshot or cursor gives it. Borrowed. */
struct where_file {
    struct table *table;
    struct run *run;
    uint32_t run_number, ordinal;
    const struct entry *entry;
};
struct where_file where_file_of(struct table *table, const struct table_version *version,
                                const struct snapshot_node *node, const struct entry *entry);

/* True: the file is shown as it is stored, as the metadata proves. */
bool where_is_as_stored(const struct table *table, const struct entry *entry);

/* It is in a format of which nothing is made anew (driver_ops.other_format). */
bool where_is_other_format(const struct table *table, const struct entry *entry);

/*
 * The identity of what a file shows: object, columns and deleted rows; its inode number in every
 * version, mount and node.
 */
int where_identity(const struct where_file *f, uint64_t *out, struct err *err);

/* Fills in a file: size, mtime, identity; what is made of it. Does not wait. */
int where_set_file(struct where *out, const struct where_file *f, struct err *err);

/*
 * A place's path has a ref in it: `silver/orders//12`, and of a plain directory
 * `silver//TIME/orders`. The ref into *ref (may be NULL), up to the next slash.
 */
bool where_moment(struct slice path, struct slice *ref);
/* The path without that, appended: where it lies in the lake. */
void where_real_path(struct slice path, struct buf *out);

/* What a LINK points to, appended. -EINVAL where it is none. */
int where_link_target(const struct where *w, struct buf *out, struct err *err);

/* The path below the table's root of a directory of LIVE or PINNED, appended. */
int where_table_path(const struct where *w, struct buf *out, struct err *err);

#endif
