/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory of a table's runs: names, what is there, and what is there too long. Numbers are
 * 16 or 8 hex digits.
 *
 *   base-<snapshot>-<schema>             all files of a version
 *   patch-<base>-<snapshot>-<schema>     what a version has beside the base's
 *   range-<after>-<snapshot>             what the ancestors of a snapshot, down to the one before
 *                                        which `after` is, appended (after: all ones for none)
 *   manifest-<32 hex>                    a manifest, decoded (lake/iceberg/decoded.h)
 *   list-<32 hex>                        a manifest list, as it is stored
 *   unchecked-<pid>-<n>                  on its way to one of those names
 *
 * Blocks on the disk; any thread, as files come and go by rename and unlink only.
 */
#ifndef LAKE_ICEBERG_RUNS_H
#define LAKE_ICEBERG_RUNS_H

#include "base/err.h"
#include "base/slice.h"
#include "lake/index/run_dir.h"

void iceberg_base_name(char name[RUN_NAME_BYTES], int64_t snapshot, int32_t schema);
void iceberg_patch_name(char name[RUN_NAME_BYTES], int64_t base, int64_t snapshot, int32_t schema);
void iceberg_range_name(char name[RUN_NAME_BYTES], int64_t after, int64_t snapshot);
void iceberg_manifest_name(char name[RUN_NAME_BYTES], struct slice path, uint64_t length);
void iceberg_list_name(char name[RUN_NAME_BYTES], struct slice path);

/* Bases with a schema, the last one that was made first. */
#define ICEBERG_BASES_MAX 32
struct iceberg_runs {
    struct {
        int64_t snapshot;
        int64_t made_ns; /* its modification time */
    } bases[2 * ICEBERG_BASES_MAX];
    size_t bases_n;
    int64_t patches[2 * ICEBERG_BASES_MAX]; /* bases of the patches to the snapshot asked for */
    size_t patches_n;
};

int iceberg_runs_find(int dirfd, int64_t snapshot, int32_t schema, struct iceberg_runs *out,
                      struct err *err);

/* A base is as large as the table's list; patches are small. */
#define ICEBERG_PATCHES_MAX 256
#define ICEBERG_RANGES_MAX 64
#define ICEBERG_LISTS_MAX 256
#define ICEBERG_DECODED_MAX 4096

/*
 * Removes what was made longest ago where there is more, and leftovers. Whoever has one open keeps
 * it; what is asked for again is made again. manifests: that a version has which was just loaded:
 * twice as many stay.
 */
void iceberg_runs_prune(int dirfd, size_t manifests);

#endif
