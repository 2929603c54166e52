/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lake file: what a lake of several stores consists of, and what is to become of its objects
 * (docs/LAKE.md, tarn-lake(5)).
 *
 *   layers:  name -> store (URL, options), the store that is nearer, prefixes outside of it,
 * prices; or a catalog that knows its tables; or tables by their metadata files archive: store
 * prices: class -> money per GB and month rules:   tables -> classes that their objects move to,
 * and when
 *
 * A file is parsed as a whole or refused with `name:line:column: ` before the reason; unknown keys
 * are refused. It holds no secrets. Immutable, reference-counted; everything in it lives as long as
 * it does. Pure, any thread. Nothing is asked of the stores.
 */
#ifndef LAKE_LAKEFILE_H
#define LAKE_LAKEFILE_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/glob.h"
#include "base/yaml.h"

/* An option of a store, under the name that `tarn mount` has for it ("endpoint-url"). */
struct lakefile_option {
    const char *name;
    const char *value; /* NULL: it is a flag, and set */
    struct yaml_place place;
};

struct lakefile_store {
    const char *url; /* a URL or an absolute path, as it stands there; NULL: there is no store */
    const struct lakefile_option *options;
    size_t options_n;
    struct yaml_place place; /* of the URL */
};

struct lakefile_price {
    const char *class; /* as the store names it: "STANDARD_IA", "Cool" */
    double gb_month;   /* money per 10^9 bytes and month */
};

struct lakefile_prices {
    const struct lakefile_price *at;
    size_t n;
};

/* Who knows the tables of a layer. */
enum lakefile_catalog_kind {
    LAKEFILE_CATALOG_NONE,   /* nobody: they are found in its store */
    LAKEFILE_CATALOG_REST,   /* Iceberg's REST protocol */
    LAKEFILE_CATALOG_GLUE,   /* the same, as AWS Glue has it */
    LAKEFILE_CATALOG_UNITY,  /* Unity Catalog's own */
    LAKEFILE_CATALOG_SQL,    /* a database, as PyIceberg's SqlCatalog and Iceberg's JDBC catalog */
    LAKEFILE_CATALOG_TABLES, /* the lake file itself: `tables` of the layer */
};

/* What is not said is NULL. */
struct lakefile_catalog {
    enum lakefile_catalog_kind kind;
    const char *uri;       /* NULL for GLUE alone: AWS's own, of the region */
    const char *warehouse; /* where it is a URL, tables may lie below it */
    const char *prefix, *name;
    const char *auth; /* "none", "bearer", "oauth2", "sigv4" */
    const char *token_file, *credential_file;
    const char *oauth2_server_uri, *scope, *audience, *resource;
    const char *signing_name, *signing_region;
    bool own_credentials;    /* none that the catalog vends: `vended-credentials: false` */
    struct yaml_place place; /* of the key */
};

/* A table by its metadata file. */
struct lakefile_table {
    const char *name;
    const char *url; /* ends in `/metadata/...` */
    struct yaml_place place;
};

struct lakefile_layer {
    struct lakefile_store store; /* of a catalog or `tables` without URL: how theirs are asked */
    const char *name;            /* of the directory in the lake's root */
    struct lakefile_store near;
    uint64_t near_bytes;                  /* budget of the near store; 0: not told */
    const struct lakefile_store *outside; /* prefixes, without options of their own */
    size_t outside_n;
    struct lakefile_prices prices; /* of this layer alone */
    struct lakefile_catalog catalog;
    const struct lakefile_table *tables; /* of LAKEFILE_CATALOG_TABLES */
    size_t tables_n;
    struct yaml_place place;
};

/* Which objects of a table a rule takes, by who needs them. */
enum lakefile_need {
    LAKEFILE_NEED_ANY,        /* `after` counts from adding */
    LAKEFILE_NEED_OLDER_THAN, /* those that only versions older than need_ms hold */
    LAKEFILE_NEED_COMPACTED,  /* those that a compaction left behind */
};                            /* but for ANY, `after` counts from ceasing to be needed */

struct lakefile_move {
    const char *to; /* class */
    int64_t after_ms;
};

struct lakefile_rule {
    const struct glob *tables; /* over `layer/table`; glob_matches(.., '/', false) */
    size_t tables_n;
    const struct lakefile_move *moves; /* later ones have a greater after_ms; never empty */
    size_t moves_n;
    enum lakefile_need need;
    int64_t need_ms; /* of OLDER_THAN */
    const char
        *partition_column;      /* NULL: any; else only files whose value in it, a date or time, */
    int64_t partition_older_ms; /* is older than this */
    bool live;                  /* objects of the newest version too */
    bool tags;                  /* tags, for the store's lifecycle to act on, instead of classes */
    struct yaml_place place;    /* its line names it in plans */
};

struct lakefile {
    const char *name;                    /* as messages have it */
    const struct lakefile_layer *layers; /* at least one; in the order of the file */
    size_t layers_n;
    struct lakefile_store archive;
    struct lakefile_prices prices;
    const struct lakefile_rule *rules; /* in the order of the file: the first that matches counts */
    size_t rules_n;
};

/*
 * name: of the file, for messages. *out is the caller's. -EINVAL with the place for what is wrong;
 * -EOVERFLOW over LAKEFILE_BYTES_MAX or LAKEFILE_MEMORY_MAX; -ENOMEM.
 */
int lakefile_parse(struct slice text, const char *name, struct lakefile **out, struct err *err);

/* The same of a file of this machine. Blocks. -errno besides. */
int lakefile_read(const char *path, struct lakefile **out, struct err *err);

/* A SOURCE that is meant as a lake file: a name in .yaml or .yml, and no URL. */
bool lakefile_is_named(const char *source);

void lakefile_free(struct lakefile *l); /* NULL is fine */
DEFINE_AUTO(lakefile, struct lakefile *, lakefile_free)

/* The layer of that name, or NULL. */
const struct lakefile_layer *lakefile_layer(const struct lakefile *l, struct slice name);

/* What the file says that a class costs in a layer (NULL: in any): the layer's own price before
 * that of the whole file. False: it says nothing of it. */
bool lakefile_price(const struct lakefile *l, const struct lakefile_layer *layer,
                    struct slice class, double *gb_month);

#endif
