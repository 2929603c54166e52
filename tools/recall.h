/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `tarn recall` share: the command (tools/recall.c), and what it says. */
#ifndef TOOLS_RECALL_H
#define TOOLS_RECALL_H

#include <stdatomic.h>

#include "tools/crew.h"
#include "tools/progress.h"
#include "tools/recall_ask.h"
#include "tools/recall_speed.h"
#include "tools/warm_list.h"

/* What is known of one file. Of one thread at a time. */
struct recall_state {
    char class[STORE_CLASS_BYTES_MAX]; /* as its tier tells it */
    enum store_access access;
    bool asked;  /* its tier was */
    bool begun;  /* its restore, by us */
    bool failed; /* told already */
};

struct recall_tally {
    uint64_t files[STORE_RESTORING + 1], bytes[STORE_RESTORING + 1]; /* by access */
    uint64_t failed;
};

struct recall {
    bool check, json, wait, quiet;
    struct store_restore how;
    char **paths;
    unsigned path_count;
    struct recall_mount *mounts; /* one a path */

    struct warm_list list;
    struct recall_state *states; /* one a file of the list */
    struct crew crew;
    struct progress progress;
    struct progress_state waited; /* what is shown meanwhile */
    atomic_size_t next;           /* the file that is looked at next */
    uint64_t log_objects;         /* that were asked for */

    struct lock lock;
    size_t taken;        /* lock: files that were given to batches, or need none */
    VEC(char *) refused; /* lock: paths of tables whose logs are archived */
    unsigned failures;   /* lock: lines told */
};

/* Files of a path of the command line; -1: of all. */
struct recall_tally recall_count(const struct recall *c, ptrdiff_t path);

/* recall_restore.c */

/* Has what is archived of the logs of refused tables restored; with --check only tells of it. */
int recall_ask_logs(struct recall *c, struct err *err);
/* Has all files restored that are archived. For crew_run. */
void recall_restore(void *arg);

/* recall_tell.c: what is said on standard output. */

/* --check. The exit status. */
int recall_tell_check(const struct recall *c);
/* What was asked for, and when it will be there. */
void recall_tell_begun(const struct recall *c);
void recall_tell_end(const struct recall *c);

#endif
