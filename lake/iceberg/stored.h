/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proof that data files are presented as they are stored, by metadata alone: which columns a file
 * was written with, and whether these are the ones that are shown. What is not proven is no lie,
 * but costs a look at the file.
 *
 *   no name mapping, and the file has the leaves that are shown (column_sizes), and either
 *     the table never had another schema than its first one, or
 *     the snapshot that added the file is known, and its schema has the columns that are shown;
 *     where it does not tell its schema, the table has not changed since, or
 *     no schema that the table ever had has these leaves with other names or types
 *
 * Pure but for what it keeps; one thread.
 */
#ifndef LAKE_ICEBERG_STORED_H
#define LAKE_ICEBERG_STORED_H

#include "lake/iceberg/manifest.h"

struct iceberg_stored {
    const struct iceberg_metadata *metadata; /* borrowed */
    const struct iceberg_schema_text *schema;
    struct shape *shape; /* of the schema; NULL: it has a type that is not known */
    int32_t *leaves;     /* ascending */
    size_t leaves_n;
    bool never;      /* nothing can be proven */
    bool one_schema; /* there was never another */
    bool alone;   /* of all that it had no other one has these leaves, but with the same columns */
    bool limited; /* writers need not tell of all columns */
    signed char *same; /* by place of a schema: 1 it has the same columns, -1 not, 0 not known */
    int64_t last;      /* snapshot that was looked up last, and what came of it */
    bool last_same;
};

/* schema: shown. Borrows the metadata. -EIO where there is no such schema. */
int iceberg_stored_init(struct iceberg_stored *s, const struct iceberg_metadata *m, int32_t schema,
                        struct err *err);
void iceberg_stored_done(struct iceberg_stored *s);
DEFINE_AUTO_DONE(iceberg_stored, struct iceberg_stored, iceberg_stored_done)

/* Do files with these columns have just the leaves that are shown? identity: source columns of the
 * partition, which files may lack, ascending or not. */
bool iceberg_stored_columns(const struct iceberg_stored *s, const struct iceberg_columns *columns,
                            enum iceberg_format format, const int32_t *identity, size_t identity_n);

/* Were the columns that are shown the table's when that snapshot added a file? */
int iceberg_stored_snapshot(struct iceberg_stored *s, int64_t snapshot, bool *out, struct err *err);

#endif
