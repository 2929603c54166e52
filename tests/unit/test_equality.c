/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that go because of what they hold, in tests/fixtures/parquet (make.py says what they have).
 * What engines say of such tables is in tests/e2e/test_iceberg_deletes.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/limits.h"
#include "lake/format/equality.h"

#define ROWS 300

static int read_memory(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    const struct buf *file = arg;
    if (offset > file->len || n > file->len - offset)
        return err_set(err, EIO, "outside the file");
    memcpy(to, file->data + offset, n);
    return 0;
}

static void load(struct buf *file, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "tests/fixtures/parquet/%s.parquet", name);
    buf_init(file, MIB);
    assert_int_equal(file_read(AT_FDCWD, path, file, NULL), 0);
}

static struct slice footer_of(const struct buf *file)
{
    uint32_t n;
    memcpy(&n, file->data + file->len - 8, sizeof n);
    return slice_make(file->data + file->len - 8 - n, n);
}

static struct source source_of(struct buf *file)
{
    return (struct source){.size_bytes = file->len, .read = read_memory, .arg = file};
}

static struct shape *columns_of(const struct shape_field *fields, size_t n)
{
    struct shape_builder b;
    struct shape *s = NULL;
    shape_builder_init(&b, SHAPE_BY_NAME);
    for (size_t i = 0; i < n; i++) {
        struct shape_field f = fields[i];
        f.id = SHAPE_NO_ID;
        f.nullable = true;
        shape_add(&b, &f);
        if (f.kind == SHAPE_STRUCT && i + 1 == n)
            shape_end(&b);
    }
    assert_int_equal(shape_finish(&b, &s, NULL), 0);
    return s;
}

static struct shape *column_of(const char *name, enum shape_type type)
{
    struct shape_field f = {.name = slice_of(name), .stored = slice_of(name), .type = type};
    return columns_of(&f, 1);
}

static struct equality_set *set_of(const struct shape *columns, const struct column_value *values,
                                   size_t tuples, size_t columns_n)
{
    AUTO(equality_builder) struct equality_builder *b = equality_builder_new(columns, NULL);
    struct equality_set *set = NULL;
    assert_non_null(b);
    for (size_t i = 0; i < tuples; i++)
        assert_int_equal(equality_builder_add(b, values + i * columns_n, NULL), 0);
    assert_int_equal(equality_builder_end(b, &set, NULL), 0);
    return set;
}

/* How many rows of a file go by the sets. */
static uint64_t rows_gone(const char *name, struct shape *columns, struct equality_set **sets,
                          size_t n)
{
    AUTO(buf) struct buf file = {0};
    AUTO(equality) struct equality *e = NULL;
    AUTO(equality_plan) struct equality_plan *plan = NULL;
    AUTO(roaring) struct roaring *gone = NULL;
    struct equality_part part = {columns, sets, n};
    struct err err = ERR_INIT;
    load(&file, name);
    struct source source = source_of(&file);
    assert_int_equal(equality_new(&part, 1, &e, &err), 0);
    if (equality_plan(e, footer_of(&file), file.len, &plan, &err) < 0 ||
        equality_rows(e, plan, &source, &gone, &err) < 0)
        fail_msg("%s: %s", name, err.msg);
    return roaring_count(gone);
}

static int read_set(const char *name, const struct shape *columns, struct equality_set **out,
                    struct err *err)
{
    AUTO(buf) struct buf file = {0};
    load(&file, name);
    struct source source = source_of(&file);
    return equality_read(columns, footer_of(&file), &source, out, err);
}

static struct column_value number(__int128 v)
{
    return (struct column_value){.number = v};
}

static struct column_value text(const char *v)
{
    return (struct column_value){.bytes = slice_of(v)};
}

static const struct column_value null = {.null = true};

/* In whatever codec and encoding, a row goes where its value is in the set, and no other does. */
static void test_values(void **state)
{
    (void)state;
    static const char *const names[] = {"codec_none_v1", "codec_zstd_v2", "delta_v1",
                                        "length_v2",     "pages_v1",      "pages_v2"};
    AUTO(shape) struct shape *columns = column_of("number", SHAPE_INT64);
    struct column_value values[] = {number(-1000), number(-1000 + 37), number(-999),
                                    number(299 * 37 - 1000), number((__int128)1 << 100)};
    AUTO(equality_set) struct equality_set *set = set_of(columns, values, ARRAY_SIZE(values), 1);
    assert_int_equal(equality_set_count(set), 5);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(rows_gone(names[i], columns, &set, 1), 3);
}

