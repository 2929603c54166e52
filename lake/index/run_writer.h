/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a run from files that come in order. Internal to lake/index.
 *
 *   run_writer_new -> { run_writer_add, run_writer_add_key ... } ... -> run_writer_finish
 *     (the whole run, under run_writer_aside) -> run_writer_publish -> run_writer_free
 *
 * Memory is bounded but for 8 bytes a block and 4 a page: directories and keys are sorted outside.
 * Blocks on the disk: workers only. One thread.
 */
#ifndef LAKE_INDEX_RUN_WRITER_H
#define LAKE_INDEX_RUN_WRITER_H

#include "lake/index/run.h"
#include "lake/index/run_format.h"

struct run_writer;

/* What a patch takes out of its base. */
struct run_removals {
    struct run *base;
    uint64_t *files; /* a bit an ordinal of the base */
    uint32_t *below; /* a count a directory of the base: removed in it and below */
    uint32_t count;
    uint64_t bytes;
};

/* dirfd and name are borrowed while it lives. */
struct run_writer *run_writer_new(int dirfd, const char *name, struct err *err);
/* Removes what was not published. */
void run_writer_free(struct run_writer *w);
DEFINE_AUTO(run_writer, struct run_writer *, run_writer_free)

/* The next file in the order of lake/index/run.h. -EOVERFLOW over a limit. */
int run_writer_add(struct run_writer *w, const struct entry *e, struct err *err);
/* A key of the file that was added last; key->ordinal holds RUN_KEY_* flags only. */
int run_writer_add_key(struct run_writer *w, const struct run_key *key, struct err *err);

/* removals: NULL for a base. Afterwards the run is whole and synced. */
int run_writer_finish(struct run_writer *w, struct slice meta, const struct run_removals *removals,
                      struct err *err);
/* The file that is being written: a name in dirfd, borrowed. */
const char *run_writer_aside(const struct run_writer *w);
/* Gives it its name. After a crash it may be without one: then it is made again. */
int run_writer_publish(struct run_writer *w, struct err *err);

#endif
