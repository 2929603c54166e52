/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes runs: takes the actions of a table's log in any order, keeps the newest one for each key,
 * and writes what is left as a base or as a patch. Bounded memory (lake/index/sort.h).
 *
 *   index_build_new -> index_build_add ... -> index_build_base or index_build_patch -> free
 *
 * A build is used up by either, also where it fails: after -EAGAIN a new one takes all actions.
 *
 * Two files of one built path, or a built path that is also a kept one: each built one gets `~` and
 * the first 8 hex digits of the SHA-256 of its raw name before its extension (design.md section 2).
 * Two kept files of one path: -EIO where their sizes differ, else they are one file. A path whose
 * component is a file here and a directory there is -EIO; so are an empty, `.` or `..` component
 * and one over NAME_BYTES_MAX (with the digits, where they are needed). Files of one built path and
 * one raw name are treated as kept ones.
 *
 * Blocks on the disk: workers only. One thread.
 */
#ifndef LAKE_INDEX_BUILD_H
#define LAKE_INDEX_BUILD_H

#include "lake/index/run.h"

struct index_build;

/* What happened to one file. */
struct index_action {
    struct entry entry; /* of a removal only the key counts */
    struct slice key;   /* what the format reconciles by, at least 1 byte */
    uint64_t seq;       /* of two actions with one key, the one with the greater seq counts */
    bool removed;
    /*
     * Tells only since when a file is there that another action puts there: where the newest
     * evidence of its key is no removal, the file gets its version and flags. Its seq is above that
     * of what it tells of; entry's other members do not count.
     */
    bool evidence;
};

/* Looks at a file that is left, before it is written: may change flags and mtime_ms. */
typedef void index_judge(void *arg, struct entry *entry);

/* dirfd: where runs and temporary files go; borrowed while it lives. */
struct index_build *index_build_new(int dirfd, struct err *err);
void index_build_free(struct index_build *b);
DEFINE_AUTO(index_build, struct index_build *, index_build_free)

/* For the build that follows. Of the entry's texts only `extra` is set, for the call. */
void index_build_judge(struct index_build *b, index_judge *judge, void *arg);

/* Copies the action. */
int index_build_add(struct index_build *b, const struct index_action *action, struct err *err);

/* Writes the base aside, syncs it, renames it to `name`. Replaces an old one of that name. */
int index_build_base(struct index_build *b, const char *name, struct slice meta, struct err *err);

/*
 * Writes a patch on `base`: removals (and replacements) are found in the base by key. -EAGAIN where
 * a patch cannot say it (names that collide, or stop to, with files of the base): make a base then.
 */
int index_build_patch(struct index_build *b, struct run *base, const char *name, struct slice meta,
                      struct err *err);

#endif