/* Null is like null, and like nothing else; an empty text is no null. */
static void test_nulls(void **state)
{
    (void)state;
    AUTO(shape) struct shape *columns = column_of("text", SHAPE_STRING);
    struct column_value values[] = {null, text("key-0000"), text("")};
    AUTO(equality_set) struct equality_set *nulls = set_of(columns, &values[0], 1, 1);
    AUTO(equality_set) struct equality_set *some = set_of(columns, &values[1], 1, 1);
    AUTO(equality_set) struct equality_set *empty = set_of(columns, &values[2], 1, 1);
    AUTO(equality_set) struct equality_set *none = set_of(columns, values, 0, 1);
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "pages_v1" : "codec_snappy_v2";
        assert_int_equal(rows_gone(name, columns, &nulls, 1), ROWS / 5);
        assert_int_equal(rows_gone(name, columns, &some, 1), 6); /* of 0 to 6 but 4 */
        assert_int_equal(rows_gone(name, columns, &empty, 1), 0);
        assert_int_equal(rows_gone(name, columns, &none, 1), 0);
    }
}

/* All columns of a tuple have to be a row's. */
static void test_tuples(void **state)
{
    (void)state;
    struct shape_field fields[] = {{.name = SLICE_LIT("number"), .type = SHAPE_INT64},
                                   {.name = SLICE_LIT("text"), .type = SHAPE_STRING}};
    AUTO(shape) struct shape *columns = columns_of(fields, 2);
    struct column_value values[] = {
        number(-1000),
        text("key-0000"), /* row 0 */
        number(-1000 + 37),
        text("key-0001"), /* another row's text */
        number(-1000 + 4 * 37),
        null, /* row 4 */
        number(-1000 + 5 * 37),
        null, /* it has one */
        null,
        null,
    };
    AUTO(equality_set) struct equality_set *set = set_of(columns, values, 5, 2);
    assert_int_equal(rows_gone("pages_v2", columns, &set, 1), 2);
}

/* Many sets are one: whether they are joined first, or each is looked into. */
static void test_many_sets(void **state)
{
    (void)state;
    struct equality_set *sets[ROWS];
    AUTO(shape) struct shape *columns = column_of("number", SHAPE_INT64);
    for (size_t i = 0; i < ROWS; i++) {
        struct column_value twice[] = {number((int64_t)i * 37 - 1000),
                                       number((int64_t)i * 37 - 999)};
        sets[i] = set_of(columns, twice, 2, 1);
    }
    assert_int_equal(rows_gone("pages_v1", columns, sets, 2), 2);
    assert_int_equal(rows_gone("pages_v1", columns, sets, 200), 200);
    assert_int_equal(rows_gone("pages_v1", columns, sets, ROWS), ROWS);
    struct equality_set *large;
    AUTO(equality_builder) struct equality_builder *b = equality_builder_new(columns, NULL);
    for (int64_t i = 0; i < 100000; i++) {
        struct column_value v = number(i * 37 - 1000 + 3700);
        assert_int_equal(equality_builder_add(b, &v, NULL), 0);
        assert_int_equal(equality_builder_add(b, &v, NULL), 0); /* once more is nothing */
    }
    assert_int_equal(equality_builder_end(b, &large, NULL), 0);
    assert_int_equal(equality_set_count(large), 100000);
    struct equality_set *two[] = {large, sets[0]};
    assert_int_equal(rows_gone("pages_v1", columns, two, 2), ROWS - 100 + 1);
    equality_set_unref(large);
    for (size_t i = 0; i < ROWS; i++)
        equality_set_unref(sets[i]);
}

/* A file's own tuples take all its rows out: of every type, and as the type widened since. */
static void test_types(void **state)
{
    (void)state;
    static const struct {
        const char *deletes, *rows;
        enum shape_type type;
        uint64_t gone;
    } cases[] = {
        {"bool", "bool", SHAPE_BOOLEAN, ROWS},
        {"int32", "int32", SHAPE_INT32, ROWS},
        {"int64", "int32", SHAPE_INT64, ROWS},
        {"int32", "int64", SHAPE_INT64, ROWS},
        {"binary", "binary", SHAPE_BINARY, ROWS},
        {"fixed_size_binary", "fixed_size_binary", SHAPE_FIXED, ROWS},
        {"fixed_size_binary", "fixed_size_binary", SHAPE_BINARY, ROWS},
        {"binary", "fixed_size_binary", SHAPE_BINARY, 0},
    };
    static const char *const names[] = {"types_plain", "types_delta", "types_split",
                                        "types_dictionary"};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
            struct err err = ERR_INIT;
            struct shape_field f = {
                .name = SLICE_LIT("x"), .type = (uint8_t)cases[i].type, .length = 3};
            f.stored = slice_of(cases[i].deletes);
            AUTO(shape) struct shape *deletes = columns_of(&f, 1);
            f.stored = slice_of(cases[i].rows);
            AUTO(shape) struct shape *rows = columns_of(&f, 1);
            AUTO(equality_set) struct equality_set *set = NULL;
            if (read_set(names[n], deletes, &set, &err) < 0)
                fail_msg("%s: %s", cases[i].deletes, err.msg);
            if (rows_gone(names[n], rows, &set, 1) != cases[i].gone)
                fail_msg("%s of %s by %s", cases[i].rows, names[n], cases[i].deletes);
        }
}

