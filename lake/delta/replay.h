/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay: drives the actions of a checkpoint and of commits, in order, into an index builder.
 *
 * Where a file is shown depends on the partition columns of the version that is made, which a later
 * line may change. So files are placed by the columns known when they come; where these turn out
 * not to be the last ones (`moved`), the caller starts again with the last ones fixed.
 *
 * Which files are presented as they are stored follows from when each was added and when the
 * columns changed last (state->columns_since). A checkpoint tells neither, so the commits before it
 * that are still there are asked, as far back as EVIDENCE_COMMITS_MAX and EVIDENCE_BYTES_MAX allow:
 * what they do not tell is not proven.
 *
 *   E ────────────── C ───────── V     E: oldest commit that is asked     C: checkpoint
 *     evidence: adds,    actions       V: version that is made
 *     columns            as ever
 *
 * mtime_ms of a file that is not proven to be as stored is not before the time of the commit that
 * changed the columns last, nor of the one that changed which of its rows are deleted: as far as
 * these are known, else of the first that is known to have it so.
 *
 * Blocks; bounded memory; one thread.
 */
#ifndef LAKE_DELTA_REPLAY_H
#define LAKE_DELTA_REPLAY_H

#include "lake/delta/ahead.h"
#include "lake/delta/key_set.h"
#include "lake/delta/state.h"
#include "lake/driver.h"
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
    /* For the times of commits; NULL: files show their own. Set after init, borrowed. */
    const struct history *history;

    /* private */
    int64_t version;
    bool in_checkpoint;     /* whose actions come now */
    bool commit_adds;       /* the commit whose actions come now has added a file already */
    bool adds_old_files;    /* ... says that it may name files that were written before */
    bool stores_partitions; /* ... may have put partition columns into files */
    bool counts_all;        /* ... has counted nulls as Spark does */
    bool adds_frames;       /* ... may have written Spark's frames as they were */
    bool informed;          /* ... has said all of this; older writers say it behind the files: */
    bool proved;            /* files were taken for proven before */
    bool proved_flat;       /* ... one of them without nulls of all its columns */
    bool in_compacted;      /* its actions come now */
    struct key_set keys;    /* of these */
    uint64_t placing;       /* hash of the columns by which files were placed */
    uint64_t seq;
    struct arena arena;
    struct buf key, path, extra;
};

/* Table, columns (may be NULL) and state are borrowed while it lives, and it stays where it is. */
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

/* The oldest commit from which on all up to `last` are there, within the limits: what is read as
 * evidence for a checkpoint of that version. */
int64_t delta_replay_first_evidence(const struct delta_log *log, int64_t last);

/*
 * What the commits of the log up to that checkpoint, which was replayed, tell of its files. Before
 * any later commit. One that cannot be understood ends what is known; the store's errors.
 */
int delta_replay_evidence(struct delta_replay *r, const struct delta_log *log, struct err *err);

/*
 * A commit, or compacted ones, from a reader that is at its first line; in order. Compacted ones
 * are -EIO where they are not reconciled (a file comes twice), and where they change the columns:
 * they do not tell which of their files came before that.
 */
int delta_replay_commit(struct delta_replay *r, struct delta_ahead *ahead,
                        const struct delta_log_file *file, struct err *err);

#endif
