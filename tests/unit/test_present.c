/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is decided from a footer alone; tests/e2e/test_transform.py reads what comes of it. Footers
 * are made here, of schemas that few writers use any more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/format/parquet_meta.h"
#include "lake/format/present.h"

#define DATA_BYTES 100 /* of each chunk */
#define ROWS 10

/* A line of a schema: children in number, 0 for leaves. */
struct line {
    const char *name;
    int children, type, repetition, converted, id;
};

#define NONE (-1)

static void put_line(struct thrift_out *t, const struct line *l, bool root)
{
    thrift_put_item(t);
    if (l->children == 0)
        thrift_put_int(t, 1, THRIFT_I32, l->type);
    if (!root)
        thrift_put_int(t, 3, THRIFT_I32, l->repetition);
    thrift_put_binary(t, 4, slice_of(l->name));
    if (l->children)
        thrift_put_int(t, 5, THRIFT_I32, l->children);
    if (l->converted != NONE)
        thrift_put_int(t, 6, THRIFT_I32, l->converted);
    if (l->id)
        thrift_put_int(t, 9, THRIFT_I32, l->id);
    thrift_put_end(t);
}

static void put_chunk(struct thrift_out *t, const struct line *l, int64_t offset)
{
    thrift_put_item(t);
    thrift_put_int(t, 2, THRIFT_I64, offset);
    thrift_put_struct(t, 3);
    thrift_put_int(t, 1, THRIFT_I32, l->type);
    thrift_put_list(t, 2, THRIFT_I32, 1);
    thrift_put_item_int(t, 0);
    thrift_put_list(t, 3, THRIFT_BINARY, 1);
    thrift_put_item_binary(t, slice_of(l->name));
    thrift_put_int(t, 4, THRIFT_I32, 0);
    thrift_put_int(t, 5, THRIFT_I64, ROWS);
    thrift_put_int(t, 6, THRIFT_I64, DATA_BYTES);
    thrift_put_int(t, 7, THRIFT_I64, DATA_BYTES);
    thrift_put_int(t, 9, THRIFT_I64, offset);
    thrift_put_end(t);
    thrift_put_end(t);
}

/* A file of one row group whose chunks follow one another from byte 4 on. */
static void make_footer(const struct line *lines, size_t n, struct buf *out)
{
    struct thrift_out t = thrift_out_make(out);
    int64_t leaves = 0;
    for (size_t i = 0; i < n; i++)
        leaves += lines[i].children == 0;
    thrift_put_int(&t, 1, THRIFT_I32, 1);
    thrift_put_list(&t, 2, THRIFT_STRUCT_TYPE, n);
    for (size_t i = 0; i < n; i++)
        put_line(&t, &lines[i], i == 0);
    thrift_put_int(&t, 3, THRIFT_I64, ROWS);
    thrift_put_list(&t, 4, THRIFT_STRUCT_TYPE, 1);
    thrift_put_item(&t);
    thrift_put_list(&t, 1, THRIFT_STRUCT_TYPE, (size_t)leaves);
    int64_t offset = 4;
    for (size_t i = 0; i < n; i++)
        if (lines[i].children == 0) {
            put_chunk(&t, &lines[i], offset);
            offset += DATA_BYTES;
        }
    thrift_put_int(&t, 2, THRIFT_I64, leaves * DATA_BYTES);
    thrift_put_int(&t, 3, THRIFT_I64, ROWS);
    thrift_put_end(&t);
    thrift_put_list(&t, 5, THRIFT_STRUCT_TYPE, 2);
    static const char *const keys[] = {"ARROW:schema", "org.apache.spark.version"};
    static const char *const texts[] = {"words of old names", "3.5.1"};
    for (size_t i = 0; i < 2; i++) {
        thrift_put_item(&t);
        thrift_put_binary(&t, 1, slice_of(keys[i]));
        thrift_put_binary(&t, 2, slice_of(texts[i]));
        thrift_put_end(&t);
    }
    thrift_put_binary(&t, 6, SLICE_LIT("writer"));
    thrift_put_end(&t);
    assert_int_equal(buf_check(out, NULL), 0);
}

