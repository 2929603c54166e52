/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table metadata file while it is read, and single values of it. A reader is false where
 * something is wrong, which sticks (parsing_failed), or where there is no value: a null is none.
 */
#ifndef LAKE_ICEBERG_METADATA_VALUES_H
#define LAKE_ICEBERG_METADATA_VALUES_H

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

bool parsing_failed(const struct parsing *p);
/* Sets -EIO with the place, unless something is wrong already. False. */
__attribute__((format(printf, 2, 3))) bool parsing_damaged(struct parsing *p, const char *fmt, ...);
/* The answer of vec_push; what: "snapshots". */
bool parsing_pushed(struct parsing *p, int rc, const char *what);

/* There is a value; a null is passed over. */
bool parsing_present(struct parsing *p);
bool parsing_text(struct parsing *p, struct slice *out);
bool parsing_long(struct parsing *p, int64_t *out);
bool parsing_int(struct parsing *p, int32_t *out);

/* As json_enter_array and the two that follow. */
bool parsing_array(struct parsing *p);
bool parsing_next(struct parsing *p);
bool parsing_key(struct parsing *p, struct slice *key);

/* n elements as they lie in a vector, in the arena; NULL: no memory. */
const void *parsing_keep(struct parsing *p, const void *at, size_t n, size_t size);

#endif
