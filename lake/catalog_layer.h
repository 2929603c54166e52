/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers of a lake file whose tables a catalog knows (docs/LAKE.md, "Catalogs").
 *
 *   path in the layer      means
 *   (empty)                the catalog's root: namespaces, and tables of no namespace
 *   sales/emea             a namespace of two levels, or a table of `sales`: as the parent lists it
 *   sales/emea/orders      a table (lake/cataloged.h); below it its driver's
 *
 * Names are the catalog's, escaped as those of keys are (lake/key_name.h), a slash as `%~2F`. Where
 * a namespace and a table have one name, the table has `%~` behind it.
 *
 * A catalog answers slowly, or not at all: what asks it runs on workers of the layer's own, so that
 * no other layer waits for them. Credentials that it vends are fetched on others, for which the
 * former may wait.
 *
 * Immutable after catalog_layer_new; any thread.
 */
#ifndef LAKE_CATALOG_LAYER_H
#define LAKE_CATALOG_LAYER_H

#include "cache/store/vended.h"
#include "lake/catalog/catalog.h"

struct catalog_layer;
struct lakefile_layer;
struct listing;

/* Strings of the file and the options are copied. elsewhere: the options for tables that are not in
 * S3, which the mount's own server is not asked for. Asks nobody. */
struct catalog_layer *catalog_layer_new(const struct lakefile_layer *file,
                                        const struct store_options *options,
                                        const struct store_options *elsewhere,
                                        const struct store_runtime *runtime, struct err *err);
/* No directory and no table of the layer is left. Blocks. */
void catalog_layer_free(struct catalog_layer *l);

/* The catalog's name, without secrets. */
const char *catalog_layer_url(const struct catalog_layer *l);
/* Where directories and tables of the layer wait for what they ask. */
struct workers *catalog_layer_workers(const struct catalog_layer *l);

/* Asks for the root's first namespace, so that a wrong address or token is told at once. Blocks. */
int catalog_layer_ask(const struct catalog_layer *l, struct err *err);

/* What is at a path that is no table: *out is finished. A namespace that does not exist is empty.
 * Blocks. */
int catalog_layer_list(const struct catalog_layer *l, struct slice path, struct listing **out,
                       struct err *err);

/* For lake/cataloged.c: */

/* A name of the layer as the catalog has it. */
struct catalog_name {
    struct arena arena; /* all of it */
    struct slice levels[CATALOG_LEVELS_MAX];
    struct catalog_namespace in;
    struct slice table;
};
/* -ENOENT: the path is too deep for a catalog, or the root. To be done in any case. */
int catalog_name_parse(struct catalog_name *n, struct slice path, struct err *err);
void catalog_name_done(struct catalog_name *n);

struct catalog *catalog_layer_catalog(const struct catalog_layer *l);
/* Options and runtime for stores of its tables at a location in its one spelling (`s3://`, never
 * `s3a://`); `vended` is not set. */
const struct store_options *catalog_layer_options(const struct catalog_layer *l,
                                                  struct slice location);
const struct store_runtime *catalog_layer_runtime(const struct catalog_layer *l);
/* Credentials that the catalog vends are wanted. */
bool catalog_layer_vends(const struct catalog_layer *l);
/* The lake file names each table (`tables`): it may lie wherever that says. */
bool catalog_layer_names(const struct catalog_layer *l);
/* What its tables read with at a location, a new reference: the catalog is asked on the layer's own
 * threads, also when the layer is gone. `name` is copied. NULL: out of memory. */
struct vended *catalog_layer_vend(const struct catalog_layer *l, const struct catalog_name *name,
                                  struct slice location, struct err *err);

#endif