static int plan(const struct line *lines, size_t n, struct shape_builder *b, bool deletes,
                struct present_plan **out, struct err *err)
{
    AUTO(buf) struct buf footer = {0};
    AUTO(shape) struct shape *shape = NULL;
    buf_init(&footer, MIB);
    make_footer(lines, n, &footer);
    if (b)
        assert_int_equal(shape_finish(b, &shape, err), 0);
    struct present_request r = {.footer = buf_slice(&footer),
                                .object_bytes = 4 + n * DATA_BYTES + footer.len + 8,
                                .shape = shape,
                                .deletes = deletes};
    r.presented_bytes = r.object_bytes + 64 * KIB;
    return present_plan(&r, out, err);
}

static void add(struct shape_builder *b, const char *name, const char *stored, int kind, int type)
{
    shape_add(b, &(struct shape_field){.name = slice_of(name),
                                       .stored = slice_of(stored),
                                       .id = SHAPE_NO_ID,
                                       .kind = (uint8_t)kind,
                                       .type = (uint8_t)type,
                                       .nullable = true});
}

static const struct line three[] = {
    {"root", 3, 0, 0, NONE, 0},
    {"a", 0, PARQUET_INT32, PARQUET_OPTIONAL, 15 /* INT_8 */, 1},
    {"b", 0, PARQUET_BYTE_ARRAY, PARQUET_REQUIRED, 0 /* UTF8 */, 2},
    {"C", 0, PARQUET_DOUBLE, PARQUET_OPTIONAL, NONE, 3},
};

static void check_extents(const struct present_plan *p)
{
    uint64_t at = 0;
    for (size_t i = 0; i < p->extents_n; i++) {
        const struct present_extent *e = &p->extents[i];
        assert_int_equal(e->offset, at);
        assert_true(e->length > 0);
        if (e->from == PRESENT_OBJECT)
            assert_true(e->length <= p->object_bytes && e->at <= p->object_bytes - e->length);
        if (e->from == PRESENT_OWN)
            assert_true(e->length <= p->own.n && e->at <= p->own.n - e->length);
        at += e->length;
    }
    assert_int_equal(at, p->presented_bytes);
}

/* The footer that a FOOTER plan ends with. */
static struct parquet_meta read_back(const struct present_plan *p)
{
    struct parquet_meta m;
    struct err err = ERR_INIT;
    uint32_t length;
    assert_memory_equal(p->own.p + p->own.n - 4, "PAR1", 4);
    memcpy(&length, p->own.p + p->own.n - 8, sizeof length);
    struct slice footer = slice_make(p->own.p + p->own.n - 8 - length, length);
    assert_int_equal(parquet_meta_parse(&m, footer, &err), 0);
    return m;
}

/* Aim: a file that has the table's columns is the object, zeros, and its footer again. */
static void test_same(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct shape_builder b;
    shape_builder_init(&b, SHAPE_BY_NAME);
    add(&b, "a", "", SHAPE_LEAF, SHAPE_INT8);
    add(&b, "b", "", SHAPE_LEAF, SHAPE_STRING);
    add(&b, "C", "", SHAPE_LEAF, SHAPE_DOUBLE);
    AUTO(present_plan) struct present_plan *p = NULL;
    assert_int_equal(plan(three, 4, &b, false, &p, &err), 0);
    assert_int_equal(p->kind, PRESENT_SAME);
    assert_int_equal(p->extents_n, 3);
    assert_int_equal(p->extents[0].length, p->object_bytes);
    assert_int_equal(p->extents[1].from, PRESENT_ZEROS);
    assert_int_equal(p->extents[2].at + p->extents[2].length, p->object_bytes);
    check_extents(p);

    present_plan_free(STEAL(p));
    assert_int_equal(plan(three, 4, NULL, false, &p, &err), 0);
    assert_int_equal(p->kind, PRESENT_SAME);
    present_plan_free(STEAL(p));
    assert_int_equal(plan(three, 4, NULL, true, &p, &err), 0);
    assert_int_equal(p->kind, PRESENT_REWRITE);
    assert_int_equal(p->leaves_n, 3);
}

