/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/iceberg/partition.h"
#include "lake/iceberg/schema.h"

/* Ids of source columns are those of their types here. */
#define SCHEMA                                                                                     \
    "{\"type\":\"struct\",\"fields\":["                                                            \
    "{\"id\":1,\"name\":\"flag\",\"required\":false,\"type\":\"boolean\"},"                        \
    "{\"id\":2,\"name\":\"n\",\"required\":false,\"type\":\"int\"},"                               \
    "{\"id\":3,\"name\":\"big\",\"required\":false,\"type\":\"long\"},"                            \
    "{\"id\":4,\"name\":\"region\",\"required\":false,\"type\":\"string\"},"                       \
    "{\"id\":5,\"name\":\"day\",\"required\":false,\"type\":\"date\"},"                            \
    "{\"id\":6,\"name\":\"ts\",\"required\":false,\"type\":\"timestamptz\"},"                      \
    "{\"id\":7,\"name\":\"price\",\"required\":false,\"type\":\"decimal(9,2)\"},"                  \
    "{\"id\":8,\"name\":\"real\",\"required\":false,\"type\":\"float\"},"                          \
    "{\"id\":9,\"name\":\"bytes\",\"required\":false,\"type\":\"binary\"},"                        \
    "{\"id\":10,\"name\":\"u\",\"required\":false,\"type\":\"uuid\"},"                             \
    "{\"id\":11,\"name\":\"at\",\"required\":false,\"type\":\"time\"},"                            \
    "{\"id\":12,\"name\":\"ns\",\"required\":false,\"type\":\"timestamp_ns\"},"                    \
    "{\"id\":13,\"name\":\"s\",\"required\":false,\"type\":{\"type\":\"struct\",\"fields\":["      \
    "{\"id\":14,\"name\":\"in\",\"required\":false,\"type\":\"int\"}]}},"                          \
    "{\"id\":15,\"name\":\"must\",\"required\":true,\"type\":\"int\"}]}"

static void make(struct arena *arena, const struct iceberg_partition_field *fields, size_t n,
                 struct iceberg_partition *out)
{
    struct slice schema = SLICE_LIT(SCHEMA);
    struct iceberg_partition_schemas schemas = {&schema, 1};
    arena_init(arena, MIB);
    assert_int_equal(iceberg_partition_make(arena, fields, n, &schemas, out, NULL), 0);
}

static struct iceberg_value number(int64_t n)
{
    return (struct iceberg_value){.kind = ICEBERG_NUMBER, .number = n};
}

static struct iceberg_value bytes(const void *p, size_t n)
{
    return (struct iceberg_value){.kind = ICEBERG_BYTES, .bytes = slice_make(p, n)};
}

static struct iceberg_value text(const char *s)
{
    return bytes(s, strlen(s));
}

static struct iceberg_value real(double v)
{
    return (struct iceberg_value){.kind = ICEBERG_REAL, .real = v};
}

static const struct iceberg_value null = {.kind = ICEBERG_NULL};

static void check_text(const char *transform, int32_t source, struct iceberg_value v,
                       const char *want)
{
    AUTO(arena) struct arena arena;
    AUTO(buf) struct buf out;
    struct iceberg_partition p;
    struct iceberg_partition_field f = {source, 1000, SLICE_LIT("f"), slice_of(transform)};
    make(&arena, &f, 1, &p);
    buf_init(&out, KIB);
    iceberg_partition_text(&p.at[0], &v, &out);
    assert_string_equal(out.data, want);
}

