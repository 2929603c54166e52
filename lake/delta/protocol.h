/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: may a version of a table be read with what is known here? (PROTOCOL.md, "Protocol
 * Evolution", "Table Features".) Pure.
 *
 * Features that need nothing of a reader that shows files as they are stored pass; so do those
 * whose effect is judged where it would appear: live deletion vectors by the replay, checkpoints of
 * version 2 by the log.
 */
#ifndef LAKE_DELTA_PROTOCOL_H
#define LAKE_DELTA_PROTOCOL_H

#include "lake/delta/action.h"

/*
 * 0, or -EOPNOTSUPP with the feature's name. -EIO for a protocol that contradicts itself. Either
 * may be NULL where the log has none: -EIO.
 */
int delta_protocol_check(const struct delta_protocol *protocol,
                         const struct delta_metadata *metadata, struct err *err);

#endif
