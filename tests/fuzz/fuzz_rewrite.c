/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property: whatever bitmap and file are, the rewriter ends in bounded memory; where it does not
 * refuse, it writes the presented size exactly, and the new footer has the rows that are left.
 *
 *   [how to widen: 1 byte; from 128 on, how to mask][bytes of the bitmap: 2][bitmap][file]
 */
#include <assert.h>

#include "base/limits.h"
#include "lake/format/parquet_rewrite.h"
#include "tests/fuzz/parquet_memory.h"

#define WRITTEN_MAX (16 * MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int write_memory(void *arg, struct slice bytes, struct err *err)
{
    struct buf *out = arg;
    buf_add_slice(out, bytes);
    return buf_check(out, err);
}

static int rewind_memory(void *arg, struct err *err)
{
    (void)err;
    buf_reset(arg);
    return 0;
}

/* Top-level leaves become wider, as the input says; everything else stays. */
static int widen(const struct parquet_footer *f, unsigned how, struct shape **out)
{
    AUTO(shape_builder) struct shape_builder b;
    shape_builder_init(&b, SHAPE_BY_NAME);
    for (size_t i = 1; i < f->nodes_n; i = f->nodes[i].end) {
        const struct parquet_node *node = &f->nodes[i];
        struct shape_field field = {.name = node->name,
                                    .id = SHAPE_NO_ID,
                                    .nullable = true,
                                    .kind = SHAPE_LEAF,
                                    .type = SHAPE_STORED};
        if (node->leaf != PARQUET_NO_LEAF && node->type == PARQUET_FLOAT)
            field.type = SHAPE_DOUBLE;
        else if (node->leaf != PARQUET_NO_LEAF && node->type == PARQUET_INT32)
            field.type = how % 4 == 0   ? SHAPE_INT64
                         : how % 4 == 1 ? SHAPE_DOUBLE
                         : how % 4 == 2 ? SHAPE_TIMESTAMP_LOCAL
                                        : SHAPE_DECIMAL;
        field.precision = 38;
        field.scale = (uint8_t)(how / 4 % 20);
        shape_add(&b, &field);
    }
    return shape_finish(&b, out, NULL);
}

/* Masks that fit some type, one after the other, of leaves as far as they can be of such types. */
static int mask(const struct parquet_footer *f, unsigned how, struct shape **out)
{
    static const uint8_t types[][2] = {
        [PARQUET_BOOLEAN] = {SHAPE_BOOLEAN, SHAPE_BOOLEAN},
        [PARQUET_INT32] = {SHAPE_INT32, SHAPE_DATE},
        [PARQUET_INT64] = {SHAPE_INT64, SHAPE_TIMESTAMP},
        [PARQUET_INT96] = {SHAPE_TIMESTAMP, SHAPE_TIMESTAMP},
        [PARQUET_FLOAT] = {SHAPE_FLOAT, SHAPE_DOUBLE},
        [PARQUET_DOUBLE] = {SHAPE_DOUBLE, SHAPE_DOUBLE},
        [PARQUET_BYTE_ARRAY] = {SHAPE_STRING, SHAPE_BINARY},
        [PARQUET_FIXED_LEN_BYTE_ARRAY] = {SHAPE_BINARY, SHAPE_BINARY},
    };
    AUTO(shape_builder) struct shape_builder b;
    shape_builder_init(&b, SHAPE_BY_NAME);
    shape_confine(&b, NULL);
    for (size_t i = 1, n = how; i < f->nodes_n; i = f->nodes[i].end, n++) {
        const struct parquet_node *node = &f->nodes[i];
        bool leaf = node->leaf != PARQUET_NO_LEAF && node->type < ARRAY_SIZE(types);
        struct shape_field field = {
            .name = node->name, .id = SHAPE_NO_ID, .nullable = true, .kind = SHAPE_LEAF};
        field.type = leaf ? types[node->type][how / 16 % 2] : SHAPE_STORED;
        for (unsigned m = 0; m <= SHAPE_MASK_SHA256_LOCAL && !field.mask; m++) {
            unsigned next = (unsigned)(n + m) % (SHAPE_MASK_SHA256_LOCAL + 1);
            field.mask = shape_mask_fits(&field, next) ? (uint8_t)next : SHAPE_MASK_NONE;
        }
        shape_add(&b, &field);
    }
    return shape_finish(&b, out, NULL);
}

static void check(const struct buf *out, const struct present_plan *plan, uint64_t rows)
{
    AUTO(parquet_footer) struct parquet_footer f = {0};
    struct err err = ERR_INIT;
    assert(out->len == plan->presented_bytes);
    struct slice footer = footer_of(buf_slice(out));
    if (!footer.p || parquet_footer_parse(&f, footer, &err) < 0) {
        (void)fprintf(stderr, "the new footer: %s\n", err.msg);
        abort();
    }
    assert(f.rows == rows);
    for (size_t g = 0; g < f.groups_n; g++)
        for (size_t i = 0; i < f.leaves_n; i++)
            assert(f.chunks[g][i].offset + f.chunks[g][i].size_bytes <= out->len - footer.n - 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    size_t n = data[1] | (size_t)data[2] << 8;
    struct slice rest = slice_make(data + 3, size - 3);
    n = n < rest.n ? n : rest.n;
    struct slice file = slice_from(rest, n);
    struct present_request r = {.footer = footer_of(file),
                                .object_bytes = file.n,
                                .presented_bytes = file.n + 64 * KIB + file.n / 16,
                                .deletes = true};
    AUTO(parquet_footer) struct parquet_footer f = {0};
    AUTO(roaring) struct roaring *deleted = NULL;
    AUTO(shape) struct shape *shape = NULL;
    AUTO(present_plan) struct present_plan *plan = NULL;
    AUTO(buf) struct buf out = {0};
    struct err err = ERR_INIT;
    if (!r.footer.p || parquet_footer_parse(&f, r.footer, NULL) < 0 || cells_of(&f) > CELLS_MAX)
        return 0;
    (void)roaring_parse(slice_make(rest.p, n), &deleted, NULL); /* or none are gone */
    if (data[0] && (data[0] < 128 ? widen : mask)(&f, data[0], &shape) < 0)
        return 0;
    r.shape = shape;
    r.deletes = data[0] < 128 || deleted;
    if (present_plan(&r, &plan, NULL) < 0 || plan->kind != PRESENT_REWRITE)
        return 0;
    buf_init(&out, WRITTEN_MAX);
    struct source source = {.size_bytes = file.n, .read = read_memory, .arg = &file};
    struct parquet_sink sink = {write_memory, rewind_memory, &out};
    int rc = parquet_rewrite(&source, plan, deleted, &sink, &err);
    assert(rc == -err.code);
    uint64_t gone = deleted ? roaring_count_between(deleted, 0, f.rows) : 0;
    if (rc == 0)
        check(&out, plan, f.rows - gone);
    return 0;
}
