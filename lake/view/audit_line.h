/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of the audit log, made and checked. Pure.
 *
 *   {"line":7,"prev":"<64 hex>","event":"open",...,"sha256":"<64 hex>"}
 *    `- number          `- sha256 of line 6                   `- SHA-256 of all before `,"sha256"`
 *
 * Printable ASCII only: whatever else is in a name is escaped, so that nothing in a line ends it,
 * moves a terminal's cursor, or looks like something else.
 */
#ifndef LAKE_VIEW_AUDIT_LINE_H
#define LAKE_VIEW_AUDIT_LINE_H

#include "base/buf.h"
#include "base/hash.h"
#include "lake/view/audit.h"

#define AUDIT_HASH_BYTES (2 * (size_t)SHA256_BYTES)

/* Where a chain is: its last line. Number 0 and zeros: it has none yet. */
struct audit_chain {
    uint64_t line;
    char hash[AUDIT_HASH_BYTES + 1];
};

/* Where a chain begins. */
void audit_chain_init(struct audit_chain *c);

/* What is the same in a line wherever it stands in the chain: appended. */
void audit_line_event(struct buf *out, const struct audit_event *e, const char *mount,
                      struct slice command, int64_t time_ms);
/* Of a line of the log's own: `end`, `lost`. */
void audit_line_own(struct buf *out, const char *event, int64_t time_ms);

/*
 * Appends the line with its line feed; the chain is at it then. lost: lines that were not written
 * before it; torn: bytes of a line before it that a crash had begun.
 */
int audit_line_make(struct buf *out, struct audit_chain *chain, struct slice event, uint64_t lost,
                    uint64_t torn, struct err *err);

/* A line that is as it was written. */
struct audit_line {
    struct audit_chain at; /* its number and hash */
    char prev[AUDIT_HASH_BYTES + 1];
    bool end;
    uint64_t torn;
};

/* -EIO, and why: it is no line of an audit log, or was altered. Without its line feed. */
int audit_line_parse(struct slice text, struct audit_line *out, struct err *err);

/* FILE.chain: `<20 digits> <hash>` and a line feed. False where it is none. */
#define AUDIT_CHAIN_BYTES (20 + 1 + AUDIT_HASH_BYTES + 1)
void audit_chain_format(const struct audit_chain *c, char out[AUDIT_CHAIN_BYTES + 1]);
bool audit_chain_parse(struct slice text, struct audit_chain *out);

#endif
