/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/sql.h"

#include "lake/catalog/sql_private.h"

struct sql_catalog {
    struct catalog catalog;
    struct sql_db *db;
    char *name; /* `catalog_name` */
};

static struct sql_catalog *sql_of(struct catalog *c)
{
    return CONTAINER_OF(c, struct sql_catalog, catalog);
}

/* Levels with dots between. */
static int join(const struct catalog_namespace *in, struct buf *out, struct err *err)
{
    buf_init(out, SQL_VALUE_BYTES_MAX);
    for (size_t i = 0; i < in->n; i++) {
        if (i)
            buf_add_char(out, '.');
        buf_add_slice(out, in->levels[i]);
    }
    return buf_check(out, err);
}

/* A level with a dot in it is two when it is read again: nothing that is listed has one. */
static bool is_there(const struct catalog_namespace *in, struct slice table)
{
    for (size_t i = 0; i < in->n; i++)
        if (!in->levels[i].n || memchr(in->levels[i].p, '.', in->levels[i].n) ||
            memchr(in->levels[i].p, '\0', in->levels[i].n))
            return false;
    return !table.n || !memchr(table.p, '\0', table.n);
}

static int find_column(const struct sql_row *row, const char *name, struct slice *out,
                       struct err *err)
{
    for (size_t i = 0; i < row->n; i++)
        if (slice_is(row->names[i], name)) {
            *out = row->values[i];
            return 0;
        }
    return err_set(err, EIO, "its iceberg_tables has no column %s", name);
}

/* Rows of schema V1 are of views, too. */
static bool is_table(const struct sql_row *row)
{
    struct slice type;
    return find_column(row, "iceberg_type", &type, NULL) < 0 || !type.p || slice_is(type, "TABLE");
}

struct telling {
    struct slice above; /* the namespace's, joined */
    catalog_emit *emit;
    void *arg;
};

static int tell_level(void *arg, const struct sql_row *row, struct err *err)
{
    const struct telling *t = arg;
    struct slice name = row->values[0];
    (void)err;
    if (t->above.n) {
        if (!slice_starts(name, t->above) || name.n == t->above.n || name.p[t->above.n] != '.')
            return 0;
        name = slice_from(name, t->above.n + 1);
    }
    ptrdiff_t dot = slice_find(name, '.');
    name.n = dot < 0 ? name.n : (size_t)dot;
    return name.n ? t->emit(t->arg, name) : 0;
}

static int tell_table(void *arg, const struct sql_row *row, struct err *err)
{
    const struct telling *t = arg;
    struct slice name;
    int rc = find_column(row, "table_name", &name, err);
    return rc < 0 || !is_table(row) || !name.n ? rc : t->emit(t->arg, name);
}

static int sql_namespaces(struct catalog *c, const struct catalog_namespace *parent,
                          catalog_emit *emit, void *arg, struct err *err)
{
    AUTO(buf) struct buf above = {0};
    int rc = join(parent, &above, err);
    if (rc < 0 || !is_there(parent, SLICE_NONE))
        return rc;
    struct telling t = {.above = buf_slice(&above), .emit = emit, .arg = arg};
    const struct sql_query q = {
        .text = "SELECT table_namespace FROM iceberg_tables WHERE catalog_name = $1 "
                "UNION SELECT namespace FROM iceberg_namespace_properties WHERE catalog_name = $2",
        .parameters = {slice_of(sql_of(c)->name), slice_of(sql_of(c)->name)},
        .parameters_n = 2,
        .row = tell_level,
        .arg = &t};
    struct sql_db *db = sql_of(c)->db;
    return db->ops->query(db, &q, err);
}

static int sql_tables(struct catalog *c, const struct catalog_namespace *in, catalog_emit *emit,
                      void *arg, struct err *err)
{
    AUTO(buf) struct buf namespace = {0};
    int rc = join(in, &namespace, err);
    if (rc < 0 || !is_there(in, SLICE_NONE))
        return rc;
    struct telling t = {.emit = emit, .arg = arg};
    const struct sql_query q = {.text = "SELECT * FROM iceberg_tables WHERE catalog_name = $1 AND "
                                        "table_namespace = $2",
                                .parameters = {slice_of(sql_of(c)->name), buf_slice(&namespace)},
                                .parameters_n = 2,
                                .row = tell_table,
                                .arg = &t};
    struct sql_db *db = sql_of(c)->db;
    return db->ops->query(db, &q, err);
}

