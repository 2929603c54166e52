/* SPDX-License-Identifier: Apache-2.0 */
/* What a catalog requires of readers, said as a policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/catalog/restrictions.h"
#include "lake/format/shape.h"
#include "lake/former.h"
#include "lake/view/policy_grant.h"
#include "lake/view/restricted.h"
#include "lake/view/view_decide.h"

/* id 1 `id`, id 2 `region`, id 3 `who` {id 4 `ph``one`}, id 5 `price` decimal, id 6 `at` time;
 * `renamed`: region is called so. */
static struct shape *columns(const char *region)
{
    AUTO(shape_builder) struct shape_builder b;
    struct shape *out = NULL;
    struct err err = ERR_INIT;
    shape_builder_init(&b, true);
    const struct shape_field fields[] = {
        {.name = SLICE_LIT("id"), .id = 1, .kind = SHAPE_LEAF, .type = SHAPE_INT64},
        {.name = slice_of(region), .id = 2, .kind = SHAPE_LEAF, .type = SHAPE_STRING},
        {.name = SLICE_LIT("who"), .id = 3, .kind = SHAPE_STRUCT},
        {.name = SLICE_LIT("ph`one"), .id = 4, .kind = SHAPE_LEAF, .type = SHAPE_STRING}};
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        shape_add(&b, &fields[i]);
    shape_end(&b);
    const struct shape_field rest[] = {
        {.name = SLICE_LIT("price"),
         .id = 5,
         .kind = SHAPE_LEAF,
         .type = SHAPE_DECIMAL,
         .precision = 9,
         .scale = 2},
        {.name = SLICE_LIT("at"), .id = 6, .kind = SHAPE_LEAF, .type = SHAPE_TIME}};
    for (size_t i = 0; i < ARRAY_SIZE(rest); i++)
        shape_add(&b, &rest[i]);
    if (shape_finish(&b, &out, &err) < 0)
        fail_msg("%s", err.msg);
    return out;
}

/* The policy of restrictions as they are sent; it is one that can be read. */
static int policy_of(const char *json, const char *then, struct buf *out, struct err *err)
{
    AUTO(arena) struct arena arena = {0};
    AUTO(shape) struct shape *today = columns("region");
    AUTO(shape) struct shape *before = columns(then);
    const struct restrictions *r = NULL;
    arena_init(&arena, MIB);
    buf_init(out, MIB);
    if (restrictions_parse(slice_of(json), &arena, &r, err) < 0)
        fail_msg("%s", err->msg);
    const struct view_columns a = {.table = SLICE_LIT("t"), .shape = before};
    const struct view_columns t = {.table = SLICE_LIT("t"), .shape = today};
    int rc = restricted_policy(r, &a, &t, out, err);
    if (rc == 0) {
        AUTO(policy) struct policy *policy = NULL;
        if (restricted_parse(buf_slice(out), &policy, err) < 0)
            fail_msg("%s\n%s", err->msg, out->data);
        assert_int_equal(policy->grants_n, 1);
        assert_false(grant_whole(policy->grants));
    }
    return rc;
}

static void check(const char *json, const char *said)
{
    AUTO(buf) struct buf out = {0};
    struct err err = ERR_INIT;
    if (policy_of(json, "region", &out, &err) < 0)
        fail_msg("%s", err.msg);
    if (!strstr(out.data, said))
        fail_msg("%s is not in\n%s", said, out.data);
}

#define FILTER(kind, id, value)                                                                    \
    "{\"required-row-filter\": {\"type\": \"" kind "\", \"left\": {\"type\": \"reference\", "      \
    "\"id\": " id "}, \"right\": {\"type\": \"literal\", \"value\": " value "}}}"

static void test_masks_name_columns_by_their_ids(void **state)
{
    (void)state;
    check("{\"required-column-projections\": [{\"field-id\": 4, \"action\": \"show-last-4\"}]}",
          "mask: {\"`who`.`ph``one`\": show-last-4");
}

/* A column that had another name in that version is masked by both. */
static void test_a_renamed_column_is_masked_by_both_names(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = {0};
    struct err err = ERR_INIT;
    assert_int_equal(policy_of("{\"required-column-projections\": [{\"field-id\": 2, \"action\": "
                               "\"replace-with-null\"}]}",
                               "area", &out, &err),
                     0);
    assert_non_null(strstr(out.data, "\"`region`\": replace-with-null"));
    assert_non_null(strstr(out.data, "\"`area`\": replace-with-null"));
}

/* id 3 `phone`, which was `contact`, and id 5 `ssn`, which was `phone` then; id 7 `who` {id 8
 * `it`}.
 */
