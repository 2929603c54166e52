/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/deleted.h"

#include "base/limits.h"
#include "lake/iceberg/delete_files.h"
#include "lake/iceberg/deletion_vector.h"
#include "lake/iceberg/equality_deletes.h"
#include "lake/iceberg/partition.h"
#include "lake/object_reader.h"

/* Rows of a position delete file from which on it is read for one data file at a time. */
#define ROWS_TOGETHER_MAX ((uint64_t)4 << 20)

/* One data file, and what is said of it. */
struct asking {
    struct iceberg_table *table;
    struct buf place; /* of the data file: iceberg_positions_place */
    struct arena arena;
    struct iceberg_extra extra; /* in the arena */
    struct iceberg_metadata *metadata;
    struct iceberg_root root;
};

static void asking_done(struct asking *a)
{
    iceberg_metadata_unref(a->metadata);
    buf_done(&a->place);
    arena_done(&a->arena);
}
DEFINE_AUTO_DONE(asking, struct asking, asking_done)

static int ask(struct asking *a, struct iceberg_table *t, const struct entry *entry,
               struct err *err)
{
    a->table = t;
    buf_init(&a->place, 2 * ACTION_BYTES_MAX);
    arena_init(&a->arena, 4 * ACTION_BYTES_MAX);
    int rc = iceberg_extra_parse(entry->extra, &a->arena, &a->extra, err);
    if (rc == 0)
        rc = iceberg_table_metadata(t, &a->metadata, err);
    if (rc < 0)
        return rc;
    a->root = iceberg_table_root(t, a->metadata);
    iceberg_positions_place(&a->root, entry->raw, &a->place);
    return buf_check(&a->place, err);
}

/* Where a delete file lies. */
static int locate(const struct asking *a, const struct iceberg_delete *d, struct store **store,
                  struct buf *key, struct err *err)
{
    int rc = iceberg_path_locate(&a->root, d->path, store, key, err);
    if (rc == 0 && !*store)
        *store = a->table->store;
    return rc;
}

/* Reading */

/* A delete file, how it is read, and what for. */
struct delete_source {
    struct object_reader reader;
    struct buf key;
    struct source source;
    const struct iceberg_delete *what;
    struct shape *columns; /* of equality deletes; these are borrowed */
    const struct iceberg_root *root;
    struct slice only; /* of position deletes: the place, or none */
};

static void delete_source_done(struct delete_source *s)
{
    object_reader_done(&s->reader);
    buf_done(&s->key);
}
DEFINE_AUTO_DONE(delete_source, struct delete_source, delete_source_done)

static int open_source(const struct asking *a, const struct iceberg_delete *d,
                       struct delete_source *out, struct err *err)
{
    struct store *store;
    buf_init(&out->key, KEY_BYTES_MAX);
    int rc = locate(a, d, &store, &out->key, err);
    if (rc < 0)
        return rc;
    object_reader_init(&out->reader, store, out->key.data, d->size);
    out->what = d;
    out->root = &a->root;
    out->source = (struct source){.size_bytes = d->size,
                                  .read = object_reader_read,
                                  .arg = &out->reader,
                                  .window_bytes = out->reader.window_bytes};
    return 0;
}

static int read_content(struct delete_source *s, struct iceberg_delete_content *out,
                        struct err *err)
{
    if (s->columns)
        return iceberg_equality_read(&s->source, s->what->format, s->columns, &out->set, err);
    return iceberg_positions_read(&s->source, s->what->format, s->root, s->only, &out->positions,
                                  err);
}

/* Some copies of tables have other paths in their delete files, and the old sizes in manifests: as
 * other engines do, what the store has is read then. */
static int correct_size(struct delete_source *s, struct err *err)
{
    struct object_reader *r = &s->reader;
    struct store_info info;
    int rc = r->store->ops->head(r->store, s->key.data, &info, err);
    if (rc < 0)
        return rc;
    if (info.size == r->size)
        return err_set(err, ESTALE, "%s: it changed while it was read", s->key.data);
    object_reader_done(r);
    object_reader_init(r, r->store, s->key.data, info.size);
    s->source.size_bytes = info.size;
    return 0;
}

