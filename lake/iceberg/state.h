/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run keeps of its table beside the files, its meta:
 *
 *   {"snapshot":<id>,"schema":<id>,"fingerprint":"<16 hex>","manifestList":..,
 *    "formerNames":[[3,"price"],..],"metadata":{..}}
 *
 * `metadata` is table metadata that iceberg_metadata_parse reads: of the run's schema alone (which
 * is its current one), all partition specs and all properties, without snapshots. Base and patch of
 * a snapshot have the same schema, specs and name mapping. Pure; any thread.
 */
#ifndef LAKE_ICEBERG_STATE_H
#define LAKE_ICEBERG_STATE_H

#include "base/buf.h"
#include "lake/iceberg/metadata.h"

/* Of which version a run is. */
struct iceberg_identity {
    int64_t snapshot;
    int32_t schema;
    uint64_t fingerprint;
};

/* Appends the meta. manifest_list: its path; empty where the snapshot names its manifests itself.
 * -EIO where the metadata has no such schema. */
int iceberg_state_format(const struct iceberg_metadata *m, const struct iceberg_identity *id,
                         struct slice manifest_list, struct buf *out, struct err *err);

/* -EUCLEAN where it cannot be read. */
int iceberg_state_identity(struct slice meta, struct iceberg_identity *out, struct err *err);

/* The metadata in a meta, a new reference, and the path of the manifest list (may be NULL, reset
 * first). -EUCLEAN where it cannot be read. */
int iceberg_state_parse(struct slice meta, struct iceberg_metadata **out, struct buf *manifest_list,
                        struct err *err);

/* Names that columns have or had (lake/iceberg/former.h), a reference. -EUCLEAN likewise. */
struct former;
int iceberg_state_former(struct slice meta, struct former **out, struct err *err);

#endif
