/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of the Iceberg REST protocol (open-api/rest-catalog-open-api.yaml): CatalogConfig,
 * ListNamespacesResponse, ListTablesResponse, LoadTableResult, LoadCredentialsResponse. Pure.
 *
 * -EIO for what is damaged or not as the protocol has it, -EOPNOTSUPP for what must not be passed
 * over, -EOVERFLOW over a limit.
 */
#ifndef LAKE_CATALOG_REST_PARSE_H
#define LAKE_CATALOG_REST_PARSE_H

#include "lake/catalog/pages.h"

/* What of a configuration counts here; texts are empty where not told. */
struct rest_config {
    struct slice prefix;    /* of paths, an override or a default */
    struct slice uri;       /* an override: where requests go from now on */
    struct slice separator; /* of levels in paths, percent-encoded */
    bool has_credentials;   /* the endpoint of vended credentials is told */
};

/* Texts are in the arena. */
int rest_config_parse(struct slice json, struct arena *arena, struct rest_config *out,
                      struct err *err);

/* Fills what was just initialised: of namespaces the level below `parent`. */
int rest_namespaces_parse(struct slice json, const struct catalog_namespace *parent,
                          struct catalog_names *out, struct err *err);
int rest_tables_parse(struct slice json, const struct catalog_namespace *in,
                      struct catalog_names *out, struct err *err);

/* Of t->text; an Iceberg table. */
int rest_table_parse(struct catalog_table *t, struct err *err);

/* Of t->text too: credentials alone. */
int rest_credentials_parse(struct catalog_table *t, struct err *err);

#endif
