/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property: whatever file and row filter are, its rows are found or refused in bounded memory, and
 * no row is kept both by an expression and by its negation.
 *
 *   [which types columns have: 1 byte][length of the text: 1 byte][text][file]
 */
#include <assert.h>

#include "base/limits.h"
#include "lake/format/filter.h"
#include "tests/fuzz/parquet_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t type_of(const struct parquet_node *node, unsigned how)
{
    static const uint8_t numbers[] = {SHAPE_INT64, SHAPE_INT32,  SHAPE_DECIMAL,
                                      SHAPE_DATE,  SHAPE_DOUBLE, SHAPE_TIMESTAMP_LOCAL};
    switch (node->type) {
    case PARQUET_BOOLEAN:
        return SHAPE_BOOLEAN;
    case PARQUET_INT32:
    case PARQUET_INT64:
        return numbers[how % ARRAY_SIZE(numbers)];
    case PARQUET_INT96:
        return SHAPE_TIMESTAMP;
    case PARQUET_FLOAT:
        return how % 2 ? SHAPE_FLOAT : SHAPE_DOUBLE;
    case PARQUET_DOUBLE:
        return SHAPE_DOUBLE;
    default:
        return how % 3 == 0 ? SHAPE_STRING : how % 3 == 1 ? SHAPE_BINARY : SHAPE_DECIMAL;
    }
}

/* The tree of the file's groups and leaves, lists as structs of what they are (which do not match);
 * and a column that it does not have in each. */
static void put_nodes(struct shape_builder *b, const struct parquet_footer *f, size_t at,
                      unsigned how)
{
    const struct parquet_node *nodes = f->nodes;
    for (size_t i = at + 1; i < nodes[at].end; i = nodes[i].end) {
        bool leaf = nodes[i].leaf != PARQUET_NO_LEAF;
        struct shape_field field = {.name = nodes[i].name,
                                    .id = SHAPE_NO_ID,
                                    .nullable = true,
                                    .kind = leaf ? SHAPE_LEAF : SHAPE_STRUCT,
                                    .precision = 38,
                                    .scale = (uint8_t)(how % 11)};
        field.type = leaf ? type_of(&nodes[i], how) : 0;
        shape_add(b, &field);
        if (leaf)
            continue;
        if (nodes[i].depth < SHAPE_DEPTH_MAX)
            put_nodes(b, f, i, how);
        shape_end(b);
    }
    shape_add(b, &(struct shape_field){.name = SLICE_LIT("what no file has"),
                                       .id = SHAPE_NO_ID,
                                       .type = SHAPE_INT32,
                                       .has_constant = how & 64,
                                       .constant = SLICE_LIT("\5\0\0\0"),
                                       .nullable = true});
}

static int bind(struct slice text, const struct shape *s, unsigned how, struct row_filter **out)
{
    AUTO(filter) struct filter *f = NULL;
    struct filter_binding columns[FILTER_COLUMNS_MAX];
    int rc = filter_parse(text, &f, NULL);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < filter_columns(f); i++)
        columns[i] = (struct filter_binding){FILTER_FIELD,
                                             (uint32_t)(1 + (i + how / 16) % (s->fields_n - 1))};
    return filter_bind(f, columns, s, NULL, out, NULL);
}

static int rows_of(const struct row_filter *rf, struct slice *file, struct roaring **out)
{
    AUTO(present_plan) struct present_plan *plan = NULL;
    struct err err = ERR_INIT;
    struct source source = {.size_bytes = file->n, .read = read_memory, .arg = file};
    int rc = row_filter_plan(rf, footer_of(*file), file->n, &plan, &err);
    if (rc == 0)
        rc = row_filter_rows(rf, plan, &source, NULL, out, &err);
    assert(rc == -err.code);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(parquet_footer) struct parquet_footer f = {0};
    AUTO(shape_builder) struct shape_builder b;
    AUTO(shape) struct shape *s = NULL;
    AUTO(row_filter) struct row_filter *rf = NULL, *not_rf = NULL;
    AUTO(roaring) struct roaring *gone = NULL, *not_gone = NULL, *both = NULL;
    AUTO(buf) struct buf text = {0};
    shape_builder_init(&b, SHAPE_BY_NAME);
    if (size < 2 || size < 2U + data[1])
        return 0;
    unsigned how = data[0];
    struct slice file = slice_make(data + 2 + data[1], size - 2 - data[1]);
    struct slice footer = footer_of(file);
    if (!footer.p || parquet_footer_parse(&f, footer, NULL) < 0 || cells_of(&f) > CELLS_MAX)
        return 0;
    put_nodes(&b, &f, 0, how);
    buf_init(&text, KIB);
    buf_add_str(&text, "not (");
    buf_add(&text, data + 2, data[1]);
    buf_add_str(&text, ")");
    if (shape_finish(&b, &s, NULL) < 0 || bind(slice_make(data + 2, data[1]), s, how, &rf) < 0 ||
        bind(buf_slice(&text), s, how, &not_rf) < 0 || rows_of(rf, &file, &gone) < 0)
        return 0;
    assert(roaring_count(gone) == roaring_count_between(gone, 0, f.rows));
    int rc = rows_of(not_rf, &file, &not_gone);
    if (rc == 0)
        rc = roaring_union(gone, not_gone, &both, NULL);
    assert(rc == 0);
    assert(roaring_count(both) == f.rows);
    return 0;
}
