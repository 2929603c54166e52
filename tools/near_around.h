/* SPDX-License-Identifier: Apache-2.0 */
/* The near store that is put around the stores of a mount or of a layer (cache/near.h). */
#ifndef TOOLS_NEAR_AROUND_H
#define TOOLS_NEAR_AROUND_H

#include "cache/near.h"

/* Lives until the stores are opened. */
struct near_around {
    struct near_config config;
    struct store_options options;
    char wrapped[URL_BYTES_MAX + 32];
};

/*
 * Has near stores put around each store that is opened with the runtime, but for directories of
 * this machine, which are as near. `url`, `options` (the near store's own) and what they point to
 * are borrowed as long as *a lives. size_bytes 0: NEAR_SIZE_DEFAULT.
 */
void near_around(struct near_around *a, const char *url, uint64_t size_bytes,
                 const struct store_options *options, struct cache *cache,
                 struct store_runtime *runtime);

/* The options of a mount's near store: its credentials, and nothing of its server. */
struct store_options near_options(const struct store_options *mount);

#endif
