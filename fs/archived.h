/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens of objects that are archived: EREMOTE at once, with a line that names the command.
 *
 *   OPEN ── of a class that is never archived; sealed; filled or planned by the open anyway ──►
 * goes on │  ── bytes of it have come before ───────────────────────────────────────────────────►
 * goes on │  ── it was archived when it was last asked for ─► HEAD ─► restored ─────────────────►
 * goes on │                                                    └─► EREMOTE └─ else a GET of what
 * its reader asks for next: the end of a Parquet file, the start of others
 *
 * What that GET brings is in the cache, so it costs no request more. Other failures than EREMOTE
 * are the reader's to meet.
 */
#ifndef FS_ARCHIVED_H
#define FS_ARCHIVED_H

#include "fs/request.h"

struct opened;

/*
 * Before the file's mode is entered. `fills`: the open is going to complete the object. Parks.
 * -EREMOTE: archived_refuse tells more.
 */
int archived_open(struct request *r, struct opened *h, bool fills, struct err *err);

/*
 * An open that failed with -EREMOTE: asks what became of the object, begins to restore it where the
 * mount does so, and says what to do. Parks. Returns -EREMOTE, or what parking returns.
 */
int archived_refuse(struct request *r, struct err *err);

/* A read that failed so, or what needs a log: the command that has it restored, added to its error.
 * Does not wait. */
void archived_tell(struct request *r, struct err *err);

/* What is read for a file. Borrowed. */
struct archived_file {
    const struct table *table;        /* NULL: it is in none */
    const struct run *run;            /* of a table: where it stands there */
    const struct entry *entry;        /* likewise */
    const struct object_location *at; /* of its object, with the store */
};

/*
 * "GLACIER,archived", as `user.tarn.tier` has it: of its object, or, where that can be read, of the
 * first object that tells its deleted rows and cannot be. A request for each. Blocks.
 */
int archived_tier(const struct archived_file *f, struct buf *out, struct err *err);

/* The names of those of them that have to be restored before the file can be read, as
 * user.tarn.object has them, a zero behind each. -ENODATA: none. Blocks. */
int archived_objects(const struct archived_file *f, struct buf *out, struct err *err);

#endif
