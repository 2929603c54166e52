/* SPDX-License-Identifier: Apache-2.0 */
/* Lake files: what they say, and what is wrong with those that say nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "lake/lakefile.h"

#define DAY_MS INT64_C(86400000)

static struct lakefile *parse(const char *text)
{
    struct err err = ERR_INIT;
    struct lakefile *l = NULL;
    if (lakefile_parse(slice_of(text), "lake.yaml", &l, &err) < 0)
        fail_msg("%s", err.msg);
    return l;
}

static const char whole[] =
    "layers:\n"
    "  bronze: s3://raw/landing\n"
    "  silver: {url: \"abfss://silver@account.dfs.core.windows.net/\", near: "
    "\"file:///nas/silver\",\n"
    "           outside: [\"s3://shared/\"], prices: {Cool: 0.01}}\n"
    "  gold:\n"
    "    url: file:///nas/gold\n"
    "    near: {url: s3://fast/near, size: 500G, endpoint-url: \"http://10.0.0.1:9000\"}\n"
    "archive: s3://keep/tarn\n"
    "prices: {STANDARD: 0.023, STANDARD_IA: 0.0125, GLACIER: 0.0036}\n"
    "rules:\n"
    "  - {tables: [\"bronze/**\"], move: [{to: STANDARD_IA, after: 30d}, {to: GLACIER, after: "
    "90d}]}\n"
    "  - {tables: [\"silver/**\"], need: older-than-7d, move: [{to: Cool, after: 12h}]}\n"
    "  - tables: [\"silver/orders\", \"gold/*\"]\n"
    "    partition: {column: date, older-than: 90d}\n"
    "    need: compacted\n"
    "    live: true\n"
    "    tags: true\n"
    "    move: [{to: Archive, after: 0s}]\n";

/* The file of the documentation is understood, key by key. */
static void test_everything(void **state)
{
    (void)state;
    AUTO(lakefile) struct lakefile *l = parse(whole);
    double price = 0;
    assert_string_equal(l->name, "lake.yaml");
    assert_int_equal(l->layers_n, 3);
    assert_string_equal(l->layers[0].name, "bronze");
    assert_string_equal(l->layers[0].store.url, "s3://raw/landing");
    assert_int_equal(l->layers[0].place.line, 2);
    assert_null(l->layers[0].near.url);
    assert_string_equal(l->layers[1].near.url, "file:///nas/silver");
    assert_int_equal(l->layers[1].outside_n, 1);
    assert_string_equal(l->layers[1].outside[0].url, "s3://shared/");
    assert_string_equal(l->layers[2].near.url, "s3://fast/near");
    assert_int_equal(l->layers[2].near_bytes, 500 * GIB);
    assert_int_equal(l->layers[2].near.options_n, 1);
    assert_string_equal(l->layers[2].near.options[0].name, "endpoint-url");
    assert_string_equal(l->layers[2].near.options[0].value, "http://10.0.0.1:9000");
    assert_string_equal(l->archive.url, "s3://keep/tarn");
    const struct lakefile_layer *silver = lakefile_layer(l, SLICE_LIT("silver"));
    assert_ptr_equal(silver, &l->layers[1]);
    assert_null(lakefile_layer(l, SLICE_LIT("silve")));
    assert_true(lakefile_price(l, NULL, SLICE_LIT("GLACIER"), &price) && price == 0.0036);
    assert_true(lakefile_price(l, silver, SLICE_LIT("Cool"), &price) && price == 0.01);
    assert_true(lakefile_price(l, silver, SLICE_LIT("STANDARD"), &price) && price == 0.023);
    assert_false(lakefile_price(l, &l->layers[0], SLICE_LIT("Cool"), &price));
}

