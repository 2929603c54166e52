/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of a writer's schema, and how its fields are chosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/avro_fixture.h"

/* Aim: the schema's own words about a field are told; a union of several types is not chosen. */
static void test_fields(void **state)
{
    (void)state;
    AUTO(buf) struct buf file = {0};
    put_file(&file, TYPES, 0, SLICE_NONE);
    AUTO(avro) struct avro *a = open_bytes(buf_slice(&file));
    struct avro_field f;
    assert_int_equal(avro_fields(a, AVRO_ROOT), 14);
    avro_field(a, AVRO_ROOT, 1, &f);
    assert_true(f.optional && f.type == AVRO_INT);
    avro_field(a, AVRO_ROOT, 2, &f);
    assert_true(f.logical == AVRO_TIMESTAMP_MICROS && !f.adjust_to_utc);
    avro_field(a, AVRO_ROOT, 8, &f);
    assert_true(f.type == AVRO_UNION && !f.optional);
    avro_field(a, AVRO_ROOT, 13, &f);
    assert_true(slice_is(f.name, "text \"\xc3\xa9\""));
    assert_int_equal(avro_choose_field(a, AVRO_ROOT, 8, NULL), -EOPNOTSUPP);
    assert_int_equal(avro_next(a, NULL), 0);
}

/* Aim: a field is found by its id; by its path only where the schema has no ids; never within
 * lists; with its type. */
static void test_choose(void **state)
{
    (void)state;
    static const char named[] =
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\","
        "{\"type\":\"record\",\"name\":\"s\",\"fields\":[{\"name\":\"b\",\"type\":\"int\"}]}]},"
        "{\"name\":\"l\",\"type\":{\"type\":\"array\",\"items\":\"s\"}}]}";
    AUTO(buf) struct buf file = {0}, fixture = {0}, record = {0};
    buf_init(&record, MIB);
    put_long(&record, 1);
    put_long(&record, 42);
    put_long(&record, 0);
    put_long(&record, 0); /* the second one: null, and no items */
    put_long(&record, 0);
    put_file(&file, named, 2, buf_slice(&record));
    load_fixture(&fixture, "null");
    AUTO(avro) struct avro *a = open_bytes(buf_slice(&file));
    assert_false(avro_has_ids(a));
    int b = choose(a, 5, "a.b", AVRO_LONG), same = choose(a, 5, "a.b", AVRO_INT);
    int lacking = choose(a, 5, "a.c", AVRO_LONG), in_list = choose(a, 5, "l.b", AVRO_INT);
    assert_int_equal(choose(a, 5, "a.b", AVRO_STRING), -EIO);
    assert_int_equal(avro_next(a, NULL), 1);
    assert_int_equal(avro_number(a, b, 0), 42);
    assert_int_equal(avro_number(a, same, 0), 42);
    assert_false(avro_value(a, lacking)->present || avro_value(a, in_list)->present);
    assert_int_equal(avro_next(a, NULL), 1);
    assert_false(avro_value(a, b)->present);
    AUTO(avro) struct avro *with = open_bytes(buf_slice(&fixture));
    int by_path = choose(with, 4711, "status", AVRO_INT), key = choose(with, 117, NULL, AVRO_INT);
    struct avro_want required = {.id = 4711, .path = "status", .required = true};
    assert_int_equal(avro_choose(with, &required, NULL), -EIO);
    assert_int_equal(avro_next(with, NULL), 1);
    assert_false(avro_value(with, by_path)->present || avro_value(with, key)->present);
}

static int open_code(const char *schema, struct err *err)
{
    AUTO(buf) struct buf file = {0};
    put_file(&file, schema, 0, SLICE_NONE);
    *err = (struct err)ERR_INIT;
    AUTO(avro) struct avro *a = avro_open_bytes(buf_slice(&file), err);
    return a ? 0 : -err->code;
}

/* Aim: schemas that are none are damage; what is not supported says why; size is bounded. */
static void test_schemas(void **state)
{
    (void)state;
    static const struct {
        const char *schema;
        int code;
    } cases[] = {
        {"\"string\"", 0},
        {"{\"type\":{\"type\":\"array\",\"items\":\"int\"}}", 0},
        {"", -EIO},
        {"7", -EIO},
        {"\"strin\"", -EIO},
        {"{\"type\":\"record\",\"name\":\"r\"", -EIO},
        {"{\"type\":\"record\",\"fields\":[]}", -EIO},
        {"{\"type\":\"record\",\"name\":\"r\"}", -EIO},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"type\":\"int\"}]}", -EIO},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"x\"}]}", -EIO},
        {"{\"type\":\"array\"}", -EIO},
        {"{\"type\":\"fixed\",\"name\":\"f\",\"size\":-1}", -EIO},
        {"[\"null\",[\"int\",\"null\"]]", -EIO},
        {"\"int\" \"int\"", -EIO},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"x\",\"type\":\"int\","
         "\"field-id\":3000000000}]}",
         -EIO},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"x\","
         "\"type\":[\"null\",\"r\"]}]}",
         -EOPNOTSUPP},
    };
    struct err err;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(open_code(cases[i].schema, &err), cases[i].code);
}

/* Aim: neither nesting nor names that stand for much make a small schema take much. */
static void test_bombs(void **state)
{
    (void)state;
    struct err err;
    AUTO(buf) struct buf deep = {0}, wide = {0};
    buf_init(&deep, MIB);
    for (int i = 0; i < 100; i++)
        buf_add_str(&deep, "{\"type\":\"array\",\"items\":");
    buf_add_str(&deep, "\"int\"");
    for (int i = 0; i < 100; i++)
        buf_add_char(&deep, '}');
    assert_int_equal(open_code(deep.data, &err), -EOVERFLOW);
    buf_init(&wide, MIB);
    buf_add_str(&wide, "{\"type\":\"record\",\"name\":\"all\",\"fields\":[");
    for (int i = 0; i < 30; i++) {
        buf_addf(&wide, "%s{\"name\":\"f\",\"type\":{\"type\":\"record\",\"name\":\"r%d\",",
                 i ? "," : "", i);
        if (i == 0)
            buf_add_str(&wide, "\"fields\":[]}}");
        else
            buf_addf(&wide,
                     "\"fields\":[{\"name\":\"a\",\"type\":\"r%d\"},"
                     "{\"name\":\"b\",\"type\":\"r%d\"}]}}",
                     i - 1, i - 1);
    }
    buf_add_str(&wide, "]}");
    assert_int_equal(open_code(wide.data, &err), -EOVERFLOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_choose),
        cmocka_unit_test(test_schemas),
        cmocka_unit_test(test_bombs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
