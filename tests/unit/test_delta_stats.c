/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "lake/delta/schema.h"
#include "lake/delta/stats.h"

#define LEAF(name) "{\"name\":\"" name "\",\"type\":\"long\"}"
#define STRUCT(fields) "{\"type\":\"struct\",\"fields\":[" fields "]}"
#define OF(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define ARRAY(type) "{\"type\":\"array\",\"elementType\":" type "}"

struct table {
    struct arena arena;
    struct delta_counted counted;
};

static void table_make(struct table *t, const char *schema)
{
    AUTO(shape) struct shape *shape = NULL;
    struct slice partition = SLICE_LIT("p");
    struct delta_metadata m = {.schema = slice_of(schema), .partition_columns = {&partition, 1}};
    arena_init(&t->arena, MIB);
    assert_int_equal(delta_schema_shape(&m, DELTA_MAPPING_NONE, &shape, NULL), 0);
    delta_counted_of(shape, &t->arena, &t->counted);
}

/* As it stands in a log: `'` for an escaped quote. */
static bool proves(const char *text, const struct table *t)
{
    AUTO(buf) struct buf out;
    buf_init(&out, MIB);
    buf_add_char(&out, '"');
    for (; *text; text++)
        buf_add_str(&out, *text == '\'' ? "\\\"" : (char[]){*text, 0});
    buf_add_char(&out, '"');
    return delta_stats_prove(buf_slice(&out), &t->counted);
}

/* Aim: only counts of every column, of none besides, and of a value in each, prove a file's
 * columns.
 */
static void test_proves(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool want;
    } cases[] = {
        {"{'numRecords':3,'nullCount':{'a':0,'b':1,'c':2}}", true},
        {"{'numRecords':3,'nullCount':{'a':0,'b':3,'c':2}}", false},
        {"{'nullCount':{'c':0,'a':0,'b':0},'numRecords':1}", true},
        {"{'nullCount':{'c':0,'a':1,'b':0},'numRecords':1}", false},
        {"{'numRecords':3,'nullCount':{'a':0,'x':{'b':1,'}':{'c':1}},'b':0,'c':0}}", false},
        {"{'numRecords':3,'nullCount':{'a':0,'b':1,'c':2,'d':0}}", false},
        {"{'numRecords':3,'nullCount':{'a':0,'x':{'b':1,'c':1},'c':0}}", false},
        {"{'numRecords':3,'nullCount':{'a':0,'b':{'x':1,'y':1},'c':0}}", false},
        {"{'numRecords':3,'nullCount':{'a':0,'a':1,'c':2}}", false},
        {"{'numRecords':3,'nullCount':{'a':0,'b':null,'c':2}}", false},
        {"{'numRecords':3,'nullCount':{'a':0,'c':2}}", false},
        {"{'numRecords':3,'nullCount':{'x':0}}", false},
        /* nothing is known */
        {"{'numRecords':3,'nullCount':{}}", false},
        {"{'nullCount':{'a':0,'b':1,'c':2}}", false},
        {"{'numRecords':1}", false},
        {"", false},
        /* nulls were counted, of what is not understood */
        {"{'numRecords':3,'nullCount':{'a':0", false},
        {"{'numRecords':3,'nullCount':{'a':0,'b':1,'c':2", false},
        {"{'numRecords':3,'nullCount':{'a\\\\u0020':0}}", false},
        {"{'numRecords':3,'nullCount':{'a'", false},
        {"{'numRecords':3,'nullCount':{a}}", false},
        {"{'numRecords':3,'nullCount': {'a': 0, 'b': 1, 'c': 2}}", false},
    };
    struct table t;
    table_make(&t, STRUCT(LEAF("a") "," LEAF("b") "," LEAF("c")));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (proves(cases[i].text, &t) != cases[i].want)
            fail_msg("%s", cases[i].text);
    assert_false(delta_stats_prove(SLICE_NONE, &t.counted));
    arena_done(&t.arena);
}

/* Aim: fields of structs may be left out as columns may; those of structs in lists nobody counts.
 */
static void test_nested(void **state)
{
    (void)state;
    struct table t;
    table_make(
        &t, STRUCT(LEAF("p") "," OF("s", STRUCT(LEAF("x") "," OF("t", STRUCT(LEAF("y"))))) "," OF(
                "l", ARRAY("\"long\"")) "," LEAF("z")));
    assert_int_equal(t.counted.paths.n, 4);
    assert_true(proves("{'numRecords':3,'nullCount':{'s':{'x':1,'t':{'y':2}},'l':0,'z':0}}", &t));
    assert_false(proves("{'numRecords':3,'nullCount':{'s':{'x':1,'t':{'y':3}},'l':0,'z':0}}", &t));
    assert_false(proves("{'numRecords':3,'nullCount':{'s':{'x':1},'l':0,'z':0}}", &t));
    assert_false(proves("{'numRecords':3,'nullCount':{'s':{'x':1,'t':{'y':2}},'z':0}}", &t));
    assert_false(proves("{'numRecords':3,'nullCount':{'x':1,'y':2,'l':0,'z':0}}", &t));
    arena_done(&t.arena);
    table_make(&t, STRUCT(LEAF("a") "," OF("l", ARRAY(STRUCT(LEAF("x"))))));
    assert_false(proves("{'numRecords':3,'nullCount':{'a':0,'l':0}}", &t));
    arena_done(&t.arena);
}

/* Aim: a column that rows must have is in every file, counted or not. */
static void test_required(void **state)
{
    (void)state;
    struct table t;
    table_make(&t, STRUCT("{\"name\":\"r\",\"type\":\"binary\",\"nullable\":false}," LEAF("a")));
    assert_true(proves("{'numRecords':3,'nullCount':{'a':0}}", &t));
    assert_true(proves("{'numRecords':3,'nullCount':{'r':0,'a':0}}", &t));
    assert_false(proves("{'numRecords':3,'nullCount':{'r':0}}", &t));
    arena_done(&t.arena);
}

/* Aim: a table of more columns than nulls are counted of is proven by nothing. */
static void test_wide(void **state)
{
    (void)state;
    struct table t;
    AUTO(buf) struct buf schema, stats;
    buf_init(&schema, MIB);
    buf_init(&stats, MIB);
    buf_add_str(&schema, "{\"fields\":[" LEAF("c"));
    buf_add_str(&stats, "{'numRecords':3,'nullCount':{'c':0");
    for (int i = 0; i < 40; i++) {
        buf_addf(&schema, ",{\"name\":\"n%d\",\"type\":\"date\"}", i);
        if (i < 31)
            buf_addf(&stats, ",'n%d':0", i);
    }
    buf_add_str(&schema, "]}");
    table_make(&t, schema.data);
    AUTO(buf) struct buf all;
    buf_init(&all, MIB);
    buf_add_slice(&all, buf_slice(&stats));
    buf_add_str(&stats, "}}");
    assert_false(proves(stats.data, &t));
    for (int i = 31; i < 40; i++)
        buf_addf(&all, ",'n%d':0", i);
    buf_add_str(&all, "}}");
    assert_true(proves(all.data, &t));
    arena_done(&t.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proves),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_required),
        cmocka_unit_test(test_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
