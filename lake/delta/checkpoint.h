/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: a version's live files, metadata and protocol, as Parquet in one file or in parts,
 * or as a first file (Parquet or JSON lines) and sidecars (Parquet) that hold the files
 * (PROTOCOL.md, "Checkpoints"). Rows become the same actions that commits have. Tombstones are not
 * read: what a checkpoint adds is live. Blocks; bounded memory.
 */
#ifndef LAKE_DELTA_CHECKPOINT_H
#define LAKE_DELTA_CHECKPOINT_H

#include "lake/delta/action.h"
#include "lake/delta/log.h"
#include "lake/object_reader.h"

/* Who is given the actions. */
struct delta_sink {
    /* The action lives for the call. Other than 0 ends the reading and is returned. */
    int (*emit)(void *arg, const struct delta_action *action, struct err *err);
    void *arg;
};

enum delta_checkpoint_part {
    DELTA_CHECKPOINT_STATE, /* metaData and protocol */
    DELTA_CHECKPOINT_FILES, /* adds, in whatever file */
};

/* What was read of the first file for one half is there for the other: mostly it is the only one.
 */
struct delta_checkpoint {
    struct store *store;
    const char *prefix;
    const struct delta_log_file *file;
    struct buf key; /* of the first file */
    struct object_reader first;
};

/*
 * Of the checkpoint whose first file (with its parts behind it) comes from delta_log_checkpoint.
 * All is borrowed while it lives.
 */
void delta_checkpoint_init(struct delta_checkpoint *c, struct store *store, const char *prefix,
                           const struct delta_log_file *file);
void delta_checkpoint_done(struct delta_checkpoint *c);
DEFINE_AUTO_DONE(delta_checkpoint, struct delta_checkpoint, delta_checkpoint_done)

/*
 * Reads one half. What the protocol requires must be there, as a column and in each row.
 * -EBADMSG where a file is damaged or a sidecar missing: the same version may be had from an older
 * start. The store's and the sink's errors otherwise.
 */
int delta_checkpoint_read(struct delta_checkpoint *c, enum delta_checkpoint_part part,
                          const struct delta_sink *sink, struct err *err);

/*
 * Calls emit with the key of each file that it consists of, first file, parts and sidecars, until
 * that returns other than 0 (returned). -EBADMSG where the first file is damaged.
 */
int delta_checkpoint_files(struct delta_checkpoint *c, int (*emit)(void *arg, const char *key),
                           void *arg, struct err *err);

#endif
