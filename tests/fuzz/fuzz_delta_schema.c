/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a line of statistics, a newline, a schema; or a deletion vector's description. Property:
 * whatever it is, a shape that comes out holds what shape.h says, the same schema has the same
 * hash, what is shown of it is JSON, and a description that is written is read again.
 */
#include <assert.h>

#include "base/json.h"
#include "base/limits.h"
#include "lake/delta/deletion_vector.h"
#include "lake/delta/schema_shown.h"
#include "lake/delta/stats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_shown(const struct delta_metadata *m, const struct shape *shape)
{
    AUTO(buf) struct buf out;
    struct delta_columns none = {.n = 0};
    struct json j;
    buf_init(&out, 64 * MIB);
    if (delta_schema_shown(m->schema, &none, shape, &out, NULL) < 0)
        return;
    json_init(&j, buf_slice(&out));
    assert(json_skip(&j, NULL) && json_at_end(&j));
}

static void try_schema(const struct delta_metadata *m, enum delta_mapping mapping)
{
    AUTO(shape) struct shape *shape = NULL;
    struct err err = ERR_INIT;
    int rc = delta_schema_shape(m, mapping, &shape, &err);
    assert(rc == -err.code && (rc == 0 || !shape));
    for (size_t i = 0; shape && i < shape->fields_n; i++)
        assert(shape->fields[i].end > i && shape->fields[i].end <= shape->fields_n);
    if (shape)
        try_shown(m, shape);
    assert(delta_schema_hash(m, mapping) == delta_schema_hash(m, mapping));
}

static void try_dv(struct slice text)
{
    AUTO(buf) struct buf extra, bytes;
    struct delta_dv dv, again;
    buf_init(&extra, 4 * MIB);
    buf_init(&bytes, 4 * MIB);
    (void)delta_z85_decode(text, &bytes);
    assert(bytes.len <= text.n);
    if (delta_dv_parse(text, &dv, NULL) < 0 || delta_dv_format(&dv, &extra, NULL) < 0)
        return;
    assert(delta_dv_parse(buf_slice(&extra), &again, NULL) == 0);
    assert(slice_eq(dv.path, again.path) && dv.offset == again.offset && dv.size == again.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena arena;
    struct slice input = slice_make(data, size), partition = SLICE_LIT("p");
    ptrdiff_t end = slice_find(input, '\n');
    struct slice line = end < 0 ? SLICE_NONE : slice_make(input.p, (size_t)end);
    struct delta_metadata m = {.schema = slice_from(input, (size_t)(end + 1)),
                               .partition_columns = {&partition, size % 2}};
    struct delta_list counted;
    struct delta_columns columns;
    arena_init(&arena, 64 * MIB);
    for (int mapping = DELTA_MAPPING_NONE; mapping <= DELTA_MAPPING_ID; mapping++) {
        try_schema(&m, mapping);
        (void)delta_schema_columns(&arena, &m, mapping, &columns, NULL);
    }
    for (int all = 0; all < 2; all++) {
        delta_schema_counted(&arena, &m, all, &counted);
        (void)delta_stats_lack(line, &counted);
    }
    try_dv(input);
    return 0;
}
