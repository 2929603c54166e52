/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory `_delta_log/` as a listing: which commits and checkpoints are there, and which
 * versions they make up. Reads no file.
 *
 *   00000000000000000012.json                                     a commit
 *   00000000000000000004.00000000000000000006.compacted.json      commits 4 to 6 as one
 *   00000000000000000012.crc                                      checksums of version 12
 *   00000000000000000010.checkpoint.parquet                       a checkpoint
 *   00000000000000000010.checkpoint.0000000001.0000000002.parquet one part of two
 *   00000000000000000010.checkpoint.<uuid>.json, .parquet         of version 2, named by a UUID
 *
 * Everything else is of no interest: `_last_checkpoint` (a hint, not needed where there is a
 * listing, and wrong at times), staged commits; sidecars are named by their checkpoint.
 *
 * A version can be made where it has a complete checkpoint, or a commit and the version before it
 * can be made; version 0 needs its commit only. Compacted commits make no version that there would
 * not be without them: they save reading. Not thread-safe.
 */
#ifndef LAKE_DELTA_LOG_H
#define LAKE_DELTA_LOG_H

#include "base/arena.h"
#include "base/limits.h"
#include "base/vec.h"
#include "cache/store/store.h"

enum delta_name_kind {
    DELTA_NAME_OTHER,
    DELTA_NAME_COMMIT,
    DELTA_NAME_CHECKPOINT,
    DELTA_NAME_COMPACTED,
    DELTA_NAME_CHECKSUM
};

struct delta_name {
    enum delta_name_kind kind;
    int64_t version;      /* the first one, of compacted commits */
    int64_t last;         /* of compacted commits; else the version */
    uint32_t part, parts; /* of a checkpoint in parts, from 1; 0 of 0: in one file */
    struct slice uuid;    /* of a checkpoint named by a UUID, with its ending; borrowed */
};

/* What a name in the log means. Pure; the answer points into the name. */
struct delta_name delta_name_parse(struct slice name);

/* A checkpoint whose first file is JSON: it names metadata, and sidecars with the files. */
bool delta_name_is_json(const struct delta_name *name);

struct delta_log_file {
    struct delta_name name;
    uint64_t size;
    int64_t mtime_ms;
    uint64_t fingerprint;
};

/* Files of a log; grown by vec_push. */
struct delta_files {
    struct delta_log_file *at;
    size_t n, capacity, max;
};

struct delta_log {
    struct delta_files commits;     /* by version */
    struct delta_files checkpoints; /* of complete ones only, by version, parts and part */
    struct delta_files compacted;   /* by first version and last one */
    struct delta_files checksums;   /* by version */
    struct arena uuids;
};

void delta_log_init(struct delta_log *log);
void delta_log_done(struct delta_log *log);
DEFINE_AUTO_DONE(delta_log, struct delta_log, delta_log_done)

/*
 * Lists the log of the table at `prefix`. `after` (NULL: all) is a version: only what belongs to it
 * and later ones is listed. Blocks.
 */
int delta_log_read(struct delta_log *log, struct store *store, const char *prefix,
                   const int64_t *after, struct err *err);

/* Takes one line of a listing, by its name in the log; others are ignored. For delta_log_read. */
int delta_log_add(struct delta_log *log, struct slice name, const struct store_entry *entry,
                  struct err *err);

/* Orders what was added and drops incomplete checkpoints. */
void delta_log_finish(struct delta_log *log);

/* NULL where there is none. */
const struct delta_log_file *delta_log_commit(const struct delta_log *log, int64_t version);

/*
 * First file of the newest complete checkpoint not after `version`, its parts behind it; or NULL.
 * Where a version has several, that of the fewest files comes first.
 */
const struct delta_log_file *delta_log_checkpoint(const struct delta_log *log, int64_t version);

/* The next one to try where that one (of this log) is of no use; or NULL. */
const struct delta_log_file *delta_log_checkpoint_after(const struct delta_log *log,
                                                        const struct delta_log_file *checkpoint);

/* The checksums of a version; NULL where there are none. */
const struct delta_log_file *delta_log_checksum(const struct delta_log *log, int64_t version);

/* Larger compacted ones are passed over: what they name is counted in memory. */
#define DELTA_COMPACTED_BYTES_MAX (16 * MIB)

/* Files to be read one behind the other, grown by vec_push; borrowed from a log. */
struct delta_plan {
    const struct delta_log_file **at;
    size_t n, capacity, max;
};

/*
 * The fewest files that say what commits [first, last] say, appended to out: commits, and compacted
 * ones unless `commits_only` (none that begins the table: the columns of its files would not be
 * known). -ENOENT where a commit is missing, compacted or not: such a log is
 * not whole.
 */
int delta_log_plan(const struct delta_log *log, int64_t first, int64_t last, bool commits_only,
                   struct delta_plan *out, struct err *err);

/*
 * The versions that can be made, each by its commit (or the checkpoint that is left of it), into
 * out. -EBADMSG where the newest one cannot (names the gap).
 */
int delta_log_versions(const struct delta_log *log, struct delta_files *out, struct err *err);

/* Key of a file of the log, into out (reset first). */
void delta_log_key(struct buf *out, const char *prefix, const struct delta_name *name);

#endif
