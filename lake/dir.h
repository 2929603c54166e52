/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of the lake outside tables: what is in them, and which of them are tables.
 *
 * A directory is a table's root if a driver's marker is in it (`_delta_log`). Each top-level entry
 * of a layer in which no table is found, at any depth, is one `files` table. The rest are plain
 * directories, whose listings are asked for again when they are older than `--refresh`. That a
 * directory is a table is found out once; one of `files` in which a table appears is looked at
 * anew.
 */
#ifndef LAKE_DIR_H
#define LAKE_DIR_H

#include "lake/lake.h"
#include "lake/left_out.h"

/* Entries of one plain directory: bounded, or the directory is refused. */
#define DIR_ENTRIES_MAX ((size_t)4 << 20)

struct listing_entry {
    struct slice name; /* lake/key_name.h */
    bool is_dir;
    bool is_table; /* a directory that a catalog says is a table */
    uint64_t size;
    int64_t mtime_ms;
    struct slice etag;
    bool readable; /* objects of its class are never archived */
};

/* Immutable, shared by reference. */
struct listing;
void listing_unref(struct listing *l);
DEFINE_AUTO(listing, struct listing *, listing_unref)
size_t listing_count(const struct listing *l);
/* Objects that it leaves out because they have no name that a file can have. */
const struct left_out *listing_left_out(const struct listing *l);
/* True once where it leaves some out, and not again for later listings that leave out as many. */
bool listing_tell_left_out(struct listing *l);
/* In order of names. */
const struct listing_entry *listing_at(const struct listing *l, size_t i);
/* The entry of that name, or NULL. */
const struct listing_entry *listing_find(const struct listing *l, struct slice name);

struct dir;
void dir_free(struct dir *d);

/*
 * What the directory at `path` ("" is the root) is: *table where it is one, else *listing, a new
 * reference (the other is NULL). That the directory exists is the caller's knowledge, from its
 * parent's listing: one that does not is empty. Parks.
 */
int dir_open(struct lake *lake, struct slice path, struct task *task, struct table **table,
             struct listing **listing, struct err *err) EXCLUDES(lake->lock);

/*
 * The listing of a plain directory as it is known, if that is not older than max_age_ms: a new
 * reference, or NULL. Asks nobody.
 */
struct listing *dir_known(struct lake *lake, struct slice path, int64_t max_age_ms)
    EXCLUDES(lake->lock);

/* What is known of the directory is out of date: it is looked at anew when it is wanted next. */
void dir_forget(struct lake *lake, struct slice path) EXCLUDES(lake->lock);

#endif
