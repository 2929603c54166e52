/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of an ORC file: which columns it has. Nothing of such files is made anew: they are shown
 * as they are stored, where that is what the table has (ORC specification v1, "File Tail"; Iceberg
 * specification, appendix A, "ORC").
 *
 *   stripes ... metadata footer postscript length:u8       postscript and footer are protocol
 * buffers; the footer is in compressed chunks
 *
 * Pure; any thread.
 */
#ifndef LAKE_FORMAT_ORC_H
#define LAKE_FORMAT_ORC_H

#include "base/err.h"
#include "base/slice.h"

struct shape;

/* The file's last bytes say that it is one. */
bool orc_is(struct slice end);

/* How many of the file's last bytes hold its footer, by those (256 of them, or the whole file).
 * -EIO damaged, -EOVERFLOW over FOOTER_BYTES_MAX. */
int orc_tail_bytes(struct slice end, uint64_t file_bytes, uint64_t *out, struct err *err);

/*
 * The file, whose last bytes are `tail`, has the columns of the shape: names, types and order, and
 * ids where it has any; else the names that a name mapping has, where there is one (other readers
 * of ORC go by names where there is none, too). -EOPNOTSUPP says what differs, or which
 * compression is not read; -EIO damaged, -EOVERFLOW, -ENOMEM.
 */
int orc_presents(struct slice tail, const struct shape *shape, struct err *err);

#endif
