/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property: whatever a file is, its tuples are read in bounded memory or refused; where they are
 * read, they take out all of its rows, and an empty set none.
 *
 *   [how types are read: 1 byte][file]
 */
#include <assert.h>

#include "base/limits.h"
#include "lake/format/equality.h"
#include "tests/fuzz/parquet_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t type_of(const struct parquet_node *node, unsigned how)
{
    static const uint8_t numbers[] = {SHAPE_INT64, SHAPE_INT32, SHAPE_DECIMAL,
                                      SHAPE_DATE,  SHAPE_TIME,  SHAPE_TIMESTAMP_LOCAL};
    static const uint8_t bytes[] = {SHAPE_STRING, SHAPE_BINARY, SHAPE_FIXED, SHAPE_DECIMAL,
                                    SHAPE_UUID};
    switch (node->type) {
    case PARQUET_BOOLEAN:
        return SHAPE_BOOLEAN;
    case PARQUET_INT32:
    case PARQUET_INT64:
        return numbers[how % ARRAY_SIZE(numbers)];
    case PARQUET_INT96:
        return SHAPE_TIMESTAMP;
    default:
        return bytes[how % ARRAY_SIZE(bytes)];
    }
}

/* Leaves that can be compared, with the structs around them; false: there are none. */
static bool put_nodes(struct shape_builder *b, const struct parquet_footer *f, size_t at,
                      unsigned how)
{
    const struct parquet_node *nodes = f->nodes;
    bool some = false;
    for (size_t i = at + 1; i < nodes[at].end; i = nodes[i].end) {
        bool leaf = nodes[i].leaf != PARQUET_NO_LEAF;
        bool real = leaf && (nodes[i].type == PARQUET_FLOAT || nodes[i].type == PARQUET_DOUBLE);
        struct shape_field field = {.name = nodes[i].name,
                                    .id = SHAPE_NO_ID,
                                    .nullable = true,
                                    .kind = leaf ? SHAPE_LEAF : SHAPE_STRUCT,
                                    .precision = 38,
                                    .scale = (uint8_t)(how % 11),
                                    .length = nodes[i].type_length};
        if (real || nodes[i].repetition == PARQUET_REPEATED || (!leaf && nodes[i].depth > 4))
            continue;
        if (leaf)
            field.type = type_of(&nodes[i], how + (unsigned)i);
        shape_add(b, &field);
        some = true;
        if (leaf)
            continue;
        (void)put_nodes(b, f, i, how);
        shape_end(b);
    }
    return some;
}

static int rows_of(struct shape *columns, struct equality_set *set, struct slice *file,
                   struct roaring **out)
{
    AUTO(equality) struct equality *e = NULL;
    AUTO(equality_plan) struct equality_plan *plan = NULL;
    struct equality_part part = {columns, &set, 1};
    struct err err = ERR_INIT;
    struct source source = {.size_bytes = file->n, .read = read_memory, .arg = file};
    int rc = equality_new(&part, 1, &e, &err);
    if (rc == 0)
        rc = equality_plan(e, footer_of(*file), file->n, &plan, &err);
    if (rc == 0)
        rc = equality_rows(e, plan, &source, out, &err);
    assert(rc == -err.code);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(parquet_footer) struct parquet_footer f = {0};
    AUTO(shape_builder) struct shape_builder b;
    AUTO(shape) struct shape *columns = NULL;
    AUTO(equality_set) struct equality_set *set = NULL, *empty = NULL;
    AUTO(equality_builder) struct equality_builder *none = NULL;
    AUTO(roaring) struct roaring *gone = NULL, *nothing = NULL;
    shape_builder_init(&b, SHAPE_BY_NAME);
    if (size < 1)
        return 0;
    struct slice file = slice_make(data + 1, size - 1);
    struct slice footer = footer_of(file);
    if (!footer.p || parquet_footer_parse(&f, footer, NULL) < 0 || cells_of(&f) > CELLS_MAX ||
        !put_nodes(&b, &f, 0, data[0]) || shape_finish(&b, &columns, NULL) < 0)
        return 0;
    struct err err = ERR_INIT;
    struct source source = {.size_bytes = file.n, .read = read_memory, .arg = &file};
    int rc = equality_read(columns, footer, &source, &set, &err);
    assert(rc == -err.code);
    if (rc < 0)
        return 0;
    rc = rows_of(columns, set, &file, &gone);
    assert(rc == 0);
    assert(roaring_count(gone) == f.rows && equality_set_count(set) <= f.rows);
    none = equality_builder_new(columns, NULL);
    rc = none ? equality_builder_end(none, &empty, NULL) : -ENOMEM;
    assert(rc == 0);
    rc = rows_of(columns, empty, &file, &nothing);
    assert(rc == 0 && roaring_count(nothing) == 0);
    return 0;
}
