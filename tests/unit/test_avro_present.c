/* SPDX-License-Identifier: Apache-2.0 */
/* Which Avro files have a table's columns as they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lake/format/avro_present.h"
#include "lake/format/shape.h"
#include "lake/iceberg/schema.h"
#include "tests/unit/avro_fixture.h"

#define FILE_OF(fields) "{\"type\":\"record\",\"name\":\"r\",\"fields\":[" fields "]}"
#define F(id, name, type)                                                                          \
    "{\"name\":\"" name "\",\"field-id\":" #id ",\"type\":[\"null\"," type "]}"
#define BARE(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define LONG "\"long\""
#define LOGICAL(type, logical, more)                                                               \
    "{\"type\":\"" type "\",\"logicalType\":\"" logical "\"" more "}"
#define TABLE_OF(fields) "{\"type\":\"struct\",\"schema-id\":0,\"fields\":[" fields "]}"
#define C(id, name, type)                                                                          \
    "{\"id\":" #id ",\"name\":\"" name "\",\"required\":false,\"type\":" type "}"

static int present(const char *file, const char *table, const char *mapping, struct err *err)
{
    AUTO(buf) struct buf head = {0};
    AUTO(shape) struct shape *shape = NULL;
    put_file(&head, file, 0, SLICE_LIT(""));
    assert_int_equal(iceberg_schema_shape(slice_of(table), mapping ? slice_of(mapping) : SLICE_NONE,
                                          &shape, err),
                     0);
    assert_true(avro_is(buf_slice(&head)));
    return avro_presents(buf_slice(&head), shape, err);
}

/* What is in a file of one field, and in a table of one column; NULL: it is as the table has it. */
static const struct {
    const char *file, *table, *words;
} cases[] = {
    {F(1, "a", LONG), C(1, "a", LONG), NULL},
    {F(1, "a", LONG), C(1, "b", LONG), "has another name"},
    {F(1, "a", LONG), C(2, "a", LONG), "is another one"},
    {F(1, "a", "\"int\""), C(1, "a", LONG), "has another type"},
    {F(1, "a", LONG) "," F(2, "b", LONG), C(1, "a", LONG), "has more fields"},
    {F(1, "a", LONG), C(1, "a", LONG) "," C(2, "b", LONG), "is not in it"},
    {F(2, "b", LONG) "," F(1, "a", LONG), C(1, "a", LONG) "," C(2, "b", LONG),
     "another name or place"},
    {BARE("a", LONG), C(1, "a", LONG), "is another one"},
    {F(1, "a", LOGICAL("long", "timestamp-micros", "")), C(1, "a", "\"timestamptz\""), NULL},
    {F(1, "a", LOGICAL("long", "timestamp-micros", "")), C(1, "a", "\"timestamp\""),
     "has another type"},
    {F(1, "a", LOGICAL("long", "timestamp-micros", ",\"adjust-to-utc\":false")),
     C(1, "a", "\"timestamp\""), NULL},
    {F(1, "a", LOGICAL("long", "timestamp-millis", "")), C(1, "a", "\"timestamptz\""),
     "has another type"},
    {F(1, "a", LOGICAL("long", "timestamp-nanos", "")), C(1, "a", "\"timestamptz_ns\""), NULL},
    {F(1, "a", LOGICAL("long", "time-micros", "")), C(1, "a", "\"time\""), NULL},
    {F(1, "a", LOGICAL("int", "date", "")), C(1, "a", "\"date\""), NULL},
    {F(1, "a", LOGICAL("int", "date", "")), C(1, "a", "\"int\""), "has another type"},
    {F(1, "a",
       LOGICAL("fixed", "decimal", ",\"name\":\"d\",\"size\":4,\"precision\":9,\"scale\":2")),
     C(1, "a", "\"decimal(9, 2)\""), NULL},
    {F(1, "a",
       LOGICAL("fixed", "decimal", ",\"name\":\"d\",\"size\":4,\"precision\":9,\"scale\":2")),
     C(1, "a", "\"decimal(10, 2)\""), "has another type"},
    {F(1, "a", LOGICAL("fixed", "uuid", ",\"name\":\"u\",\"size\":16")), C(1, "a", "\"uuid\""),
     NULL},
    {F(1, "a", "{\"type\":\"fixed\",\"name\":\"f\",\"size\":3}"), C(1, "a", "\"fixed[3]\""), NULL},
    {F(1, "a", "{\"type\":\"fixed\",\"name\":\"f\",\"size\":3}"), C(1, "a", "\"fixed[4]\""),
     "another type"},
    {F(1, "a", "\"string\""), C(1, "a", "\"binary\""), "has another type"},
    {F(1, "a", "{\"type\":\"record\",\"name\":\"s\",\"fields\":[" F(2, "b", LONG) "]}"),
     C(1, "a", TABLE_OF(C(2, "b", LONG))), NULL},
    {F(1, "a", "{\"type\":\"record\",\"name\":\"s\",\"fields\":[" F(2, "b", LONG) "]}"),
     C(1, "a", TABLE_OF(C(3, "b", LONG))), "is another one"},
    {F(1, "a", "{\"type\":\"array\",\"element-id\":2,\"items\":[\"null\",\"long\"]}"),
     C(1, "a",
       "{\"type\":\"list\",\"element-id\":2,\"element-required\":false,\"element\":\"long\"}"),
     NULL},
    {F(1, "a", "{\"type\":\"array\",\"element-id\":2,\"items\":[\"null\",\"int\"]}"),
     C(1, "a",
       "{\"type\":\"list\",\"element-id\":2,\"element-required\":false,\"element\":\"long\"}"),
     "another type"},
    {F(1, "a", "{\"type\":\"map\",\"key-id\":2,\"value-id\":3,\"values\":\"long\"}"),
     C(1, "a",
       "{\"type\":\"map\",\"key-id\":2,\"key\":\"string\",\"value-id\":3,\"value-required\":true,"
       "\"value\":\"long\"}"),
     NULL},
    {F(1, "a", "{\"type\":\"map\",\"key-id\":2,\"value-id\":3,\"values\":\"long\"}"),
     C(1, "a",
       "{\"type\":\"map\",\"key-id\":2,\"key\":\"int\",\"value-id\":3,\"value-required\":true,"
       "\"value\":\"long\"}"),
     "another type"},
    {F(1, "a",
       "{\"type\":\"array\",\"logicalType\":\"map\",\"items\":{\"type\":\"record\",\"name\":\"kv\","
       "\"fields\":[" F(2, "key", "\"int\"") "," F(3, "value", LONG) "]}}"),
     C(1, "a",
       "{\"type\":\"map\",\"key-id\":2,\"key\":\"int\",\"value-id\":3,\"value-required\":true,"
       "\"value\":\"long\"}"),
     NULL},
    {BARE("a", "[\"long\",\"string\"]"), C(1, "a", LONG), ""},
};