static struct shape *renamed(void)
{
    AUTO(shape_builder) struct shape_builder b;
    struct shape *out = NULL;
    struct err err = ERR_INIT;
    const struct shape_field fields[] = {
        {.name = SLICE_LIT("phone"), .id = 3, .kind = SHAPE_LEAF, .type = SHAPE_STRING},
        {.name = SLICE_LIT("ssn"), .id = 5, .kind = SHAPE_LEAF, .type = SHAPE_STRING},
        {.name = SLICE_LIT("who"), .id = 7, .kind = SHAPE_STRUCT},
        {.name = SLICE_LIT("it"), .id = 8, .kind = SHAPE_LEAF, .type = SHAPE_STRING}};
    shape_builder_init(&b, true);
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        shape_add(&b, &fields[i]);
    shape_end(&b);
    if (shape_finish(&b, &out, &err) < 0)
        fail_msg("%s", err.msg);
    return out;
}

/* The mask of a column of those, by its index. */
static enum shape_mask mask_of(const char *columns, size_t index)
{
    AUTO(arena) struct arena arena = {0};
    AUTO(buf) struct buf text = {0}, json = {0};
    AUTO(policy) struct policy *policy = NULL;
    AUTO(shape) struct shape *shape = renamed();
    AUTO(view_decision) struct view_decision d = {0};
    struct err err = ERR_INIT;
    AUTO(former) struct former *former = former_new(&err);
    const struct restrictions *r = NULL;
    arena_init(&arena, MIB);
    buf_init(&text, MIB);
    buf_init(&json, MIB);
    buf_addf(&json, "{\"required-column-projections\": [%s]}", columns);
    assert_non_null(former);
    assert_int_equal(former_add(former, 3, SLICE_LIT("contact"), &err), 0);
    assert_int_equal(former_add(former, 5, SLICE_LIT("phone"), &err), 0);
    assert_int_equal(restrictions_parse(buf_slice(&json), &arena, &r, &err), 0);
    const struct view_columns c = {.table = SLICE_LIT("t"), .shape = shape, .former = former};
    if (restricted_policy(r, &c, &c, &text, &err) < 0 ||
        restricted_parse(buf_slice(&text), &policy, &err) < 0 ||
        view_decide(&d, policy->grants, &c, &c, &err) < 0)
        fail_msg("%s\n%s", err.msg, text.data);
    return d.fields[index].mask;
}

/* A weaker mask of another column, which is called today what this one was called, is not its. */
static void test_a_mask_is_of_the_column_of_its_id_whatever_others_were_called(void **state)
{
    (void)state;
    static const char columns[] = "{\"field-id\": 3, \"action\": \"show-last-4\"}, "
                                  "{\"field-id\": 5, \"action\": \"replace-with-null\"}";
    assert_int_equal(mask_of(columns, 1), SHAPE_MASK_LAST_4);
    assert_int_equal(mask_of(columns, 2), SHAPE_MASK_NULL);
}

static void test_a_column_has_its_own_mask_before_that_of_what_it_is_in(void **state)
{
    (void)state;
    assert_int_equal(mask_of("{\"field-id\": 7, \"action\": \"show-last-4\"}, "
                             "{\"field-id\": 8, \"action\": \"replace-with-null\"}",
                             4),
                     SHAPE_MASK_NULL);
}

/* Comparisons have two values: null is never less, and never equal. */
static void test_filters_say_what_becomes_of_null(void **state)
{
    (void)state;
    check(FILTER("eq", "2", "\"E'U\""), "(`region` IS NOT NULL AND `region` = 'E''U')");
    check(FILTER("not-eq", "2", "\"EU\""), "(`region` IS NULL OR `region` <> 'EU')");
    check(FILTER("gt-eq", "1", "7"), "(`id` IS NOT NULL AND `id` >= 7)");
    check(FILTER("lt", "5", "\"14.20\""), "(`price` IS NOT NULL AND `price` < 14.20)");
    check(FILTER("starts-with", "2", "\"E_\""), "`region` LIKE 'E!_%' ESCAPE '!'");
}

static void test_what_cannot_be_compared_refuses_the_table(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = {0};
    struct err err = ERR_INIT;
    assert_int_equal(policy_of(FILTER("eq", "6", "\"10:00:00\""), "region", &out, &err),
                     -EOPNOTSUPP);
    buf_done(&out);
    assert_int_equal(policy_of(FILTER("eq", "77", "1"), "region", &out, &err), -EOPNOTSUPP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks_name_columns_by_their_ids),
        cmocka_unit_test(test_a_renamed_column_is_masked_by_both_names),
        cmocka_unit_test(test_a_mask_is_of_the_column_of_its_id_whatever_others_were_called),
        cmocka_unit_test(test_a_column_has_its_own_mask_before_that_of_what_it_is_in),
        cmocka_unit_test(test_filters_say_what_becomes_of_null),
        cmocka_unit_test(test_what_cannot_be_compared_refuses_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