/* Aim: what is dropped is zeros, and no word of it or of key-value metadata is in the footer. */
static void test_drop_rename(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct shape_builder b;
    shape_builder_init(&b, SHAPE_BY_NAME);
    add(&b, "price", "c", SHAPE_LEAF, SHAPE_DOUBLE); /* case differs, and nothing else is meant */
    add(&b, "a", "", SHAPE_LEAF, SHAPE_INT32);
    add(&b, "new", "", SHAPE_LEAF, SHAPE_DATE);
    AUTO(present_plan) struct present_plan *p = NULL;
    assert_int_equal(plan(three, 4, &b, false, &p, &err), 0);
    assert_int_equal(p->kind, PRESENT_FOOTER);
    assert_int_equal(p->changes.dropped, 1);
    assert_int_equal(p->changes.filled, 1);
    assert_int_equal(p->changes.renamed, 1);
    assert_int_equal(p->changes.relabelled, 1);
    assert_true(p->changes.moved);
    check_extents(p);
    /* PAR1, a, zeros over b, C, pages, zeros, footer */
    assert_int_equal(p->extents_n, 7);
    assert_int_equal(p->extents[1].at, 4);
    assert_int_equal(p->extents[2].from, PRESENT_ZEROS);
    assert_int_equal(p->extents[2].length, DATA_BYTES);
    assert_int_equal(p->extents[3].at, 4 + 2 * DATA_BYTES);
    assert_null(memmem(p->own.p, p->own.n, "words of old names", 18));
    AUTO(parquet_meta) struct parquet_meta m = read_back(p);
    assert_int_equal(m.footer.leaves_n, 3);
    assert_true(slice_is(m.footer.nodes[1].name, "price"));
    assert_int_equal(m.footer.chunks[0][0].offset, 4 + 2 * DATA_BYTES);
    assert_int_equal(m.elements[2].logical.annotation, PARQUET_NONE); /* was INT(8) */
    assert_int_equal(m.pairs_n, 1);
    assert_true(slice_is(m.pairs[0].key, "org.apache.spark.version"));
    assert_true(slice_is(m.created_by, "writer"));
}

/* Aim: where the file has ids they count, names do not; they are written. */
static void test_ids(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct shape_builder b;
    shape_builder_init(&b, SHAPE_BY_ID);
    static const int ids[] = {3, 9};
    for (size_t i = 0; i < 2; i++)
        shape_add(&b, &(struct shape_field){.name = slice_of(i ? "b" : "x"),
                                            .id = ids[i],
                                            .type = i ? SHAPE_STRING : SHAPE_DOUBLE,
                                            .nullable = true});
    AUTO(present_plan) struct present_plan *p = NULL;
    assert_int_equal(plan(three, 4, &b, false, &p, &err), 0);
    assert_int_equal(p->changes.filled, 1); /* "b" has another id in the file */
    AUTO(parquet_meta) struct parquet_meta m = read_back(p);
    assert_int_equal(m.elements[1].id, 3);
    assert_int_equal(m.elements[2].id, 9);
}

