/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Catalogs in a SQL database: PyIceberg's SqlCatalog and Iceberg's JdbcCatalog, which share their
 * tables:
 *
 *   iceberg_tables                 catalog_name, table_namespace ("sales.emea"), table_name,
 *                                  metadata_location, previous_metadata_location,
 *                                  iceberg_type (V1 of JDBC's schema): TABLE, VIEW or NULL
 *   iceberg_namespace_properties   catalog_name, namespace, property_key, property_value
 *
 * Only read, each question by one SELECT. A SQLite file is opened anew for each question, as others
 * write to it; to PostgreSQL a few connections stay open. What a database answers is bounded, and
 * each question has the deadline of the store options. The ETag of a table is where its metadata
 * lies: that file never changes.
 *
 * Views are not shown. A namespace is split at its dots, as both writers join its levels.
 */
#ifndef LAKE_CATALOG_SQL_H
#define LAKE_CATALOG_SQL_H

#include "cache/store/store.h"
#include "lake/catalog/catalog.h"

struct sql_catalog_options {
    const char *uri;             /* sql_uri.h */
    const char *name;            /* whose rows: `catalog_name` */
    const char *credential_file; /* "user:password", or a password alone; absolute. NULL: none */
    const struct store_options *store; /* deadline; pg_password, pg_passfile */
};

/* Asks nobody. Strings are copied. -EINVAL for a URI that is none. */
int catalog_sql_open(const struct sql_catalog_options *o, struct catalog **out, struct err *err);

#endif
