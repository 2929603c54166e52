/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Version checksums (`<version>.crc`; PROTOCOL.md, "Version Checksum File"): what a writer says
 * that a version amounts to. A version that was made from the log is compared with it, so that a
 * checkpoint or a log that lost files is noticed. One that cannot be read says nothing.
 */
#ifndef LAKE_DELTA_CHECKSUM_H
#define LAKE_DELTA_CHECKSUM_H

#include "cache/store/event.h"
#include "lake/delta/log.h"

/* With all files of a small table in it, as Spark writes it; larger ones are not read. */
#define DELTA_CHECKSUM_BYTES_MAX (4 * MIB)

struct delta_checksum {
    int64_t files, bytes;
    char table_id[64]; /* of its metadata; empty: not told, or longer */
};

/* -EIO where it is damaged, or lacks one of the counts. Pure. */
int delta_checksum_parse(struct slice text, struct delta_checksum *out, struct err *err);

/* One that is on its way, while the log is read. */
struct delta_checksum_get {
    bool started;
    uint64_t size; /* as listed */
    struct buf key;
    struct event ended;
    struct store_get get;
};

/* Asks for a file of a log; NULL: for none. Store is borrowed until the end. */
void delta_checksum_start(struct delta_checksum_get *g, struct store *store, const char *prefix,
                          const struct delta_log_file *file);
/* Waits for it. False where there is none, or it says nothing. Once. */
bool delta_checksum_wait(struct delta_checksum_get *g, struct delta_checksum *out);
void delta_checksum_done(struct delta_checksum_get *g);

#endif
