/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run: the files of a version (a base) or of a change (a patch) as one immutable file, mapped and
 * searched in place. Opening one parses nothing.
 *
 *   header | file blocks (front-coded) | block index | directories | names | key table |
 *   removed ordinals, removed counts, twins (patches) | meta (the driver's JSON) | CRC32C a page
 *
 * Order: files by (directory, name), directories depth first, so that the files of one directory
 * stand together and a file's *ordinal* is its place. Directories are numbered breadth first
 * (0 is the table's root), so that a directory's subdirectories stand together, sorted by name.
 * The same entries always give the same bytes, so a run that is made again has the same ordinals.
 *
 * A patch stands on one base: `removed` are ordinals of that base's files that are gone, its own
 * files were added. A file of a patch may have the path of a removed one of the base, never of one
 * that is left.
 *
 * Immutable and shared by reference; any thread. What is damaged on disk is -EUCLEAN, for the
 * caller to make the run again.
 */
#ifndef LAKE_INDEX_RUN_H
#define LAKE_INDEX_RUN_H

#include "base/buf.h"
#include "lake/index/entry.h"

struct run;

/* Maps and checks header and tables. -ENOENT, or -EUCLEAN where it is damaged or of another format.
 */
int run_open(int dirfd, const char *name, struct run **out, struct err *err);
struct run *run_ref(struct run *r);
void run_unref(struct run *r);
/* Its disk has failed under it: what was read lately, and is read from now on, may be wrong. Who
 * has used functions that cannot fail asks this before he believes them. */
bool run_lost(const struct run *r);
DEFINE_AUTO(run, struct run *, run_unref)

/* The name that it was opened by; borrowed while the run lives. */
const char *run_name(const struct run *r);
/* What the driver keeps with the version: JSON, borrowed while the run lives. */
struct slice run_meta(const struct run *r);
uint32_t run_files(const struct run *r);
uint64_t run_bytes(const struct run *r); /* sum of the files' sizes */
/* Some file has several keys: the table names it more than once. */
bool run_shares_keys(const struct run *r);
uint32_t run_dirs(const struct run *r);
/* Of the files and their order: a base that is made again of the same entries has the same. */
uint64_t run_identity(const struct run *r);

struct run_dir {
    struct slice name; /* empty for the root; borrowed while the run lives */
    uint32_t parent;
    uint32_t first_dir, dirs;   /* subdirectories */
    uint32_t first_file, files; /* directly in it */
    uint32_t subtree_files;     /* in it and below */
};
int run_dir(const struct run *r, uint32_t dir, struct run_dir *out, struct err *err);

/* -ENOENT where the directory has none of that name. */
int run_find_dir(const struct run *r, uint32_t dir, struct slice name, uint32_t *out,
                 struct err *err);
int run_find_file(const struct run *r, uint32_t dir, struct slice name, uint32_t *out,
                  struct err *err);

/*
 * The file at an ordinal. Its slices point into `scratch` (reset first) and live until it changes.
 * *dir (may be NULL) is its directory.
 */
int run_file(const struct run *r, uint32_t ordinal, struct buf *scratch, struct entry *out,
             uint32_t *dir, struct err *err);

/* Walks files from an ordinal on without searching anew for each; for listings. */
struct run_cursor {
    const struct run *run;
    uint32_t ordinal;          /* of the file that comes next */
    uint32_t dir;              /* that it is in */
    struct buf path, raw;      /* decoded */
    size_t at;                 /* private from here on: offset in the blocks */
    size_t end;                /* of the block */
    uint32_t block;            /* the next one */
    bool raw_is_path;          /* the last entry's */
    int64_t mtime_ms, version; /* the last entry's */
};
int run_cursor_init(struct run_cursor *c, const struct run *r, uint32_t ordinal, struct err *err);
void run_cursor_done(struct run_cursor *c);
DEFINE_AUTO_DONE(run_cursor, struct run_cursor, run_cursor_done)
/* 1 and the entry, valid until the next call; 0 at the end of the run; or -errno. */
int run_cursor_next(struct run_cursor *c, struct entry *out, struct err *err);

/*
 * Ordinals of the files whose key hashes to `hash` (hash64(0, key)): position range in the key
 * table. Two keys may share a hash. run_check_keys once before, as these cannot tell of damage.
 */
int run_check_keys(const struct run *r, struct err *err);
void run_find_key(const struct run *r, uint64_t hash, uint32_t *first, uint32_t *count);

/* Patches: is that file of the base gone; how many below that directory of the base are. */
bool run_removed(const struct run *patch, uint32_t base_ordinal);
uint32_t run_removed_below(const struct run *patch, uint32_t base_dir);
uint64_t run_removed_bytes(const struct run *patch);
uint32_t run_removed_files(const struct run *patch);
#define RUN_NONE UINT32_MAX
/* The first removed ordinal from that one on, or RUN_NONE. */
uint32_t run_removed_next(const struct run *patch, uint32_t from);
/* The patch was made on that base, or on one with the same files. */
bool run_stands_on(const struct run *patch, const struct run *base);
/* The patch's directory of the same path as the base's, and the other way; RUN_NONE: none. */
uint32_t run_twin_in_patch(const struct run *patch, uint32_t base_dir);
uint32_t run_twin_in_base(const struct run *patch, uint32_t patch_dir);

#endif
