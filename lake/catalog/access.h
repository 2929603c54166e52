/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may read where a table lies, of what a catalog vends: the configuration of a table and of its
 * credentials as Iceberg names it (`s3.access-key-id`, `gcs.oauth2.token`,
 * `adls.sas-token.ACCOUNT`; open-api/rest-catalog-open-api.yaml, LoadTableResult). Pure.
 */
#ifndef LAKE_CATALOG_ACCESS_H
#define LAKE_CATALOG_ACCESS_H

#include "cache/store/store.h"
#include "lake/catalog/catalog.h"

/* Borrowed from the table; NULL: not told. */
struct catalog_access {
    const char *access_key_id, *secret_access_key, *session_token; /* S3 */
    const char *region, *endpoint_url; /* S3; may be told without credentials */
    bool path_style;                   /* S3: told, and true */
    const char *gcs_token;
    const char *azure_sas_token, *azure_token; /* of the location's account */
    int64_t expires_ms;                        /* clock_real_ms; 0: never, or not told */
};

/*
 * What counts at a location: of the credentials for its kind of store the one with the longest
 * prefix that fits, else those of `config`. 1: there are credentials in *out; 0: there are none,
 * and *out has what else is told.
 */
int catalog_access_of(const struct catalog_table *t, struct slice location,
                      struct catalog_access *out);

/*
 * Puts it into options of a store. Credentials replace those that the options have; region,
 * endpoint and addressing only count where the options have none: who mounts knows better by which
 * name the store is reached. Strings are borrowed.
 */
void catalog_access_options(const struct catalog_access *access, struct store_options *o);

/* When the first of the table's credentials ends (clock_real_ms), by what they say; 0: never. */
int64_t catalog_access_ends(const struct catalog_table *t);

#endif
