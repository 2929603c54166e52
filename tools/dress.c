/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/dress.h"

#include "base/hash.h"
#include "lake/archive/overlay.h"
#include "lake/layers.h"

void dress_init(struct dress *d, const struct lakefile *file, const char *archive_url,
                const struct store_options *options, const struct store_runtime *runtime,
                int scratch_dirfd)
{
    struct lakefile_store store = {.url = archive_url};
    *d = (struct dress){.runtime = runtime, .scratch_dirfd = scratch_dirfd};
    if (file && !archive_url)
        store = file->archive;
    d->archive_url = store.url;
    if (!store.url)
        return;
    lakefile_store_options(&store, options, &d->archive_options);
    sha256_hex(slice_of(store.url), d->wrapped);
}

static struct store *wrap(void *arg, struct store *opened, struct err *err)
{
    const struct dress *d = arg;
    const struct archive_wrap_config config = {.url = d->archive_url,
                                               .options = &d->archive_options,
                                               .runtime = d->runtime,
                                               .scratch_dirfd = d->scratch_dirfd};
    return archive_wrap(opened, &config, err);
}

void dress_runtime(struct dress *d, struct store_runtime *runtime)
{
    if (!d->archive_url)
        return;
    runtime->wrap = wrap;
    runtime->wrap_arg = d;
    runtime->wrapped = d->wrapped;
}

void dress_layer(void *arg, const struct lakefile_layer *layer, struct store_runtime *runtime)
{
    (void)layer;
    dress_runtime(arg, runtime);
}