/* Aim: a file is as the table has it where ids, names, places and types are. */
static void test_columns(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(buf) struct buf file = {0}, table = {0};
        struct err err = ERR_INIT;
        buf_init(&file, MIB);
        buf_init(&table, MIB);
        buf_addf(&file, FILE_OF("%s"), cases[i].file);
        buf_addf(&table, TABLE_OF("%s"), cases[i].table);
        int rc = present(file.data, table.data, NULL, &err);
        if (rc != (cases[i].words ? -EOPNOTSUPP : 0) ||
            (cases[i].words && !strstr(err.msg, cases[i].words)))
            fail_msg("%zu: %d, %s", i, rc, err.msg);
    }
}

/* Aim: a file without ids is as the table has it by the names of the mapping alone. */
static void test_mapping(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const char *table = TABLE_OF(C(1, "a", LONG)), *file = FILE_OF(BARE("a", LONG));
    assert_int_equal(present(file, table, "[{\"field-id\":1,\"names\":[\"x\",\"a\"]}]", &err), 0);
    assert_int_equal(present(file, table, "[{\"field-id\":1,\"names\":[\"x\"]}]", &err),
                     -EOPNOTSUPP);
    assert_int_equal(
        present(FILE_OF(F(2, "a", LONG)), table, "[{\"field-id\":1,\"names\":[\"a\"]}]", &err),
        -EOPNOTSUPP);
}

/* Aim: a beginning that is cut off in the header is damaged, so that more of it is looked at. */
static void test_cut_off(void **state)
{
    (void)state;
    AUTO(buf) struct buf head = {0};
    AUTO(shape) struct shape *shape = NULL;
    struct err err = ERR_INIT;
    put_file(&head, FILE_OF(F(1, "a", LONG)), 0, SLICE_LIT(""));
    assert_int_equal(
        iceberg_schema_shape(SLICE_LIT(TABLE_OF(C(1, "a", LONG))), SLICE_NONE, &shape, &err), 0);
    size_t header = head.len - 2 - 16; /* behind it stands an empty block */
    for (size_t n = 0; n < header; n++)
        assert_int_equal(avro_presents(slice_make(head.data, n), shape, &err), -EIO);
    assert_int_equal(avro_presents(slice_make(head.data, header), shape, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_mapping),
        cmocka_unit_test(test_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
