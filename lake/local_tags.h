/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags of this machine: names for versions, in the cache directory (DIR/tags.mdb, LMDB).
 *
 *   key    16 hex digits of the table's id, the name
 *   value  struct local_tag
 *
 * They cannot be made again, unlike everything else there: a change is synced before it counts. A
 * damaged file is put aside as tags.mdb.damaged and a new one begun.
 *
 * One process has it. Any thread; blocks on the disk: workers and clients only.
 */
#ifndef LAKE_LOCAL_TAGS_H
#define LAKE_LOCAL_TAGS_H

#include "base/err.h"
#include "base/slice.h"

/* As it lies in the database. */
struct local_tag {
    int64_t version;
    int64_t time_ms; /* of the version's commit: a table made anew has others */
    int64_t set_ms;  /* when the tag was set */
};

struct local_tags;

/* dirfd: the cache directory; path: the same as a path, for LMDB. -EROFS and the like where the
 * disk takes nothing: then there are no tags. */
struct local_tags *local_tags_open(int dirfd, const char *path, struct err *err);
void local_tags_close(struct local_tags *t);

/* -EEXIST where the name is taken and not to be replaced. */
int local_tags_set(struct local_tags *t, struct slice table, struct slice name,
                   const struct local_tag *tag, bool replace, struct err *err);
/* -ENOENT where there is none of that name. */
int local_tags_remove(struct local_tags *t, struct slice table, struct slice name, struct err *err);
/* Those of a table in order of their names; what `emit` answers other than 0 ends it, returned. */
int local_tags_each(struct local_tags *t, struct slice table,
                    int (*emit)(void *arg, struct slice name, const struct local_tag *tag),
                    void *arg, struct err *err);

#endif
