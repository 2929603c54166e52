/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The beginning of an Avro file: which columns it has. Nothing of such files is made anew: they are
 * shown as they are stored, where that is what the table has (Avro 1.11 specification, "Object
 * Container Files"; Iceberg specification, appendix A, "Avro"). Pure; any thread.
 */
#ifndef LAKE_FORMAT_AVRO_PRESENT_H
#define LAKE_FORMAT_AVRO_PRESENT_H

#include "base/err.h"
#include "base/slice.h"

struct shape;

/* The file's first bytes say that it is one. */
bool avro_is(struct slice head);

/*
 * The file, whose first bytes are `head`, has the columns of the shape: names, types and order, and
 * ids where it has any; else the names that a name mapping has, where there is one. -EOPNOTSUPP
 * says what differs; -EIO damaged, or more of the beginning is needed (up to AVRO_HEADER_BYTES_MAX,
 * or the whole file); -EOVERFLOW, -ENOMEM.
 */
int avro_presents(struct slice head, const struct shape *shape, struct err *err);

#endif
