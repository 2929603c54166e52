/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory of a table's runs: names, what is there, and what is there too long.
 *
 *   base-<version>             all files of a version
 *   patch-<base>-<version>     what a version has beside the base's
 *   range-<first>-<version>    what the versions from `first` up to it added as new data
 *   changes-<first>-<version>  their change data
 *   unchecked-<pid>-<n>        on its way to one of those names; a leftover after a crash
 *
 * Blocks on the disk; any thread, as runs come and go by rename and unlink only.
 */
#ifndef LAKE_DELTA_RUNS_H
#define LAKE_DELTA_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lake/index/run_dir.h"

void delta_base_name(char name[RUN_NAME_BYTES], int64_t version);
void delta_patch_name(char name[RUN_NAME_BYTES], int64_t base, int64_t version);
/* after: -1 where no version is before the range. */
void delta_range_name(char name[RUN_NAME_BYTES], bool changes, int64_t after, int64_t version);

/* Versions, grown by vec_push. */
struct delta_run_versions {
    int64_t *at;
    size_t n, capacity, max;
};

struct delta_runs {
    struct delta_run_versions bases;   /* not after the version asked for, newest first */
    struct delta_run_versions patches; /* to that version: their bases */
};

/* What is there for a version. */
int delta_runs_find(int dirfd, int64_t version, struct delta_runs *out, struct err *err);
void delta_runs_done(struct delta_runs *runs);

/* Runs that are kept. A base is as large as the table's list; patches are small. */
#define DELTA_BASES_MAX 32
#define DELTA_PATCHES_MAX 256
#define DELTA_RANGES_MAX 64 /* of each kind */

/*
 * Removes the runs that were made longest ago where there are more, and leftovers. Whoever has one
 * open keeps it; one that is asked for again is made again, with the same bytes.
 */
void delta_runs_prune(int dirfd);

#endif
