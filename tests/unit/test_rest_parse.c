/* SPDX-License-Identifier: Apache-2.0 */
/* What the answers of catalogs are taken for: Iceberg's REST protocol, Unity Catalog's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "lake/catalog/problem.h"
#include "lake/catalog/rest_parse.h"
#include "lake/catalog/restrictions.h"
#include "lake/catalog/unity_parse.h"

/* Aim: what the server overrides counts before what it gives as a default. */
static void test_configuration(void **state)
{
    (void)state;
    AUTO(arena) struct arena arena;
    struct rest_config c;
    struct err err = ERR_INIT;
    arena_init(&arena, MIB);
    assert_int_equal(
        rest_config_parse(
            SLICE_LIT("{\"defaults\":{\"prefix\":\"d\",\"clients\":4,\"uri\":\"http://no\"},"
                      "\"overrides\":{\"prefix\":\"catalogs/a b\",\"namespace-separator\":\"%2E\"},"
                      "\"endpoints\":[\"GET /v1/{prefix}/namespaces\",\"GET /v1/{prefix}/namespaces"
                      "/{namespace}/tables/{table}/credentials\"],\"more\":[{}]}"),
            &arena, &c, &err),
        0);
    assert_true(slice_is(c.prefix, "catalogs/a b"));
    assert_true(slice_is(c.separator, "%2E"));
    assert_int_equal(c.uri.n, 0);
    assert_true(c.has_credentials);
    assert_int_equal(rest_config_parse(SLICE_LIT("{}"), &arena, &c, &err), 0);
    assert_int_equal(c.prefix.n, 0);
    assert_false(c.has_credentials);
    assert_int_equal(rest_config_parse(SLICE_LIT("{\"overrides\":[]}"), &arena, &c, &err), -EIO);
    assert_int_equal(rest_config_parse(SLICE_LIT("<html>"), &arena, &c, &err), -EIO);
}

static int namespaces(const char *json, const struct catalog_namespace *in,
                      struct catalog_names *names)
{
    struct err err = ERR_INIT;
    catalog_names_init(names);
    int rc = rest_namespaces_parse(slice_of(json), in, names, &err);
    assert_int_equal(rc, -err.code);
    return rc;
}

/* Aim: of namespaces the next level is listed, and nothing that lies elsewhere. */
static void test_namespaces(void **state)
{
    (void)state;
    const struct slice level = SLICE_LIT("a");
    const struct catalog_namespace root = {NULL, 0}, in = {&level, 1};
    struct catalog_names names;
    assert_int_equal(namespaces("{\"namespaces\":[[\"a\"],[\"b\\u00e9\"]],\"next-page-token\":"
                                "\"x\"}",
                                &root, &names),
                     0);
    assert_int_equal(names.n, 2);
    assert_true(slice_is(names.at[1], "b\xc3\xa9"));
    assert_true(slice_is(names.next, "x"));
    catalog_names_done(&names);
    assert_int_equal(
        namespaces("{\"next-page-token\":null,\"namespaces\":[[\"a\",\"c\"]]}", &in, &names), 0);
    assert_int_equal(names.n, 1);
    assert_true(slice_is(names.at[0], "c"));
    assert_int_equal(names.next.n, 0);
    catalog_names_done(&names);
    static const char *const wrong[] = {
        "{}",
        "{\"namespaces\":[[\"b\",\"c\"]]}",
        "{\"namespaces\":[[\"a\"]]}",
        "{\"namespaces\":[[\"a\",\"b\",\"c\"]]}",
        "{\"namespaces\":[[\"a\",7]]}",
        "{\"namespaces\":[[\"a\",null]]}",
        "{\"namespaces\":[[\"a\",\"x\\u0000y\"]]}",
        "{\"namespaces\":[[\"a\",\"b\"]],\"next-page-token\":7}",
        "{\"namespaces\":[[\"a\",\"b\"]]",
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        if (namespaces(wrong[i], &in, &names) != -EIO)
            fail_msg("taken: %s", wrong[i]);
        catalog_names_done(&names);
    }
}

