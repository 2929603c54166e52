/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs of Azure's containers. Pure.
 *
 *   abfss://container@account.dfs.core.windows.net/prefix   Data Lake's; abfs://, too
 *   wasbs://container@account.blob.core.windows.net/prefix  Blob's older one; wasb://, too
 *   az://account/container/prefix                           in Azure's public cloud
 *   az+http://host:port/account/container/prefix            with its endpoint
 *
 * All of them are read by Blob's REST API over TLS (but for an endpoint of http). Where account,
 * container and prefix are the same they are one store: the canonical form is the first, or the
 * last where an endpoint is named that is not the account's own. The host's name may be another
 * cloud's: `.dfs.` or `.blob.` in it tell the service. A prefix is bytes: no percent-decoding.
 */
#ifndef CACHE_STORE_AZURE_URL_H
#define CACHE_STORE_AZURE_URL_H

#include "cache/store/url.h"

/* A scheme of the table above. */
bool azure_url_is(struct slice scheme);

/* As url_parse, for a text that has such a scheme. */
int azure_url_parse(struct slice text, struct slice scheme, struct url *out, struct err *err);

/*
 * Gives the URL an endpoint as people write it: `http://host:port`, also with `/account` behind it,
 * as Azurite and connection strings tell it. The account's own host is no endpoint of its own.
 */
int azure_url_set_endpoint(struct url *u, struct slice text, struct err *err);

/* The canonical form, appended. */
void azure_url_format(const struct url *u, struct buf *out);

/*
 * The root as a table's metadata names it, appended: the first form, whatever the endpoint, and no
 * final `/`.
 */
void azure_url_format_home(const struct url *u, struct buf *out);

/* The account stands in the host's name, so not in the path. */
bool azure_url_host_names_account(const struct url *u);

#endif
