/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/view/view.h"

#include <stdatomic.h>

#include "base/hash.h"
#include "base/limits.h"
#include "lake/partition_path.h"
#include "lake/view/view_decide.h"

/* Of a column's path in a message. */
#define PATH_TEXT_MAX KIB

_Static_assert(VIEW_SALT_BYTES == SHAPE_SALT_BYTES, "a view's salt is a shape's");

struct view *view_ref(struct view *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void view_unref(struct view *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    shape_unref(v->shape);
    row_filter_unref(v->filter);
    row_filter_unref(v->paths);
    free(v);
}

/* err_set of a column. */
static int refuse(struct err *err, int code, struct slice path, const char *why)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, PATH_TEXT_MAX);
    view_path_format(&text, slice_make(path.p, path.n < 200 ? path.n : 200));
    return err_set(err, code, "column \"%.*s\" %s", SLICE_FMT(buf_slice(&text)), why);
}

/* The column of files that a partition column is, too; NULL: it is in paths alone. */
static const struct view_node *source_of(const struct view_decision *d, size_t partition)
{
    int32_t id = d->at.partitions[partition].field->id;
    const struct view_node *node =
        id == SHAPE_NO_ID ? NULL : view_tree_then(&d->at, &d->at.partitions[partition]);
    return node && !node->partition ? node : NULL;
}

/* What is decided of a partition column: of the column of files, or what that is part of. */
static const struct column_decision *partition_decision(const struct view_decision *d, size_t i)
{
    const struct view_node *node = source_of(d, i);
    if (!node)
        return &d->partitions[i];
    uint32_t at = node->index;
    while (d->fields[at].state == COLUMN_SHOWN && d->at.fields[at].parent != 0)
        at = d->at.fields[at].parent;
    return &d->fields[at];
}

static int check_partitions(const struct view_decision *d, const struct grant *g, struct err *err)
{
    for (size_t i = 1; i < d->at.partitions_n; i++) {
        const struct column_decision *c = partition_decision(d, i);
        struct slice path = d->at.partitions[i].name.full;
        if (c->state == COLUMN_MASKED)
            return refuse(err, ENOENT, path, "is masked, but it is a partition column");
        if (c->state == COLUMN_HIDDEN)
            return refuse(err, ENOENT, path,
                          g->only.at ? "is not named, but it is a partition column"
                                     : "is hidden, but it is a partition column");
    }
    return 0;
}

static int check_fields(const struct view_decision *d, struct err *err)
{
    bool any = false;
    for (size_t i = 1; i < d->at.fields_n; i++) {
        const struct column_decision *c = &d->fields[i];
        const struct view_node *node = &d->at.fields[i];
        any = any || c->state != COLUMN_HIDDEN;
        if (c->state == COLUMN_MASKED && node->key)
            return refuse(err, EOPNOTSUPP, node->name.full,
                          "is the key of a map, which has no mask: name its values, or hide it");
    }
    return any ? 0 : err_set(err, ENOENT, "no column of the table is shown");
}

static int build_shape(const struct view_decision *d, const struct shape *of,
                       const uint8_t salt[VIEW_SALT_BYTES], struct shape **out, struct err *err)
{
    AUTO(shape_builder) struct shape_builder b;
    uint32_t ends[SHAPE_DEPTH_MAX + 1], open = 0;
    shape_builder_init(&b, of->match);
    shape_confine(&b, salt);
    for (uint32_t i = 1; i < of->fields_n;) {
        struct shape_field field = of->fields[i];
        for (; open && ends[open - 1] <= i; open--)
            shape_end(&b);
        if (d->fields[i].state == COLUMN_HIDDEN) {
            i = field.end;
            continue;
        }
        if (d->fields[i].state == COLUMN_MASKED)
            field.mask = (uint8_t)d->fields[i].mask;
        shape_add(&b, &field);
        if (field.kind != SHAPE_LEAF && open < ARRAY_SIZE(ends))
            ends[open++] = field.end;
        i++;
    }
    for (; open; open--)
        shape_end(&b);
    return shape_finish(&b, out, err);
}

/* Rows */

static int join_path(struct filter_path path, struct buf *out, struct err *err)
{
    buf_init(out, GLOB_BYTES_MAX);
    for (size_t i = 0; i < path.n; i++) {
        if (i)
            buf_add_char(out, COLUMN_SEPARATOR);
        buf_add_slice(out, path.names[i]);
    }
    return buf_check(out, err);
}