static void test_rules(void **state)
{
    (void)state;
    AUTO(lakefile) struct lakefile *l = parse(whole);
    assert_int_equal(l->rules_n, 3);
    const struct lakefile_rule *r = &l->rules[0];
    assert_true(r->tables_n == 1 && glob_matches(r->tables, SLICE_LIT("bronze/a/b"), '/', false));
    assert_false(glob_matches(r->tables, SLICE_LIT("silver/a"), '/', false));
    assert_true(r->need == LAKEFILE_NEED_ANY && !r->live && !r->tags && !r->partition_column);
    assert_int_equal(r->moves_n, 2);
    assert_string_equal(r->moves[1].to, "GLACIER");
    assert_int_equal(r->moves[1].after_ms, 90 * DAY_MS);
    assert_int_equal(r->place.line, 11);
    r = &l->rules[1];
    assert_true(r->need == LAKEFILE_NEED_OLDER_THAN && r->need_ms == 7 * DAY_MS);
    assert_int_equal(r->moves[0].after_ms, DAY_MS / 2);
    r = &l->rules[2];
    assert_true(r->need == LAKEFILE_NEED_COMPACTED && r->live && r->tags && r->tables_n == 2);
    assert_string_equal(r->partition_column, "date");
    assert_int_equal(r->partition_older_ms, 90 * DAY_MS);
    assert_int_equal(r->moves[0].after_ms, 0);
}

/* Options of a store have the names and values of the command line. */
static void test_options(void **state)
{
    (void)state;
    AUTO(lakefile)
    struct lakefile *l =
        parse("layers: {a: {url: s3://bucket, region: eu-west-1, requester-pays: true,\n"
              "             no-sign-request: false, profile: raw, addressing: path}}\n");
    const struct lakefile_store *s = &l->layers[0].store;
    assert_int_equal(s->options_n, 4);
    assert_string_equal(s->options[0].name, "region");
    assert_string_equal(s->options[1].name, "requester-pays");
    assert_null(s->options[1].value);
    assert_string_equal(s->options[3].value, "path");
}