static void test_tables(void **state)
{
    (void)state;
    const struct slice level = SLICE_LIT("a");
    const struct catalog_namespace in = {&level, 1};
    struct err err = ERR_INIT;
    AUTO(catalog_names) struct catalog_names names, other;
    catalog_names_init(&names);
    catalog_names_init(&other);
    assert_int_equal(
        rest_tables_parse(SLICE_LIT("{\"identifiers\":[{\"name\":\"t\",\"namespace\":"
                                    "[\"a\"]},{\"namespace\":[\"a\"],\"name\":\"\"}]}"),
                          &in, &names, &err),
        0);
    assert_int_equal(names.n, 2);
    assert_true(slice_is(names.at[0], "t"));
    assert_int_equal(
        rest_tables_parse(SLICE_LIT("{\"identifiers\":[{\"namespace\":[\"b\"],\"name\":\"t\"}]}"),
                          &in, &other, &err),
        -EIO);
}

static int load(const char *json, struct catalog_table **out, struct err *err)
{
    *err = (struct err)ERR_INIT;
    *out = catalog_table_new(err);
    assert_non_null(*out);
    buf_add_str(&(*out)->text, json);
    int rc = rest_table_parse(*out, err);
    assert_int_equal(rc, -err->code);
    return rc;
}

/* Aim: a table's metadata is handed on as it was sent, with what is asked of it at once. */
static void test_table(void **state)
{
    (void)state;
    struct err err;
    AUTO(catalog_table) struct catalog_table *t = NULL;
    assert_int_equal(load("{\"metadata-location\":\"s3://b/m.json\",\"metadata\":{\"table-uuid\":"
                          "\"u\",\"location\":\"s3://b\",\"x\":[1]},\"config\":{\"token\":\"t\"},"
                          "\"read-restrictions\":{\"required-row-filter\":false},"
                          "\"remote-signing-config\":{}}",
                          &t, &err),
                     0);
    assert_int_equal(t->format, CATALOG_ICEBERG);
    assert_true(slice_is(t->location, "s3://b"));
    assert_true(slice_is(t->uuid, "u"));
    assert_true(slice_is(t->metadata_location, "s3://b/m.json"));
    assert_true(slice_is(t->metadata, "{\"table-uuid\":\"u\",\"location\":\"s3://b\",\"x\":[1]}"));
    assert_non_null(t->restrictions);
}

/* Aim: a restriction that is not known keeps the table from being read. */
static void test_tables_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        int rc;
    } cases[] = {
        {",\"read-restrictions\":{\"required-row-filter\":{\"type\":\"x\"}}", -EOPNOTSUPP},
        {",\"read-restrictions\":{},\"read-restrictions\":{}", -EIO},
        {",\"config\":{\"scan-planning-mode\":\"server\"}", -EOPNOTSUPP},
        {",\"config\":{\"scan-planning-mode\":\"client\"}", 0},
        {",\"config\":{\"a\":{}}", -EIO},
        {",\"storage-credentials\":[{\"prefix\":\"s3\"}]", -EIO},
        {",\"storage-credentials\":{}", -EIO},
        {",\"metadata\":7", -EIO},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err;
        AUTO(catalog_table) struct catalog_table *t = NULL;
        AUTO(buf) struct buf text = {0};
        buf_init(&text, KIB);
        buf_addf(&text, "{\"metadata\":{\"location\":\"l\"}%s}", cases[i].more);
        if (load(text.data, &t, &err) != cases[i].rc)
            fail_msg("%s: %d %s", cases[i].more, err.code, err.msg);
    }
}

/* Aim: each kind of error document gives its word and its sentence, and tells whether it is a
 * catalog's word that there is no such thing. */
