/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table that a catalog tells of: where it lies, by which store it is read, and what the catalog
 * has said of it last.
 *
 *   catalog_load ─► answer ─┬─ location ─► store and prefix: by credentials that the catalog vends
 *                           │              for it; else by the layer's own, and then only below its
 *                           │              warehouse or `outside`, or where `tables` names it
 *                           ├─ metadata ─► the driver (struct table_source)
 *                           └─ read-restrictions
 *
 * Files of this machine only where the lake file names them: a catalog is written by others.
 *
 * The answer is asked for again before each look at the table's history (cataloged_hear), with its
 * ETag where it is but seconds old: an ETag does not tell of read-restrictions. Where the catalog
 * has no such table any more, or has it elsewhere, the table is another one: -EMEDIUMTYPE, upon
 * which its directory is looked at anew.
 *
 * Any thread.
 */
#ifndef LAKE_CATALOGED_H
#define LAKE_CATALOGED_H

#include "lake/catalog/catalog.h"
#include "lake/driver.h"

struct cache;
struct cataloged;
struct layer;

/* An answer, shared by reference. Immutable. */
struct catalog_answer {
    _Atomic unsigned refs;
    struct catalog_table *table;
    int64_t heard_ms; /* when it came, whole; as clock_mono_ms */
};
void catalog_answer_unref(struct catalog_answer *a); /* NULL is fine */
DEFINE_AUTO(catalog_answer, struct catalog_answer *, catalog_answer_unref)

/*
 * Asks the catalog of the layer for the table at that path below it, and opens its store. Blocks.
 * -ENOENT there is none, -EACCES it lies where the lake must not read, the catalog's otherwise.
 */
int cataloged_open(const struct layer *layer, struct slice path, struct cataloged **out,
                   struct err *err);
/* Nothing uses its store any more. Blocks until what is under way has ended. cache: as
 * layers_close. */
void cataloged_free(struct cataloged *c, struct cache *cache);

/* These live as long as it does. */
enum catalog_format cataloged_format(const struct cataloged *c);
struct store *cataloged_store(const struct cataloged *c);
const char *cataloged_prefix(const struct cataloged *c);
/* Where its objects may lie besides. */
struct store *const *cataloged_others(const struct cataloged *c, size_t *n);
/* What the driver asks, which asks nobody; NULL where the format's driver looks for itself. */
const struct table_source *cataloged_source(const struct cataloged *c);

/* Asks again. Blocks. -EMEDIUMTYPE as above. */
int cataloged_hear(struct cataloged *c, struct err *err);

/* The last answer, a new reference. */
struct catalog_answer *cataloged_answer(struct cataloged *c);

#endif
