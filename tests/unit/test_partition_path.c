/* SPDX-License-Identifier: Apache-2.0 */
/* Partition values: what paths say of them, and what they must not be believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lake/partition_path.h"

static struct shape *columns(void)
{
    AUTO(shape_builder) struct shape_builder b;
    struct shape *shape = NULL;
    static const struct {
        const char *name;
        enum shape_type type;
    } fields[] = {{"region", SHAPE_STRING}, {"at", SHAPE_TIMESTAMP}, {"a=b c", SHAPE_INT32}};
    shape_builder_init(&b, SHAPE_BY_NAME);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        shape_add(&b, &(struct shape_field){.name = slice_of(fields[i].name),
                                            .kind = SHAPE_LEAF,
                                            .type = fields[i].type,
                                            .id = SHAPE_NO_ID,
                                            .nullable = true});
    assert_int_equal(shape_finish(&b, &shape, NULL), 0);
    return shape;
}

static int values(const char *path, bool built, struct partition_values *out)
{
    AUTO(shape) struct shape *shape = columns();
    partition_values_init(out);
    return partition_path_values(shape, slice_of(path), built, out, NULL);
}

/* Values are those of the directories, their escapes taken away; files say nothing. */
static void test_values_of_a_path(void **state)
{
    (void)state;
    AUTO(partition_values) struct partition_values v;
    assert_int_equal(values("region=E%2FU/x/a%3Db c=7/region=US", true, &v), 0);
    assert_int_equal(v.n, 3);
    assert_true(v.known[0] && !v.known[1] && v.known[2]);
    assert_true(slice_is(v.at[0], "E/U"));
    assert_true(slice_is(v.at[2], "7"));
}

/* A timestamp's text in a path that the writer chose need not be the metadata's value. */
static void test_a_value_that_is_open_to_debate(void **state)
{
    (void)state;
    AUTO(partition_values) struct partition_values chosen;
    AUTO(partition_values) struct partition_values built;
    assert_int_equal(values("at=2026-01-01/f", false, &chosen), 0);
    assert_true(slice_is(chosen.at[1], PARTITION_UNCERTAIN));
    assert_int_equal(values("at=2026-01-01/f", true, &built), 0);
    assert_true(slice_is(built.at[1], "2026-01-01"));
}

/* Nobody knows which of two directories the metadata means. */
static void test_a_column_that_is_said_twice(void **state)
{
    (void)state;
    AUTO(partition_values) struct partition_values v;
    assert_int_equal(values("region=US/region=EU/f", false, &v), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_of_a_path),
        cmocka_unit_test(test_a_value_that_is_open_to_debate),
        cmocka_unit_test(test_a_column_that_is_said_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