static int read_source(void *arg, struct iceberg_delete_content *out, struct err *err)
{
    struct delete_source *s = arg;
    struct err e = ERR_INIT;
    int rc = read_content(s, out, &e);
    if (rc == -ESTALE && s->reader.size == s->what->size) {
        rc = correct_size(s, err);
        return rc < 0 ? rc : read_content(s, out, err);
    }
    return rc < 0 ? err_copy(err, &e) : 0;
}

/* Says which delete file failed. One that is not there is not the data file that is not there. */
static int failed(const struct iceberg_delete *d, struct err *err)
{
    if (err->code == ENOENT)
        err->code = EIO;
    return err_wrap(err, "the delete file %.*s",
                    (int)(d->path.n < KEY_BYTES_MAX ? d->path.n : KEY_BYTES_MAX), d->path.p);
}

/* By place */

/* Adds rows, which it takes. */
static int join(struct roaring **all, struct roaring *rows, struct err *err)
{
    AUTO(roaring) struct roaring *before = STEAL(*all);
    AUTO(roaring) struct roaring *more = rows;
    if (before && more)
        return roaring_union(before, more, all, err);
    *all = before ? STEAL(before) : STEAL(more);
    return 0;
}

static int copy_rows(const struct roaring *rows, struct roaring **out, struct err *err)
{
    AUTO(roaring_builder) struct roaring_builder *b = roaring_builder_new(err);
    AUTO(roaring) struct roaring *none = NULL;
    int rc = b ? roaring_builder_end(b, &none, err) : -ENOMEM;
    if (rc < 0)
        return rc;
    if (!rows) {
        *out = STEAL(none);
        return 0;
    }
    return roaring_union(none, rows, out, err);
}

/* Of a file that is too large to be kept. */
static int read_alone(const struct asking *a, struct delete_source *s, struct roaring **out,
                      struct err *err)
{
    struct iceberg_delete_content c = {0};
    s->only = buf_slice(&a->place);
    int rc = read_source(s, &c, err);
    if (rc == 0)
        rc = copy_rows(iceberg_positions_find(c.positions, s->only), out, err);
    iceberg_positions_free(c.positions);
    return rc;
}

static int read_together(const struct asking *a, struct delete_source *s, struct roaring **out,
                         struct err *err)
{
    struct iceberg_delete_files *files = a->table->delete_files;
    struct iceberg_delete_file *file = NULL;
    AUTO(buf) struct buf name = {0};
    buf_init(&name, 3 * ACTION_BYTES_MAX); /* places are those of a location */
    buf_addf(&name, "%.*s %s", SLICE_FMT(a->root.location), a->root.moved ? "moved " : "");
    buf_add_slice(&name, s->what->path);
    int rc = buf_check(&name, err);
    if (rc == 0)
        rc = iceberg_delete_files_get(files, buf_slice(&name), read_source, s, &file, err);
    if (rc < 0)
        return rc;
    const struct iceberg_delete_content *c = iceberg_delete_file_content(file);
    rc = copy_rows(iceberg_positions_find(c->positions, buf_slice(&a->place)), out, err);
    iceberg_delete_files_put(files, file);
    return rc;
}

static int read_positions(const struct asking *a, const struct iceberg_delete *d,
                          struct roaring **out, struct err *err)
{
    AUTO(delete_source) struct delete_source s = {0};
    struct err e = ERR_INIT;
    int rc = open_source(a, d, &s, err);
    if (rc < 0)
        return rc;
    rc = d->rows <= ROWS_TOGETHER_MAX ? read_together(a, &s, out, &e) : -EOVERFLOW;
    if (rc == -EOVERFLOW)
        return read_alone(a, &s, out, err);
    return rc < 0 ? err_copy(err, &e) : 0;
}

