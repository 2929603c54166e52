/* SPDX-License-Identifier: Apache-2.0 */
/* Which HTTP proxy a request goes through. Pure. */
#ifndef CACHE_STORE_PROXY_H
#define CACHE_STORE_PROXY_H

#include "cache/store/store.h"

/*
 * The proxy for a URL of http or https: the one that the options name, or else that of the mount's
 * environment (https_proxy, http_proxy) unless its no_proxy names the host: a list of names and
 * addresses, by commas, each with all names below it; `*` is all. NULL: none. Borrowed.
 */
const char *proxy_for(const struct store_options *o, const char *url);

#endif
