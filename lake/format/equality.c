/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>

#include "base/limits.h"
#include "lake/format/equality_private.h"
#include "lake/format/present_types.h"

struct part {
    struct shape *columns; /* these are references */
    struct equality_set **sets;
    size_t n;
};

struct equality {
    atomic_uint refs;
    size_t n;
    struct part parts[];
};

struct equality_plan {
    size_t n;
    struct present_plan *parts[];
};

static int no_room(struct err *err)
{
    return err_set(err, ENOMEM, "equality deletes: out of memory");
}

/* Columns */

static int refuse(const struct shape_field *f, const char *what, struct err *err)
{
    return err_set(err, EOPNOTSUPP, "equality deletes by the column \"%.*s\": %s",
                   (int)(f->name.n < 200 ? f->name.n : 200), f->name.p, what);
}

int equality_check(const struct shape *columns, struct err *err)
{
    size_t leaves = 0;
    for (size_t i = 1; i < columns->fields_n; i++) {
        const struct shape_field *f = &columns->fields[i];
        if (f->kind == SHAPE_LIST || f->kind == SHAPE_MAP)
            return refuse(f, "what lists and maps have is not compared", err);
        if (f->kind != SHAPE_LEAF)
            continue;
        if (f->type == SHAPE_FLOAT || f->type == SHAPE_DOUBLE)
            return refuse(f, "floating point numbers are not compared", err);
        if (f->type == SHAPE_VARIANT || f->type == SHAPE_STORED || f->type == SHAPE_GEOMETRY ||
            f->type == SHAPE_GEOGRAPHY)
            return refuse(f, "values of its type are not compared", err);
        leaves++;
    }
    if (leaves == 0)
        return err_set(err, EIO, "equality deletes by no column");
    if (leaves > EQUALITY_COLUMNS_MAX)
        return err_set(err, EOPNOTSUPP, "equality deletes by %zu columns, at most %zu are compared",
                       leaves, EQUALITY_COLUMNS_MAX);
    return 0;
}

static int plan_columns(const struct shape *columns, struct slice footer, uint64_t object_bytes,
                        struct present_plan **out, struct err *err)
{
    struct present_request r = {.footer = footer,
                                .object_bytes = object_bytes,
                                .presented_bytes = object_bytes,
                                .shape = columns,
                                .deletes = true};
    return present_plan(&r, out, err);
}

/* Delete files */

/* What tuples are made of has to be in the file that says them. */
static int check_leaves(const struct shape *columns, const struct present_plan *plan,
                        struct err *err)
{
    size_t leaf = 0;
    for (size_t i = 1; i < columns->fields_n; i++) {
        const struct shape_field *f = &columns->fields[i];
        if (f->kind != SHAPE_LEAF)
            continue;
        if (leaf == plan->leaves_n)
            return err_set(err, EIO, "equality deletes by columns that a plan does not have");
        enum present_conversion how = plan->leaves[leaf++].how;
        if (f->type != SHAPE_UNKNOWN && (how == PRESENT_NULLS || how == PRESENT_CONSTANT))
            return err_set(err, EIO, "it has no column \"%.*s\", by which it deletes",
                           (int)(f->name.n < 200 ? f->name.n : 200), f->name.p);
    }
    return 0;
}

static int add_row(void *arg, uint64_t row, struct slice key, struct err *err)
{
    (void)row;
    return equality_builder_put(arg, key, err);
}

int equality_read(const struct shape *columns, struct slice footer, const struct source *source,
                  struct equality_set **out, struct err *err)
{
    AUTO(present_plan) struct present_plan *plan = NULL;
    AUTO(equality_builder) struct equality_builder *b = NULL;
    int rc = equality_check(columns, err);
    if (rc == 0)
        rc = plan_columns(columns, footer, source->size_bytes, &plan, err);
    if (rc == 0)
        rc = check_leaves(columns, plan, err);
    if (rc < 0)
        return rc;
    b = equality_builder_new(columns, err);
    if (!b)
        return -ENOMEM;
    rc = equality_scan(columns, plan, source, add_row, b, err);
    return rc < 0 ? rc : equality_builder_end(b, out, err);
}

/* What counts for a data file */

struct equality *equality_ref(struct equality *e)
{
    atomic_fetch_add(&e->refs, 1);
    return e;
}

void equality_unref(struct equality *e)
{
    if (!e || atomic_fetch_sub(&e->refs, 1) != 1)
        return;
    for (size_t i = 0; i < e->n; i++) {
        for (size_t j = 0; j < e->parts[i].n; j++)
            equality_set_unref(e->parts[i].sets[j]);
        free(e->parts[i].sets);
        shape_unref(e->parts[i].columns);
    }
    free(e);
}

