/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots that an archive store keeps (store_ops.kept) and the newest metadata has forgotten, as
 * the table expired them: each is what the metadata file says of it that was archived with it.
 *
 *   newest metadata    S4 S5 S6
 *   archived           S2 in 00003-..., S5 in 00007-...
 *   joined             S2 S4 S5 S6        with the schemas and specs that S2 is read by
 *
 * Only of the same table (by its UUID), and only where schemas and specs of one id are the same in
 * both: else it stays expired. Such a snapshot has no time of its own and no name; ids find it.
 */
#ifndef LAKE_ICEBERG_KEPT_H
#define LAKE_ICEBERG_KEPT_H

#include "cache/store/store.h"
#include "lake/iceberg/metadata.h"

/* What was found last, to be compared with. */
struct iceberg_kept {
    uint64_t mark;    /* of which snapshots are archived and forgotten; 0: none */
    int64_t again_ms; /* some could not be read: they are looked for again then; 0: none */
};

/*
 * *out: `newest` itself, or joined with what is archived; a new reference. `before` (may be NULL)
 * is the last answer, of which what was found is taken. With `changed` false *out is NULL where
 * nothing has changed since *kept. What cannot be had of the archive is left out. Blocks.
 */
int iceberg_kept_join(struct store *store, const char *prefix, struct iceberg_metadata *newest,
                      struct iceberg_metadata *before, bool changed, struct iceberg_kept *kept,
                      struct iceberg_metadata **out, struct err *err);

#endif
