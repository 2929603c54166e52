/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers for node ids: names on disk that stand in 25 bits (fs/node.h).
 *
 *   place: a path of a mount that is a directory of its own (live directories, roots of pinned
 *          snapshots, `.tarn` ...). One number a lake and path.
 *   run:   an index file (a base or a patch). One number a table and run.
 *
 * Kept in LMDB (DIR/nodes.mdb), so that a daemon that is started again understands the ids that
 * the kernel holds. It is written without syncing: a crash of the process loses nothing, a crash
 * of the machine takes the kernel's ids along, so the file is begun anew after each boot.
 * Numbers are never used again.
 *
 * A name that the disk does not take (it is full, or dead) is kept in memory, with a number from
 * the top down: these die with the process, as do the mounts whose kernel holds their ids.
 *
 * Any thread; never blocks on anything but its own lock.
 */
#ifndef LAKE_REGISTRY_H
#define LAKE_REGISTRY_H

#include "base/buf.h"
#include "base/limits.h"

#define REGISTRY_NUMBER_MAX ((1U << 25) - 1)
/* A name in the registry: LMDB's keys have at most 511 bytes; a longer one is kept by its hash. */
#define REGISTRY_NAME_MAX (KEY_BYTES_MAX + 256)

struct registry;

/* dirfd: the cache directory; path: the same as a path, for LMDB. */
struct registry *registry_open(int dirfd, const char *path, struct err *err);
void registry_close(struct registry *r);
DEFINE_AUTO(registry, struct registry *, registry_close)

/* The name's number, given now where it has none. Numbers begin at 1. */
int registry_number(struct registry *r, struct slice name, uint32_t *out, struct err *err);

/* The name of a number, into out (reset first). -ENOENT where no name has it. */
int registry_name(struct registry *r, uint32_t number, struct buf *out, struct err *err);

#endif
