/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog_open.h"

#include "base/hash.h"
#include "base/text.h"
#include "cache/store/region.h"
#include "lake/catalog/named.h"
#include "lake/catalog/options.h"
#include "lake/catalog/rest.h"
#include "lake/catalog/sql.h"
#include "lake/catalog/unity.h"

static int open_sql(const struct lakefile_layer *layer, const struct store_options *options,
                    struct catalog **out, struct err *err)
{
    const struct lakefile_catalog *c = &layer->catalog;
    const struct sql_catalog_options o = {.uri = c->uri,
                                          .name = c->name ? c->name : layer->name,
                                          .credential_file = c->credential_file,
                                          .store = options};
    return catalog_sql_open(&o, out, err);
}

static int open_named(const struct lakefile_layer *layer, struct catalog **out, struct err *err)
{
    AUTO_FREE struct named_table *tables = calloc(layer->tables_n, sizeof *tables);
    if (!tables)
        return err_set(err, ENOMEM, "out of memory");
    for (size_t i = 0; i < layer->tables_n; i++)
        tables[i] = (struct named_table){layer->tables[i].name, layer->tables[i].url};
    return catalog_named_open(tables, layer->tables_n, out, err);
}

static enum catalog_auth named_auth(const char *name)
{
    if (strcmp(name, "bearer") == 0)
        return CATALOG_AUTH_BEARER;
    if (strcmp(name, "oauth2") == 0)
        return CATALOG_AUTH_OAUTH2;
    return strcmp(name, "sigv4") == 0 ? CATALOG_AUTH_SIGV4 : CATALOG_AUTH_NONE;
}

/* What the file names comes before what the environment has; a token before what asks for one. */
static enum catalog_auth auth_of(const struct lakefile_catalog *c, const struct store_options *o)
{
    if (c->auth)
        return named_auth(c->auth);
    if (c->kind == LAKEFILE_CATALOG_GLUE)
        return CATALOG_AUTH_SIGV4;
    if (c->token_file || c->credential_file)
        return c->token_file ? CATALOG_AUTH_BEARER : CATALOG_AUTH_OAUTH2;
    if (o->catalog_token)
        return CATALOG_AUTH_BEARER;
    return o->catalog_credential ? CATALOG_AUTH_OAUTH2 : CATALOG_AUTH_NONE;
}

static int check_secrets(const struct catalog_options *o, struct err *err)
{
    if (o->auth == CATALOG_AUTH_BEARER && !o->token && !o->token_file)
        return err_set(err, EACCES,
                       "no token: token-file names none, and TARN_CATALOG_TOKEN is "
                       "not set");
    if (o->auth == CATALOG_AUTH_OAUTH2 && !o->credential && !o->credential_file)
        return err_set(err, EACCES,
                       "no client credential: credential-file names none, and "
                       "TARN_CATALOG_CREDENTIAL is not set");
    return 0;
}

static int open_http(const struct lakefile_layer *layer, const struct store_options *options,
                     struct http *http, struct catalog **out, struct err *err)
{
    const struct lakefile_catalog *c = &layer->catalog;
    bool glue = c->kind == LAKEFILE_CATALOG_GLUE;
    const char *region = c->signing_region ? c->signing_region : options->region;
    AUTO(buf) struct buf uri = {0};
    buf_init(&uri, URL_BYTES_MAX);
    buf_addf(&uri, "https://glue.%.*s.amazonaws.com/iceberg", REGION_BYTES_MAX,
             region ? region : "us-east-1");
    struct catalog_options o = {.name = layer->name,
                                .uri = c->uri ? c->uri : uri.data,
                                .warehouse = c->warehouse,
                                .prefix = c->prefix,
                                .auth = auth_of(c, options),
                                .token_file = c->token_file,
                                .credential_file = c->credential_file,
                                .oauth2_server_uri = c->oauth2_server_uri,
                                .scope = c->scope,
                                .audience = c->audience,
                                .resource = c->resource,
                                .signing_name = c->signing_name ? c->signing_name
                                                : glue          ? "glue"
                                                                : NULL,
                                .signing_region = c->signing_region,
                                .no_vended_credentials = c->own_credentials,
                                .store = options};
    if (!c->token_file && !c->credential_file) {
        o.token = options->catalog_token;
        o.credential = options->catalog_credential;
    }
    int rc = buf_check(&uri, err);
    if (rc == 0)
        rc = check_secrets(&o, err);
    if (rc < 0)
        return rc;
    return c->kind == LAKEFILE_CATALOG_UNITY ? catalog_unity_open(&o, http, out, err)
                                             : catalog_rest_open(&o, http, out, err);
}

int catalog_open(const struct lakefile_layer *layer, const struct store_options *options,
                 struct http *http, struct catalog **out, struct err *err)
{
    switch (layer->catalog.kind) {
    case LAKEFILE_CATALOG_NONE:
        break;
    case LAKEFILE_CATALOG_SQL:
        return open_sql(layer, options, out, err);
    case LAKEFILE_CATALOG_TABLES:
        return open_named(layer, out, err);
    case LAKEFILE_CATALOG_REST:
    case LAKEFILE_CATALOG_GLUE:
    case LAKEFILE_CATALOG_UNITY:
        return open_http(layer, options, http, out, err);
    }
    return err_set(err, EINVAL, "it has no catalog");
}

static void add_text(struct buf *out, const char *text)
{
    buf_addf(out, "\n%zu %s", text ? strlen(text) : 0, text ? text : "-");
}

void catalog_open_identity(const struct lakefile_layer *layer, const struct store_options *options,
                           char out[65])
{
    const struct lakefile_catalog *c = &layer->catalog;
    const char *const texts[] = {c->uri,
                                 c->warehouse,
                                 c->prefix,
                                 c->name,
                                 c->auth,
                                 c->token_file,
                                 c->credential_file,
                                 c->oauth2_server_uri,
                                 c->scope,
                                 c->audience,
                                 c->resource,
                                 options->catalog_token,
                                 options->catalog_credential,
                                 options->access_key_id,
                                 options->aws_profile};
    AUTO(buf) struct buf all = {0};
    buf_init(&all, 2 * LAKEFILE_BYTES_MAX);
    buf_addf(&all, "catalog %d %u", (int)c->kind, (unsigned)options->uid);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        add_text(&all, texts[i]);
    sha256_hex(buf_slice(&all), out);
    if (all.data)
        explicit_bzero(all.data, all.cap);
}
