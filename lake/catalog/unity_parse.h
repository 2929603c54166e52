/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of Unity Catalog's own API (unitycatalog's api/all.yaml): ListCatalogsResponse,
 * ListSchemasResponse, ListTablesResponse, TableInfo, TemporaryCredentials. Pure. Errors as in
 * lake/catalog/rest_parse.h.
 */
#ifndef LAKE_CATALOG_UNITY_PARSE_H
#define LAKE_CATALOG_UNITY_PARSE_H

#include "lake/catalog/pages.h"

/* One page; `member` is "catalogs", "schemas" or "tables". Views are left out. */
int unity_names_parse(struct slice json, const char *member, struct catalog_names *out,
                      struct err *err);

/* Of t->text: location and uuid (the table's id). -EOPNOTSUPP for what is no Delta table. */
int unity_table_parse(struct catalog_table *t, struct err *err);

/* Into the table: one credential for its location, which is known. */
int unity_credentials_parse(struct slice json, struct catalog_table *t, struct err *err);

#endif
