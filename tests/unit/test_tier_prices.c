/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

#include "base/limits.h"
#include "lake/tier/plan_sums.h"

#define DAY INT64_C(86400000)
#define NOW (1000 * DAY)

static void near(double a, double b)
{
    if (fabs(a - b) > 1e-12 + fabs(b) * 1e-9)
        fail_msg("%.12g instead of %.12g", a, b);
}

static struct tier_price price(const char *scheme, const char *class)
{
    return tier_price_find(NULL, NULL, scheme, slice_of(class));
}

static double month(const char *scheme, const char *class, uint64_t bytes)
{
    struct tier_price p = price(scheme, class);
    return tier_price_month(&p, bytes);
}

/* Aim: what is smaller than a class bills is billed all the same; archives add to each object. */
static void test_months(void **state)
{
    (void)state;
    near(month("s3", "STANDARD", 1000000000), 0.023);
    near(month("s3", "STANDARD", 1), 0.023e-9);
    near(month("s3", "STANDARD_IA", 1), 128 * 1024 * 0.0125e-9);
    near(month("s3", "STANDARD_IA", 1000000000), 0.0125);
    near(month("s3", "GLACIER", 0), 32 * 1024 * 0.0036e-9 + 8 * 1024 * 0.023e-9);
    near(month("abfss", "Cool", 1000000000), 0.01);
    near(month("gs", "ARCHIVE", 1000000000), 0.0012);
    near(month("file", "local", 1000000000), 0);
    near(month("s3", "NO_SUCH", 1000000000), 0);
    assert_false(price("s3", "NO_SUCH").known);
    assert_false(price("s3", "Cool").known); /* another store's */
}

/* Aim: the file's price counts before the list's, a layer's before both. */
static void test_prices_of_the_file(void **state)
{
    (void)state;
    static const char text[] = "layers: {a: {url: s3://xxx, prices: {STANDARD: 3}}, b: s3://yyy}\n"
                               "prices: {STANDARD: 2, OWN: 1}\n";
    struct err err = ERR_INIT;
    AUTO(lakefile) struct lakefile *file = NULL;
    assert_int_equal(lakefile_parse(slice_of(text), "f", &file, &err), 0);
    near(tier_price_find(file, &file->layers[0], "s3", SLICE_LIT("STANDARD")).gb_month, 3);
    near(tier_price_find(file, &file->layers[1], "s3", SLICE_LIT("STANDARD")).gb_month, 2);
    near(tier_price_find(file, NULL, "s3", SLICE_LIT("GLACIER")).gb_month, 0.0036);
    near(tier_price_find(file, NULL, "s3", SLICE_LIT("GLACIER")).hot_gb_month, 2);
    assert_true(tier_price_find(file, NULL, "s3", SLICE_LIT("OWN")).known);
}

static struct tier_cost cost(const char *from, const char *to, uint64_t bytes, int64_t age_days,
                             int64_t stays_days)
{
    struct tier_price a = price("s3", from), b = price("s3", to);
    return tier_cost_of(&a, &b, bytes, NOW - age_days * DAY,
                        stays_days < 0 ? INT64_MAX : NOW + stays_days * DAY, NOW);
}

/* Aim: minimum sizes make a move too dear, minimum durations are told and counted. */
static void test_costs(void **state)
{
    (void)state;
    assert_true(cost("STANDARD", "STANDARD_IA", 60000, 100, -1).dear);
    assert_false(cost("STANDARD", "STANDARD_IA", 80000, 100, -1).dear);
    assert_true(cost("STANDARD", "GLACIER", 15000, 100, -1).dear);
    assert_false(cost("STANDARD", "GLACIER", 17000, 100, -1).dear);

    struct tier_cost c = cost("STANDARD_IA", "GLACIER", 1000000000, 10, -1);
    assert_true(c.early);
    near(c.once, 0.0125 * 20 / 30 + 0.00003);
    near(c.read_all, 0.01);
    assert_false(cost("STANDARD_IA", "GLACIER", 1000000000, 30, -1).early);
    near(cost("STANDARD_IA", "GLACIER", 1000000000, 30, -1).once, 0.00003);

    assert_true(cost("STANDARD", "GLACIER", 1000000000, 30, 89).passing);
    assert_false(cost("STANDARD", "GLACIER", 1000000000, 30, 90).passing);
    assert_false(cost("STANDARD", "GLACIER", 1000000000, 30, -1).passing);
    assert_true(cost("STANDARD", "GLACIER", 1000000000, 30, 0).passing);
}

/* Aim: each store's classes get colder in the order of its own transitions. */
static void test_coldness(void **state)
{
    (void)state;
    static const char *const orders[][8] = {
        {"s3", "STANDARD", "INTELLIGENT_TIERING", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR",
         "GLACIER", "DEEP_ARCHIVE"},
        {"abfss", "Hot", "Cool", "Cold", "Archive"},
        {"gs", "STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
        for (size_t k = 2; k < 8 && orders[i][k]; k++) {
            const struct tier_class *a = tier_class_find(orders[i][0], slice_of(orders[i][k - 1]));
            const struct tier_class *b = tier_class_find(orders[i][0], slice_of(orders[i][k]));
            assert_true(a->coldness < b->coldness);
            assert_true(a->minimum_days <= b->minimum_days);
        }
    assert_string_equal(tier_class_default("s3"), "STANDARD");
    assert_string_equal(tier_class_default("nothing"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_months),
        cmocka_unit_test(test_prices_of_the_file),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_coldness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
