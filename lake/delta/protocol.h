/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: may a version of a table be read with what is known here? (PROTOCOL.md, "Protocol
 * Evolution", "Table Features".) Pure.
 *
 * Features of which files are presented (column mapping, deletion vectors, widened types) pass, and
 * those that ask nothing of a reader. Whether one file can be presented is seen when it is opened.
 */
#ifndef LAKE_DELTA_PROTOCOL_H
#define LAKE_DELTA_PROTOCOL_H

#include "lake/delta/action.h"

/*
 * 0, or -EOPNOTSUPP with the name of the feature or mode. -EIO for a protocol that contradicts
 * itself. Either may be NULL where the log has none: -EIO.
 */
int delta_protocol_check(const struct delta_protocol *protocol,
                         const struct delta_metadata *metadata, struct err *err);

#endif
