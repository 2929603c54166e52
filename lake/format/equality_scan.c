/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tuples of a file: its columns are read side by side in batches of rows, and each row's values
 * make a key.
 */
#include "base/limits.h"
#include "lake/format/equality_private.h"

/* The values of one column in a batch of rows. */
struct scanned {
    struct column_reader reader;
    uint8_t class; /* enum column_class */
    bool fixed;    /* `value` in every row: the reader is not used */
    struct column_value value;
    struct column_value cells[PARQUET_BATCH];
    size_t ends[PARQUET_BATCH]; /* of values in `text` */
    struct buf text;
};

struct scan {
    const struct present_plan *plan;
    struct scanned *columns[EQUALITY_COLUMNS_MAX];
    size_t n;
    struct buf key;
    equality_row_fn *row;
    void *arg;
};

static void scan_done(struct scan *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (!s->columns[i]->fixed)
            column_done(&s->columns[i]->reader);
        buf_done(&s->columns[i]->text);
        free(s->columns[i]);
    }
    buf_done(&s->key);
}
DEFINE_AUTO_DONE(scan, struct scan, scan_done)

/* Columns */

static int add_column(struct scan *s, const struct shape_field *f, const struct source *source,
                      struct err *err)
{
    const struct present_leaf *leaf = &s->plan->leaves[s->n];
    struct scanned *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(err, ENOMEM, "out of memory");
    s->columns[s->n++] = c;
    buf_init(&c->text, PARQUET_ROW_BYTES_MAX);
    c->class = (uint8_t)column_class_of(f->type);
    c->fixed = column_constant(s->plan, leaf, f->type, &c->value);
    return c->fixed ? 0
                    : column_init(&c->reader, s->plan, leaf, (struct column_use){f->type, true},
                                  source, err);
}

static int add_columns(struct scan *s, const struct shape *columns, const struct source *source,
                       struct err *err)
{
    int rc = 0;
    for (size_t i = 1; rc == 0 && i < columns->fields_n; i++) {
        if (columns->fields[i].kind != SHAPE_LEAF)
            continue;
        if (s->n == ARRAY_SIZE(s->columns) || s->n == s->plan->leaves_n)
            return err_set(err, EIO, "equality deletes by columns that a plan does not have");
        rc = add_column(s, &columns->fields[i], source, err);
    }
    return rc;
}

/* Cells */

static struct column_value value_of(const struct column_reader *r, size_t i)
{
    if (r->wide)
        return (struct column_value){.number = r->wides[i]};
    return (struct column_value){.number = (__int128)r->numbers[i] * r->unit};
}

/* The `present` values that were read last, to those of the n rows that have one. */
static void spread(struct scanned *c, size_t at, size_t n, size_t present)
{
    const struct column_reader *r = &c->reader;
    uint32_t max = r->from->max_definition;
    size_t next = 0;
    for (size_t i = 0; i < n; i++) {
        bool there = present == n || r->definition[i] == max;
        if (!there)
            c->cells[at + i] = (struct column_value){.null = true};
        else if (c->class == COLUMN_BYTES)
            buf_add_slice(&c->text, r->bytes[next++]);
        else
            c->cells[at + i] = value_of(r, next++);
        if (there && c->class == COLUMN_BYTES)
            c->cells[at + i].null = false;
        c->ends[at + i] = c->text.len;
    }
}

static int read_cells(struct scanned *c, size_t n, struct err *err)
{
    struct column_reader *r = &c->reader;
    for (size_t done = 0; done < n;) {
        size_t some, present;
        int rc = column_page(r, err);
        if (rc < 0)
            return rc;
        some = column_batch(r, n - done);
        rc = column_levels(r, some, &present, err);
        if (rc == 0)
            rc = column_values(r, present, err);
        if (rc < 0)
            return rc;
        spread(c, done, some, present);
        done += some;
    }
    return buf_check(&c->text, err);
}

/* Of a field that is not in the file, within a struct that is. */
static int read_constants(struct scanned *c, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        bool there;
        int rc = column_parent(&c->reader, &there, err);
        if (rc < 0)
            return rc;
        c->cells[i] = there ? c->reader.constant : (struct column_value){.null = true};
    }
    return 0;
}

static int next_cells(struct scanned *c, size_t n, struct err *err)
{
    if (c->fixed)
        return 0;
    if (c->reader.leaf->how == PRESENT_CONSTANT)
        return read_constants(c, n, err);
    buf_reset(&c->text);
    int rc = read_cells(c, n, err);
    for (size_t i = 0; rc == 0 && c->class == COLUMN_BYTES && i < n; i++) {
        size_t start = i ? c->ends[i - 1] : 0;
        c->cells[i].bytes = slice_make(c->text.data + start, c->ends[i] - start);
    }
    return rc;
}

/* Rows */

static int in_column(const struct scan *s, size_t group, size_t i, struct err *err)
{
    const struct parquet_node *node = &s->plan->nodes[s->plan->leaves[i].node];
    return err_wrap(err, "row group %zu, column %.*s", group,
                    (int)(node->name.n < 100 ? node->name.n : 100), node->name.p);
}

static int scan_batch(struct scan *s, size_t group, uint64_t row, size_t n, struct err *err)
{
    for (size_t i = 0; i < s->n; i++)
        if (next_cells(s->columns[i], n, err) < 0)
            return in_column(s, group, i, err);
    for (size_t r = 0; r < n; r++) {
        buf_reset(&s->key);
        for (size_t i = 0; i < s->n; i++) {
            const struct scanned *c = s->columns[i];
            equality_put(c->class, c->fixed ? &c->value : &c->cells[r], &s->key);
        }
        if (buf_check(&s->key, err) < 0)
            return -err->code;
        int rc = s->row(s->arg, row + r, buf_slice(&s->key), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int scan_group(struct scan *s, size_t group, uint64_t first, struct err *err)
{
    uint64_t rows = s->plan->stored->group_rows[group];
    for (size_t i = 0; i < s->n; i++)
        if (!s->columns[i]->fixed && column_start(&s->columns[i]->reader, group, err) < 0)
            return in_column(s, group, i, err);
    for (uint64_t done = 0; done < rows;) {
        size_t n = rows - done < PARQUET_BATCH ? (size_t)(rows - done) : PARQUET_BATCH;
        int rc = scan_batch(s, group, first + done, n, err);
        if (rc < 0)
            return rc;
        done += n;
    }
    for (size_t i = 0; i < s->n; i++)
        if (!s->columns[i]->fixed && column_end(&s->columns[i]->reader, err) < 0)
            return in_column(s, group, i, err);
    return 0;
}

int equality_scan(const struct shape *columns, const struct present_plan *plan,
                  const struct source *source, equality_row_fn *row, void *arg, struct err *err)
{
    AUTO(scan) struct scan s = {.plan = plan, .row = row, .arg = arg};
    buf_init(&s.key, EQUALITY_BYTES_MAX);
    int rc = add_columns(&s, columns, source, err);
    uint64_t first = 0;
    for (size_t g = 0; rc == 0 && g < plan->stored->groups_n; g++) {
        rc = scan_group(&s, g, first, err);
        first += plan->stored->group_rows[g];
    }
    return rc;
}
