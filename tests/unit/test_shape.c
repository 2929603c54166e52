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
    shape_builder_init(&b, SHAPE_BY_NAME);
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
        shape_builder_init(&b, SHAPE_BY_NAME);
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

static struct shape *masked(enum shape_type type, enum shape_mask mask, bool confine, uint8_t salt,
                            struct err *err)
{
    struct shape_builder b;
    struct shape *s = NULL;
    uint8_t salts[SHAPE_SALT_BYTES] = {salt};
    struct shape_field f = leaf("a", (int)type);
    f.mask = (uint8_t)mask;
    f.precision = 5;
    f.length = 3;
    shape_builder_init(&b, SHAPE_BY_NAME);
    if (confine)
        shape_confine(&b, salts);
    add(&b, f);
    (void)shape_finish(&b, &s, err);
    return s;
}

/* Aim: every mask has the name that Iceberg's REST catalog gives it, and no other name is one. */
static void test_mask_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "replace-with-null", "mask-to-fixed-value", "mask-alphanum",
        "show-first-4",      "show-last-4",         "truncate-to-year",
        "truncate-to-month", "sha-256-global",      "sha-256-query-local",
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_int_equal(shape_mask_parse(slice_of(names[i])), i + 1);
        assert_string_equal(shape_mask_name((enum shape_mask)(i + 1)), names[i]);
    }
    assert_int_equal(shape_mask_parse(SLICE_LIT("")), SHAPE_MASK_NONE);
    assert_int_equal(shape_mask_parse(SLICE_LIT("SHOW-LAST-4")), SHAPE_MASK_NONE);
    assert_int_equal(shape_mask_parse(SLICE_LIT("show-last-4 ")), SHAPE_MASK_NONE);
    assert_null(shape_mask_name(SHAPE_MASK_NONE));
    assert_null(shape_mask_name((enum shape_mask)77));
}

/* Aim: a mask that does not fit its column is refused, and the message names column, mask, type. */
static void test_mask_fits(void **state)
{
    (void)state;
    static const char *const fit[] = {
        /* types in the order of their numbers; n: null, f: fixed, a: alphanum and the like,
         * t: truncated, s: hashed */
        "nf", "n",   "n",  "nfs", "nfs", "nf",  "nf",  "nf", "nfas", "nfs", "nf",
        "nf", "nft", "nf", "nft", "nft", "nft", "nft", "n",  "n",    "",
    };
    static const char letters[] = " nfaaattss";
    for (unsigned type = 0; type < ARRAY_SIZE(fit); type++)
        for (unsigned mask = 1; mask < strlen(letters); mask++) {
            struct err err = ERR_INIT;
            bool fits = strchr(fit[type], letters[mask]) != NULL;
            AUTO(shape)
            struct shape *s = masked((enum shape_type)type, (enum shape_mask)mask, false, 0, &err);
            assert_int_equal(s != NULL, fits);
            assert_int_equal(err.code, fits ? 0 : EOPNOTSUPP);
            if (!fits)
                assert_non_null(strstr(err.msg, shape_mask_name((enum shape_mask)mask)));
        }
    struct err err = ERR_INIT;
    assert_null(masked(SHAPE_DECIMAL, SHAPE_MASK_YEAR, false, 0, &err));
    assert_string_equal(err.msg, "column \"a\": the mask truncate-to-year does not fit the type "
                                 "decimal(5,0)");
    struct shape_field s = group("s", SHAPE_STRUCT);
    assert_true(shape_mask_fits(&s, SHAPE_MASK_NULL));
    assert_false(shape_mask_fits(&s, SHAPE_MASK_ALPHANUM));
}

/* Aim: what is masked is confined, and counts in the hash; the salt only where a mask takes it. */
static void test_mask_hash(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(shape) struct shape *plain = masked(SHAPE_STRING, SHAPE_MASK_NONE, false, 0, &err);
    AUTO(shape) struct shape *confined = masked(SHAPE_STRING, SHAPE_MASK_NONE, true, 0, &err);
    AUTO(shape) struct shape *salted = masked(SHAPE_STRING, SHAPE_MASK_NONE, true, 1, &err);
    AUTO(shape) struct shape *first = masked(SHAPE_STRING, SHAPE_MASK_FIRST_4, false, 0, &err);
    AUTO(shape) struct shape *last = masked(SHAPE_STRING, SHAPE_MASK_LAST_4, true, 0, &err);
    AUTO(shape) struct shape *local = masked(SHAPE_STRING, SHAPE_MASK_SHA256_LOCAL, true, 0, &err);
    AUTO(shape) struct shape *other = masked(SHAPE_STRING, SHAPE_MASK_SHA256_LOCAL, true, 1, &err);
    assert_false(plain->confined);
    assert_true(confined->confined && first->confined);
    assert_int_not_equal(plain->hash, confined->hash);
    assert_int_equal(confined->hash, salted->hash);
    assert_int_not_equal(first->hash, last->hash);
    assert_int_not_equal(local->hash, other->hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),      cmocka_unit_test(test_hash),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_mask_names),
        cmocka_unit_test(test_mask_fits), cmocka_unit_test(test_mask_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
