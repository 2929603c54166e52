/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that may be compressed as a whole, whatever they are called: gzip (RFC 1952) and zstandard
 * (RFC 8878) are told by their first bytes. Pure, bounded by the buffer that is given.
 */
#ifndef LAKE_FORMAT_UNPACK_H
#define LAKE_FORMAT_UNPACK_H

#include "base/buf.h"

/* Does it begin as one of them? */
bool unpack_is_packed(struct slice from);

/*
 * Appends what was compressed: all members, all frames. -EIO where the bytes are damaged, cut off
 * or neither of the two, -EOVERFLOW where they are more than the buffer takes, -ENOMEM.
 */
int unpack(struct slice from, struct buf *out, struct err *err);

#endif
