/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of one file that go: what is known of every row (partition values, columns that the file
 * does not have) is taken out of the tree first; of what is left, the columns are read side by
 * side, in batches of rows, and the tree is evaluated over each batch.
 */
#include "base/limits.h"
#include "lake/format/filter_column.h"

/* No single outcome. */
#define OPEN 3

struct filtering {
    const struct row_filter *rf;
    const struct present_plan *plan;
    const struct source *source;
    const struct present_leaf **leaves; /* of the plan, as columns are bound to them */
    struct filter_value room[FILTER_COLUMNS_MAX];
    const struct filter_value *known[FILTER_COLUMNS_MAX]; /* of each column: see filter_known */
    uint8_t *fixed;                        /* of each node: enum filter_truth, or OPEN */
    bool *wanted;                          /* leaves that are read */
    struct filter_column_reader **readers; /* of those leaves */
    const uint8_t **results;               /* of each term that is open: a batch */
    struct roaring_builder *gone;
};

static void filtering_done(struct filtering *f)
{
    for (size_t i = 0; f->readers && i < f->rf->leaves; i++)
        filter_column_free(f->readers[i]);
    free(f->leaves);
    free(f->fixed);
    free(f->wanted);
    free(f->readers);
    free(f->results);
    roaring_builder_free(f->gone);
}
DEFINE_AUTO_DONE(filtering, struct filtering, filtering_done)

/* The leaves */

/* Fields of the shape beside the plan's nodes: both begin with those that the filter needs. */
static size_t find_leaves(const struct filtering *f, uint32_t field, uint32_t node, size_t n)
{
    const struct shape_field *fields = f->rf->shape->fields;
    uint32_t at = node + 1;
    for (uint32_t i = field + 1; i < fields[field].end; i = fields[i].end) {
        if (fields[i].kind == SHAPE_LEAF && fields[i].type == SHAPE_STORED)
            break;
        if (fields[i].kind == SHAPE_LEAF)
            f->leaves[n++] = &f->plan->leaves[f->plan->nodes[at].leaf];
        else
            n = find_leaves(f, i, at, n);
        at = f->plan->nodes[at].end;
    }
    return n;
}

int row_filter_plan(const struct row_filter *rf, struct slice footer, uint64_t object_bytes,
                    struct present_plan **out, struct err *err)
{
    struct present_request r = {.footer = footer,
                                .object_bytes = object_bytes,
                                .presented_bytes = object_bytes,
                                .shape = rf->shape,
                                .deletes = true};
    int rc = present_plan(&r, out, err);
    return rc < 0 ? err_wrap(err, "the row filter's columns") : 0;
}

/* What is known */

static void fix_columns(struct filtering *f)
{
    for (size_t i = 0; i < f->rf->filter->columns_n; i++) {
        const struct filter_bound *c = &f->rf->columns[i];
        if (!f->known[i] && c->from == FILTER_FIELD &&
            filter_column_constant(f->plan, f->leaves[c->at], c, &f->room[i]))
            f->known[i] = &f->room[i];
    }
}

/* Nodes with one outcome, and the leaves that decide the others. */
static void fix_nodes(struct filtering *f, uint32_t at)
{
    const struct filter_node *nodes = f->rf->filter->nodes, *n = &nodes[at];
    unsigned outcomes = filter_outcomes(f->rf, at, f->known);
    f->fixed[at] = OPEN;
    if ((outcomes & (outcomes - 1)) == 0) {
        f->fixed[at] = (uint8_t)__builtin_ctz(outcomes);
        return;
    }
    if (n->kind == FILTER_TERM) {
        f->wanted[f->rf->columns[f->rf->tests[n->term].column].at] = true;
        return;
    }
    for (uint32_t i = n->first; i != FILTER_NONE_AT; i = nodes[i].next)
        fix_nodes(f, i);
}

static int prepare(struct filtering *f, const struct slice *values, bool *good, struct err *err)
{
    const struct filter *parsed = f->rf->filter;
    f->leaves = calloc(f->rf->leaves + 1, sizeof *f->leaves);
    f->fixed = calloc(parsed->nodes_n + 1, sizeof *f->fixed);
    f->wanted = calloc(f->rf->leaves + 1, sizeof *f->wanted);
    f->readers = calloc(f->rf->leaves + 1, sizeof *f->readers);
    f->results = calloc(parsed->terms_n + 1, sizeof *f->results);
    if (!f->leaves || !f->fixed || !f->wanted || !f->readers || !f->results)
        return err_set(err, ENOMEM, "out of memory");
    *good = filter_known(f->rf, values, NULL, f->room, f->known);
    if (f->rf->shape)
        (void)find_leaves(f, 0, 0, 0);
    fix_columns(f);
    fix_nodes(f, parsed->root);
    return 0;
}

static int open_readers(struct filtering *f, struct err *err)
{
    for (uint32_t i = 0; i < f->rf->leaves; i++) {
        if (!f->wanted[i])
            continue;
        f->readers[i] = filter_column_new(f->rf, i, f->plan, f->leaves[i], f->source, err);
        if (!f->readers[i])
            return -err->code;
        for (size_t t = 0; t < f->readers[i]->tests_n; t++)
            f->results[f->readers[i]->tests[t].test - f->rf->tests] = f->readers[i]->tests[t].out;
    }
    return 0;
}

