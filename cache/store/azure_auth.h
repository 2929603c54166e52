/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks a container: the first of these that the mount's settings hold.
 *
 *   nobody                  --no-sign-request: containers that are public
 *   vended                  a SAS or a token that a catalog gives (cache/store/vended.h)
 *   a connection string     AZURE_STORAGE_CONNECTION_STRING: an account key or a SAS, an endpoint
 *   an account key          AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_KEY: Shared Key
 *   a SAS                   AZURE_STORAGE_SAS_TOKEN, in every request's query and nowhere else
 *   a token                 AZURE_STORAGE_TOKEN
 *   a client's secret       AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET
 *   a workload's identity   AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE
 *   a managed identity      IDENTITY_ENDPOINT and IDENTITY_HEADER, or the machine's metadata
 *                           service; AZURE_CLIENT_ID chooses among several
 *
 * Tokens of the last three are fetched by workers and renewed beside their use. A token is sent
 * over TLS alone; it and a SAS only to hosts of Azure's clouds, or to an endpoint that is named.
 */
#ifndef CACHE_STORE_AZURE_AUTH_H
#define CACHE_STORE_AZURE_AUTH_H

#include "cache/store/azure_sign.h"
#include "cache/store/renewed.h"
#include "cache/store/store.h"
#include "cache/store/url.h"

enum azure_how { AZURE_UNSIGNED, AZURE_SHARED_KEY, AZURE_SAS, AZURE_TOKEN };

/* Immutable after azure_auth_init; what how does not need is empty. */
struct azure_auth {
    enum azure_how how;
    struct azure_key key;
    char *sas;              /* `sv=...&sig=...`; NULL: none, or one that is renewed */
    struct renewed *tokens; /* of struct oauth_token: AZURE_TOKEN; AZURE_SAS that is renewed */
};

/* A connection string. Slices into it; empty: not told. */
struct azure_connection {
    struct slice account, key, sas, endpoint, suffix, protocol;
};

/* `Name=value;Name=value`. False where it is none. Pure. */
bool azure_connection_parse(struct slice text, struct azure_connection *out);

/*
 * Writes the endpoint of the options, or else of the connection string, into the URL. -EINVAL for
 * what is none, or a connection string of another account.
 */
int azure_auth_endpoint(struct url *url, const struct store_options *options, struct err *err);

/*
 * Chooses. -EINVAL where what was chosen can be no such secret; no message has any of it.
 * azure_auth_done also where it failed.
 */
int azure_auth_init(struct azure_auth *a, const struct url *url,
                    const struct store_options *options, const struct store_runtime *runtime,
                    struct err *err);
void azure_auth_done(struct azure_auth *a);

#endif
