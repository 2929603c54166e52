/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run keeps of its table beside the files, its meta:
 *
 *   {"snapshot":<id>,"schema":<id>,"fingerprint":"<16 hex>","elsewhere":[..],"manifestList":..,
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

/* What a meta says of its snapshot's manifests. */
struct iceberg_state_manifests {
    struct slice list;             /* its path; empty where the snapshot names them itself */
    const struct slice *elsewhere; /* paths of some (lake/iceberg/elsewhere.h) */
    size_t elsewhere_n;
};

/* Appends the meta. -EIO where the metadata has no such schema. */
int iceberg_state_format(const struct iceberg_metadata *m, const struct iceberg_identity *id,
                         const struct iceberg_state_manifests *manifests, struct buf *out,
                         struct err *err);

/* Calls `each` with the paths of `elsewhere` until it returns other than 0 (returned). -EUCLEAN
 * where they cannot be read. */
int iceberg_state_elsewhere(struct slice meta, int (*each)(void *arg, struct slice path), void *arg,
                            struct err *err);

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