static int read_vector(const struct asking *a, const struct iceberg_delete *d, struct roaring **out,
                       struct err *err)
{
    AUTO(buf) struct buf key = {0};
    struct store *store;
    buf_init(&key, KEY_BYTES_MAX);
    int rc = locate(a, d, &store, &key, err);
    return rc < 0 ? rc : iceberg_vector_read(store, key.data, d, out, err);
}

static int by_place(const struct asking *a, struct roaring **out, struct err *err)
{
    AUTO(roaring) struct roaring *all = NULL;
    for (size_t i = 0; i < a->extra.deletes_n; i++) {
        const struct iceberg_delete *d = &a->extra.deletes[i];
        struct roaring *rows = NULL;
        if (d->kind == ICEBERG_DELETE_EQUALITY)
            continue;
        int rc = d->kind == ICEBERG_DELETE_VECTOR ? read_vector(a, d, &rows, err)
                                                  : read_positions(a, d, &rows, err);
        if (rc < 0)
            return failed(d, err);
        rc = join(&all, rows, err);
        if (rc < 0)
            return rc;
    }
    *out = STEAL(all);
    return 0;
}

/* What is sound, but more than is worked on, is not damaged. */
static int refuse(const struct entry *entry, struct err *to, struct err *from)
{
    if (from->code == EOVERFLOW)
        from->code = EOPNOTSUPP;
    (void)err_wrap(from, "%.*s", SLICE_FMT(entry->path));
    return driver_refuse(to, from);
}

int iceberg_deleted(struct iceberg_table *t, const struct entry *entry, struct roaring **out,
                    struct err *err)
{
    static const char *const formats[] = {"Parquet", "ORC", "Avro", "Puffin"};
    AUTO(asking) struct asking a = {0};
    struct err e = ERR_INIT;
    if (!(entry->flags & ENTRY_DELETES)) {
        *out = NULL;
        return 0;
    }
    int rc = ask(&a, t, entry, &e);
    if (rc == 0 && a.extra.format != ICEBERG_PARQUET)
        rc = err_set(&e, EOPNOTSUPP,
                     "rows of it are deleted, and files in %s are only shown as they are stored",
                     formats[a.extra.format]);
    if (rc == 0)
        rc = by_place(&a, out, &e);
    return rc < 0 ? refuse(entry, err, &e) : 0;
}

/* By value */

/* The sets of one set of columns. */
struct by_columns {
    const struct iceberg_delete *first; /* of those with these ids */
    struct shape *columns;              /* as delete files have them: a reference */
    struct shape *own;                  /* as the data file has them: a reference */
    struct equality_set **sets;         /* references */
    size_t n;
};

struct by_value {
    const struct asking *asking;
    struct by_columns parts[EQUALITY_PARTS_MAX];
    size_t n;
};

static void by_value_done(struct by_value *v)
{
    for (size_t i = 0; i < v->n; i++) {
        struct by_columns *p = &v->parts[i];
        for (size_t j = 0; j < p->n; j++)
            equality_set_unref(p->sets[j]);
        free(p->sets);
        shape_unref(p->columns);
        shape_unref(p->own);
    }
}
DEFINE_AUTO_DONE(by_value, struct by_value, by_value_done)

static bool same_ids(const struct iceberg_delete *a, const struct iceberg_delete *b)
{
    return a->ids_n == b->ids_n && memcmp(a->ids, b->ids, a->ids_n * sizeof *a->ids) == 0;
}

