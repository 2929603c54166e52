/* SPDX-License-Identifier: Apache-2.0 */
/* Which of a catalog's credentials count where a table lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lake/catalog/access.h"
#include "lake/catalog/rest_parse.h"

#define TABLE(more) "{\"metadata\":{\"location\":\"s3://b/t\",\"table-uuid\":\"u\"}" more "}"
#define S3(id)                                                                                     \
    "\"s3.access-key-id\":\"" id "\",\"s3.secret-access-key\":\"sec\",\"s3.session-token\":"       \
    "\"tok\""

static struct catalog_table *table(const char *json)
{
    struct err err = ERR_INIT;
    struct catalog_table *t = catalog_table_new(&err);
    assert_non_null(t);
    buf_add_str(&t->text, json);
    if (rest_table_parse(t, &err) < 0)
        fail_msg("%s: %s", json, err.msg);
    return t;
}

/* The key that counts at a location; "": none. */
static const char *key_at(const struct catalog_table *t, const char *location)
{
    struct catalog_access access;
    return catalog_access_of(t, slice_of(location), &access) ? access.access_key_id : "";
}

/* Aim: of several prefixes the longest counts, whichever spelling of S3 there is. */
static void test_longest_prefix(void **state)
{
    (void)state;
    AUTO(catalog_table)
    struct catalog_table *t =
        table(TABLE(",\"storage-credentials\":[{\"prefix\":\"s3\",\"config\":{" S3(
            "all") "}},"
                   "{\"prefix\":\"s3://b/t/data\",\"config\":{" S3(
                       "data") "}},"
                               "{\"prefix\":\"s3a://b/t/\",\"config\":{" S3(
                                   "table") "}},"
                                            "{\"prefix\":\"gs://b/t/data/"
                                            "x\",\"config\":{\"gcs.oauth2.token\":\"g\"}}]"));
    assert_string_equal(key_at(t, "s3://b/t/data/x/1.parquet"), "data");
    assert_string_equal(key_at(t, "s3a://b/t/data/1.parquet"), "data");
    assert_string_equal(key_at(t, "s3n://b/t/metadata/1.avro"), "table");
    assert_string_equal(key_at(t, "s3://other/1.parquet"), "all");
    assert_string_equal(key_at(t, "file:///b/t"), "");
}

/* Aim: where no credential has a prefix of the location, those of the configuration count. */
static void test_configuration(void **state)
{
    (void)state;
    struct catalog_access access;
    AUTO(catalog_table)
    struct catalog_table *t = table(TABLE(",\"config\":{" S3(
        "common") ",\"client.region\":\"eu-west-1\",\"s3.endpoint\":"
                  "\"http://minio:9000\",\"s3.path-style-access\":true,"
                  "\"s3.session-token-expires-at-ms\":\"1700000000000\",\"more\":null},"
                  "\"storage-credentials\":[{\"prefix\":\"s3://b/t/\",\"config\":{" S3(
                      "own") "}}]"));
    assert_string_equal(key_at(t, "s3://elsewhere/x"), "common");
    assert_int_equal(catalog_access_of(t, SLICE_LIT("s3://b/t/x"), &access), 1);
    assert_string_equal(access.access_key_id, "own");
    assert_string_equal(access.region, "eu-west-1");
    assert_string_equal(access.endpoint_url, "http://minio:9000");
    assert_true(access.path_style);
    assert_int_equal(catalog_access_ends(t), 1700000000000);
}

/* Aim: Azure's tokens are those of the location's account, by its host or its name. */
static void test_azure_account(void **state)
{
    (void)state;
    struct catalog_access access;
    AUTO(catalog_table)
    struct catalog_table *t = table(
        TABLE(",\"config\":{\"adls.sas-token.acc.dfs.core.windows.net\":\"one\","
              "\"adls.sas-token.other\":\"two\",\"adls.sas-token-expires-at-ms.other\":\"9\"}"));
    assert_int_equal(
        catalog_access_of(t, SLICE_LIT("abfss://c@acc.dfs.core.windows.net/t"), &access), 1);
    assert_string_equal(access.azure_sas_token, "one");
    assert_int_equal(
        catalog_access_of(t, SLICE_LIT("abfss://c@other.dfs.core.windows.net/t"), &access), 1);
    assert_string_equal(access.azure_sas_token, "two");
    assert_int_equal(access.expires_ms, 9);
    assert_int_equal(
        catalog_access_of(t, SLICE_LIT("abfss://c@third.dfs.core.windows.net/t"), &access), 0);
    assert_int_equal(catalog_access_ends(t), 9);
}

/* Aim: a catalog's key replaces the mount's, its name of the server does not. */
static void test_options(void **state)
{
    (void)state;
    struct store_options o = {.access_key_id = "mine",
                              .secret_access_key = "mine",
                              .endpoint_url = "https://reachable",
                              .no_sign_request = true};
    const struct catalog_access access = {.access_key_id = "vended",
                                          .secret_access_key = "s",
                                          .region = "r",
                                          .endpoint_url = "http://inside:9000",
                                          .path_style = true};
    catalog_access_options(&access, &o);
    assert_string_equal(o.access_key_id, "vended");
    assert_false(o.no_sign_request);
    assert_string_equal(o.endpoint_url, "https://reachable");
    assert_string_equal(o.region, "r");
    assert_string_equal(o.addressing, "path");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_prefix),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_azure_account),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
