/* SPDX-License-Identifier: Apache-2.0 */
/* What a catalog requires of who reads a table: understood as a whole, or refused as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lake/catalog/predicate.h"
#include "lake/catalog/restrictions.h"

struct fixture {
    struct arena arena;
    const struct restrictions *r;
    struct err err;
};

static int parse(struct fixture *f, const char *json)
{
    arena_init(&f->arena, (size_t)1 << 20);
    f->err = (struct err)ERR_INIT;
    f->r = NULL;
    int rc = restrictions_parse(slice_of(json), &f->arena, &f->r, &f->err);
    assert_int_equal(rc, -f->err.code);
    return rc;
}

static void done(struct fixture *f)
{
    arena_done(&f->arena);
}

/* Aim: rows and columns that are restricted come with field ids, actions and values. */
static void test_filter_and_columns(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(
        parse(&f, "{\"required-column-projections\":[{\"field-id\":7,\"action\":\"show-last-4\"},"
                  "{\"action\":\"mask-alphanum\",\"field-id\":3}],"
                  "\"required-row-filter\":{\"type\":\"and\",\"left\":{\"type\":\"eq\",\"left\":"
                  "{\"type\":\"reference\",\"id\":1},\"right\":{\"type\":\"literal\",\"value\":"
                  "\"EU\",\"data-type\":\"string\"}},\"right\":{\"type\":\"not\",\"child\":"
                  "{\"type\":\"in\",\"child\":{\"type\":\"reference\",\"id\":2},"
                  "\"values\":[1,2.5,true]}}}}"),
        0);
    assert_int_equal(f.r->columns_n, 2);
    assert_int_equal(f.r->columns[0].field_id, 3);
    assert_int_equal(f.r->columns[0].action, RESTRICTION_MASK_ALPHANUM);
    assert_int_equal(f.r->columns[1].action, RESTRICTION_SHOW_LAST_4);
    const struct predicate *p = f.r->filter;
    assert_int_equal(p->kind, PREDICATE_AND);
    assert_int_equal(p->left->kind, PREDICATE_EQUAL);
    assert_int_equal(p->left->field_id, 1);
    assert_true(slice_is(p->left->literals[0].text, "EU"));
    assert_true(slice_is(p->left->literals[0].data_type, "string"));
    assert_int_equal(p->right->kind, PREDICATE_NOT);
    p = p->right->left;
    assert_int_equal(p->kind, PREDICATE_IN);
    assert_int_equal(p->literals_n, 3);
    assert_int_equal(p->literals[0].kind, LITERAL_NUMBER);
    assert_true(slice_is(p->literals[1].text, "2.5"));
    assert_int_equal(p->literals[2].kind, LITERAL_BOOL);
    done(&f);
}

/* Aim: an empty object, null, and what is always true ask for nothing. */
static void test_nothing_is_required(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null",
        "{}",
        "{\"required-row-filter\":null,\"required-column-projections\":null}",
        "{\"required-row-filter\":true,\"required-column-projections\":[]}",
        "{\"required-row-filter\":{\"type\":\"true\"}}",
    };
    struct fixture f;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_int_equal(parse(&f, texts[i]), 0);
        assert_null(f.r);
        done(&f);
    }
}

/* Aim: no row is a restriction, not the lack of one. */
static void test_no_row_at_all(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(parse(&f, "{\"required-row-filter\":false}"), 0);
    assert_int_equal(f.r->filter->kind, PREDICATE_FALSE);
    done(&f);
}

/* Aim: a comparison whose value stands on the left means the same from the other side. */
static void test_value_on_the_left(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(parse(&f, "{\"required-row-filter\":{\"type\":\"lt\",\"left\":5,\"right\":"
                               "{\"type\":\"reference\",\"id\":9}}}"),
                     0);
    assert_int_equal(f.r->filter->kind, PREDICATE_GREATER);
    assert_int_equal(f.r->filter->field_id, 9);
    done(&f);
}

#define FILTER(x) "{\"required-row-filter\":" x "}"
#define COLUMN(x) "{\"required-column-projections\":[" x "]}"
#define ID "{\"type\":\"reference\",\"id\":1}"

