/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the JSON of a table metadata file into lists, as it is written; lake/iceberg/metadata.c
 * checks and orders them. Texts point into the file's, or lie in the arena. For that file alone.
 */
#ifndef LAKE_ICEBERG_METADATA_PARSE_H
#define LAKE_ICEBERG_METADATA_PARSE_H

#include "base/json.h"
#include "base/vec.h"
#include "lake/iceberg/metadata.h"

struct parsing {
    struct iceberg_metadata *m; /* single values, and the arena */
    struct json j;
    struct buf scratch;
    struct err *err;
    int rc; /* the first failure that is not the reader's */

    VEC(struct iceberg_schema_text) schemas;
    VEC(struct iceberg_spec) specs;
    VEC(struct iceberg_snapshot) snapshots;
    VEC(struct iceberg_ref) refs;
    VEC(struct iceberg_moment) moments;
    VEC(struct iceberg_older) older;
    VEC(struct iceberg_property) properties;
    bool has_current_schema;
    struct slice single_schema; /* of version 1; empty: not told */
    struct iceberg_spec single_spec;
    bool has_single_spec;
};

/* 0, or -errno and err. */
int iceberg_metadata_read(struct parsing *p);

#endif
