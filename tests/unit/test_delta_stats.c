/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "lake/delta/schema.h"
#include "lake/delta/stats.h"

static struct slice names[] = {{"a", 1}, {"b", 1}, {"c", 1}};
static const struct delta_list three = {names, 3};

/* As it stands in a log: `'` for an escaped quote. */
static bool lacks(const char *text, const struct delta_list *columns)
{
    AUTO(buf) struct buf out;
    buf_init(&out, MIB);
    buf_add_char(&out, '"');
    for (; *text; text++)
        buf_add_str(&out, *text == '\'' ? "\\\"" : (char[]){*text, 0});
    buf_add_char(&out, '"');
    return delta_stats_lack(buf_slice(&out), columns);
}

/* Aim: a file of whose nulls in a column nothing was counted is told from one that has them all. */
static void test_lacks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool want;
    } cases[] = {
        {"{'numRecords':3,'nullCount':{'a':0,'b':1,'c':2}}", false},
        {"{'numRecords':3,'nullCount':{'a':0,'b':3,'c':2}}", true},
        {"{'numRecords':3,'nullCount':{'a':0,'b':{'x':1,'y':13},'c':30}}", false},
        {"{'numRecords':3,'nullCount':{'a':0,'b':{'x':1,'y':{'z':3}},'c':2}}", true},
        {"{'nullCount':{'c':0,'a':0,'b':0},'numRecords':1}", false},
        {"{'nullCount':{'c':0,'a':1,'b':0},'numRecords':1}", true},
        {"{'nullCount':{'a':0,'x':{'b':1,'}':{'c':1}},'b':0,'c':0}}", false},
        {"{'nullCount':{'a':0,'x':{'b':1,'c':1},'c':0}}", true},
        {"{'nullCount':{'a':0,'c':2}}", true},
        {"{'nullCount':{'x':0}}", true},
        /* nothing is known */
        {"{'nullCount':{}}", false},
        {"{'numRecords':1}", false},
        {"", false},
        /* nulls were counted, of what is not understood */
        {"{'nullCount':{'a':0", true},
        {"{'nullCount':{'a\\\\u0020':0}}", true},
        {"{'nullCount':{'a'", true},
        {"{'nullCount':{a}}", true},
        {"{'nullCount': {'a': 0, 'b': 1, 'c': 2}}", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (lacks(cases[i].text, &three) != cases[i].want)
            fail_msg("%s", cases[i].text);
    struct delta_list none = {NULL, 0};
    assert_false(lacks("{'nullCount':{'x':0}}", &none));
    assert_false(delta_stats_lack(SLICE_NONE, &three));
}

#define LEAF(name) "{\"name\":\"" name "\",\"type\":\"long\"}"

/* Aim: nulls are counted of plain columns among the first 32 leaves, if the table does not choose.
 */
static void test_counted(void **state)
{
    (void)state;
    AUTO(buf) struct buf text;
    AUTO(arena) struct arena arena;
    struct delta_list counted;
    struct slice partition = SLICE_LIT("p");
    buf_init(&text, MIB);
    arena_init(&arena, MIB);
    buf_add_str(&text, "{\"fields\":[" LEAF("a") "," LEAF("p"));
    buf_add_str(&text,
                ",{\"name\":\"s\",\"type\":{\"type\":\"struct\",\"fields\":[" LEAF("x") "," LEAF(
                    "y") "]}},{\"name\":\"v\",\"type\":\"void\"},{\"name\":\"z\",\"type\":"
                         "\"binary\"}");
    for (int i = 0; i < 40; i++)
        buf_addf(&text, ",{\"name\":\"n%d\",\"type\":\"date\"}", i);
    buf_add_str(&text, "]}");
    struct delta_pair chosen = {SLICE_LIT("delta.dataSkippingNumIndexedCols"), SLICE_LIT("1"),
                                false};
    struct delta_metadata m = {.schema = buf_slice(&text), .partition_columns = {&partition, 1}};
    delta_schema_counted(&arena, &m, false, &counted);
    assert_int_equal(counted.n, 1 + DELTA_COUNTED_MAX - 5);
    assert_true(slice_is(counted.at[0], "a"));
    assert_true(slice_is(counted.at[1], "n0"));
    delta_schema_counted(&arena, &m, true, &counted); /* s and z, too */
    assert_int_equal(counted.n, 3 + DELTA_COUNTED_MAX - 5);
    assert_true(slice_is(counted.at[1], "s"));
    assert_true(slice_is(counted.at[2], "z"));
    assert_true(slice_is(counted.at[3], "n0"));
    m.configuration = (struct delta_map){&chosen, 1};
    delta_schema_counted(&arena, &m, true, &counted);
    assert_int_equal(counted.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lacks),
        cmocka_unit_test(test_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