/* Every mistake is told with its line and column. */
static void test_mistakes(void **state)
{
    (void)state;
#define LAYER "layers: {a: s3://bucket}\n"
#define MOVE "move: [{to: X, after: 1d}]"
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"", "lake.yaml:1:1: the file is empty"},
        {"layers: {a: s3://bucket\n", "lake.yaml:2:1: did not find expected"},
        {"prices: {A: 1}\n", "lake.yaml:1:1: a lake file lacks \"layers\""},
        {"layers: {}\n", "lake.yaml:1:9: layers are a map"},
        {"layers: [s3://bucket]\n", "lake.yaml:1:9: layers are a map"},
        {LAYER "layer: 1\n", "lake.yaml:2:1: a lake file has no \"layer\"; it has layers, archive"},
        {LAYER LAYER, "lake.yaml:2:1: \"layers\" is there twice"},
        {"layers:\n  a: {endpoint: s3://bbb}\n",
         "lake.yaml:2:7: a layer has no \"endpoint\"; it has"},
        {"layers:\n  a: {region: x}\n",
         "lake.yaml:2:6: a layer has one of \"url\", \"catalog\" and \"tables\""},
        {"layers:\n  a: {url: bucket/prefix}\n", "lake.yaml:2:12: a store is a URL"},
        {"layers: {a: [x]}\n", "lake.yaml:1:13: a layer is a URL"},
        {"layers: {a: 12}\n", "lake.yaml:1:13: a URL is text"},
        {"layers: {a: ftp://host/x}\n", "lake.yaml:1:13: "},
        {"layers: {a/b: s3://bucket}\n", "lake.yaml:1:10: a layer's name has no /"},
        {"layers: {a@1: s3://bucket}\n", "lake.yaml:1:10: a layer's name has no /"},
        {"layers: {_a: s3://bucket}\n", "lake.yaml:1:10: a layer's name begins with"},
        {"layers: {a: {url: s3://bbb, near: {size: 1G}}}\n", "a near store lacks \"url\""},
        {"layers: {a: {url: s3://bbb, near: {url: /n, size: 5}}}\n", "1:51: size takes a size"},
        {"layers: {a: {url: s3://bbb, outside: s3://c}}\n", "1:38: outside is a list"},
        {"layers: {a: {url: s3://bbb, proxy: \"http://u:p@h\"}}\n",
         "1:36: a password has no place"},
        {"layers: {a: {url: s3://bbb, ca-bundle: ca.pem}}\n",
         "1:40: ca-bundle is an absolute path"},
        {"layers: {a: {url: s3://bbb, sse: rot13}}\n", "1:34: sse is"},
        {"layers: {a: {url: s3://bbb, endpoint-url: host}}\n", "1:43: an endpoint begins"},
        {"layers: {a: {url: s3://bbb, no-sign-request: yes}}\n", "is true or false"},
        {"layers: {a: {url: s3://bbb, secret: x}}\n", "1:29: a layer has no \"secret\""},
        {LAYER "archive: {region: x}\n", "lake.yaml:2:10: an archive lacks \"url\""},
        {LAYER "prices: {A: \"1\"}\n", "lake.yaml:2:13: a price is a number"},
        {LAYER "prices: {A: -1}\n", "lake.yaml:2:13: a price is a number"},
        {LAYER "prices: {A-B: 1}\n", "lake.yaml:2:10: \"A-B\" is no storage class"},
        {LAYER "rules: {}\n", "lake.yaml:2:8: rules are a list"},
        {LAYER "rules: [x]\n", "lake.yaml:2:9: a rule has keys"},
        {LAYER "rules: [{tables: [a]}]\n", "lake.yaml:2:9: a rule lacks \"move\""},
        {LAYER "rules: [{" MOVE "}]\n", "lake.yaml:2:9: a rule lacks \"tables\""},
        {LAYER "rules: [{tables: a, " MOVE "}]\n", "lake.yaml:2:18: tables are a list"},
        {LAYER "rules: [{tables: [\"[a]\"], " MOVE "}]\n", "lake.yaml:2:19: the pattern [a] has"},
        {LAYER "rules: [{tables: [a], move: {to: X}}]\n", "lake.yaml:2:29: move is a list"},
        {LAYER "rules: [{tables: [a], move: [{to: X}]}]\n", "2:30: a move lacks \"after\""},
        {LAYER "rules: [{tables: [a], move: [{after: 1d}]}]\n", "2:30: a move lacks \"to\""},
        {LAYER "rules: [{tables: [a], move: [{to: X, after: 30}]}]\n", "2:45: after takes a time"},
        {LAYER "rules: [{tables: [a], move: [{to: X, after: 30 d}]}]\n", "2:45: after takes"},
        {LAYER "rules: [{tables: [a], move: [{to: X, after: 9d}, {to: Y, after: 1d}]}]\n",
         "2:50: to Y, after no more than to X before it"},
        {LAYER "rules: [{tables: [a], need: old, " MOVE "}]\n", "lake.yaml:2:29: need is"},
        {LAYER "rules: [{tables: [a], need: older-than-7, " MOVE "}]\n", "lake.yaml:2:29: need is"},
        {LAYER "rules: [{tables: [a], partition: {column: c}, " MOVE "}]\n",
         "lake.yaml:2:34: a partition lacks \"older-than\""},
        {LAYER "rules: [{tables: [a], live: 1, " MOVE "}]\n", "2:29: live is true or false"},
        {LAYER "rules: [{tables: [a], live: \"true\", " MOVE "}]\n", "live is true or false"},
        {"layers: &x {a: s3://bucket}\n", "lake.yaml:1:9: anchors are not taken here"},
        {"layers: {12: s3://bucket}\n", "lake.yaml:1:10: \"12\" is no string in YAML"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = ERR_INIT;
        struct lakefile *l = NULL;
        int rc = lakefile_parse(slice_of(cases[i].text), "lake.yaml", &l, &err);
        if (rc != -EINVAL || l || !strstr(err.msg, cases[i].told))
            fail_msg("%s: rc %d, \"%s\", not \"%s\"", cases[i].text, rc, err.msg, cases[i].told);
        assert_ptr_equal(strstr(err.msg, "lake.yaml:"), err.msg);
    }
}

/* A secret that somebody put into a URL is not repeated. */
static void test_secret(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct lakefile *l = NULL;
    assert_int_equal(
        lakefile_parse(SLICE_LIT("layers:\n  a: s3://key:hunter2@bucket/x\n"), "l", &l, &err),
        -EINVAL);
    assert_non_null(strstr(err.msg, "l:2:6: "));
    assert_null(strstr(err.msg, "hunter2"));
}

static void test_bounds(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct lakefile *l = NULL;
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 2 * LAKEFILE_BYTES_MAX);
    buf_add_str(&text, "layers:\n");
    for (int i = 0; i <= LAKE_LAYERS_MAX; i++)
        buf_addf(&text, "  l%d: s3://bucket\n", i);
    assert_int_equal(lakefile_parse(buf_slice(&text), "l", &l, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "l:2:3: 65 are too many"));
    while (text.len <= LAKEFILE_BYTES_MAX)
        buf_add_str(&text, "# much\n");
    assert_int_equal(lakefile_parse(buf_slice(&text), "l", &l, &err), -EOVERFLOW);
}

