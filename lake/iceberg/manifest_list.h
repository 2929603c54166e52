/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A manifest list: the manifests that a snapshot is made of (Iceberg specification, "Manifest
 * Lists"). Fields are found by their ids. Pure.
 */
#ifndef LAKE_ICEBERG_MANIFEST_LIST_H
#define LAKE_ICEBERG_MANIFEST_LIST_H

#include "lake/iceberg/metadata.h"

struct iceberg_manifest {
    struct slice path;
    uint64_t length;  /* of the file; 0: not told (inline ones of v1) */
    int32_t spec_id;  /* ICEBERG_NONE: the manifest itself tells (likewise) */
    bool deletes;     /* it names delete files, no data files */
    bool encrypted;   /* it has key metadata */
    int64_t sequence; /* when it was added; 0 of v1: entries that tell none inherit it */
    int64_t snapshot; /* that added it; ICEBERG_NONE: not told */
    int64_t live;     /* files that are added or exist; ICEBERG_NONE: not told */
};

struct iceberg_manifest_list {
    struct arena arena; /* everything below */
    struct iceberg_manifest *at;
    size_t n, capacity;
};
void iceberg_manifest_list_init(struct iceberg_manifest_list *l);
void iceberg_manifest_list_done(struct iceberg_manifest_list *l);
DEFINE_AUTO_DONE(iceberg_manifest_list, struct iceberg_manifest_list, iceberg_manifest_list_done)

/* Adds one, whose path is copied. -EOVERFLOW, -ENOMEM. */
int iceberg_manifest_list_add(struct iceberg_manifest_list *l, const struct iceberg_manifest *m,
                              struct err *err);

/* The lines of a manifest list, behind those that are there. -EIO damaged, -EOVERFLOW. */
int iceberg_manifest_list_parse(struct iceberg_manifest_list *l, struct slice file,
                                struct err *err);
/* The same of a snapshot that names its manifests itself (v1). */
int iceberg_manifest_list_inline(struct iceberg_manifest_list *l, const struct iceberg_snapshot *s,
                                 struct err *err);

#endif
