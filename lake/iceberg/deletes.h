/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which delete files apply to a data file (Iceberg specification, "Scan Planning"):
 *
 *   deletion vector        it is about that file, and is not older than it; position deletes do not
 *                          count then: the vector has them
 *   position delete file   not older than the file, and about it; or of the same partition where it
 *                          does not tell one file, and its bounds do not leave out the path
 *   equality delete file   newer than the file; of the same partition, or of an unpartitioned spec
 *
 * Older and newer are sequence numbers. A partition is a spec with a tuple; its owner numbers them
 * here by their bytes.
 *
 *   deletes_new -> { deletes_partition, deletes_add } ... -> deletes_finish -> deletes_find ...
 *
 * Memory is bounded: about 60 bytes a vector, 150 and its path any other file. Pure; after
 * deletes_finish several threads may find at once.
 */
#ifndef LAKE_ICEBERG_DELETES_H
#define LAKE_ICEBERG_DELETES_H

#include "lake/iceberg/manifest.h"

struct iceberg_deletes;

/* Of no delete file. */
#define ICEBERG_NO_PARTITION UINT32_MAX

struct iceberg_deletes *iceberg_deletes_new(struct err *err);
void iceberg_deletes_free(struct iceberg_deletes *d);
DEFINE_AUTO(iceberg_deletes, struct iceberg_deletes *, iceberg_deletes_free)

/* The number of a partition, given by bytes that tell it from all others. */
int iceberg_deletes_partition(struct iceberg_deletes *d, struct slice key, uint32_t *out,
                              struct err *err);
/* The same of one that has deletes; ICEBERG_NO_PARTITION of others. */
uint32_t iceberg_deletes_partition_find(const struct iceberg_deletes *d, struct slice key);

/* A delete file that is live and has inherited what it had to. time_ms: of its snapshot. global:
 * the spec is unpartitioned. */
int iceberg_deletes_add(struct iceberg_deletes *d, const struct iceberg_entry *file,
                        uint32_t partition, bool global, int64_t time_ms, struct err *err);

/* No more of them. -EIO where two deletion vectors are about one file. */
int iceberg_deletes_finish(struct iceberg_deletes *d, struct err *err);
size_t iceberg_deletes_count(const struct iceberg_deletes *d);

/* What applies to one data file; zeroed at first, and used again for the next. */
struct iceberg_found {
    struct iceberg_delete *at; /* in order of iceberg_delete_compare, each once */
    size_t n;
    int64_t time_ms; /* of the newest */
    bool same;       /* the same as the time before */

    /* private */
    size_t capacity;
    uint32_t *numbers, *last; /* of deletes as they were met */
    size_t numbers_n, last_n, numbers_capacity, last_capacity;
};
void iceberg_found_done(struct iceberg_found *f);

int iceberg_deletes_find(const struct iceberg_deletes *d, const struct iceberg_entry *file,
                         uint32_t partition, struct iceberg_found *out, struct err *err);

#endif