/* The one row of a table. */
struct found {
    struct buf metadata; /* where it lies */
    bool any;
};

static int take_row(void *arg, const struct sql_row *row, struct err *err)
{
    struct found *f = arg;
    struct slice metadata;
    int rc = find_column(row, "metadata_location", &metadata, err);
    if (rc < 0 || !is_table(row))
        return rc;
    if (!metadata.n || memchr(metadata.p, '\0', metadata.n))
        return err_set(err, EIO, "its row has no metadata_location");
    f->any = true;
    buf_reset(&f->metadata);
    buf_add_slice(&f->metadata, metadata);
    return buf_check(&f->metadata, err);
}

static int answer(struct slice metadata, struct catalog_table **out, struct err *err)
{
    AUTO(catalog_table) struct catalog_table *t = catalog_table_new(err);
    if (!t)
        return -ENOMEM;
    t->format = CATALOG_ICEBERG;
    t->metadata_location = arena_slice(&t->arena, metadata);
    t->etag = t->metadata_location;
    t->location = t->metadata = t->uuid = slice_of("");
    if (!t->metadata_location.p)
        return arena_failed(&t->arena, "a table", err);
    *out = STEAL(t);
    return 0;
}

static int sql_load(struct catalog *c, const struct catalog_namespace *in, struct slice table,
                    const char *etag, struct catalog_table **out, struct err *err)
{
    AUTO(buf) struct buf namespace = {0};
    struct found f = {.any = false};
    int rc = join(in, &namespace, err);
    if (rc < 0)
        return rc;
    buf_init(&f.metadata, SQL_VALUE_BYTES_MAX);
    const struct sql_query q = {
        .text = "SELECT * FROM iceberg_tables WHERE catalog_name = $1 AND "
                "table_namespace = $2 AND table_name = $3",
        .parameters = {slice_of(sql_of(c)->name), buf_slice(&namespace), table},
        .parameters_n = 3,
        .row = take_row,
        .arg = &f};
    struct sql_db *db = sql_of(c)->db;
    rc = is_there(in, table) ? db->ops->query(db, &q, err) : 0;
    if (rc == 0 && !f.any)
        rc = err_set(err, ENOENT, "there is no table %.*s.%.*s", SLICE_FMT(buf_slice(&namespace)),
                     SLICE_FMT(table));
    if (rc == 0 && etag && slice_is(buf_slice(&f.metadata), etag))
        *out = NULL;
    else if (rc == 0)
        rc = answer(buf_slice(&f.metadata), out, err);
    buf_done(&f.metadata);
    return rc;
}

static void sql_free(struct catalog *c)
{
    struct sql_catalog *s = sql_of(c);
    if (s->db)
        s->db->ops->free(s->db);
    free(s->name);
    free(c->name);
    free(s);
}

static const struct catalog_ops sql_ops = {
    .namespaces = sql_namespaces,
    .tables = sql_tables,
    .load = sql_load,
    .free = sql_free,
};

int catalog_sql_open(const struct sql_catalog_options *o, struct catalog **out, struct err *err)
{
    AUTO_FREE struct sql_uri *uri = calloc(1, sizeof *uri);
    struct sql_catalog *s = calloc(1, sizeof *s);
    if (!uri || !s) {
        free(s);
        return err_set(err, ENOMEM, "out of memory");
    }
    AUTO(catalog) struct catalog *made = &s->catalog;
    made->ops = &sql_ops;
    made->name = strdup(o->uri); /* holds no secret */
    s->name = strdup(o->name);
    int rc = sql_uri_parse(slice_of(o->uri), uri, err);
    if (rc == 0)
        rc = uri->postgres ? sql_postgres_new(uri, o, &s->db, err)
                           : sql_sqlite_new(uri, &s->db, err);
    if (rc == 0 && (!made->name || !s->name))
        rc = err_set(err, ENOMEM, "out of memory");
    if (rc < 0)
        return rc;
    s->db->deadline_ms = o->store->deadline_ms ? o->store->deadline_ms : STORE_DEADLINE_MS;
    *out = STEAL(made);
    return 0;
}