static void test_names(void **state)
{
    (void)state;
    assert_true(lakefile_is_named("lake.yaml") && lakefile_is_named("/etc/x.yml"));
    assert_false(lakefile_is_named("s3://bucket/lake.yaml") || lakefile_is_named("lake.json"));
}

/* Catalogs, and tables by their metadata files, key by key. */
static void test_catalogs(void **state)
{
    (void)state;
    AUTO(lakefile)
    struct lakefile *l =
        parse("layers:\n"
              "  prod:\n"
              "    catalog: {type: rest, uri: \"https://h/api\", warehouse: w, auth: oauth2,\n"
              "              credential-file: /etc/c, scope: s, vended-credentials: false}\n"
              "    outside: [\"s3://bucket/x\"]\n"
              "    region: eu-west-1\n"
              "  lite: {catalog: {type: sql, uri: /d/c.db, name: n}}\n"
              "  aws: {catalog: {type: glue}}\n"
              "  named: {tables: {orders: \"s3://bucket/orders/metadata/v3.metadata.json\"}}\n");
    const struct lakefile_layer *prod = &l->layers[0];
    assert_int_equal(prod->catalog.kind, LAKEFILE_CATALOG_REST);
    assert_string_equal(prod->catalog.uri, "https://h/api");
    assert_string_equal(prod->catalog.auth, "oauth2");
    assert_string_equal(prod->catalog.credential_file, "/etc/c");
    assert_true(prod->catalog.own_credentials && !prod->store.url && prod->outside_n == 1);
    assert_string_equal(prod->store.options[0].name, "region");
    assert_string_equal(l->layers[1].catalog.name, "n");
    assert_true(l->layers[2].catalog.kind == LAKEFILE_CATALOG_GLUE && !l->layers[2].catalog.uri);
    assert_int_equal(l->layers[3].catalog.kind, LAKEFILE_CATALOG_TABLES);
    assert_string_equal(l->layers[3].tables[0].url, "s3://bucket/orders/metadata/v3.metadata.json");
}

/* What is wrong with a catalog is told with its place, and no secret is repeated. */
static void test_wrong_catalogs(void **state)
{
    (void)state;
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"layers: {a: {catalog: {type: hive, uri: \"https://h\"}}}", ":1:30: a catalog's type is"},
        {"layers: {a: {catalog: {type: rest}}}", ":1:23: a catalog lacks \"uri\""},
        {"layers: {a: {catalog: {uri: \"https://h\"}}}", ":1:23: a catalog lacks \"type\""},
        {"layers: {a: {catalog: {type: rest, uri: \"https://u:hunter2@h\"}}}",
         ":1:41: uri has no @"},
        {"layers: {a: {catalog: {type: sql, uri: \"postgresql://u:hunter2@h/d\"}}}",
         ":1:40: a password has no place"},
        {"layers: {a: {catalog: {type: sql, uri: /d/c.db, scope: s}}}",
         ":1:49: scope is of no sql"},
        {"layers: {a: {url: \"s3://bucket\", catalog: {type: glue}}}", ":1:13: a layer has one of"},
        {"layers: {a: {region: r}}", ":1:13: a layer has one of"},
        {"layers: {a: {catalog: {type: glue}, near: /n}}", ":1:37: near goes with the URL"},
        {"layers: {a: {tables: {t: \"s3://bucket/t\"}}}", ":1:26: a table is told by its metadata"},
        {"layers: {a: {catalog: {type: glue, token-file: t}}}", ":1:48: token-file is an absolute"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = ERR_INIT;
        struct lakefile *l = NULL;
        assert_int_equal(lakefile_parse(slice_of(cases[i].text), "lake.yaml", &l, &err), -EINVAL);
        if (strncmp(err.msg + 9, cases[i].told, strlen(cases[i].told)) != 0)
            fail_msg("%s", err.msg);
        assert_null(strstr(err.msg, "hunter2"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_catalogs),   cmocka_unit_test(test_wrong_catalogs),
        cmocka_unit_test(test_everything), cmocka_unit_test(test_rules),
        cmocka_unit_test(test_options),    cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_secret),     cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
