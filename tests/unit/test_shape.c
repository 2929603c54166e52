/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of a table as a tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/format/shape.h"

static struct shape_field leaf(const char *name, int type)
{
    return (struct shape_field){
        .name = slice_of(name), .id = SHAPE_NO_ID, .type = (uint8_t)type, .nullable = true};
}

static struct shape_field group(const char *name, int kind)
{
    struct shape_field f = leaf(name, 0);
    f.kind = (uint8_t)kind;
    return f;
}

static void add(struct shape_builder *b, struct shape_field f)
{
    shape_add(b, &f);
}

/* Of a table with a struct, a list and a map; `last` is its last column. */
static struct shape *make(struct shape_field last)
{
    struct shape_builder b;
    struct shape *s = NULL;
    shape_builder_init(&b, false);
    add(&b, group("s", SHAPE_STRUCT));
    add(&b, leaf("x", SHAPE_INT32));
    add(&b, leaf("y", SHAPE_STRING));
    shape_end(&b);
    add(&b, group("m", SHAPE_MAP));
    add(&b, leaf("k", SHAPE_STRING));
    add(&b, group("v", SHAPE_LIST));
    add(&b, leaf("e", SHAPE_DATE));
    shape_end(&b);
    shape_end(&b);
    add(&b, last);
    assert_int_equal(shape_finish(&b, &s, NULL), 0);
    return s;
}

/* Aim: fields stand in preorder, a subtree is a run, names are copies. */
static void test_tree(void **state)
{
    (void)state;
    AUTO(shape) struct shape *s = make(leaf("z", SHAPE_BOOLEAN));
    assert_int_equal(s->fields_n, 9);
    assert_int_equal(s->fields[0].end, 9);
    assert_int_equal(s->fields[1].end, 4);
    assert_int_equal(s->fields[4].end, 8);
    assert_int_equal(s->fields[6].end, 8);
    assert_true(slice_is(s->fields[8].name, "z"));
    assert_true(slice_is(s->fields[8].stored, "z"));
    shape_unref(shape_ref(s));
}

/* Aim: any difference makes another hash, and the same columns make the same one. */
static void test_hash(void **state)
{
    (void)state;
    struct shape_field z = leaf("z", SHAPE_INT32), others[] = {z, z, z, z, z, z};
    AUTO(shape) struct shape *first = make(z), *again = make(z);
    assert_int_equal(first->hash, again->hash);
    others[0].name = SLICE_LIT("Z");
    others[1].stored = SLICE_LIT("col-1");
    others[2].id = 0;
    others[3].nullable = false;
    others[4].type = SHAPE_INT64;
    others[5].has_constant = true;
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        AUTO(shape) struct shape *other = make(others[i]);
        assert_int_not_equal(first->hash, other->hash);
    }
}

/* Aim: trees that are none are refused with the first reason. */
static void test_refused(void **state)
{
    (void)state;
    struct shape *s = NULL;
    for (int i = 0; i < 5; i++) {
        struct err err = ERR_INIT;
        struct shape_builder b;
        shape_builder_init(&b, false);
        add(&b, leaf("a", SHAPE_INT32));
        if (i == 0)
            add(&b, group("open", SHAPE_STRUCT));
        if (i == 1)
            shape_end(&b);
        if (i == 2) {
            add(&b, group("empty", SHAPE_LIST));
            shape_end(&b);
        }
        if (i == 3)
            add(&b, leaf("d", SHAPE_DECIMAL));
        for (int d = 0; i == 4 && d < SHAPE_DEPTH_MAX + 1; d++)
            add(&b, group("deep", SHAPE_LIST));
        assert_int_equal(shape_finish(&b, &s, &err), i == 4 ? -EOVERFLOW : -EINVAL);
        assert_null(s);
        assert_true(err.msg[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