/* Aim: what is not known refuses the whole, with the word that is not known. */
static void test_unknown_parts_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json, *named;
    } cases[] = {
        {COLUMN("{\"field-id\":1,\"action\":\"rot-13\"}"), "rot-13"},
        {COLUMN("{\"field-id\":1,\"action\":\"apply-expression\",\"expression\":{}}"),
         "apply-expression"},
        {COLUMN("{\"field-id\":1,\"action\":\"mask-alphanum\",\"unless\":\"admin\"}"), "unless"},
        {"{\"required-columns\":[]}", "required-columns"},
        {FILTER("{\"type\":\"like\",\"left\":" ID ",\"right\":\"a%\"}"), "like"},
        {FILTER("{\"type\":\"eq\",\"term\":\"region\",\"value\":\"EU\"}"), "region"},
        {FILTER("{\"type\":\"eq\",\"left\":{\"type\":\"reference\",\"name\":\"r\"},\"right\":1}"),
         "name"},
        {FILTER("{\"type\":\"eq\",\"left\":" ID ",\"right\":" ID "}"), "reference"},
        {FILTER("{\"type\":\"eq\",\"left\":{\"type\":\"apply\",\"function\":\"f\",\"arguments\":"
                "[]},\"right\":1}"),
         "function"},
        {FILTER("{\"type\":\"eq\",\"left\":" ID ",\"right\":null}"), "null"},
        {FILTER("{\"type\":\"eq\",\"left\":" ID ",\"right\":1,\"child\":2}"), "members"},
        {FILTER("{\"type\":\"is-null\",\"child\":" ID ",\"values\":[]}"), "members"},
        {FILTER("{\"type\":\"starts-with\",\"left\":\"a\",\"right\":" ID "}"), "starts-with"},
        {FILTER("\"region = 'EU'\""), "region"},
        {FILTER("7"), "7"},
    };
    struct fixture f;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (parse(&f, cases[i].json) != -EOPNOTSUPP || !strstr(f.err.msg, cases[i].named))
            fail_msg("%s: %d %s", cases[i].json, f.err.code, f.err.msg);
        assert_null(f.r);
        done(&f);
    }
}

/* Aim: what is damaged, or says two things at once, is refused. */
static void test_damaged_ones_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "[]",
        "{",
        "{} {}",
        COLUMN("{\"field-id\":1}"),
        COLUMN("{\"action\":\"mask-alphanum\"}"),
        COLUMN("{\"field-id\":-1,\"action\":\"mask-alphanum\"}"),
        COLUMN("{\"field-id\":4294967296,\"action\":\"mask-alphanum\"}"),
        COLUMN("{\"field-id\":1,\"action\":\"mask-alphanum\"},"
               "{\"field-id\":1,\"action\":\"show-last-4\"}"),
        "{\"required-column-projections\":{}}",
        FILTER("{\"type\":\"not\",\"type\":\"not\",\"child\":true}"),
    };
    struct fixture f;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (parse(&f, texts[i]) != -EIO)
            fail_msg("%s: %d %s", texts[i], f.err.code, f.err.msg);
        done(&f);
    }
}

/* Aim: a filter nested deeper than anybody writes is refused before it takes the stack. */
static void test_depth_is_bounded(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = {0};
    struct fixture f;
    buf_init(&text, (size_t)1 << 20);
    buf_add_str(&text, "{\"required-row-filter\":");
    for (int i = 0; i < PREDICATE_DEPTH_MAX; i++)
        buf_add_str(&text, "{\"type\":\"not\",\"child\":");
    buf_add_str(&text, "true");
    for (int i = 0; i < PREDICATE_DEPTH_MAX; i++)
        buf_add_char(&text, '}');
    buf_add_char(&text, '}');
    assert_int_equal(parse(&f, text.data), -EOVERFLOW);
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter_and_columns),
        cmocka_unit_test(test_nothing_is_required),
        cmocka_unit_test(test_no_row_at_all),
        cmocka_unit_test(test_value_on_the_left),
        cmocka_unit_test(test_unknown_parts_are_refused),
        cmocka_unit_test(test_damaged_ones_are_refused),
        cmocka_unit_test(test_depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
