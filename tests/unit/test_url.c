/* SPDX-License-Identifier: Apache-2.0 */
/* URLs of stores: what is taken, what is refused, and one spelling for each store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cache/store/url.h"

static int parse(const char *text, struct url *out, struct err *err)
{
    return url_parse(slice_of(text), out, err);
}

static void check_bucket(enum url_kind kind, const char *text, const char *endpoint,
                         const char *bucket, const char *prefix, const char *canonical)
{
    struct err err = ERR_INIT;
    AUTO(url) struct url u = {0};
    assert_int_equal(parse(text, &u, &err), 0);
    assert_int_equal(u.kind, kind);
    assert_string_equal(u.bucket, bucket);
    assert_string_equal(u.prefix, prefix);
    if (endpoint)
        assert_string_equal(u.endpoint, endpoint);
    else
        assert_null(u.endpoint);
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 4096);
    url_format(&u, &out);
    assert_string_equal(out.data, canonical);
}

static void check_s3(const char *text, const char *endpoint, const char *bucket, const char *prefix,
                     const char *canonical)
{
    check_bucket(URL_S3, text, endpoint, bucket, prefix, canonical);
}

/* Google's URLs are taken as S3's are, and are never the same store. */
static void test_gcs(void **state)
{
    (void)state;
    check_bucket(URL_GCS, "gs://bucket", NULL, "bucket", "", "gs://bucket");
    check_bucket(URL_GCS, "gs://my_bucket.example.com/a%20b/", NULL, "my_bucket.example.com",
                 "a%20b/", "gs://my_bucket.example.com/a%20b/");
    check_bucket(URL_GCS, "gs+http://LOCALHOST:4443/bucket/x", "http://localhost:4443", "bucket",
                 "x/", "gs+http://localhost:4443/bucket/x/");
}

/* Spellings of one S3 store have one canonical form; bytes of a prefix stay as they are. */
static void test_s3(void **state)
{
    (void)state;
    check_s3("s3://bucket", NULL, "bucket", "", "s3://bucket");
    check_s3("s3://bucket/", NULL, "bucket", "", "s3://bucket");
    check_s3("s3://bucket/a/b", NULL, "bucket", "a/b/", "s3://bucket/a/b/");
    check_s3("s3://bucket/a/b/", NULL, "bucket", "a/b/", "s3://bucket/a/b/");
    check_s3("s3://my.bucket/a%20b?c#d", NULL, "my.bucket", "a%20b?c#d/",
             "s3://my.bucket/a%20b?c#d/");
    check_s3("s3://bucket//a/../b", NULL, "bucket", "/a/../b/", "s3://bucket//a/../b/");
    check_s3("s3+http://LOCALHOST:80/bucket/x", "http://localhost", "bucket", "x/",
             "s3+http://localhost/bucket/x/");
    check_s3("s3+https://[::1]:9000/bucket/x/", "https://[::1]:9000", "bucket", "x/",
             "s3+https://[::1]:9000/bucket/x/");
}

static void check_azure(const char *text, const char *account, const char *prefix,
                        const char *canonical)
{
    struct err err = ERR_INIT;
    AUTO(url) struct url u = {0}, again = {0};
    assert_int_equal(parse(text, &u, &err), 0);
    assert_int_equal(u.kind, URL_AZURE);
    assert_string_equal(u.account, account);
    assert_string_equal(u.bucket, "c-1");
    assert_string_equal(u.prefix, prefix);
    AUTO(buf) struct buf out = {0}, twice = {0};
    buf_init(&out, 4096);
    buf_init(&twice, 4096);
    url_format(&u, &out);
    assert_string_equal(out.data, canonical);
    assert_int_equal(parse(out.data, &again, &err), 0);
    url_format(&again, &twice);
    assert_string_equal(twice.data, canonical);
}

