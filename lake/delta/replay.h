/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay: drives the actions of a checkpoint and of commits, in order, into an index builder.
 *
 * Where a file is shown depends on the partition columns of the version that is made, which a later
 * line may change. So files are placed by the columns known when they come; where these turn out
 * not to be the last ones (`moved`), the caller starts again with the last ones fixed.
 *
 * Blocks; bounded memory; one thread.
 */
#ifndef LAKE_DELTA_REPLAY_H
#define LAKE_DELTA_REPLAY_H

#include "lake/delta/log.h"
#include "lake/delta/state.h"
#include "lake/index/build.h"

/* The table: borrowed by everything that reads it. */
struct delta_table {
    struct store *store;
    const char *prefix;
    struct delta_root root;
    int dirfd; /* for runs and temporary files */
};

/* Which files go into the index. */
enum delta_replay_takes {
    DELTA_REPLAY_LIVE,    /* those that are not removed */
    DELTA_REPLAY_NEW,     /* those that were added as new data, by their paths */
    DELTA_REPLAY_CHANGES, /* change data */
};

struct delta_replay {
    const struct delta_table *table;
    enum delta_replay_takes takes; /* set by the caller before the first action */
    int64_t time_ms; /* of the commit that comes next; set by the caller, for change data */
    const struct delta_columns
        *fixed;                /* NULL: the columns are those that the log says on the way */
    struct delta_state *state; /* before the first action, then after the last one */
    struct index_build *build;

    uint64_t actions; /* adds and removes so far */
    bool placed;      /* some file was placed by state->columns */
    bool moved;       /* ... which are not the last ones */
    bool has_dvs;     /* some file came with a deletion vector */

    /* private */
    int64_t version;
    uint64_t seq;
    struct arena arena;
    struct buf key, path;
};

/* Table, columns (may be NULL) and state are borrowed while it lives. */
int delta_replay_init(struct delta_replay *r, const struct delta_table *table,
                      const struct delta_columns *fixed, struct delta_state *state,
                      struct err *err);
void delta_replay_done(struct delta_replay *r);
DEFINE_AUTO_DONE(delta_replay, struct delta_replay, delta_replay_done)

/*
 * The checkpoint whose first file this is. Before any commit. -EBADMSG as delta_checkpoint_read;
 * -EIO where it is whole and has no metaData or protocol: no reader passes over that.
 */
int delta_replay_checkpoint(struct delta_replay *r, const struct delta_log_file *file,
                            struct err *err);

/* A commit; in order. */
int delta_replay_commit(struct delta_replay *r, const struct delta_log_file *file, struct err *err);

#endif
