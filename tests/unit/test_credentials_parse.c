/* SPDX-License-Identifier: Apache-2.0 */
/* What sources of credentials answer with: taken whole, or refused with a reason and no secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cache/store/credentials_parse.h"

#define IN_2030_MS 1893456000000

static void check_taken(int rc, const struct credentials *c, int64_t expires_ms, const char *token)
{
    assert_int_equal(rc, 0);
    assert_string_equal(c->access_key_id, "AKID");
    assert_string_equal(c->secret_access_key, "hunter2/+=");
    assert_string_equal(c->session_token, token);
    assert_int_equal(c->expires_ms, expires_ms);
}

/* The spellings of the programs and services that answer in JSON. */
static void test_json(void **state)
{
    (void)state;
    struct credentials c;
    check_taken(credentials_parse_json(
                    SLICE_LIT("{\"Version\": 1, \"AccessKeyId\": \"AKID\", \"SecretAccessKey\": "
                              "\"hunter2\\/+=\", \"SessionToken\": \"t\", \"Expiration\": "
                              "\"2030-01-01T00:00:00Z\", \"More\": [{}]}"),
                    &c, NULL),
                &c, IN_2030_MS, "t");
    check_taken(
        credentials_parse_json(
            SLICE_LIT("{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"AKID\","
                      "\"SecretAccessKey\":\"hunter2/+=\",\"Token\":\"t\",\"Expiration\":"
                      "\"2030-01-01T01:00:00+01:00\"}"),
            &c, NULL),
        &c, IN_2030_MS, "t");
    check_taken(
        credentials_parse_json(
            SLICE_LIT("{\"roleCredentials\":{\"accessKeyId\":\"AKID\",\"secretAccessKey\":"
                      "\"hunter2/+=\",\"sessionToken\":\"t\",\"expiration\":1893456000000}}"),
            &c, NULL),
        &c, IN_2030_MS, "t");
    check_taken(
        credentials_parse_json(
            SLICE_LIT(
                "{\"Version\":1,\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"hunter2/+=\"}"),
            &c, NULL),
        &c, 0, "");
}

/* What is no answer changes nothing, and no message has the secret. */
static void test_refused_json(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } rows[] = {
        {"", EIO},
        {"[]", EIO},
        {"{\"AccessKeyId\":\"AKID\"}", EIO},
        {"{\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"hunter2\\r\\nX: y\"}", EIO},
        {"{\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"hunter2\",\"Expiration\":\"soon\"}", EIO},
        {"{\"Version\":2,\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"hunter2\"}", EIO},
        {"{\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"hunter2\"", EIO},
        {"{\"code\":\"AccessDenied\",\"message\":\"not you\"}", EACCES},
        {"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"AccessKeyId\":\"AKID\"}}}}}}", EIO},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct credentials c = {.expires_ms = 7};
        struct err err = ERR_INIT;
        assert_int_equal(credentials_parse_json(slice_of(rows[i].text), &c, &err), -rows[i].code);
        assert_int_equal(c.expires_ms, 7);
        assert_null(strstr(err.msg, "hunter2"));
    }
}

/* A key that does not fit is refused, not cut. */
static void test_too_long(void **state)
{
    (void)state;
    struct credentials c;
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 4096);
    buf_addf(&text, "{\"AccessKeyId\":\"%0*d\",\"SecretAccessKey\":\"s\"}",
             CREDENTIALS_KEY_BYTES_MAX - 1, 0);
    assert_int_equal(credentials_parse_json(buf_slice(&text), &c, NULL), 0);
    buf_reset(&text);
    buf_addf(&text, "{\"AccessKeyId\":\"%0*d\",\"SecretAccessKey\":\"s\"}",
             CREDENTIALS_KEY_BYTES_MAX, 0);
    assert_int_equal(credentials_parse_json(buf_slice(&text), &c, NULL), -EIO);
}

