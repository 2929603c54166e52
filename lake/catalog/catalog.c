/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/catalog.h"

struct catalog_table *catalog_table_new(struct err *err)
{
    struct catalog_table *t = calloc(1, sizeof *t);
    if (!t) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    arena_init(&t->arena, CATALOG_TABLE_MEMORY_MAX);
    buf_init(&t->text, CATALOG_ANSWER_BYTES_MAX);
    return t;
}

void catalog_table_free(struct catalog_table *t)
{
    if (!t)
        return;
    arena_wipe(&t->arena);
    arena_done(&t->arena);
    if (t->text.data)
        explicit_bzero(t->text.data, t->text.cap);
    buf_done(&t->text);
    free(t);
}

const struct slice *catalog_find(const struct catalog_pair *pairs, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (slice_is(pairs[i].key, key))
            return &pairs[i].value;
    return NULL;
}

int catalog_namespaces(struct catalog *c, const struct catalog_namespace *parent,
                       catalog_emit *emit, void *arg, struct err *err)
{
    if (!c->ops->namespaces || parent->n >= CATALOG_LEVELS_MAX)
        return 0;
    return c->ops->namespaces(c, parent, emit, arg, err);
}

int catalog_tables(struct catalog *c, const struct catalog_namespace *in, catalog_emit *emit,
                   void *arg, struct err *err)
{
    return c->ops->tables(c, in, emit, arg, err);
}

int catalog_load(struct catalog *c, const struct catalog_namespace *in, struct slice table,
                 const char *etag, struct catalog_table **out, struct err *err)
{
    return c->ops->load(c, in, table, etag && *etag ? etag : NULL, out, err);
}

int catalog_credentials(struct catalog *c, const struct catalog_namespace *in, struct slice table,
                        struct catalog_table **out, struct err *err)
{
    if (c->ops->credentials)
        return c->ops->credentials(c, in, table, out, err);
    return c->ops->load(c, in, table, NULL, out, err);
}

void catalog_free(struct catalog *c)
{
    if (c)
        c->ops->free(c);
}
