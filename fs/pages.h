/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of which generation of an object the pages are that the kernel may have of a node.
 *
 * A table's log names a file but no ETag: that is learned with the first bytes, and forgotten when
 * the object is closed and nothing of it is cached any more. The kernel's pages outlive that. Were
 * they kept, a reader of the next generation would be given some of the one before. So an open
 * keeps them only where they are known to be of the ETag that the object has:
 *
 *   open    ETag known, and noted for the node    pages are kept
 *           ETag known, another or none noted     pages are dropped; it is noted
 *           ETag not known yet                    pages are dropped; nothing is noted
 *   close   ETag known by now                     it is noted: all pages came after the open
 *
 * The table is of fixed size and forgets: that drops pages which could have stayed. Any thread.
 */
#ifndef FS_PAGES_H
#define FS_PAGES_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

struct pages {
    _Atomic uint64_t *notes; /* by the node's hash: hash of node and ETag, 0 for none */
};

int pages_init(struct pages *p, struct err *err);
void pages_done(struct pages *p);

/* At an open, etag empty where not known: whether the kernel may keep what it has. */
bool pages_may_stay(struct pages *p, uint64_t node, struct slice etag);

/* At the end of an open file. Before the object is given back, which may forget its ETag. */
void pages_note(struct pages *p, uint64_t node, struct slice etag);

#endif
