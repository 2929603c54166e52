/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run keeps of its table beside the files, its meta:
 *
 *   {"snapshot":<id>,"fingerprint":"<16 hex>","metadata":{..}}
 *
 * `metadata` is table metadata that iceberg_metadata_parse reads: of that version's schema alone
 * (which is its current one), all partition specs and all properties, without snapshots. Base and
 * patch of a snapshot have the same schema, specs and name mapping. Pure; any thread.
 */
#ifndef LAKE_ICEBERG_STATE_H
#define LAKE_ICEBERG_STATE_H

#include "base/buf.h"
#include "lake/iceberg/metadata.h"

/* Appends the meta. -EIO where the metadata has no such schema. */
int iceberg_state_format(const struct iceberg_metadata *m, int64_t snapshot, int32_t schema,
                         uint64_t fingerprint, struct buf *out, struct err *err);

/* Of which version a run is, by its meta. -EUCLEAN where that cannot be read. */
int iceberg_state_identity(struct slice meta, int64_t *snapshot, int32_t *schema,
                           uint64_t *fingerprint, struct err *err);

/* The metadata in a meta; a new reference. -EUCLEAN where it cannot be read. */
int iceberg_state_parse(struct slice meta, struct iceberg_metadata **out, struct err *err);

#endif
