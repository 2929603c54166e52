/* SPDX-License-Identifier: Apache-2.0 */
/* What the answers of those who give out access tokens are taken for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "cache/store/oauth.h"

static int parse(const char *json, struct oauth_token *token, int64_t *expires_ms)
{
    struct err err = ERR_INIT;
    *expires_ms = -1;
    int rc = oauth_parse(slice_of(json), 5000, token, expires_ms, &err);
    assert_int_equal(rc, -err.code);
    return rc;
}

static void test_a_token_and_its_end(void **state)
{
    (void)state;
    struct oauth_token token;
    int64_t expires_ms;
    assert_int_equal(parse("{\"access_token\":\"ya29.a-_\",\"expires_in\":3599,\"token_type\":"
                           "\"Bearer\",\"more\":[1,{}]}",
                           &token, &expires_ms),
                     0);
    assert_string_equal(token.text, "ya29.a-_");
    assert_int_equal(expires_ms, 5000 + 3599000);
    assert_int_equal(parse("{\"expires_in\":\"60\",\"access_token\":\"t\"}", &token, &expires_ms),
                     0);
    assert_int_equal(expires_ms, 65000);
    assert_int_equal(parse("{\"access_token\":\"t\"}", &token, &expires_ms), 0);
    assert_int_equal(expires_ms, 0);
    assert_int_equal(parse("{\"expires_on\":\"65\",\"access_token\":\"t\"}", &token, &expires_ms),
                     0);
    assert_int_equal(expires_ms, 65000);
    assert_int_equal(parse("{\"expires_on\":\"1/1/2027 0:00:00 AM +00:00\",\"access_token\":\"t\"}",
                           &token, &expires_ms),
                     0);
    assert_int_equal(expires_ms, 0);
}

static void test_what_is_no_token_is_refused(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "",
        "[]",
        "{}",
        "<html>",
        "{\"access_token\":\"\"}",
        "{\"access_token\":7}",
        "{\"access_token\":\"two words\"}",
        "{\"access_token\":\"a\\r\\nX: y\"}",
        "{\"access_token\":\"a\\u00e9\"}",
        "{\"access_token\":\"a\"",
        "{\"access_token\":\"a\",\"expires_in\":-1}",
        "{\"access_token\":\"a\",\"expires_in\":99999999999999}",
        "{\"access_token\":\"a\",\"expires_in\":\"soon\"}",
        "{\"access_token\":\"a\",\"access_token\":null}",
    };
    struct oauth_token token;
    int64_t expires_ms;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        assert_int_equal(parse(answers[i], &token, &expires_ms), -EIO);
        assert_int_equal(expires_ms, -1);
    }
    AUTO(buf) struct buf longest = {0};
    buf_init(&longest, 64 * KIB);
    for (int i = 0; i < OAUTH_TOKEN_BYTES_MAX; i++)
        buf_add_char(&longest, 'a');
    assert_int_equal(oauth_token_set(&token, buf_slice(&longest), NULL), -EINVAL);
    longest.len--;
    assert_int_equal(oauth_token_set(&token, buf_slice(&longest), NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_and_its_end),
        cmocka_unit_test(test_what_is_no_token_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