/* Both forms of Azure's URLs, and the older schemes, have one canonical form for one store. */
static void test_azure(void **state)
{
    (void)state;
    static const char lake[] = "abfss://c-1@acc.dfs.core.windows.net/a/b/";
    check_azure("abfss://c-1@acc.dfs.core.windows.net/a/b", "acc", "a/b/", lake);
    check_azure("abfs://c-1@ACC.dfs.Core.windows.net/a/b/", "acc", "a/b/", lake);
    check_azure("wasbs://c-1@acc.blob.core.windows.net/a/b", "acc", "a/b/", lake);
    check_azure("wasb://c-1@acc.blob.core.windows.net/a/b", "acc", "a/b/", lake);
    check_azure("az://acc/c-1/a/b", "acc", "a/b/", lake);
    check_azure("az+https://acc.blob.core.windows.net/acc/c-1/a/b", "acc", "a/b/", lake);
    check_azure("az://acc/c-1", "acc", "", "abfss://c-1@acc.dfs.core.windows.net");
    check_azure("az://acc/c-1/a b%20?c#d", "acc", "a b%20?c#d/",
                "abfss://c-1@acc.dfs.core.windows.net/a b%20?c#d/");
    check_azure("wasbs://c-1@acc.blob.core.chinacloudapi.cn", "acc", "",
                "abfss://c-1@acc.dfs.core.chinacloudapi.cn");
    check_azure("abfss://c-1@acc.z12.dfs.storage.azure.net/", "acc", "",
                "abfss://c-1@acc.z12.dfs.storage.azure.net");
    check_azure("az+http://127.0.0.1:10000/devstore/c-1/x", "devstore", "x/",
                "az+http://127.0.0.1:10000/devstore/c-1/x/");
}

/* What names no container, or holds what looks like a secret, is refused and not repeated. */
static void test_azure_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "abfss://acc.dfs.core.windows.net/c-1",
        "abfss://c-1@acc/x",
        "abfss://c-1@acc.s3.amazonaws.com/x",
        "abfss://c-1@dfs.core.windows.net/x",
        "abfss://c-1:hunter2@acc.dfs.core.windows.net/x",
        "abfss://C-1@acc.dfs.core.windows.net/x",
        "az://acc",
        "az://acc/c",
        "az://a_c/container",
        "az://acc/c-1/x?sv=2023&sig=hunter2",
        "az+http://user:hunter2@host/acc/c-1",
        "azure://acc/c-1",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err err = ERR_INIT;
        struct url u = {0};
        assert_int_equal(parse(bad[i], &u, &err), -EINVAL);
        assert_null(u.bucket);
        assert_null(strstr(err.msg, "hunter2"));
        struct slice shown = url_shown(slice_of(bad[i]));
        assert_int_equal(slice_find(shown, ':'), -1);
    }
    assert_true(slice_is(url_shown(SLICE_LIT("az://acc/c-1")), "az://acc/c-1"));
}

static void check_local(const char *text, const char *path)
{
    struct err err = ERR_INIT;
    AUTO(url) struct url u = {0};
    assert_int_equal(parse(text, &u, &err), 0);
    assert_int_equal(u.kind, URL_LOCAL);
    assert_string_equal(u.path, path);
}

/* Only file URLs are percent-decoded, and once; a path is what it says. */
static void test_local(void **state)
{
    (void)state;
    check_local("/data/lake", "/data/lake");
    check_local("data/100%25", "data/100%25");
    check_local("data/s3://x", "data/s3://x");
    check_local("file:///data/a%20b%2520c", "/data/a b%20c");
    check_local("file://localhost/data", "/data");
    check_local("file:/data", "/data");
}

/* What is no store's URL is refused, and no message repeats what may be a secret. */
static void test_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "s3://",
        "s3:///x",
        "s3://ab/x",
        "s3://../x",
        "s3://AKIA:hunter2@bucket/x",
        "s3+http://hunter2@host/bucket",
        "s3+http://host:99999/bucket",
        "s3+http:///bucket",
        "s3+ftp://host/bucket",
        "gs://",
        "gs://hunter2@bucket/x",
        "gs+ftp://host/bucket",
        "https://bucket.s3.amazonaws.com/x",
        "file://otherhost/x",
        "file://",
        "file:///a%00b",
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = ERR_INIT;
        struct url u = {0};
        assert_int_equal(parse(cases[i], &u, &err), -EINVAL);
        assert_null(strstr(err.msg, "hunter2"));
        assert_null(u.path);
        assert_null(u.bucket);
    }
}

/* Endpoints come out in one spelling, and only what is an origin is one. */
static void test_endpoint(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 1024);
    assert_int_equal(url_endpoint(SLICE_LIT("HTTPS://Minio.Local:443/"), &out, &err), 0);
    assert_string_equal(out.data, "https://minio.local");
    static const char *const bad[] = {
        "minio:9000",        "http://a/b", "http://u:p@h", "http://h:0", "http://h:", "http://",
        "http://h\r\nX: y/", "ftp://h",    "http://[::1",  "http://h?x", "http://[]"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        buf_reset(&out);
        assert_int_equal(url_endpoint(slice_of(bad[i]), &out, &err), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_s3),       cmocka_unit_test(test_gcs),
        cmocka_unit_test(test_azure),    cmocka_unit_test(test_azure_refused),
        cmocka_unit_test(test_local),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
