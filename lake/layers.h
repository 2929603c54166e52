/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stores of a lake: one whose root is the lake's, or those of a lake file, each below a
 * directory of the lake's root that has its layer's name; or the catalog that a layer has instead
 * (lake/catalog_layer.h).
 *
 *   path of the lake      layer      rest: path in its store
 *   silver/orders         silver     orders               of a lake file
 *   silver/orders         (the one)  silver/orders        of a URL
 *
 * Tables of a layer may have objects in the other layers, which are below the mount's root too, and
 * where the layer's own `outside` allows it. No two layers have an object in common: it would be
 * under two rules and two grants.
 *
 * Immutable after layers_open; any thread.
 */
#ifndef LAKE_LAYERS_H
#define LAKE_LAYERS_H

#include "base/vec.h"
#include "cache/store/store.h"

struct cache;
struct catalog_layer;
struct lake_config;
struct lakefile_layer;
struct lakefile_store;

struct layer {
    const char *name;              /* of a directory in the lake's root; empty: it is the root */
    struct store *store;           /* NULL: a catalog's tables have theirs (table_store) */
    struct catalog_layer *catalog; /* that knows its tables; NULL: they are found in the store */
    VEC(struct store *) others;    /* where objects of its tables may lie besides; borrowed */
    size_t layers_n; /* so many of these, the first ones, are stores of other layers */
};

struct layers {
    VEC(struct layer) at;
    VEC(struct store *) outside; /* of all layers */
    char *identity; /* what nodes and numbers of this lake are told apart by: the URL of the one
                     * store, or of several a hash; no line feed in it */
    char *names;    /* of the layers, a zero behind each */
};

/*
 * Opens every store and asks it once for its root: what cannot be read is told here, with the
 * layer's name and line, and so are near and archive stores of the file that lie in the lake. What
 * was opened stays in *l for layers_close, also on failure. Blocks.
 */
int layers_open(struct layers *l, const struct lake_config *config, struct err *err);
/* Nothing of the stores may be in use any more. Blocks until what is under way has ended. cache:
 * may be NULL, where nothing was fetched through one. */
void layers_close(struct layers *l, struct cache *cache);

/* A store that store_open gave is used no more: blocks until what is under way has ended. cache: as
 * above. */
void layers_close_store(struct store *store, struct cache *cache);

/* The lake's root lists the layers, and is in none. */
bool layers_are_listed(const struct layers *l);

/* Where a path lies, and the path in that store. NULL: in no layer (such as the root of several).
 */
const struct layer *layers_place(const struct layers *l, struct slice path, struct slice *rest);

/* The layer whose store this is, or NULL; of a catalog's tables none. */
const struct layer *layers_of_store(const struct layers *l, const struct store *store);

/*
 * -EINVAL where a store that is put around the lake's (near, archive) lies in a layer, or a layer
 * in it: what is put there would be listed, planned for and granted as objects of the lake.
 */
int layers_check_apart(const struct layers *l, const struct store *store, struct err *err);
/* The same of a store by its URL. One that cannot be opened is not told here. Blocks. */
int layers_check_apart_url(const struct layers *l, const char *url,
                           const struct store_options *options, const struct store_runtime *runtime,
                           struct err *err);

/*
 * What a store of the lake file is opened with: the mount's options, but for what the file says of
 * this store; endpoint, region and addressing of the mount count for S3 alone. Borrows from both.
 */
void lakefile_store_options(const struct lakefile_store *s, const struct store_options *mount,
                            struct store_options *out);

/* The same of a near store, which is elsewhere: the mount's credentials, nothing of its server. */
void lakefile_near_options(const struct lakefile_store *s, const struct store_options *mount,
                           struct store_options *out);

#endif
