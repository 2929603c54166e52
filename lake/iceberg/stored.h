/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proof that data files are presented as they are stored, by metadata alone: which columns a file
 * was written with, and whether these are the ones that are shown. What is not proven is no lie,
 * but costs a look at the file.
 *
 *   no name mapping, and the file has the leaves that are shown (column_sizes), and either
 *     the table never had another schema than its first one, or
 *     no schema that the table ever had has these leaves with other names or types, or others
 * beside
 *
 * The schema of the snapshot that added a file is no proof: it was the table's when the file was
 * committed, not the writer's when it began.
 *
 * Pure; any thread.
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

/* Has each file of the table that has these leaves the columns that are shown? */
bool iceberg_stored_proven(const struct iceberg_stored *s, enum iceberg_format format);

#endif
