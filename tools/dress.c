/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/dress.h"

#include "base/hash.h"
#include "lake/archive/overlay.h"

_Static_assert(sizeof(((struct dress *)0)->wrapped) == 2 * SHA256_BYTES + 1, "a digest in hex");

void dress_init(struct dress *d, const struct dress_config *config)
{
    *d = (struct dress){.config = *config};
    if (config->archive_url)
        d->archive.url = config->archive_url;
    else if (config->file)
        d->archive = config->file->archive;
    if (!d->archive.url)
        return;
    lakefile_store_options(&d->archive, config->options, &d->archive_options);
    d->archive_options.sse_c_key = NULL; /* the source's objects have it, and nothing else */
}

static void set_near(struct dress *d, const struct lakefile_layer *layer)
{
    struct lakefile_store near = {.url = d->config.near_url};
    uint64_t bytes = d->config.near_bytes;
    if (layer && layer->near.url) {
        near = layer->near;
        bytes = layer->near_bytes;
    }
    d->near = (struct near_config){.url = near.url,
                                   .options = &d->near_options,
                                   .runtime = d->config.runtime,
                                   .size_bytes = bytes ? bytes : NEAR_SIZE_DEFAULT,
                                   .cache = d->config.cache};
    if (near.url)
        lakefile_near_options(&near, d->config.options, &d->near_options);
}

/* Directories of this machine are as near as any. */
static struct store *wrap(void *arg, struct store *opened, struct err *err)
{
    const struct dress *d = arg;
    const struct archive_wrap_config archive = {.url = d->archive.url,
                                                .options = &d->archive_options,
                                                .runtime = d->config.runtime,
                                                .scratch_dirfd = d->config.scratch_dirfd};
    bool local = opened->ops->open_in_place != NULL;
    struct store *store = archive.url ? archive_wrap(opened, &archive, err) : opened;
    return store && d->near.url && !local ? near_wrap(store, &d->near, err) : store;
}

void dress_layer(void *arg, const struct lakefile_layer *layer, struct store_runtime *runtime)
{
    struct dress *d = arg;
    AUTO(buf) struct buf text = {0};
    set_near(d, layer);
    if (!d->archive.url && !d->near.url)
        return;
    buf_init(&text, 4 * URL_BYTES_MAX);
    buf_addf(&text, "near %s %llu\narchive %s", d->near.url ? d->near.url : "",
             (unsigned long long)d->near.size_bytes, d->archive.url ? d->archive.url : "");
    sha256_hex(buf_slice(&text), d->wrapped);
    runtime->wrap = wrap;
    runtime->wrap_arg = d;
    runtime->wrapped = d->wrapped;
}

int dress_check(void *arg, const struct layers *layers, struct err *err)
{
    struct dress *d = arg;
    const struct dress_config *c = &d->config;
    int rc = c->archive_url ? layers_check_apart_url(layers, c->archive_url, &d->archive_options,
                                                     c->runtime, err)
                            : 0;
    if (rc < 0)
        return err_wrap(err, "option archive-store");
    if (!c->near_url)
        return 0;
    lakefile_near_options(&(struct lakefile_store){.url = c->near_url}, c->options,
                          &d->near_options);
    rc = layers_check_apart_url(layers, c->near_url, &d->near_options, c->runtime, err);
    return rc < 0 ? err_wrap(err, "option near") : 0;
}