/* Aim: types that tables do not widen are refused in words that name column and types. */
static void test_mismatch(void **state)
{
    (void)state;
    static const struct {
        const char *column;
        int type;
        const char *words;
    } cases[] = {
        {"a", SHAPE_STRING, "column \"a\": the table has string, the file has INT(8)"},
        {"b", SHAPE_INT64, "column \"b\": the table has int64, the file has STRING"},
        {"C", SHAPE_FLOAT, "column \"C\": the table has float, the file has DOUBLE"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = ERR_INIT;
        struct shape_builder b;
        shape_builder_init(&b, SHAPE_BY_NAME);
        add(&b, cases[i].column, "", SHAPE_LEAF, cases[i].type);
        AUTO(present_plan) struct present_plan *p = NULL;
        assert_int_equal(plan(three, 4, &b, false, &p, &err), -EOPNOTSUPP);
        assert_string_equal(err.msg, cases[i].words);
    }
}

/* Aim: values that change are rewritten, each by the conversion that its types need. */
static void test_widen(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct shape_builder b;
    shape_builder_init(&b, SHAPE_BY_NAME);
    add(&b, "a", "", SHAPE_LEAF, SHAPE_INT64);
    add(&b, "b", "", SHAPE_LEAF, SHAPE_STRING);
    AUTO(present_plan) struct present_plan *p = NULL;
    assert_int_equal(plan(three, 4, &b, false, &p, &err), 0);
    assert_int_equal(p->kind, PRESENT_REWRITE);
    assert_int_equal(p->leaves[0].how, PRESENT_INT_TO_INT);
    assert_int_equal(p->nodes[1].type, PARQUET_INT64);
    assert_int_equal(p->leaves[1].how, PRESENT_COPY);
}

/* A list as each of its writers had it; the leaves are `x` and, of structs of two, `y`. */
static const struct line three_levels[] = {
    {"root", 1, 0, 0, NONE, 0},
    {"l", 1, 0, PARQUET_OPTIONAL, 3, 0},
    {"list", 1, 0, PARQUET_REPEATED, NONE, 0},
    {"element", 2, 0, PARQUET_OPTIONAL, NONE, 0},
    {"x", 0, PARQUET_INT32, PARQUET_OPTIONAL, NONE, 0},
    {"y", 0, PARQUET_INT32, PARQUET_OPTIONAL, NONE, 0},
};
static const struct line two_levels[] = {
    {"root", 1, 0, 0, NONE, 0},
    {"l", 1, 0, PARQUET_OPTIONAL, 3, 0},
    {"bag", 2, 0, PARQUET_REPEATED, NONE, 0},
    {"x", 0, PARQUET_INT32, PARQUET_OPTIONAL, NONE, 0},
    {"y", 0, PARQUET_INT32, PARQUET_OPTIONAL, NONE, 0},
};
static const struct line one_level[] = {
    {"root", 1, 0, 0, NONE, 0},
    {"l", 2, 0, PARQUET_REPEATED, NONE, 0},
    {"x", 0, PARQUET_INT32, PARQUET_OPTIONAL, NONE, 0},
    {"y", 0, PARQUET_INT32, PARQUET_OPTIONAL, NONE, 0},
};

/* Aim: a field of the structs in a list is dropped in all three forms, and what is left reads as a
 * list of structs: levels stay, wrappers are put in where one field alone would be taken for one.
 */
static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const struct line *lines;
        size_t n, nodes;
        unsigned definition;
    } forms[] = {
        {three_levels, ARRAY_SIZE(three_levels), 5, 4},
        {two_levels, ARRAY_SIZE(two_levels), 5, 3},
        {one_level, ARRAY_SIZE(one_level), 5, 2},
    };
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        struct err err = ERR_INIT;
        struct shape_builder b;
        shape_builder_init(&b, SHAPE_BY_NAME);
        add(&b, "l", "", SHAPE_LIST, 0);
        add(&b, "e", "", SHAPE_STRUCT, 0);
        add(&b, "y", "", SHAPE_LEAF, SHAPE_INT32);
        shape_end(&b);
        shape_end(&b);
        AUTO(present_plan) struct present_plan *p = NULL;
        assert_int_equal(plan(forms[i].lines, forms[i].n, &b, true, &p, &err), 0);
        assert_int_equal(p->nodes_n, forms[i].nodes);
        assert_int_equal(p->leaves_n, 1);
        const struct parquet_node *leaf = &p->nodes[p->leaves[0].node];
        assert_int_equal(p->leaves[0].source, 1);
        assert_int_equal(leaf->max_definition, forms[i].definition);
        assert_int_equal(leaf->max_repetition, 1);
        assert_int_equal(leaf->depth, 4);
    }
}