static int add_part(struct equality *e, const struct equality_part *from, struct err *err)
{
    struct part *to = &e->parts[e->n];
    to->sets = calloc(from->n + 1, sizeof *to->sets);
    if (!to->sets)
        return no_room(err);
    e->n++;
    to->columns = shape_ref(from->columns);
    for (to->n = 0; to->n < from->n; to->n++)
        to->sets[to->n] = equality_set_ref(from->sets[to->n]);
    return 0;
}

int equality_new(const struct equality_part *parts, size_t n, struct equality **out,
                 struct err *err)
{
    AUTO(equality) struct equality *e = NULL;
    size_t bytes = 0;
    if (n > EQUALITY_PARTS_MAX)
        return err_set(err, EOVERFLOW, "equality deletes by %zu sets of columns, over %zu", n,
                       EQUALITY_PARTS_MAX);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < parts[i].n; j++)
            bytes += equality_set_bytes(parts[i].sets[j]);
    if (bytes > EQUALITY_BYTES_MAX)
        return err_set(err, EOVERFLOW, "equality deletes of %zu bytes, over %zu", bytes,
                       EQUALITY_BYTES_MAX);
    e = calloc(1, sizeof *e + n * sizeof *e->parts);
    if (!e)
        return no_room(err);
    e->refs = 1;
    for (size_t i = 0; i < n; i++)
        if (add_part(e, &parts[i], err) < 0)
            return -ENOMEM;
    *out = STEAL(e);
    return 0;
}

/* Data files */

void equality_plan_free(struct equality_plan *p)
{
    for (size_t i = 0; p && i < p->n; i++)
        present_plan_free(p->parts[i]);
    free(p);
}

int equality_plan(const struct equality *e, struct slice footer, uint64_t object_bytes,
                  struct equality_plan **out, struct err *err)
{
    AUTO(equality_plan) struct equality_plan *p = calloc(1, sizeof *p + e->n * sizeof *p->parts);
    if (!p)
        return no_room(err);
    for (; p->n < e->n; p->n++) {
        int rc = plan_columns(e->parts[p->n].columns, footer, object_bytes, &p->parts[p->n], err);
        if (rc < 0)
            return err_wrap(err, "the columns of equality deletes");
    }
    *out = STEAL(p);
    return 0;
}

struct finding {
    struct equality_set *const *sets;
    size_t n;
    struct roaring_builder *gone;
};

static int find_row(void *arg, uint64_t row, struct slice key, struct err *err)
{
    const struct finding *f = arg;
    uint64_t hash = equality_hash(key);
    for (size_t i = 0; i < f->n; i++)
        if (equality_set_has(f->sets[i], key, hash))
            return roaring_builder_add(f->gone, row, 1, err);
    return 0;
}

/* Whether it is less work to make one set of all than to look into each for every row. */
static bool is_worth_joining(const struct part *part, uint64_t rows)
{
    uint64_t tuples = 0;
    for (size_t i = 0; i < part->n; i++)
        tuples += equality_set_count(part->sets[i]);
    return part->n > 1 && tuples / (part->n - 1) < rows / 2;
}

static int find_rows(const struct part *part, const struct present_plan *plan,
                     const struct source *source, struct roaring **out, struct err *err)
{
    AUTO(equality_set) struct equality_set *all = NULL;
    AUTO(roaring_builder) struct roaring_builder *gone = roaring_builder_new(err);
    struct finding f = {.sets = part->sets, .n = part->n, .gone = gone};
    if (!gone)
        return -ENOMEM;
    if (is_worth_joining(part, plan->stored->rows)) {
        int rc = equality_join(part->sets, part->n, &all, err);
        if (rc < 0)
            return rc;
        f.sets = &all;
        f.n = 1;
    }
    int rc = equality_scan(part->columns, plan, source, find_row, &f, err);
    return rc < 0 ? rc : roaring_builder_end(gone, out, err);
}

/* Adds to the rows that are gone already. */
static int add_rows(struct roaring **gone, struct roaring *more, struct err *err)
{
    AUTO(roaring) struct roaring *before = STEAL(*gone);
    AUTO(roaring) struct roaring *added = more;
    if (!before) {
        *gone = STEAL(added);
        return 0;
    }
    return roaring_union(before, added, gone, err);
}

int equality_rows(const struct equality *e, const struct equality_plan *plan,
                  const struct source *source, struct roaring **gone, struct err *err)
{
    AUTO(roaring) struct roaring *all = NULL;
    for (size_t i = 0; i < e->n; i++) {
        struct roaring *some = NULL;
        int rc = find_rows(&e->parts[i], plan->parts[i], source, &some, err);
        if (rc < 0)
            return err_wrap(err, "equality deletes");
        rc = add_rows(&all, some, err);
        if (rc < 0)
            return rc;
    }
    *gone = STEAL(all);
    return 0;
}
