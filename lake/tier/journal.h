/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tier_apply did, a line of JSON each, and what it remembers by it: which objects have our tag
 * and wait for the store's lifecycle.
 *
 *   {"time":"2026-11-22T04:05:06.789Z","did":"tag","store":"s3://raw/landing","key":"t/a.parquet",
 *    "size":1234,"etag":"\"9a03...\"","from":"STANDARD","to":"GLACIER"}
 *
 *   did      written
 *   class    behind the change
 *   tag      before the object is tagged: no tag is there that no line tells of
 *   untag    behind: a table needs it again
 *   settled  behind: the lifecycle has moved it, or it is gone
 *
 * The file is only appended to, a line a write; half of a last line, of a run that was killed, is
 * ended and ignored. One run at a time has it (flock). Functions may be called from several
 * threads.
 */
#ifndef LAKE_TIER_JOURNAL_H
#define LAKE_TIER_JOURNAL_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/slice.h"

struct journal;

struct journal_entry {
    const char *did;
    const char *store; /* its URL */
    const char *key;
    uint64_t size;
    const char *etag, *from, *to;
};

/*
 * Opens or makes the file and reads what is tagged. -EBUSY: another run has it; -EINVAL: a line
 * that is none of these; -EOVERFLOW: more objects are tagged than are kept. Blocks.
 */
int journal_open(const char *path, struct journal **out, struct err *err);
void journal_close(struct journal *j); /* NULL is fine */
DEFINE_AUTO(journal, struct journal *, journal_close)

/* Appends a line with the present time. Blocks on the disk. */
int journal_add(struct journal *j, const struct journal_entry *entry, struct err *err);

/* A plan begins: nothing is named yet. */
void journal_begin(struct journal *j);
/* The plan names that object. */
void journal_name(struct journal *j, const char *store, const char *key);
/* The objects that are tagged and that the plan did not name. Other than 0 ends it and is returned;
 * called under no lock. */
int journal_unnamed(struct journal *j,
                    int (*each)(void *arg, const struct journal_entry *entry, struct err *err),
                    void *arg, struct err *err);

#endif