/* Aim: values are written as Iceberg's own writers put them into paths. */
static void test_texts(void **state)
{
    (void)state;
    static const uint8_t uuid[] = {0xf7, 0x9c, 0x3e, 0x09, 0x67, 0x7c, 0x4b, 0xbd,
                                   0xa4, 0x79, 0x3f, 0x34, 0x9c, 0xb7, 0x85, 0xe7};
    check_text("identity", 1, number(1), "true");
    check_text("identity", 2, number(-7), "-7");
    check_text("identity", 4, text("a/b"), "a/b");
    check_text("identity", 5, number(0), "1970-01-01");
    check_text("identity", 5, number(-1), "1969-12-31");
    check_text("identity", 5, number(20513), "2026-03-01");
    check_text("identity", 5, number(-719528), "0000-01-01");
    check_text("identity", 6, number(1684161045000000), "2023-05-15T14:30:45+00:00");
    check_text("identity", 6, number(-1), "1969-12-31T23:59:59.999999+00:00");
    check_text("identity", 12, number(1), "1970-01-01T00:00:00.000000001");
    check_text("identity", 11, number(36000000001), "10:00:00.000001");
    check_text("identity", 7, bytes("\x01\x3a", 2), "3.14");
    check_text("identity", 7, bytes("\xff", 1), "-0.01");
    check_text("identity", 7, bytes("\x00", 1), "0.00");
    check_text("identity", 8, real((double)1.1F), "1.1");
    check_text("identity", 8, real(2), "2.0");
    check_text("identity", 9, bytes("\x01\x02\x03", 3), "AQID");
    check_text("identity", 9, bytes("\xab", 1), "qw==");
    check_text("identity", 10, bytes(uuid, 16), "f79c3e09-677c-4bbd-a479-3f349cb785e7");
    check_text("truncate[3]", 4, text("ice"), "ice");
    check_text("truncate[10]", 3, number(-10), "-10");
    check_text("bucket[16]", 4, number(3), "3");
    check_text("year", 6, number(56), "2026");
    check_text("month", 6, number(-1), "1969-12");
    check_text("day", 6, number(20513), "2026-03-01");
    check_text("hour", 6, number(438296), "2020-01-01-08");
    check_text("hour", 6, number(-8759), "1969-01-01-01");
    check_text("hour", 6, number(-1), "1969-12-31-23");
    check_text("zorder[2]", 2, number(5), "5");
    check_text("identity", 99, text("x"), "x"); /* a column that no schema has any more */
    check_text("identity", 4, null, "null");
    check_text("year", 6, number(INT64_MAX), "9223372036854775807");
}

static const struct iceberg_partition_field spec[] = {
    {6, 1000, {"ts_day", 6}, {"day", 3}},
    {2, 1001, {"old", 3}, {"void", 4}},
    {4, 1002, {"region", 6}, {"identity", 8}},
};

static void check_path(struct iceberg_value day, struct iceberg_value region, const char *path,
                       const char *built)
{
    AUTO(arena) struct arena arena;
    AUTO(buf) struct buf out;
    struct iceberg_partition p;
    struct iceberg_value values[] = {day, null, region};
    bool keeps = built != NULL;
    make(&arena, spec, ARRAY_SIZE(spec), &p);
    buf_init(&out, KIB);
    assert_int_equal(iceberg_partition_keeps(&p, values, slice_of(path), &keeps, NULL), 0);
    assert_int_equal(keeps, built == NULL);
    if (!built)
        return;
    assert_int_equal(iceberg_partition_build(&p, values, slice_of(path), &out, NULL), 0);
    assert_string_equal(out.data, built);
}

/* Aim: a path is kept where its directories say the tuple in order; else it is built of it. */
static void test_paths(void **state)
{
    (void)state;
    struct iceberg_value day = number(20513), eu = text("EU"), odd = text("a b/\xc3\xa9");
    check_path(day, eu, "data/ts_day=2026-03-01/region=EU/x.parquet", NULL);
    check_path(day, eu, "data/ts_day=2026-03-01/more/region=EU/x.parquet", NULL);
    check_path(day, eu, "data/region=EU/ts_day=2026-03-01/x.parquet",
               "ts_day=2026-03-01/region=EU/x.parquet");
    check_path(day, eu, "data/ts_day=2026-03-02/region=EU/x.parquet",
               "ts_day=2026-03-01/region=EU/x.parquet");
    check_path(day, eu, "s3://b/ts_day=2026-03-01/region=EU",
               "ts_day=2026-03-01/region=EU/region=EU");
    check_path(day, eu, "data/_x/ts_day=2026-03-01/region=EU/x.parquet",
               "ts_day=2026-03-01/region=EU/x.parquet");
    check_path(day, eu, "ts_day=2026-03-01/region=EU/.x", "ts_day=2026-03-01/region=EU/x.x");
    check_path(day, odd, "data/ts_day=2026-03-01/region=a b%2F%C3%A9/x", NULL);
    check_path(day, odd, "data/ts_day=2026-03-01/region=a+b%2F%C3%A9/x",
               "ts_day=2026-03-01/region=a b%2F\xc3\xa9/x");
    check_path(day, null, "ts_day=2026-03-01/region=null/x",
               "ts_day=2026-03-01/region=__HIVE_DEFAULT_PARTITION__/x");
    check_path(day, null, "ts_day=2026-03-01/region=__HIVE_DEFAULT_PARTITION__/x", NULL);
    check_path(day, text("null"), "ts_day=2026-03-01/region=null/x", NULL);
    check_path(day, text(""), "x", "ts_day=2026-03-01/region=/x");
    check_path(day, text(""), "ts_day=2026-03-01/region=/x", NULL);
}

