/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Signature V4 against the signatures that AWS publishes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/instant.h"
#include "cache/store/sigv4.h"

#define S3_HOST "examplebucket.s3.amazonaws.com"

static const struct sigv4_credentials suite_credentials = {
    "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
static const struct sigv4_credentials s3_credentials = {"AKIAIOSFODNN7EXAMPLE",
                                                        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};

static void check(const struct sigv4_request *r, const struct sigv4_credentials *c,
                  const char *scope, const char *names, const char *signature)
{
    struct err err = ERR_INIT;
    AUTO(buf) struct buf got = {0}, want = {0};
    buf_init(&got, 4096);
    buf_init(&want, 4096);
    assert_int_equal(sigv4_sign(r, c, &got, &err), 0);
    buf_addf(&want,
             "AWS4-HMAC-SHA256 Credential=%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
             c->access_key_id, scope, names, signature);
    assert_string_equal(got.data, want.data);
}

static int64_t time_of(const char *text)
{
    int64_t ms;
    assert_true(instant_parse(slice_of(text), &ms));
    return ms;
}

/* One request of the published test suite: host and date, and what is given. */
static void check_suite(const char *method, const char *path, const char *query,
                        const char *signature)
{
    const struct http_field fields[] = {{"host", "example.amazonaws.com"},
                                        {"x-amz-date", "20150830T123600Z"}};
    check(&(struct sigv4_request){.method = method,
                                  .path = slice_of(path),
                                  .query = slice_of(query),
                                  .fields = fields,
                                  .fields_count = ARRAY_SIZE(fields),
                                  .payload_sha256 = SIGV4_EMPTY_SHA256,
                                  .time_ms = time_of("2015-08-30T12:36:00Z"),
                                  .region = "us-east-1",
                                  .service = "service"},
          &suite_credentials, "20150830/us-east-1/service", "host;x-amz-date", signature);
}

/* The plain requests of AWS's test suite get the signatures that it names. */
static void test_suite_vanilla(void **state)
{
    (void)state;
    check_suite("GET", "/", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    check_suite("POST", "/", "",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
    check_suite("GET", "/", "Param1=value1",
                "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb");
    check_suite("GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "",
                "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f");
}

#define UNRESERVED "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define FORM "application/x-www-form-urlencoded"
static const struct {
    const char *method, *path;
    struct http_parameter parameters[2];
    struct http_field field; /* besides host and x-amz-date */
    const char *body, *signature;
} suite[] = {
    {"GET",
     "/",
     {{0}},
     {"my-header1", "value2,value2,value1"},
     "",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"GET",
     "/",
     {{0}},
     {"my-header1", "value1,value2,value3"},
     "",
     "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790"},
    {"GET",
     "/",
     {{0}},
     {"my-header1", "value4,value1,value3,value2"},
     "",
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
    {"GET",
     "/%E1%88%B4",
     {{0}},
     {0},
     "",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"GET",
     "/",
     {{UNRESERVED, UNRESERVED}},
     {0},
     "",
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"GET",
     "/",
     {{"\xe1\x88\xb4", "bar"}},
     {0},
     "",
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"POST",
     "/",
     {{0}},
     {"my-header1", "value1"},
     "",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"POST",
     "/",
     {{0}},
     {"my-header1", "VALUE1"},
     "",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"POST",
     "/",
     {{"Param1", "value1"}},
     {0},
     "",
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"POST",
     "/",
     {{"@#$%^", ""}, {"+", "/,?><`\";:\\|][{}"}},
     {0},
     "",
     "66c82657c86e26fb25238d0e69f011edc4c6df5ae71119d7cb98ed9b87393c1e"},
    {"POST",
     "/",
     {{"p", ""}},
     {0},
     "",
     "e71688addb58a26418614085fb730ba3faa623b461c17f48f2fbdb9361b94a9b"},
    {"POST",
     "/",
     {{0}},
     {"content-type", FORM},
     "Param1=value1",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    {"POST",
     "/",
     {{0}},
     {"content-type", FORM "; charset=utf8"},
     "Param1=value1",
     "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
};

/*
 * The rest of the suite, but for requests whose path is not in its shortest form: S3 signs those as
 * they are sent. Values of a field that stands several times are joined, as a client does it.
 */
static void test_suite_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(suite); i++) {
        const struct http_field fields[] = {
            {"host", "example.amazonaws.com"}, {"x-amz-date", "20150830T123600Z"}, suite[i].field};
        AUTO(buf) struct buf query = {0}, got = {0};
        char hash[2 * SHA256_BYTES + 1];
        buf_init(&query, 1024);
        buf_init(&got, 1024);
        size_t n = suite[i].parameters[1].name ? 2 : suite[i].parameters[0].name ? 1 : 0;
        sigv4_query(&query, suite[i].parameters, n);
        sha256_hex(slice_of(suite[i].body), hash);
        struct sigv4_request r = {.method = suite[i].method,
                                  .path = slice_of(suite[i].path),
                                  .query = buf_slice(&query),
                                  .fields = fields,
                                  .fields_count = suite[i].field.name ? 3 : 2,
                                  .payload_sha256 = hash,
                                  .time_ms = time_of("2015-08-30T12:36:00Z"),
                                  .region = "us-east-1",
                                  .service = "service"};
        assert_int_equal(sigv4_sign(&r, &suite_credentials, &got, NULL), 0);
        assert_non_null(strstr(got.data, suite[i].signature));
    }
}

/* Parameters are signed in order of their names, whatever order they are given in. */
static void test_suite_query_order(void **state)
{
    (void)state;
    AUTO(buf) struct buf query = {0};
    buf_init(&query, 1024);
    const struct http_parameter parameters[] = {{"Param2", "value2"}, {"Param1", "value1"}};
    sigv4_query(&query, parameters, ARRAY_SIZE(parameters));
    assert_string_equal(query.data, "Param1=value1&Param2=value2");
    check_suite("GET", "/", query.data,
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}

/* Fields are signed in order of their names, with blanks trimmed and runs of spaces as one. */
static void test_suite_field_trim(void **state)
{
    (void)state;
    const struct http_field fields[] = {{"x-amz-date", "20150830T123600Z"},
                                        {"my-header2", " \"a   b   c\""},
                                        {"my-header1", " value1"},
                                        {"host", "example.amazonaws.com"}};
    check(&(struct sigv4_request){.method = "GET",
                                  .path = SLICE_LIT("/"),
                                  .fields = fields,
                                  .fields_count = ARRAY_SIZE(fields),
                                  .payload_sha256 = SIGV4_EMPTY_SHA256,
                                  .time_ms = time_of("2015-08-30T12:36:00Z"),
                                  .region = "us-east-1",
                                  .service = "service"},
          &suite_credentials, "20150830/us-east-1/service", "host;my-header1;my-header2;x-amz-date",
          "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
}

/* The examples of the S3 documentation: a ranged GET, a PUT, a query without value, a listing. */
static void test_s3_documentation(void **state)
{
    (void)state;
    static const char scope[] = "20130524/us-east-1/s3";
    struct sigv4_request r = {.method = "GET",
                              .path = SLICE_LIT("/test.txt"),
                              .payload_sha256 = SIGV4_EMPTY_SHA256,
                              .time_ms = time_of("2013-05-24T00:00:00Z"),
                              .region = "us-east-1",
                              .service = "s3"};
    const struct http_field ranged[] = {{"host", S3_HOST},
                                        {"range", "bytes=0-9"},
                                        {"x-amz-content-sha256", SIGV4_EMPTY_SHA256},
                                        {"x-amz-date", "20130524T000000Z"}};
    r.fields = ranged;
    r.fields_count = ARRAY_SIZE(ranged);
    check(&r, &s3_credentials, scope, "host;range;x-amz-content-sha256;x-amz-date",
          "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");

    const struct http_field plain[] = {{"host", S3_HOST},
                                       {"x-amz-content-sha256", SIGV4_EMPTY_SHA256},
                                       {"x-amz-date", "20130524T000000Z"}};
    r.fields = plain;
    r.fields_count = ARRAY_SIZE(plain);
    r.path = SLICE_LIT("/");
    r.query = SLICE_LIT("lifecycle=");
    check(&r, &s3_credentials, scope, "host;x-amz-content-sha256;x-amz-date",
          "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    r.query = SLICE_LIT("max-keys=2&prefix=J");
    check(&r, &s3_credentials, scope, "host;x-amz-content-sha256;x-amz-date",
          "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* A PUT signs the hash of its body. */
static void test_s3_put(void **state)
{
    (void)state;
    char hash[2 * SHA256_BYTES + 1];
    sha256_hex(SLICE_LIT("Welcome to Amazon S3."), hash);
    const struct http_field fields[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                        {"host", S3_HOST},
                                        {"x-amz-content-sha256", hash},
                                        {"x-amz-date", "20130524T000000Z"},
                                        {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
    check(&(struct sigv4_request){.method = "PUT",
                                  .path = SLICE_LIT("/test%24file.text"),
                                  .fields = fields,
                                  .fields_count = ARRAY_SIZE(fields),
                                  .payload_sha256 = hash,
                                  .time_ms = time_of("2013-05-24T00:00:00Z"),
                                  .region = "us-east-1",
                                  .service = "s3"},
          &s3_credentials, "20130524/us-east-1/s3",
          "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
          "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

/* More fields than there is room for are refused, not cut. */
static void test_too_many_fields(void **state)
{
    (void)state;
    struct http_field fields[SIGV4_FIELDS_MAX + 1];
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        fields[i] = (struct http_field){"host", "h"};
    struct err err = ERR_INIT;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 4096);
    struct sigv4_request r = {.method = "GET",
                              .path = SLICE_LIT("/"),
                              .fields = fields,
                              .fields_count = ARRAY_SIZE(fields),
                              .payload_sha256 = SIGV4_EMPTY_SHA256,
                              .region = "us-east-1",
                              .service = "s3"};
    assert_int_equal(sigv4_sign(&r, &s3_credentials, &out, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suite_vanilla),     cmocka_unit_test(test_suite_table),
        cmocka_unit_test(test_suite_query_order), cmocka_unit_test(test_suite_field_trim),
        cmocka_unit_test(test_s3_documentation),  cmocka_unit_test(test_s3_put),
        cmocka_unit_test(test_too_many_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
