/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a data file of a manifest to an entry of an index: where it is shown, whether as it is
 * stored, and what its `extra` tells.
 *
 *   place_init -> { place_manifest -> place_file ... } ... -> place_done
 *
 * One thread.
 */
#ifndef LAKE_ICEBERG_PLACE_H
#define LAKE_ICEBERG_PLACE_H

#include "lake/iceberg/deletes.h"
#include "lake/iceberg/manifests.h"
#include "lake/iceberg/stored.h"
#include "lake/index/entry.h"

/* A partition spec, ready to be used. */
struct iceberg_place_spec {
    int32_t id;
    struct iceberg_partition partition;
    int32_t *identity; /* source columns of identity fields */
    size_t identity_n;
    bool unpartitioned; /* no field, or void ones alone */
};

/* A partition tuple of the current manifest. */
struct iceberg_place_tuple {
    const struct iceberg_value *values; /* by columns of the spec */
    struct slice constants;
    struct slice kept_dir; /* of the first file that is shown where it lies; p NULL: none was */
    uint32_t partition;    /* of the deletes' */
};

struct iceberg_place {
    const struct iceberg_view *view;       /* borrowed */
    const struct iceberg_deletes *deletes; /* borrowed; NULL: nothing is deleted */
    struct iceberg_stored stored;
    int64_t columns_since_ms; /* files that are not as stored are not older */

    /* private */
    struct arena arena; /* specs */
    struct iceberg_place_spec *specs;
    size_t specs_n;
    const struct iceberg_place_spec *spec; /* of the current manifest */
    struct arena manifest_arena;
    VEC(struct iceberg_place_tuple) tuples;
    VEC(signed char) as_stored;                 /* by set of columns and format */
    int64_t added_id, added_sequence, added_ms; /* the snapshot that was looked up last */
    struct buf inside, path;
    struct iceberg_found found;
    uint64_t finds;   /* changes with what was found */
    struct buf extra; /* of the last file that has one, */
    bool has_extra;   /* and of what it was made */
    uint32_t extra_tuple;
    enum iceberg_format extra_format;
    uint64_t extra_find;
};

/* The view is borrowed; the schema is the one that is shown. */
int iceberg_place_init(struct iceberg_place *p, const struct iceberg_view *view, int32_t schema,
                       struct err *err);
void iceberg_place_done(struct iceberg_place *p);
DEFINE_AUTO_DONE(iceberg_place, struct iceberg_place, iceberg_place_done)

/* Files come from that manifest from now on. -EIO where its spec is not known. */
int iceberg_place_manifest(struct iceberg_place *p, const struct iceberg_manifest *manifest,
                           const struct iceberg_manifest_head *head, struct err *err);

/* A data file of it, which has inherited what it had to; decoded: for its numbers. The entry's
 * texts live until the next call. */
int iceberg_place_file(struct iceberg_place *p, const struct iceberg_decoded *decoded,
                       const struct iceberg_entry *file, struct entry *out, struct err *err);

/* Does any of the deletes apply to a data file of the manifest? */
int iceberg_place_touched(struct iceberg_place *p, const struct iceberg_decoded *decoded,
                          const struct iceberg_entry *file, bool *out, struct err *err);

/* The partition values of a file of the manifest, by columns of p->spec. */
int iceberg_place_values(struct iceberg_place *p, const struct iceberg_decoded *decoded,
                         const struct iceberg_entry *file, const struct iceberg_value **out,
                         struct err *err);

/* When the snapshot was made that added a file. */
int64_t iceberg_place_time(struct iceberg_place *p, const struct iceberg_entry *file);

/* Likewise the number of a delete file's partition in `to`. */
int iceberg_place_partition(struct iceberg_place *p, const struct iceberg_decoded *decoded,
                            const struct iceberg_entry *file, struct iceberg_deletes *to,
                            uint32_t *partition, struct err *err);

#endif
