/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/named.h"

struct named {
    struct catalog catalog;
    struct arena arena;
    struct named_table *tables; /* immutable */
    size_t n;
};

static struct named *named_of(struct catalog *c)
{
    return CONTAINER_OF(c, struct named, catalog);
}

static int named_tables(struct catalog *c, const struct catalog_namespace *in, catalog_emit *emit,
                        void *arg, struct err *err)
{
    const struct named *n = named_of(c);
    int rc = 0;
    (void)err; /* nothing fails but what emit does */
    for (size_t i = 0; rc == 0 && in->n == 0 && i < n->n; i++)
        rc = emit(arg, slice_of(n->tables[i].name));
    return rc;
}

static int named_load(struct catalog *c, const struct catalog_namespace *in, struct slice table,
                      const char *etag, struct catalog_table **out, struct err *err)
{
    const struct named *n = named_of(c);
    size_t i = 0;
    while (i < n->n && (in->n || !slice_is(table, n->tables[i].name)))
        i++;
    if (i == n->n)
        return err_set(err, ENOENT, "%s names no table %.*s", c->name, SLICE_FMT(table));
    *out = NULL;
    if (etag && strcmp(etag, n->tables[i].metadata) == 0)
        return 0;
    AUTO(catalog_table) struct catalog_table *t = catalog_table_new(err);
    if (!t)
        return -ENOMEM;
    t->format = CATALOG_ICEBERG;
    t->metadata_location = arena_slice(&t->arena, slice_of(n->tables[i].metadata));
    t->etag = t->metadata_location;
    t->location = t->metadata = t->uuid = slice_of("");
    if (!t->etag.p)
        return arena_failed(&t->arena, "a table", err);
    *out = STEAL(t);
    return 0;
}

static void named_free(struct catalog *c)
{
    arena_done(&named_of(c)->arena);
    free(named_of(c));
}

int catalog_named_open(const struct named_table *tables, size_t count, struct catalog **out,
                       struct err *err)
{
    static const struct catalog_ops ops = {
        .tables = named_tables, .load = named_load, .free = named_free};
    static char name[] = "the lake file";
    struct named *n = calloc(1, sizeof *n);
    if (!n)
        return err_set(err, ENOMEM, "out of memory");
    n->catalog.ops = &ops;
    n->catalog.name = name;
    AUTO(catalog) struct catalog *made = &n->catalog;
    arena_init(&n->arena, CATALOG_TABLE_MEMORY_MAX);
    n->tables = arena_calloc(&n->arena, count, sizeof *n->tables);
    for (size_t i = 0; n->tables && i < count; i++, n->n++) {
        n->tables[i].name = arena_slice(&n->arena, slice_of(tables[i].name)).p;
        n->tables[i].metadata = arena_slice(&n->arena, slice_of(tables[i].metadata)).p;
        if (!n->tables[i].name || !n->tables[i].metadata)
            return arena_failed(&n->arena, "the tables of a lake file", err);
    }
    if (!n->tables)
        return arena_failed(&n->arena, "the tables of a lake file", err);
    *out = STEAL(made);
    return 0;
}
