/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of runs, of one table, as all drivers have it: runs are written aside and renamed
 * (lake/index/build.h), and what is there too long goes (lake/index/prune.h). Any thread.
 */
#ifndef LAKE_INDEX_RUN_DIR_H
#define LAKE_INDEX_RUN_DIR_H

#include <dirent.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

/* Room for the name of a run; longer ones are of no kind. */
#define RUN_NAME_BYTES 64

/* What is aside is a leftover then: nobody takes longer from making a run to naming it. */
#define RUN_LEFTOVER_MS (24 * 3600 * INT64_C(1000))

/* To be read from its start, with its own descriptor; NULL and err. For closedir. */
DIR *run_dir_open(int dirfd, struct err *err);

/* `unchecked-<pid>-<n>`: another name with every call, on its way to the run's own. */
void run_unchecked_name(char name[RUN_NAME_BYTES]);
bool run_is_unchecked(struct slice name);

#endif
