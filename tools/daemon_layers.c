/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/daemon_layers.h"

#include "lake/layers.h"

void daemon_layers_dress(void *arg, const struct lakefile_layer *layer,
                         struct store_runtime *runtime)
{
    struct daemon_layers *d = arg;
    struct store_options own, mount = near_options(d->mount);
    if (!layer->near.url)
        return;
    lakefile_store_options(&layer->near, &mount, &own);
    near_around(&d->near, layer->near.url, layer->near_bytes, &own, d->cache, runtime);
}
