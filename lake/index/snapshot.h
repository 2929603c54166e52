/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot: the exact files of one table at one version, a base with or without a patch on it,
 * read as one tree.
 *
 * Directories have ordinals of the snapshot: those of the base, then those that only the patch has
 * (base's count + the patch's ordinal). A directory that the patch has emptied does not exist.
 * Files are (in_patch, ordinal in that run).
 *
 * Immutable and shared by reference; any thread; nothing blocks but page faults of mapped files.
 * -ENOENT where there is no such name; -EUCLEAN where a run is damaged on disk.
 */
#ifndef LAKE_INDEX_SNAPSHOT_H
#define LAKE_INDEX_SNAPSHOT_H

#include "lake/index/run.h"

#define SNAPSHOT_ROOT 0U

struct snapshot;

/* Takes over both references; patch may be NULL. */
struct snapshot *snapshot_new(struct run *base, struct run *patch, struct err *err);
/* The same, of runs that are the caller's variables, which are NULL then; patch may be NULL. */
int snapshot_take(struct run **base, struct run **patch, struct snapshot **out, struct err *err);
void snapshot_unref(struct snapshot *s);
DEFINE_AUTO(snapshot, struct snapshot *, snapshot_unref)

struct run *snapshot_base(const struct snapshot *s);  /* borrowed */
struct run *snapshot_patch(const struct snapshot *s); /* borrowed, may be NULL */
/* Of the newest run. */
struct slice snapshot_meta(const struct snapshot *s);
uint64_t snapshot_files(const struct snapshot *s);
uint64_t snapshot_bytes(const struct snapshot *s);

struct snapshot_node {
    bool is_dir;
    bool in_patch;    /* files */
    uint32_t ordinal; /* of the directory in the snapshot, or of the file in its run */
};

/* A name in a directory. */
int snapshot_find(const struct snapshot *s, uint32_t dir, struct slice name,
                  struct snapshot_node *out, struct err *err);
/* A path from the root; the empty path is the root itself. */
int snapshot_walk(const struct snapshot *s, struct slice path, struct snapshot_node *out,
                  struct err *err);
/* The path of a directory, appended. */
int snapshot_dir_path(const struct snapshot *s, uint32_t dir, struct buf *out, struct err *err);

/* A file, as run_file. */
int snapshot_file(const struct snapshot *s, const struct snapshot_node *file, struct buf *scratch,
                  struct entry *out, struct err *err);

/*
 * Lists a directory from `cookie` on (0: the start): calls emit for each entry until it returns
 * other than 0 (returned) or the end (0). `next` is the cookie behind that entry: never 0, and
 * good for this snapshot whenever. `entry` is NULL for directories.
 */
typedef int snapshot_emit(void *arg, struct slice name, const struct snapshot_node *node,
                          const struct entry *entry, uint64_t next);
int snapshot_list(const struct snapshot *s, uint32_t dir, uint64_t cookie, snapshot_emit *emit,
                  void *arg, struct err *err);

/* All files in path order within each run (base first); for `.tarn/files.jsonl`. */
int snapshot_each_file(const struct snapshot *s, int (*emit)(void *arg, const struct entry *entry),
                       void *arg, struct err *err);

#endif
