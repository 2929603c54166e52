/* SPDX-License-Identifier: Apache-2.0 */
/* What a lake file has put around the stores of its layers. */
#ifndef TOOLS_DAEMON_LAYERS_H
#define TOOLS_DAEMON_LAYERS_H

#include "lake/lakefile.h"
#include "tools/near_around.h"

/* Lives until the lake is open. */
struct daemon_layers {
    const struct store_options *mount;
    struct cache *cache;
    struct near_around near; /* of the layer that is opened now */
};

/* `dress` of a lake's config, with a struct daemon_layers. A layer that names no near store has the
 * mount's, if there is one. */
void daemon_layers_dress(void *arg, const struct lakefile_layer *layer,
                         struct store_runtime *runtime);

#endif
