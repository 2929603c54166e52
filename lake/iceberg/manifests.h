/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifest lists and manifests of a table, read once: both never change, and are kept beside the
 * runs (lake/iceberg/runs.h) for every snapshot that has them.
 *
 *   snapshot ── list-..      a small file, kept as it is
 *           └── manifests    fetched and decoded side by side, a few at a time; manifest-.. each
 *
 * Blocks; any thread, but one thread a struct. What others do with the same table does no harm.
 */
#ifndef LAKE_ICEBERG_MANIFESTS_H
#define LAKE_ICEBERG_MANIFESTS_H

#include "lake/iceberg/decoded.h"
#include "lake/iceberg/iceberg.h"

/* A table as one call sees it. */
struct iceberg_view {
    const struct iceberg_table *table;
    struct iceberg_metadata *metadata; /* a reference */
    struct iceberg_root root;
};
int iceberg_view_init(struct iceberg_view *v, struct iceberg_table *table, struct err *err);
void iceberg_view_done(struct iceberg_view *v);
DEFINE_AUTO_DONE(iceberg_view, struct iceberg_view, iceberg_view_done)

/* The manifests of a snapshot. -EIO where the list is gone or damaged, -EOPNOTSUPP encrypted. */
int iceberg_manifests_list(const struct iceberg_view *v, const struct iceberg_snapshot *s,
                           struct iceberg_manifest_list *out, struct err *err);

/* The same by the path of a list that was read before, perhaps of a snapshot that has expired
 * since: asks nobody. -ENOENT where it is not kept. */
int iceberg_manifests_kept_list(const struct iceberg_view *v, struct slice path,
                                struct iceberg_manifest_list *out, struct err *err);

/*
 * Fetches and decodes what is not kept yet of these manifests, side by side; those that name no
 * live file are passed over. -EIO, with the reason, where one is gone or damaged.
 */
int iceberg_manifests_decode(const struct iceberg_view *v,
                             const struct iceberg_manifest *const *manifests, size_t n,
                             struct err *err);

/* One that was decoded. It is fetched again where it is not kept any more, or was damaged. */
int iceberg_manifests_open(const struct iceberg_view *v, const struct iceberg_manifest *manifest,
                           struct iceberg_decoded *out, struct err *err);

/* What is kept of a manifest is damaged: it is made again by the next who needs it. */
void iceberg_manifests_drop(const struct iceberg_view *v, const struct iceberg_manifest *manifest);

#endif
