/* SPDX-License-Identifier: Apache-2.0 */
/* Which proxy a URL goes through, where AWS's regions are, and which settings decide who asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cache/store/proxy.h"
#include "cache/store/region.h"
#include "cache/store/settings.h"

static void check(const struct store_options *o, const char *url, const char *want)
{
    const char *got = proxy_for(o, url);
    if (want)
        assert_string_equal(got, want);
    else
        assert_null(got);
}

/* By scheme; not for what no_proxy names; an option goes before the environment. */
static void test_proxy(void **state)
{
    (void)state;
    struct store_options o = {.https_proxy = "http://s",
                              .http_proxy = "http://p",
                              .no_proxy =
                                  "localhost,.corp.example, 10.1.2.3,fd00::1,*.lab.example"};
    check(&o, "https://b.s3.amazonaws.com", "http://s");
    check(&o, "http://b.s3.amazonaws.com", "http://p");
    check(&o, "https://localhost:9000", NULL);
    check(&o, "https://minio.CORP.example", NULL);
    check(&o, "https://corp.example/x", NULL);
    check(&o, "https://notcorp.example", "http://s");
    check(&o, "https://s3.lab.example", NULL);
    check(&o, "https://notlab.example", "http://s");
    check(&o, "http://10.1.2.3", NULL);
    check(&o, "http://[fd00::1]:80", NULL);
    check(&o, "http://[fd00::2]:80", "http://p");
    o.proxy_url = "http://mine";
    check(&o, "https://localhost:9000", "http://mine");
    o.proxy_url = "off";
    check(&o, "https://b.s3.amazonaws.com", NULL);
    o = (struct store_options){.https_proxy = "http://s", .no_proxy = "*"};
    check(&o, "https://b.s3.amazonaws.com", NULL);
    check(&(struct store_options){0}, "https://b.s3.amazonaws.com", NULL);
}

/* A region may be part of a host's name, and has the domain of its partition. */
static void test_region(void **state)
{
    (void)state;
    assert_true(region_valid("eu-central-1"));
    assert_false(region_valid(""));
    assert_false(region_valid("evil.example.com/"));
    assert_false(region_valid("EU-WEST-1"));
    assert_false(region_valid("a-region-with-a-name-that-is-longer-than-any-other"));
    assert_string_equal(region_domain("eu-central-1"), "amazonaws.com");
    assert_string_equal(region_domain("cn-north-1"), "amazonaws.com.cn");
    assert_string_equal(region_domain("us-iso-east-1"), "c2s.ic.gov");
    assert_string_equal(region_domain("us-isob-east-1"), "sc2s.sgov.gov");
}

/* Copies are the copier's; what is not known is passed over. */
static void test_settings(void **state)
{
    (void)state;
    struct store_options o = {0}, copy;
    assert_int_equal(settings_set(&o, SLICE_LIT("access_key_id"), SLICE_LIT("a"), NULL), 0);
    assert_int_equal(settings_set(&o, SLICE_LIT("access_key_id"), SLICE_LIT("b"), NULL), 0);
    assert_int_equal(settings_set(&o, SLICE_LIT("of_tomorrow"), SLICE_LIT("c"), NULL), 0);
    assert_int_equal(settings_copy(&copy, &o), 0);
    settings_done(&o);
    assert_null(o.access_key_id);
    assert_string_equal(copy.access_key_id, "b");
    settings_done(&copy);
}

static bool counts_for(const struct store_options *o, const char *key, const char *scheme)
{
    for (size_t i = 0; i < settings_count; i++)
        if (strcmp(settings[i].key, key) == 0)
            return setting_counts(o, &settings[i], scheme);
    return false;
}

static bool counts(const struct store_options *o, const char *key)
{
    return counts_for(o, key, "s3");
}

/* Two shells of one person may differ in what does not decide with which keys S3 is asked. */
static void test_what_counts(void **state)
{
    (void)state;
    struct store_options keys = {.access_key_id = "a", .secret_access_key = "b"};
    struct store_options none = {0}, chosen = keys;
    chosen.aws_profile_chosen = true;
    assert_true(counts(&none, "aws_profile") && counts(&chosen, "aws_profile"));
    assert_false(counts(&keys, "aws_profile") || counts(&keys, "home"));
    assert_true(counts(&keys, "access_key_id") && counts(&keys, "endpoint_url"));
    assert_false(counts(&none, "path"));
    assert_true(counts_for(&none, "azure_sas_token", "abfss"));
    assert_false(counts(&none, "azure_sas_token") || counts_for(&none, "aws_profile", "abfss"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_region),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_what_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