/* Batches */

/* `and`: the least of both, `or`: the greatest. */
static void join(uint8_t *to, const uint8_t *other, size_t n, bool least)
{
    if (least)
        for (size_t i = 0; i < n; i++)
            to[i] = other[i] < to[i] ? other[i] : to[i];
    else
        for (size_t i = 0; i < n; i++)
            to[i] = other[i] > to[i] ? other[i] : to[i];
}

static void evaluate(const struct filtering *f, uint32_t at, size_t n, uint8_t *out)
{
    const struct filter_node *nodes = f->rf->filter->nodes, *node = &nodes[at];
    uint8_t member[PARQUET_BATCH];
    if (f->fixed[at] != OPEN) {
        memset(out, f->fixed[at], n);
        return;
    }
    switch ((enum filter_kind)node->kind) {
    case FILTER_TERM:
        memcpy(out, f->results[node->term], n);
        return;
    case FILTER_NOT:
        evaluate(f, node->first, n, out);
        for (size_t i = 0; i < n; i++)
            out[i] = (uint8_t)(FILTER_TRUE - out[i]);
        return;
    case FILTER_CONSTANT: /* is fixed */
    case FILTER_AND:
    case FILTER_OR:
        break;
    }
    evaluate(f, node->first, n, out);
    for (uint32_t i = nodes[node->first].next; i != FILTER_NONE_AT; i = nodes[i].next) {
        evaluate(f, i, n, member);
        join(out, member, n, node->kind == FILTER_AND);
    }
}

static int take_out(struct filtering *f, const uint8_t *truth, uint64_t row, size_t n,
                    struct err *err)
{
    int rc = 0;
    for (size_t done = 0; rc == 0 && done < n; done += 64) {
        size_t some = n - done < 64 ? n - done : 64;
        uint64_t bits = 0;
        for (size_t i = 0; i < some; i++)
            bits |= (uint64_t)(truth[done + i] != FILTER_TRUE) << i;
        rc = roaring_builder_add(f->gone, row + done, bits, err);
    }
    return rc;
}

static int in_column(const struct filtering *f, size_t group, size_t leaf, struct err *err)
{
    const struct parquet_node *node = &f->plan->nodes[f->leaves[leaf]->node];
    return err_wrap(err, "row filter: row group %zu, column %.*s", group,
                    (int)(node->name.n < 100 ? node->name.n : 100), node->name.p);
}

static int filter_batch(struct filtering *f, size_t group, uint64_t row, size_t n, struct err *err)
{
    uint8_t truth[PARQUET_BATCH];
    for (size_t i = 0; i < f->rf->leaves; i++)
        if (f->readers[i] && filter_column_next(f->readers[i], n, err) < 0)
            return in_column(f, group, i, err);
    evaluate(f, f->rf->filter->root, n, truth);
    return take_out(f, truth, row, n, err);
}

static int filter_group(struct filtering *f, size_t group, uint64_t first, struct err *err)
{
    uint64_t rows = f->plan->stored->group_rows[group];
    int rc = 0;
    for (size_t i = 0; i < f->rf->leaves; i++)
        if (f->readers[i] && filter_column_start(f->readers[i], group, err) < 0)
            return in_column(f, group, i, err);
    for (uint64_t done = 0; rc == 0 && done < rows;) {
        size_t n = rows - done < PARQUET_BATCH ? (size_t)(rows - done) : PARQUET_BATCH;
        rc = filter_batch(f, group, first + done, n, err);
        done += n;
    }
    for (size_t i = 0; rc == 0 && i < f->rf->leaves; i++)
        if (f->readers[i] && filter_column_end(f->readers[i], err) < 0)
            rc = in_column(f, group, i, err);
    return rc;
}

static int filter_groups(struct filtering *f, struct err *err)
{
    const struct parquet_footer *stored = f->plan->stored;
    uint64_t first = 0;
    int rc = open_readers(f, err);
    for (size_t g = 0; rc == 0 && g < stored->groups_n; g++) {
        rc = filter_group(f, g, first, err);
        first += stored->group_rows[g];
    }
    return rc;
}

int row_filter_rows(const struct row_filter *rf, const struct present_plan *plan,
                    const struct source *source, const struct slice *values, struct roaring **gone,
                    struct err *err)
{
    AUTO(filtering) struct filtering f = {.rf = rf, .plan = plan, .source = source};
    bool good = false;
    f.gone = roaring_builder_new(err);
    if (!f.gone)
        return -ENOMEM;
    int rc = prepare(&f, values, &good, err);
    if (rc < 0)
        return rc;
    uint8_t fixed = good ? f.fixed[rf->filter->root] : (uint8_t)FILTER_FALSE;
    if (fixed == OPEN)
        rc = filter_groups(&f, err);
    else if (fixed != FILTER_TRUE)
        rc = roaring_builder_add_range(f.gone, 0, plan->stored->rows, err);
    return rc < 0 ? rc : roaring_builder_end(f.gone, gone, err);
}
