/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a catalog that is asked by HTTP. */
#ifndef LAKE_CATALOG_OPTIONS_H
#define LAKE_CATALOG_OPTIONS_H

#include "cache/store/store.h"

/* Who asks. */
enum catalog_auth {
    CATALOG_AUTH_NONE,
    CATALOG_AUTH_BEARER, /* token or token_file */
    CATALOG_AUTH_OAUTH2, /* client credentials: credential or credential_file */
    CATALOG_AUTH_SIGV4,  /* AWS credentials of `store`, as for its buckets */
};

struct catalog_field {
    const char *name, *value; /* the name in lower case */
};

/* Strings are copied; NULL: not said. */
struct catalog_options {
    const char *name;      /* for messages; NULL: the URI */
    const char *uri;       /* "https://host/api/catalog"; http:// too */
    const char *warehouse; /* Iceberg: for /v1/config; Unity: the one catalog that is shown */
    const char *prefix;    /* Iceberg: of paths, where /v1/config tells none */
    enum catalog_auth auth;
    const char *token, *token_file;           /* files are absolute, and read anew each time */
    const char *credential, *credential_file; /* "client_id:client_secret", or a secret alone */
    const char *oauth2_server_uri;            /* NULL: URI/v1/oauth/tokens */
    const char *scope, *audience, *resource;  /* scope NULL: "catalog" */
    const char *signing_name;                 /* NULL: "execute-api"; "glue", "s3tables" */
    const char *signing_region;               /* NULL: that of `store` */
    const struct catalog_field *fields;       /* sent with every request; may hold secrets */
    size_t fields_n;
    bool no_vended_credentials; /* none are asked for */
    /* CA, proxy, deadline, and where AWS credentials are found. Must not be NULL. */
    const struct store_options *store;
};

#endif