/* A column that the data file lacks is its constant in every row, or null. */
static void test_missing_column(void **state)
{
    (void)state;
    struct shape_field fields[] = {{.name = SLICE_LIT("number"), .type = SHAPE_INT64},
                                   {.name = SLICE_LIT("later"), .type = SHAPE_INT32}};
    AUTO(shape) struct shape *plain = columns_of(fields, 2);
    fields[1].has_constant = true;
    fields[1].constant = SLICE_LIT("\x07\0\0\0");
    AUTO(shape) struct shape *filled = columns_of(fields, 2);
    struct column_value values[] = {number(-1000),      null,     number(-1000 + 37), number(7),
                                    number(-1000 + 74), number(7)};
    AUTO(equality_set) struct equality_set *set = set_of(plain, values, 3, 2);
    assert_int_equal(rows_gone("pages_v1", plain, &set, 1), 1);
    assert_int_equal(rows_gone("pages_v1", filled, &set, 1), 2);
}

/* Leaves in structs: where the struct is null, so is its leaf; a leaf that the file lacks is its
 * constant only where the struct is there. */
static void test_structs(void **state)
{
    (void)state;
    struct shape_field of[] = {{.name = SLICE_LIT("add"), .kind = SHAPE_STRUCT},
                               {.name = SLICE_LIT("path"), .type = SHAPE_STRING}};
    struct shape *shapes[3];
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
        struct shape_builder b;
        struct shape_field leaf = of[1];
        shape_builder_init(&b, SHAPE_BY_NAME);
        of[0].id = leaf.id = SHAPE_NO_ID;
        leaf.nullable = true;
        if (i)
            leaf.name = SLICE_LIT("later");
        leaf.has_constant = i == 2;
        leaf.constant = SLICE_LIT("a");
        shape_add(&b, &of[0]);
        shape_add(&b, &leaf);
        shape_end(&b);
        assert_int_equal(shape_finish(&b, &shapes[i], NULL), 0);
    }
    struct column_value a = text("a");
    AUTO(equality_set) struct equality_set *set_a = set_of(shapes[0], &a, 1, 1);
    AUTO(equality_set) struct equality_set *set_null = set_of(shapes[0], &null, 1, 1);
    for (int i = 1; i <= 2; i++) {
        const char *name = i == 1 ? "nested_v1" : "nested_v2";
        assert_int_equal(rows_gone(name, shapes[0], &set_a, 1), 1);
        assert_int_equal(rows_gone(name, shapes[0], &set_null, 1), 1);
        assert_int_equal(rows_gone(name, shapes[1], &set_a, 1), 0);
        assert_int_equal(rows_gone(name, shapes[1], &set_null, 1), 4);
        assert_int_equal(rows_gone(name, shapes[2], &set_a, 1), 3);
        assert_int_equal(rows_gone(name, shapes[2], &set_null, 1), 1);
    }
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
        shape_unref(shapes[i]);
}

/* What cannot be compared, or is not in the delete file, is refused with its reason. */
static void test_refused(void **state)
{
    (void)state;
    AUTO(shape) struct shape *real = column_of("double", SHAPE_DOUBLE);
    AUTO(shape) struct shape *other = column_of("text", SHAPE_DATE);
    AUTO(shape) struct shape *absent = column_of("absent", SHAPE_INT32);
    struct equality_set *set = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(read_set("types_plain", real, &set, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.msg, "\"double\": floating point numbers"));
    err = (struct err)ERR_INIT;
    assert_int_equal(read_set("plain_v1", other, &set, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.msg, "the table has date, the file has"));
    err = (struct err)ERR_INIT;
    assert_int_equal(read_set("plain_v1", absent, &set, &err), -EIO);
    assert_non_null(strstr(err.msg, "no column \"absent\""));
    assert_null(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_nulls),
        cmocka_unit_test(test_tuples),  cmocka_unit_test(test_many_sets),
        cmocka_unit_test(test_types),   cmocka_unit_test(test_missing_column),
        cmocka_unit_test(test_structs), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
