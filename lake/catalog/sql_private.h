/* SPDX-License-Identifier: Apache-2.0 */
/* What lake/catalog/sql.c (questions of a catalog) asks of lake/catalog/sql_sqlite.c and
 * lake/catalog/sql_postgres.c (databases). */
#ifndef LAKE_CATALOG_SQL_PRIVATE_H
#define LAKE_CATALOG_SQL_PRIVATE_H

#include "base/limits.h"
#include "lake/catalog/sql.h"
#include "lake/catalog/sql_uri.h"

#define SQL_COLUMNS_MAX 16 /* the catalogs' tables have 6 */
#define SQL_PARAMETERS_MAX 4
#define SQL_VALUE_BYTES_MAX (64 * KIB)

/* A row, borrowed for the call. Columns beyond SQL_COLUMNS_MAX are not looked at. */
struct sql_row {
    size_t n;
    struct slice names[SQL_COLUMNS_MAX];
    struct slice values[SQL_COLUMNS_MAX]; /* NULL: p NULL */
};

struct sql_query {
    const char *text; /* with $1, $2, ... in their order */
    struct slice parameters[SQL_PARAMETERS_MAX];
    size_t parameters_n;
    /* Other than 0 ends the query and is returned. */
    int (*row)(void *arg, const struct sql_row *row, struct err *err);
    void *arg;
};

struct sql_db;
struct sql_db_ops {
    /* Blocks, no longer than the deadline. Any thread. */
    int (*query)(struct sql_db *db, const struct sql_query *q, struct err *err);
    void (*free)(struct sql_db *db);
};

/* Embedded first. */
struct sql_db {
    const struct sql_db_ops *ops;
    int64_t deadline_ms; /* of one query */
};

/* -ENOMEM. */
int sql_sqlite_new(const struct sql_uri *uri, struct sql_db **out, struct err *err);
int sql_postgres_new(const struct sql_uri *uri, const struct sql_catalog_options *o,
                     struct sql_db **out, struct err *err);

#endif
