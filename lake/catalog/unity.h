/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delta tables of Unity Catalog by its own API (unitycatalog's api/all.yaml; of Databricks the same
 * paths): namespaces are a catalog and a schema in it, or a schema alone where one catalog is named
 * as the warehouse.
 *
 *   GET  URI/api/2.1/unity-catalog/catalogs
 *                             .../schemas?catalog_name=C
 *                             .../tables?catalog_name=C&schema_name=S   views have no files
 *                             .../tables/C.S.T
 *   POST                      .../temporary-table-credentials   {"table_id": I, "operation":
 * "READ"}
 *
 * What is vended is told as the Iceberg protocol names it (lake/catalog/access.h). A table of
 * another format than Delta is listed, and refused when it is loaded.
 */
#ifndef LAKE_CATALOG_UNITY_H
#define LAKE_CATALOG_UNITY_H

#include "lake/catalog/catalog.h"
#include "lake/catalog/options.h"

struct http;

/* As catalog_rest_open. */
int catalog_unity_open(const struct catalog_options *o, struct http *http, struct catalog **out,
                       struct err *err);

#endif
