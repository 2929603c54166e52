/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Catalogs: who keep, outside of any store, which tables there are and where they lie.
 *
 *   catalog_namespaces(c, {})            "sales" "ops"
 *   catalog_namespaces(c, {"sales"})     "emea"            namespaces nest as deep as a catalog
 * likes catalog_tables(c, {"sales","emea"})  "orders" catalog_load(c, {"sales","emea"}, "orders") │
 *        ▼  struct catalog_table: one answer, immutable, freed by its owner
 *     format, location, metadata file, its text where the catalog sends it, ETag,
 *     credentials for prefixes of locations, what must be done to rows and columns
 *
 * One interface for all kinds: Iceberg's REST protocol (rest.h), Unity Catalog's own for Delta
 * (unity.h), SQL. Nothing is cached here, and nothing is known of directories: names are bytes as
 * the catalog has them.
 *
 * Every call blocks, bounded by the catalog's deadline: workers and tools only, any number at once,
 * but none on the workers that fetch secrets.
 *
 * Errors, everywhere, with messages that name the catalog and what was asked for:
 *   -ENOENT      the catalog says that there is no such namespace or table
 *   -EACCES      it refuses who asks, or who asks has no credentials
 *   -EOPNOTSUPP  it cannot do that, or answers with what must not be passed over (a restriction
 *                that is not known here, a format that is not read)
 *   -EOVERFLOW   an answer over a limit
 *   -EIO         the rest, after retries: 5xx, no answer, damaged ones. Never -ENOENT for these
 */
#ifndef LAKE_CATALOG_CATALOG_H
#define LAKE_CATALOG_CATALOG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"

struct restrictions; /* lake/catalog/restrictions.h */

/* The levels of a namespace, the outermost first; none: the catalog's root. */
struct catalog_namespace {
    const struct slice *levels;
    size_t n; /* at most CATALOG_LEVELS_MAX */
};
#define CATALOG_LEVELS_MAX 32

struct catalog_pair {
    struct slice key, value;
};

enum catalog_format { CATALOG_ICEBERG, CATALOG_DELTA };

/* Who may read below a prefix of locations, as the catalog vends it. Texts are empty where not
 * told; all end in a zero. */
struct catalog_credential {
    struct slice prefix; /* as told: "s3://bucket/path", "s3"; empty: every location */
    const struct catalog_pair *config;
    size_t config_n;
};

/* One answer. Immutable; what it points to lives as long as it. */
struct catalog_table {
    enum catalog_format format;
    struct slice location;          /* where the table lies, as the catalog or its metadata say */
    struct slice metadata_location; /* of Iceberg's metadata file; may be empty */
    struct slice metadata;          /* its text, JSON; may be empty */
    struct slice uuid;              /* may be empty */
    struct slice etag;              /* for the next catalog_load; may be empty */
    const struct catalog_pair *config; /* the catalog's own, overridden by the table's */
    size_t config_n;
    const struct catalog_credential *credentials;
    size_t credentials_n;
    const struct restrictions *restrictions; /* NULL: none */
    /* Private: what the rest points into. */
    struct arena arena;
    struct buf text;
};

/* An empty one, to be filled by a catalog. NULL and err: out of memory. */
struct catalog_table *catalog_table_new(struct err *err);
/* Wipes it: there may be secrets in it. */
void catalog_table_free(struct catalog_table *t);
DEFINE_AUTO(catalog_table, struct catalog_table *, catalog_table_free)

/* NULL where there is none. */
const struct slice *catalog_find(const struct catalog_pair *pairs, size_t n, const char *key);

struct catalog;

/* Borrowed for the call. Other than 0 stops the listing and is returned. */
typedef int catalog_emit(void *arg, struct slice name);

struct catalog_ops {
    /*
     * The names of the level below, without their parents, in no promised order; one may come more
     * than once. NULL: the catalog has no namespaces.
     */
    int (*namespaces)(struct catalog *c, const struct catalog_namespace *parent, catalog_emit *emit,
                      void *arg, struct err *err);
    int (*tables)(struct catalog *c, const struct catalog_namespace *in, catalog_emit *emit,
                  void *arg, struct err *err);
    /*
     * `etag`: of the answer before, whose table is still the caller's; NULL or empty: none. *out is
     * NULL where nothing has changed since then.
     */
    int (*load)(struct catalog *c, const struct catalog_namespace *in, struct slice table,
                const char *etag, struct catalog_table **out, struct err *err);
    /*
     * Fresh credentials for a table that was loaded: *out has the same prefixes and credentials
     * only. NULL: a load brings them.
     */
    int (*credentials)(struct catalog *c, const struct catalog_namespace *in, struct slice table,
                       struct catalog_table **out, struct err *err);
    void (*free)(struct catalog *c);
};

/* Embedded first in every catalog. Immutable once it is made. */
struct catalog {
    const struct catalog_ops *ops;
    char *name; /* for messages: without secrets */
};

int catalog_namespaces(struct catalog *c, const struct catalog_namespace *parent,
                       catalog_emit *emit, void *arg, struct err *err);
int catalog_tables(struct catalog *c, const struct catalog_namespace *in, catalog_emit *emit,
                   void *arg, struct err *err);
int catalog_load(struct catalog *c, const struct catalog_namespace *in, struct slice table,
                 const char *etag, struct catalog_table **out, struct err *err);
/* The table's credentials anew: by the catalog's own way for that, or a load. */
int catalog_credentials(struct catalog *c, const struct catalog_namespace *in, struct slice table,
                        struct catalog_table **out, struct err *err);
/* No call may be under way. */
void catalog_free(struct catalog *c);
DEFINE_AUTO(catalog, struct catalog *, catalog_free)

#endif
