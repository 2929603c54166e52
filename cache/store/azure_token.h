/* SPDX-License-Identifier: Apache-2.0 */
/* Access tokens for Azure's storage, from whoever the mount's settings name (azure_auth.h). */
#ifndef CACHE_STORE_AZURE_TOKEN_H
#define CACHE_STORE_AZURE_TOKEN_H

#include "cache/store/renewed.h"
#include "cache/store/store.h"

/*
 * Values of struct oauth_token. Asks for none yet. The options are copied; the runtime's engine and
 * workers are borrowed. NULL and err: -EINVAL where a client's secret or a token file comes without
 * AZURE_TENANT_ID or AZURE_CLIENT_ID, or the address that gives tokens out is none.
 */
struct renewed *azure_tokens_new(const struct store_options *options,
                                 const struct store_runtime *runtime, struct err *err);

#endif