/* by_path: by what a path says of the column, where it says the value itself. */
static struct filter_binding binding_of(const struct view_decision *d, const struct view_node *node,
                                        bool by_path)
{
    if (!node)
        return (struct filter_binding){.from = FILTER_ABSENT};
    for (uint32_t i = 1; by_path && i < d->at.partitions_n; i++)
        if (source_of(d, i) == node && !partition_path_is_loose(d->at.partitions[i].field))
            return (struct filter_binding){FILTER_PARTITION, i};
    return (struct filter_binding){node->partition ? FILTER_PARTITION : FILTER_FIELD, node->index};
}

/* The column of the version that a name of today means. */
static int bind_column(const struct view_decision *d, struct filter_path path, bool by_path,
                       struct filter_binding *out, struct err *err)
{
    AUTO(buf) struct buf full = {0};
    int rc = join_path(path, &full, err);
    if (rc < 0)
        return rc;
    const struct view_node *today = view_tree_find(&d->today, buf_slice(&full));
    const struct view_node *named = view_tree_find(&d->at, buf_slice(&full));
    const struct view_node *same = today ? view_tree_then(&d->at, today) : named;
    if (!today && !named)
        return refuse(err, ENOENT, buf_slice(&full),
                      "decides on rows, and the table has none such");
    if (!same && named)
        return refuse(err, ENOENT, buf_slice(&full),
                      "decides on rows, and was another column in this version");
    *out = binding_of(d, same, by_path);
    return 0;
}

static int bind_rows(const struct view_decision *d, const struct grant *g,
                     const struct view_columns *at, bool by_path, struct row_filter **out,
                     struct err *err)
{
    size_t n = filter_columns(g->rows);
    AUTO_FREE struct filter_binding *columns = calloc(n ? n : 1, sizeof *columns);
    int rc = columns ? 0 : err_set(err, ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = bind_column(d, filter_column_path(g->rows, i), by_path, &columns[i], err);
    if (rc == 0)
        rc = filter_bind(g->rows, columns, at->shape, at->partitions, out, err);
    if (rc == -EINVAL) /* a value that its column's type does not have */
        err->code = EOPNOTSUPP;
    return rc < 0 ? -err->code : 0;
}

/* Paths say something of columns that are in files, too. */
static bool has_sources(const struct view_decision *d)
{
    bool any = false;
    for (size_t i = 1; i < d->at.partitions_n; i++)
        any = any || source_of(d, i);
    return any;
}

/* View */

static int narrow(struct view *v, const struct grant *g, const struct view_columns *at,
                  const struct view_columns *today, const uint8_t salt[VIEW_SALT_BYTES],
                  struct err *err)
{
    AUTO(view_decision) struct view_decision d = {0};
    if (!at->shape)
        return err_set(err, ENOENT, "it has no schema, or files of which no part can be kept back");
    int rc = view_decide(&d, g, at, today, err);
    if (rc == 0)
        rc = check_partitions(&d, g, err);
    if (rc == 0)
        rc = check_fields(&d, err);
    if (rc == 0 && g->rows)
        rc = bind_rows(&d, g, at, false, &v->filter, err);
    if (rc == 0 && g->rows && has_sources(&d))
        rc = bind_rows(&d, g, at, true, &v->paths, err);
    if (rc == 0)
        rc = build_shape(&d, at->shape, salt, &v->shape, err);
    if (rc < 0)
        return rc;
    uint64_t filter = v->filter ? row_filter_hash(v->filter) : 0;
    v->hash = hash64(v->shape->hash, slice_make(&filter, v->filter ? sizeof filter : 0));
    if (v->hash == 0)
        v->hash = 1;
    return 0;
}

int view_make(const struct grant *g, const struct view_columns *at,
              const struct view_columns *today, const uint8_t salt[VIEW_SALT_BYTES],
              struct view **out, struct err *err)
{
    struct err e = ERR_INIT;
    AUTO(view) struct view *v = calloc(1, sizeof *v);
    if (!v)
        return err_set(err, ENOMEM, "out of memory for a view");
    atomic_init(&v->refs, 1);
    v->line = grant_line(g);
    int rc = grant_whole(g) ? 0 : narrow(v, g, at, today, salt, &e);
    if (rc < 0) {
        (void)err_wrap(&e, "%.*s under the grant in line %u",
                       (int)(at->table.n < 200 ? at->table.n : 200), at->table.p, v->line);
        return err_copy(err, &e);
    }
    *out = STEAL(v);
    return 0;
}