/* STS: the credentials, wherever they stand, or the error's own code and sentence. */
static void test_sts(void **state)
{
    (void)state;
    struct credentials c;
    struct err err = ERR_INIT;
    check_taken(
        credentials_parse_sts(
            SLICE_LIT("<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
                      "<AssumeRoleResult><Credentials><AccessKeyId>AKID</AccessKeyId>"
                      "<SecretAccessKey>hunter2/+=</SecretAccessKey><SessionToken>t</SessionToken>"
                      "<Expiration>2030-01-01T00:00:00Z</Expiration></Credentials>"
                      "</AssumeRoleResult></AssumeRoleResponse>"),
            &c, &err),
        &c, IN_2030_MS, "t");
    assert_int_equal(
        credentials_parse_sts(SLICE_LIT("<ErrorResponse><Error><Type>Sender</Type>"
                                        "<Code>AccessDenied</Code><Message>not you</Message>"
                                        "</Error></ErrorResponse>"),
                              &c, &err),
        -EACCES);
    assert_string_equal(err.msg, "AccessDenied: not you");
    assert_int_equal(credentials_parse_sts(SLICE_LIT("<html></html>"), &c, &err), -EIO);
}

/* Sign-ins as older and newer AWS tools write them, and their renewal. */
static void test_sign_in(void **state)
{
    (void)state;
    struct credentials_sign_in s;
    assert_int_equal(credentials_parse_sign_in(
                         SLICE_LIT("{\"startUrl\":\"x\",\"accessToken\":\"a\",\"expiresAt\":"
                                   "\"2030-01-01T00:00:00UTC\"}"),
                         &s, NULL),
                     0);
    assert_int_equal(s.expires_ms, IN_2030_MS);
    assert_string_equal(s.refresh_token, "");
    assert_int_equal(credentials_parse_sign_in(SLICE_LIT("{\"accessToken\":\"a\"}"), &s, NULL),
                     -EIO);
    assert_int_equal(credentials_parse_new_token(
                         SLICE_LIT("{\"accessToken\":\"b\",\"expiresIn\":60,\"tokenType\":\"x\"}"),
                         1000, &s, NULL),
                     0);
    assert_string_equal(s.access_token, "b");
    assert_int_equal(s.expires_ms, 61000);
    struct err err = ERR_INIT;
    assert_int_equal(credentials_parse_new_token(
                         SLICE_LIT("{\"error\":\"invalid_grant\",\"error_description\":\"old\"}"),
                         1000, &s, &err),
                     -EACCES);
    assert_string_equal(err.msg, "invalid_grant: old");
    assert_string_equal(s.access_token, "b");
}

static void check_words(const char *command, size_t count, const char *joined)
{
    AUTO(buf) struct buf out = {0};
    size_t n = 0;
    buf_init(&out, 1024);
    assert_int_equal(credentials_split(slice_of(command), &out, &n, NULL), 0);
    assert_int_equal(n, count);
    for (size_t i = 0; i < out.len; i++)
        if (!out.data[i])
            out.data[i] = '|';
    assert_string_equal(out.data, joined);
}

/* Words are parted as a shell does it, and nothing in them means anything. */
static void test_words(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = {0};
    size_t n;
    buf_init(&out, 1024);
    check_words("a b\tc", 3, "a|b|c|");
    check_words("  '/my dir/x' --y=\"$(rm) `z`\" \\' ''", 4, "/my dir/x|--y=$(rm) `z`|'||");
    check_words("\"a\\\"b\\x\" 'a\\' a'b'\"c\"", 3, "a\"b\\x|a\\|abc|");
    assert_int_equal(credentials_split(SLICE_LIT("a 'b"), &out, &n, NULL), -EINVAL);
    assert_int_equal(credentials_split(SLICE_LIT("a \\"), &out, &n, NULL), -EINVAL);
    buf_reset(&out);
    assert_int_equal(credentials_split(SLICE_LIT("  "), &out, &n, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),     cmocka_unit_test(test_refused_json),
        cmocka_unit_test(test_too_long), cmocka_unit_test(test_sts),
        cmocka_unit_test(test_sign_in),  cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
