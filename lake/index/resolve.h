/* SPDX-License-Identifier: Apache-2.0 */
/* From live files to a run: files that share a path are told apart or taken for one. Internal. */
#ifndef LAKE_INDEX_RESOLVE_H
#define LAKE_INDEX_RESOLVE_H

#include "lake/index/file_record.h"
#include "lake/index/patch.h"
#include "lake/index/sort.h"

/* Files in order (file_record_compare), each until the next call: 1, 0 at the end. */
struct resolve_source {
    int (*next)(void *arg, struct file_record *file, struct err *err);
    void *arg;
};

/*
 * Reads the files that the source has and writes them with their keys.
 * patch: counted, or NULL for a base. -EIO as lake/index/build.h says, -EAGAIN instead in a patch.
 */
int resolve_files(const struct resolve_source *files, struct patch *patch, int dirfd,
                  struct run_writer *w, struct err *err);

/* -EIO (patch: -EAGAIN) where a name is both a file and a directory of the run. */
int resolve_check_names(const struct run *r, bool is_patch, struct err *err);

#endif