/* Aim: of values whose text is open to debate the column's name alone is enough. */
static void test_loose(void **state)
{
    (void)state;
    AUTO(arena) struct arena arena;
    struct iceberg_partition p;
    struct iceberg_partition_field f = {7, 1000, SLICE_LIT("price"), SLICE_LIT("identity")};
    struct iceberg_value v = bytes("\x01\x3a", 2);
    bool keeps = false;
    make(&arena, &f, 1, &p);
    assert_int_equal(iceberg_partition_keeps(&p, &v, SLICE_LIT("price=003.140/x"), &keeps, NULL),
                     0);
    assert_true(keeps);
    assert_int_equal(iceberg_partition_keeps(&p, &null, SLICE_LIT("price=3.14/x"), &keeps, NULL),
                     0);
    assert_false(keeps);
    assert_int_equal(iceberg_partition_build(&p, &v, SLICE_LIT("x/"), &(struct buf){0}, NULL),
                     -EIO);
}

static void check_constant(int32_t source, struct iceberg_value v, const void *want, size_t n)
{
    AUTO(arena) struct arena arena;
    AUTO(buf) struct buf out;
    AUTO(shape) struct shape *shape = NULL;
    AUTO(shape) struct shape *own = NULL;
    struct err err = ERR_INIT;
    struct iceberg_partition p;
    struct iceberg_partition_field fields[] = {
        {source, 1000, SLICE_LIT("f"), SLICE_LIT("identity")},
        {3, 1001, SLICE_LIT("g"), SLICE_LIT("bucket[4]")},
    };
    struct iceberg_value values[] = {v, number(1)};
    make(&arena, fields, 2, &p);
    buf_init(&out, KIB);
    iceberg_partition_constants(&p, values, &out);
    assert_int_equal(iceberg_schema_shape(SLICE_LIT(SCHEMA), SLICE_NONE, &shape, &err), 0);
    if (iceberg_partition_own_shape(buf_slice(&out), shape, &own, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(own->fields_n, shape->fields_n);
    for (size_t i = 1; i < own->fields_n; i++) {
        const struct shape_field *f = &own->fields[i];
        assert_int_equal(f->end, shape->fields[i].end);
        assert_true(slice_eq(f->name, shape->fields[i].name));
        assert_int_equal(f->has_constant, f->id == source && want);
        if (f->has_constant)
            assert_true(slice_eq(f->constant, slice_make(want, n)));
    }
    assert_true(own->hash != shape->hash || !want);
}

/* Aim: what identity partitions say becomes the constant of that column, no other one's. */
static void test_constants(void **state)
{
    (void)state;
    float half = 1.5F;
    check_constant(1, number(1), "\1", 1);
    check_constant(2, number(-2), "\xfe\xff\xff\xff", 4);
    check_constant(14, number(7), "\7\0\0\0", 4);
    check_constant(3, number(258), "\2\1\0\0\0\0\0\0", 8);
    check_constant(4, text("a,b=c\n"), "a,b=c\n", 6);
    check_constant(4, text(""), "", 0);
    check_constant(5, number(20513), "\x21\x50\0\0", 4);
    check_constant(6, number(1), "\1\0\0\0\0\0\0\0", 8);
    check_constant(7, bytes("\x01\x3a", 2), "\x3a\1\0\0", 4);
    check_constant(8, real(1.5), &half, sizeof half);
    check_constant(4, null, NULL, 0);
}

/* Aim: a column that was widened since has its partition's value in the wider type. */
static void test_widened_constants(void **state)
{
    (void)state;
    static const struct {
        const char *type, *constants, *want;
        size_t n;
    } cases[] = {
        {"long", "1=feffffff", "\xfe\xff\xff\xff\xff\xff\xff\xff", 8},
        {"int", "1=feffffffffffffff", "\xfe\xff\xff\xff", 4},
        {"double", "1=0000c03f", "\0\0\0\0\0\0\xf8\x3f", 8},
        {"decimal(18,2)", "1=013a", "\x3a\1\0\0\0\0\0\0", 8},
        {"timestamp", "1=01000000", "\0\x60\xd7\x1d\x14\0\0\0", 8},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(shape) struct shape *shape = NULL;
        AUTO(shape) struct shape *own = NULL;
        char json[300];
        (void)snprintf(
            json, sizeof json,
            "{\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":\"a\",\"type\":\"%s\"}]}",
            cases[i].type);
        assert_int_equal(iceberg_schema_shape(slice_of(json), SLICE_NONE, &shape, NULL), 0);
        assert_int_equal(
            iceberg_partition_own_shape(slice_of(cases[i].constants), shape, &own, NULL), 0);
        assert_true(slice_eq(own->fields[1].constant, slice_make(cases[i].want, cases[i].n)));
    }
}

/* Aim: constants that are damaged, or none of their column's type, are told apart from none. */
static void test_damaged_constants(void **state)
{
    (void)state;
    static const char *const damaged[] = {
        "x=00", "=00", "2=0", "2=0g000000", "2=01", "1=0102", "99999999999=00", ","};
    AUTO(shape) struct shape *shape = NULL;
    AUTO(shape) struct shape *own = NULL;
    assert_int_equal(iceberg_schema_shape(SLICE_LIT(SCHEMA), SLICE_NONE, &shape, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(damaged); i++)
        assert_int_equal(iceberg_partition_own_shape(slice_of(damaged[i]), shape, &own, NULL),
                         -EIO);
    assert_int_equal(iceberg_partition_own_shape(SLICE_LIT("99=0102"), shape, &own, NULL), 0);
    shape_unref(STEAL(own));
    assert_int_equal(iceberg_partition_own_shape(SLICE_NONE, shape, &own, NULL), 0);
    assert_ptr_equal(own, shape);
}

/* Aim: a view of columns stays one with a file's constants: masks, confinement and order. */
static void test_constants_of_view(void **state)
{
    (void)state;
    AUTO(shape) struct shape *own = NULL;
    AUTO(shape) struct shape *view = NULL;
    AUTO(shape_builder) struct shape_builder b;
    uint8_t salt[SHAPE_SALT_BYTES] = {1, 2, 3};
    shape_builder_init(&b, SHAPE_BY_MAPPING);
    shape_confine(&b, salt);
    struct slice names[] = {SLICE_LIT("q")};
    shape_add(&b, &(struct shape_field){.name = SLICE_LIT("region"),
                                        .id = 4,
                                        .type = SHAPE_STRING,
                                        .mask = SHAPE_MASK_SHA256_LOCAL,
                                        .names = names,
                                        .names_n = 1,
                                        .nullable = true});
    assert_int_equal(shape_finish(&b, &view, NULL), 0);
    assert_int_equal(iceberg_partition_own_shape(SLICE_LIT("4=4555,2=01000000"), view, &own, NULL),
                     0);
    assert_true(own->confined);
    assert_int_equal(own->match, SHAPE_BY_MAPPING);
    assert_memory_equal(own->salt, salt, sizeof salt);
    assert_int_equal(own->fields[1].mask, SHAPE_MASK_SHA256_LOCAL);
    assert_int_equal(own->fields[1].names_n, 0); /* the partition comes before the mapping */
    assert_true(slice_is(own->fields[1].constant, "EU"));
}

/* Aim: for views each partition column is there once, under its name in paths, by its source. */
static void test_shape(void **state)
{
    (void)state;
    AUTO(arena) struct arena arena;
    AUTO(shape) struct shape *s = NULL;
    struct iceberg_partition p[2];
    struct slice schema = SLICE_LIT(SCHEMA);
    struct iceberg_partition_schemas schemas = {&schema, 1};
    arena_init(&arena, MIB);
    assert_int_equal(iceberg_partition_make(&arena, spec, 3, &schemas, &p[0], NULL), 0);
    assert_int_equal(iceberg_partition_make(&arena, spec + 2, 1, &schemas, &p[1], NULL), 0);
    assert_int_equal(iceberg_partition_shape(p, 2, &s, NULL), 0);
    assert_int_equal(s->fields_n, 3);
    assert_true(slice_is(s->fields[1].name, "ts_day"));
    assert_int_equal(s->fields[1].id, 6);
    assert_int_equal(s->fields[1].type, SHAPE_STORED);
    assert_true(slice_is(s->fields[2].name, "region"));
    assert_int_equal(s->fields[2].type, SHAPE_STRING);
    shape_unref(STEAL(s));
    assert_int_equal(iceberg_partition_shape(NULL, 0, &s, NULL), 0);
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_loose),
        cmocka_unit_test(test_constants),
        cmocka_unit_test(test_widened_constants),
        cmocka_unit_test(test_damaged_constants),
        cmocka_unit_test(test_constants_of_view),
        cmocka_unit_test(test_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