static int find_part(struct by_value *v, const struct iceberg_delete *d, struct by_columns **out,
                     struct err *err)
{
    const struct asking *a = v->asking;
    for (size_t i = 0; i < v->n; i++)
        if (same_ids(v->parts[i].first, d)) {
            *out = &v->parts[i];
            return 0;
        }
    if (v->n == EQUALITY_PARTS_MAX)
        return err_set(err, EOPNOTSUPP, "equality deletes by more than %zu sets of columns",
                       EQUALITY_PARTS_MAX);
    struct by_columns *p = &v->parts[v->n++];
    p->first = d;
    p->sets = calloc(a->extra.deletes_n, sizeof(struct equality_set *));
    if (!p->sets)
        return err_set(err, ENOMEM, "equality deletes: out of memory");
    int rc = iceberg_equality_columns(a->metadata, d->ids, d->ids_n, &p->columns, err);
    if (rc == 0 && a->extra.constants.n)
        rc = iceberg_partition_own_shape(a->extra.constants, p->columns, &p->own, err);
    else if (rc == 0)
        p->own = shape_ref(p->columns);
    *out = p;
    return rc;
}

/* The same file is read otherwise when a column's type has widened since. */
static int read_set(const struct asking *a, const struct iceberg_delete *d, struct by_columns *p,
                    struct err *err)
{
    AUTO(delete_source) struct delete_source s = {0};
    AUTO(buf) struct buf name = {0};
    struct iceberg_delete_files *files = a->table->delete_files;
    struct iceberg_delete_file *file = NULL;
    buf_init(&name, KEY_BYTES_MAX + ACTION_BYTES_MAX);
    buf_addf(&name, "%016llx ", (unsigned long long)p->columns->hash);
    buf_add_slice(&name, d->path);
    int rc = buf_check(&name, err);
    if (rc == 0)
        rc = open_source(a, d, &s, err);
    if (rc < 0)
        return rc;
    s.columns = p->columns;
    rc = iceberg_delete_files_get(files, buf_slice(&name), read_source, &s, &file, err);
    if (rc < 0)
        return rc;
    p->sets[p->n++] = equality_set_ref(iceberg_delete_file_content(file)->set);
    iceberg_delete_files_put(files, file);
    return 0;
}

static int by_values(const struct asking *a, struct equality **out, struct err *err)
{
    AUTO(by_value) struct by_value v = {.asking = a};
    struct equality_part parts[EQUALITY_PARTS_MAX];
    for (size_t i = 0; i < a->extra.deletes_n; i++) {
        const struct iceberg_delete *d = &a->extra.deletes[i];
        struct by_columns *p = NULL;
        if (d->kind != ICEBERG_DELETE_EQUALITY)
            continue;
        int rc = find_part(&v, d, &p, err);
        if (rc == 0)
            rc = read_set(a, d, p, err);
        if (rc < 0)
            return failed(d, err);
    }
    for (size_t i = 0; i < v.n; i++)
        parts[i] = (struct equality_part){v.parts[i].own, v.parts[i].sets, v.parts[i].n};
    if (v.n == 0) {
        *out = NULL;
        return 0;
    }
    return equality_new(parts, v.n, out, err);
}

int iceberg_deleted_values(struct iceberg_table *t, const struct entry *entry,
                           struct equality **out, struct err *err)
{
    AUTO(asking) struct asking a = {0};
    struct err e = ERR_INIT;
    if (!(entry->flags & ENTRY_DELETES)) {
        *out = NULL;
        return 0;
    }
    int rc = ask(&a, t, entry, &e);
    if (rc == 0)
        rc = by_values(&a, out, &e);
    return rc < 0 ? refuse(entry, err, &e) : 0;
}

/* Where they are */

int iceberg_locate_deletes(struct iceberg_table *t, const struct entry *entry,
                           int (*emit)(void *arg, const struct object_location *at), void *arg,
                           struct err *err)
{
    AUTO(asking) struct asking a = {0};
    AUTO(object_location) struct object_location at;
    struct err e = ERR_INIT;
    object_location_init(&at);
    int rc = ask(&a, t, entry, &e);
    for (size_t i = 0; rc == 0 && i < a.extra.deletes_n; i++) {
        rc = iceberg_path_locate(&a.root, a.extra.deletes[i].path, &at.store, &at.key, &e);
        if (rc == 0)
            rc = emit(arg, &at);
        if (rc < 0 && !e.code)
            return rc; /* emit's */
    }
    return rc < 0 ? refuse(entry, err, &e) : rc;
}
