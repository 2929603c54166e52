/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A catalog by Iceberg's REST protocol (open-api/rest-catalog-open-api.yaml): REST catalogs of all
 * makers, AWS Glue and S3 Tables (SigV4), Unity Catalog's face of that kind.
 *
 *   GET URI/v1/config?warehouse=W                       once, before the first other request
 *   GET URI/v1/PREFIX/namespaces?parent=A%1FB           in pages
 *   GET URI/v1/PREFIX/namespaces/A%1FB/tables           likewise
 *   GET URI/v1/PREFIX/namespaces/A%1FB/tables/T         If-None-Match; vended credentials asked for
 *   GET URI/v1/PREFIX/namespaces/A%1FB/tables/T/credentials   where the catalog has that
 *
 * A catalog whose namespaces have one level, and which says so when it is asked for what is below
 * one, has none below.
 */
#ifndef LAKE_CATALOG_REST_H
#define LAKE_CATALOG_REST_H

#include "lake/catalog/catalog.h"
#include "lake/catalog/options.h"

struct http;

/* Asks nobody. Options are copied, the engine is borrowed. -EINVAL for what is wrong in them. */
int catalog_rest_open(const struct catalog_options *o, struct http *http, struct catalog **out,
                      struct err *err);

#endif
