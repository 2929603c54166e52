/* SPDX-License-Identifier: Apache-2.0 */
/* Property: whatever a footer says, its plan presents the promised size exactly, takes from the
 * object only what is in it, and ends with a footer that can be read and has the plan's columns. */
#include <assert.h>

#include "base/limits.h"
#include "lake/format/parquet_meta.h"
#include "lake/format/present.h"

#define OBJECT_BYTES (16 * MIB)
#define SLACK (MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(struct shape_builder *b, struct slice name, int kind, int type, int id,
                uint8_t choice)
{
    struct shape_field field = {.kind = (uint8_t)kind, .type = (uint8_t)type};
    uint8_t mask = (uint8_t)((unsigned)(choice + id) % (SHAPE_MASK_SHA256_LOCAL + 1));
    if (!(choice & 32) || !shape_mask_fits(&field, mask))
        mask = SHAPE_MASK_NONE;
    shape_add(b, &(struct shape_field){.name = name,
                                       .id = id,
                                       .kind = (uint8_t)kind,
                                       .type = (uint8_t)type,
                                       .precision = 20,
                                       .scale = 3,
                                       .length = 3,
                                       .mask = mask,
                                       .nullable = true});
}

/* The footer's own columns, every other one dropped, lists and structs of fields that it may have,
 * and some that it has not. */
static struct shape *make_shape(const struct parquet_footer *f, uint8_t choice)
{
    struct shape_builder b;
    struct shape *shape = NULL;
    shape_builder_init(&b, choice & 1 ? SHAPE_BY_ID : SHAPE_BY_NAME);
    if (choice & 64)
        shape_confine(&b, NULL);
    unsigned n = 0;
    for (uint32_t i = 1; i < f->nodes_n && n < 64; i = f->nodes[i].end, n++) {
        int type = (choice & 2) ? SHAPE_STORED : (int)((n + choice) % (SHAPE_STORED + 1));
        if (n % 2 == (choice >> 2 & 1))
            continue;
        bool leaf = f->nodes[i].leaf != PARQUET_NO_LEAF;
        int kind = (int)(SHAPE_STRUCT + (n + choice) % 3);
        add(&b, f->nodes[i].name, leaf ? SHAPE_LEAF : kind, type, (int)n, choice);
        if (leaf)
            continue;
        if (kind == SHAPE_MAP)
            add(&b, SLICE_LIT("k"), SHAPE_LEAF, SHAPE_STORED, 1000, choice);
        add(&b, i + 1 < f->nodes_n ? f->nodes[i + 1].name : SLICE_LIT("x"), SHAPE_LEAF,
            SHAPE_STORED, 1001, choice);
        shape_end(&b);
    }
    add(&b, SLICE_LIT("a column that no file has"), SHAPE_LEAF, SHAPE_STRING, 70000, choice);
    assert(shape_finish(&b, &shape, NULL) == 0);
    return shape;
}

static void check_extents(const struct present_plan *p)
{
    uint64_t at = 0;
    for (size_t i = 0; i < p->extents_n; i++) {
        const struct present_extent *e = &p->extents[i];
        uint64_t room = e->from == PRESENT_OBJECT ? p->object_bytes
                        : e->from == PRESENT_OWN  ? p->own.n
                                                  : UINT64_MAX;
        assert(e->offset == at && e->length > 0);
        assert(e->from == PRESENT_ZEROS || (e->length <= room && e->at <= room - e->length));
        at += e->length;
    }
    assert(at == p->presented_bytes);
}

static void check_footer(struct slice end)
{
    AUTO(parquet_meta) struct parquet_meta m = {0};
    struct err err = ERR_INIT;
    uint32_t length;
    assert(end.n > 8 && memcmp(end.p + end.n - 4, "PAR1", 4) == 0);
    memcpy(&length, end.p + end.n - 8, sizeof length);
    assert(length <= end.n - 8);
    assert(parquet_meta_parse(&m, slice_make(end.p + end.n - 8 - length, length), &err) == 0);
}

static void check_rewrite(const struct present_plan *p)
{
    AUTO(buf) struct buf out = {0};
    struct present_chunk chunks[64] = {{.data_offset = 4}};
    struct present_group group = {.rows = 1, .chunks = chunks};
    for (size_t i = 0; i < p->leaves_n; i++) {
        const struct present_leaf *l = &p->leaves[i];
        const struct parquet_node *node = &p->nodes[l->node];
        assert(node->leaf == i);
        assert(l->source == PARQUET_NO_LEAF || l->source < p->stored->leaves_n);
        if (l->how == PRESENT_COPY) {
            const struct parquet_node *s = &p->stored->nodes[p->stored->leaves[l->source]];
            assert(s->max_definition == node->max_definition && s->type == node->type);
            assert(s->max_repetition == node->max_repetition);
        }
    }
    buf_init(&out, 2 * FOOTER_BYTES_MAX);
    if (p->leaves_n <= ARRAY_SIZE(chunks) && p->stored->groups_n) {
        assert(present_footer(p, &group, 1, &out, NULL) == 0);
        check_footer(buf_slice(&out));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    AUTO(parquet_footer) struct parquet_footer f = {0};
    AUTO(shape) struct shape *shape = NULL;
    AUTO(present_plan) struct present_plan *p = NULL;
    uint8_t choice = size ? data[0] : 0;
    struct slice footer = slice_make(size ? data + 1 : data, size ? size - 1 : 0);
    if (parquet_footer_parse(&f, footer, &err) == 0 && !(choice & 8))
        shape = make_shape(&f, choice);
    struct present_request r = {.footer = footer,
                                .object_bytes = OBJECT_BYTES,
                                .presented_bytes = OBJECT_BYTES + SLACK,
                                .shape = shape,
                                .deletes = choice & 16};
    if (present_plan(&r, &p, &err) < 0) {
        assert(err.code && !p);
        return 0;
    }
    if (p->kind == PRESENT_REWRITE) {
        check_rewrite(p);
        return 0;
    }
    check_extents(p);
    assert(p->kind == PRESENT_FOOTER || !shape || !shape->confined);
    if (p->kind == PRESENT_FOOTER)
        check_footer(p->own);
    return 0;
}