static void test_problems(void **state)
{
    (void)state;
    static const struct {
        const char *json, *type, *message;
        bool absent;
    } cases[] = {
        {"{\"error\":{\"message\":\"no t\",\"type\":\"NoSuchTableException\",\"code\":404,"
         "\"stack\":[\"a\"]}}",
         "NoSuchTableException", "no t", true},
        {"{\"error_code\":\"TABLE_NOT_FOUND\",\"message\":\"m\",\"details\":[{}]}",
         "TABLE_NOT_FOUND", "m", true},
        {"{\"__type\":\"com.amazon#EntityNotFoundException\",\"Message\":\"m\"}",
         "EntityNotFoundException", "m", true},
        {"{\"error\":{\"type\":\"RouteException\",\"message\":\"m\"}}", "RouteException", "m",
         false},
        {"{\"error_code\":\"ENDPOINT_NOT_FOUND\",\"message\":\"m\"}", "ENDPOINT_NOT_FOUND", "m",
         false},
        {"{\"timestamp\":1,\"status\":404,\"error\":\"Not Found\",\"path\":\"/v1\"}", "Not Found",
         "", false},
        {"{\"error\":\"NoSuchRoute\",\"message\":\"m\"}", "NoSuchRoute", "m", false},
        {"{\"__type\":\"com.amazon#AccessDeniedException:http://x\",\"Message\":\"m\"}",
         "AccessDeniedException", "m", false},
        {"{\"error\":\"invalid_client\",\"error_description\":\"a\\u001bb\"}", "invalid_client",
         "a?b", false},
        {"<html>404</html>", "", "", false},
        {"{\"error\":{\"type\":\"T\"}", "", "", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct catalog_problem p;
        catalog_problem_parse(slice_of(cases[i].json), &p);
        assert_string_equal(p.type, cases[i].type);
        assert_string_equal(p.message, cases[i].message);
        if (catalog_problem_absent(&p) != cases[i].absent)
            fail_msg("%s", cases[i].json);
    }
}

static int unity(const char *json, struct catalog_table **out, struct err *err)
{
    *err = (struct err)ERR_INIT;
    *out = catalog_table_new(err);
    assert_non_null(*out);
    buf_add_str(&(*out)->text, json);
    return unity_table_parse(*out, err);
}

/* Aim: Unity Catalog's Delta tables are taken, with the credentials that it gives for them. */
static void test_unity(void **state)
{
    (void)state;
    struct err err;
    AUTO(catalog_table) struct catalog_table *t = NULL;
    assert_int_equal(unity("{\"name\":\"t\",\"table_type\":\"MANAGED\",\"data_source_format\":"
                           "\"DELTA\",\"columns\":[{\"name\":\"c\",\"mask\":null}],\"row_filter\":"
                           "null,\"storage_location\":\"s3://b/t\",\"table_id\":\"id\"}",
                           &t, &err),
                     0);
    assert_int_equal(t->format, CATALOG_DELTA);
    assert_true(slice_is(t->uuid, "id"));
    assert_int_equal(
        unity_credentials_parse(SLICE_LIT("{\"aws_temp_credentials\":{\"access_key_id\":\"a\","
                                          "\"secret_access_key\":\"s\",\"session_token\":\"t\"},"
                                          "\"azure_user_delegation_sas\":null,"
                                          "\"expiration_time\":17,\"url\":\"s3://b\"}"),
                                t, &err),
        0);
    assert_int_equal(t->credentials_n, 1);
    assert_true(slice_is(t->credentials[0].prefix, "s3://b/t"));
    const struct slice *end = catalog_find(t->credentials[0].config, t->credentials[0].config_n,
                                           "s3.session-token-expires-at-ms");
    assert_true(end && slice_is(*end, "17"));
}

/* Aim: views, other formats, and tables with policies of the catalog's own are refused. */
static void test_unity_refuses(void **state)
{
    (void)state;
#define DELTA "{\"data_source_format\":\"DELTA\",\"storage_location\":\"l\",\"table_id\":\"i\""
    static const char *const texts[] = {
        "{\"table_type\":\"VIEW\",\"data_source_format\":\"DELTA\"}",
        "{\"data_source_format\":\"ICEBERG\",\"storage_location\":\"l\",\"table_id\":\"i\"}",
        DELTA ",\"row_filter\":{\"function_name\":\"f\"}}",
        DELTA ",\"columns\":[{\"mask\":{\"function_name\":\"f\"}}]}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct err err;
        AUTO(catalog_table) struct catalog_table *t = NULL;
        if (unity(texts[i], &t, &err) != -EOPNOTSUPP)
            fail_msg("%s: %d %s", texts[i], err.code, err.msg);
    }
    struct err err;
    AUTO(catalog_table) struct catalog_table *t = NULL;
    assert_int_equal(unity("{\"data_source_format\":\"DELTA\"}", &t, &err), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_namespaces),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_tables_that_are_refused),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_unity),
        cmocka_unit_test(test_unity_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
