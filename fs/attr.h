/* SPDX-License-Identifier: Apache-2.0 */
/* From where a path leads to what stat shows: node ids, attributes, and how long the kernel may
 * keep them. */
#ifndef FS_ATTR_H
#define FS_ATTR_H

#include "fs/node.h"
#include "fs/request.h"

/* What the kernel keeps of a live path's names: with its own round trip still below 50 ms. */
#define ATTR_LIVE_S 0.025
/* Of what never changes: a year. */
#define ATTR_FOREVER_S (365.0 * 86400)

/* How long a name in this directory may be kept by the kernel, in seconds. */
double attr_name_timeout(const struct session *s, const struct where *dir);

/*
 * Node id, attributes and their timeout of what a lookup found and what is shown of it, for which
 * it has been filled in (fs/govern.h); entry_timeout is the caller's.
 * May write to the registry; never waits.
 */
int attr_entry(struct session *s, const struct where *w, const struct shown *shown,
               struct fuse_entry_param *out, struct err *err);

/* The same for a child of a directory whose path is at hand only in pieces (listings). */
int attr_place(struct session *s, char kind, struct slice path, uint32_t *number, struct err *err);

/* A directory of a snapshot, or any other directory: `ino` is its inode number. */
void attr_fill_dir(const struct session *s, uint64_t ino, int64_t mtime_ms, struct stat *out);

/* The kinds of places in the registry's names. */
#define PLACE_DIR 'd'
#define PLACE_LINK 'l'
#define PLACE_FILE 'f'

/*
 * The place of a node id: its kind in *kind (PLACE_DIR for the root) and its path in out (reset
 * first). -ESTALE where this lake has no such place.
 */
int attr_place_of(struct session *s, uint64_t id, char *kind, struct buf *out, struct err *err);

/*
 * Where a node leads. Parks. For NODE_FILE the file is filled in and
 * its run is not kept.
 */
int attr_where(struct request *r, uint64_t id, struct where *out, struct err *err);

/* The same of the request's node, for who asks: filled in as it is shown to him. -ENOENT what he
 * may not know of, without asking store or disk where its path says so. Parks. */
int attr_shown(struct request *r, const struct asker *a, struct where *out, struct shown *shown,
               struct err *err);

/* Inode number of a directory or link by its place's path and, in snapshots, its ordinal. */
uint64_t attr_ino(const struct session *s, struct slice path, uint32_t ordinal);

#endif