/* Aim: nulls below something optional need the levels of a leaf beside them. */
static void test_nested_nulls(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct shape_builder b;
    shape_builder_init(&b, SHAPE_BY_NAME);
    add(&b, "l", "", SHAPE_LIST, 0);
    add(&b, "e", "", SHAPE_STRUCT, 0);
    add(&b, "z", "", SHAPE_LEAF, SHAPE_STRING);
    shape_end(&b);
    shape_end(&b);
    AUTO(present_plan) struct present_plan *p = NULL;
    assert_int_equal(plan(three_levels, ARRAY_SIZE(three_levels), &b, false, &p, &err), 0);
    assert_int_equal(p->kind, PRESENT_REWRITE);
    assert_int_equal(p->leaves_n, 1);
    assert_int_equal(p->leaves[0].how, PRESENT_NULLS);
    assert_int_equal(p->leaves[0].source, 0);
    assert_int_equal(p->leaves[0].parent, 3);
    assert_int_equal(p->leaves[0].definition, 3);
    assert_int_equal(p->leaves[0].repetition, 1);
    assert_int_equal(p->nodes[p->leaves[0].node].max_definition, 4);
}

/* Aim: a file whose columns overlap, so that a hidden one would be shown, is refused. */
static void test_overlap(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(buf) struct buf footer = {0};
    buf_init(&footer, MIB);
    make_footer(three, 4, &footer);
    /* Column b's chunk is said to begin inside of a's; offsets are zigzag varints of two bytes. */
    for (size_t i = 0; i + 3 <= footer.len; i++)
        if (memcmp(footer.data + i, "\x26\xd0\x01", 3) == 0)
            footer.data[i + 1] = (char)0xc8;
    AUTO(shape) struct shape *shape = NULL;
    struct shape_builder b;
    shape_builder_init(&b, SHAPE_BY_NAME);
    add(&b, "a", "", SHAPE_LEAF, SHAPE_INT8);
    assert_int_equal(shape_finish(&b, &shape, &err), 0);
    struct present_request r = {.footer = buf_slice(&footer),
                                .object_bytes = 4 + 3 * DATA_BYTES + footer.len + 8,
                                .shape = shape};
    r.presented_bytes = r.object_bytes + 64 * KIB;
    AUTO(present_plan) struct present_plan *p = NULL;
    assert_int_equal(present_plan(&r, &p, &err), -EIO);
    assert_non_null(strstr(err.msg, "overlap"));
}

/* Aim: what does not fit is refused before anything is presented. */
static void test_room(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(buf) struct buf footer = {0};
    AUTO(shape) struct shape *shape = NULL;
    struct shape_builder b;
    char name[16];
    buf_init(&footer, MIB);
    make_footer(three, 4, &footer);
    shape_builder_init(&b, SHAPE_BY_NAME);
    add(&b, "a", "", SHAPE_LEAF, SHAPE_INT8);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "n%d", i);
        add(&b, name, "", SHAPE_LEAF, SHAPE_STRING);
    }
    assert_int_equal(shape_finish(&b, &shape, &err), 0);
    struct present_request r = {.footer = buf_slice(&footer),
                                .object_bytes = 4 + 3 * DATA_BYTES + footer.len + 8,
                                .shape = shape};
    r.presented_bytes = r.object_bytes;
    AUTO(present_plan) struct present_plan *p = NULL;
    assert_int_equal(present_plan(&r, &p, &err), -EOPNOTSUPP);
    for (r.presented_bytes = r.object_bytes; !p && r.presented_bytes < 64 * KIB;
         r.presented_bytes++)
        (void)present_plan(&r, &p, NULL);
    assert_non_null(p);
    check_extents(p); /* at the first size that is enough, it is full */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),         cmocka_unit_test(test_drop_rename),
        cmocka_unit_test(test_ids),          cmocka_unit_test(test_mismatch),
        cmocka_unit_test(test_widen),        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_nested_nulls), cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
