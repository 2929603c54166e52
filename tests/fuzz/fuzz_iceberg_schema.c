/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: constants of a partition, a newline, a name mapping, a newline, a schema. Property:
 * whatever it is, a shape that comes out holds what shape.h says, is the same each time, and is the
 * same columns under any constants; constants that are read fit their columns; a path that is built
 * of a partition of it is one that is kept.
 */
#include <assert.h>

#include "base/limits.h"
#include "lake/format/present_types.h"
#include "lake/iceberg/partition.h"
#include "lake/iceberg/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice next_line(struct slice *rest)
{
    ptrdiff_t end = slice_find(*rest, '\n');
    struct slice line = slice_make(rest->p, end < 0 ? rest->n : (size_t)end);
    *rest = slice_from(*rest, end < 0 ? rest->n : line.n + 1);
    return line;
}

static void check_constant(const struct shape_field *f)
{
    if (!f->has_constant || f->kind != SHAPE_LEAF)
        return;
    struct present_type t = present_type_new(f);
    size_t bytes = t.type == PARQUET_BOOLEAN ? 1 : parquet_type_bytes(t.type, t.length);
    assert(t.type == PARQUET_BYTE_ARRAY || f->constant.n == bytes);
}

static void check_shape(const struct shape *s)
{
    for (size_t i = 0; i < s->fields_n; i++) {
        assert(s->fields[i].end > i && s->fields[i].end <= s->fields_n);
        check_constant(&s->fields[i]);
    }
}

/* A value for a field, of any kind. */
static struct iceberg_value value_of(size_t i, struct slice bytes)
{
    struct iceberg_value v = {.kind = (enum iceberg_value_kind)(i % (ICEBERG_BYTES + 1)),
                              .bytes = bytes};
    memcpy(&v.number, bytes.p ? bytes.p : "",
           bytes.n < sizeof v.number ? bytes.n : sizeof v.number);
    v.real = (double)v.number;
    return v;
}

/* Each transform once, of each of the first columns. */
static void try_partition(const struct shape *s, struct slice schema, struct slice bytes)
{
    static const char *const names[] = {"identity", "bucket[4]", "truncate[3]", "year",    "month",
                                        "day",      "hour",      "void",        "odd[1,2]"};
    AUTO(arena) struct arena arena;
    AUTO(buf) struct buf path;
    struct iceberg_partition_field fields[ARRAY_SIZE(names)];
    struct iceberg_value values[ARRAY_SIZE(names)];
    struct iceberg_partition_schemas schemas = {&schema, 1};
    struct iceberg_partition p;
    bool keeps = false;
    arena_init(&arena, 64 * MIB);
    buf_init(&path, 64 * MIB);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const struct shape_field *f = &s->fields[i % s->fields_n];
        fields[i] = (struct iceberg_partition_field){
            f->id, (int32_t)(1000 + i), f->name.n ? f->name : SLICE_LIT("f"), slice_of(names[i])};
        values[i] = value_of(i + bytes.n, bytes);
    }
    if (iceberg_partition_make(&arena, fields, ARRAY_SIZE(names), &schemas, &p, NULL) < 0)
        return;
    iceberg_partition_constants(&p, values, &path);
    assert(!memchr(path.data ? path.data : "", '\n', path.len));
    buf_reset(&path);
    if (iceberg_partition_build(&p, values, SLICE_LIT("x/y"), &path, NULL) < 0)
        return;
    bool hidden = path.data[0] == '_' || path.data[0] == '.' ||
                  memmem(path.data, path.len, "/_", 2) || memmem(path.data, path.len, "/.", 2);
    /* A name with a slash or nothing in it is escaped; one that begins so is kept by nobody. */
    if (iceberg_partition_keeps(&p, values, buf_slice(&path), &keeps, NULL) == 0)
        assert(keeps || hidden);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(shape) struct shape *shape = NULL;
    AUTO(shape) struct shape *again = NULL;
    AUTO(shape) struct shape *own = NULL;
    struct err err = ERR_INIT;
    struct slice rest = slice_make(data, size);
    struct slice constants = next_line(&rest), mapping = next_line(&rest);
    int rc = iceberg_schema_shape(rest, mapping, &shape, &err);
    assert(rc == -err.code && (rc == 0 || !shape));
    if (!shape)
        return 0;
    check_shape(shape);
    assert(iceberg_schema_shape(rest, mapping, &again, NULL) == 0 && again->hash == shape->hash);
    assert(iceberg_schema_same(shape, again));
    try_partition(shape, rest, constants);
    if (iceberg_partition_own_shape(constants, shape, &own, NULL) < 0)
        return 0;
    check_shape(own);
    assert(iceberg_schema_same(shape, own) && own->match == shape->match);
    return 0;
}
