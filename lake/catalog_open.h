/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog that a layer of a lake file names: what the file says of it, and where what it must
 * not say comes from (files that it names, the environment of who mounts). */
#ifndef LAKE_CATALOG_OPEN_H
#define LAKE_CATALOG_OPEN_H

#include "cache/store/store.h"
#include "lake/catalog/catalog.h"
#include "lake/lakefile.h"

struct http;

/* Asks nobody. `options`: of the layer's stores, with the mount's secrets. -EINVAL for what is
 * wrong or lacks. */
int catalog_open(const struct lakefile_layer *layer, const struct store_options *options,
                 struct http *http, struct catalog **out, struct err *err);

/*
 * Who asks which catalog: catalogs of one identity answer alike. No secret is in it: a digest in
 * hex, 64 characters and a zero.
 */
void catalog_open_identity(const struct lakefile_layer *layer, const struct store_options *options,
                           char out[65]);

#endif
