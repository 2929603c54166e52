/* SPDX-License-Identifier: Apache-2.0 */
/* Encodes the entries of a block (lake/index/run_format.h), each after the one before it. Internal
 * to run_writer.c. */
#ifndef LAKE_INDEX_ENTRY_CODER_H
#define LAKE_INDEX_ENTRY_CODER_H

#include "base/buf.h"
#include "lake/index/entry.h"

/* The previous entry. */
struct entry_coder {
    struct buf path, raw;
    int64_t mtime_ms, version;
};

void entry_coder_init(struct entry_coder *c);
void entry_coder_done(struct entry_coder *c);
/* A block begins. */
void entry_coder_reset(struct entry_coder *c);
/* Replaces `to`. dir_index: NULL where the entry is in the previous one's directory. */
void entry_coder_encode(const struct entry_coder *c, const struct entry *e,
                        const uint32_t *dir_index, struct buf *to);
/* The entry is the previous one from now on. */
int entry_coder_advance(struct entry_coder *c, const struct entry *e, struct err *err);

#endif
