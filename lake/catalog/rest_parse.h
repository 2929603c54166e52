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

#include "lake/catalog/catalog.h"

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

/* One page of names, in its arena. */
struct rest_names {
    struct arena arena;
    struct slice *at;
    size_t n;
    struct slice next; /* token of the next page; empty: it is the last */
};
void rest_names_init(struct rest_names *names);
void rest_names_done(struct rest_names *names);
DEFINE_AUTO_DONE(rest_names, struct rest_names, rest_names_done)

/* Fills what was just initialised: of namespaces the level below `parent`. */
int rest_namespaces_parse(struct slice json, const struct catalog_namespace *parent,
                          struct rest_names *out, struct err *err);
int rest_tables_parse(struct slice json, const struct catalog_namespace *in, struct rest_names *out,
                      struct err *err);

/* Of t->text; an Iceberg table. */
int rest_table_parse(struct catalog_table *t, struct err *err);

/* Of t->text too: credentials alone. */
int rest_credentials_parse(struct catalog_table *t, struct err *err);

#endif
