/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/near_around.h"

#include <stdio.h>

static struct store *wrap(void *arg, struct store *opened, struct err *err)
{
    const struct near_around *a = arg;
    return opened->ops->open_in_place ? opened : near_wrap(opened, &a->config, err);
}

struct store_options near_options(const struct store_options *mount)
{
    struct store_options o = *mount;
    o.endpoint_url = o.region = o.addressing = NULL;
    o.sse = o.sse_kms_key_id = o.sse_c_key = NULL;
    o.requester_pays = false;
    o.deadline_ms = 0;
    return o;
}

void near_around(struct near_around *a, const char *url, uint64_t size_bytes,
                 const struct store_options *options, struct cache *cache,
                 struct store_runtime *runtime)
{
    a->options = *options;
    a->config = (struct near_config){.url = url,
                                     .options = &a->options,
                                     .runtime = runtime,
                                     .size_bytes = size_bytes ? size_bytes : NEAR_SIZE_DEFAULT,
                                     .cache = cache};
    (void)snprintf(a->wrapped, sizeof a->wrapped, "near %s %llu", url,
                   (unsigned long long)a->config.size_bytes); /* a longer URL is refused */
    runtime->wrap = wrap;
    runtime->wrap_arg = a;
    runtime->wrapped = a->wrapped;
}
