/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of a container of Azure's, over Blob's REST API; also of accounts with a hierarchical
 * namespace, whose entries for directories are no objects here.
 */
#ifndef CACHE_STORE_AZURE_H
#define CACHE_STORE_AZURE_H

#include "cache/store/store.h"
#include "cache/store/url.h"

/*
 * Its url is canonical (azure_url.h). The endpoint of the options, or of a connection string, is
 * written into the URL. The runtime's parts are borrowed. -EINVAL for credentials that are none, or
 * are another account's.
 */
struct store *azure_new(struct url *url, const struct store_options *options,
                        const struct store_runtime *runtime, struct err *err);

#endif
