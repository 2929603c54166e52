/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks a catalog, over time: tokens that end, are refused, or are not to be had. */
#include "base/clock.h"
#include "lake/catalog/client.h"
#include "tests/unit/wire_fixture.h"

#define ANSWER(status, length, body)                                                               \
    "HTTP/1.1 " status "\r\nConnection: close\r\nETag: \"e\"\r\nContent-Length: " length           \
    "\r\n\r\n" body
#define TOKEN1 ANSWER("200 OK", "40", "{\"access_token\":\"one\",\"expires_in\":3600}")
#define TOKEN2 ANSWER("200 OK", "40", "{\"access_token\":\"two\",\"expires_in\":3600}")
#define GOOD ANSWER("200 OK", "2", "{}")
#define REFUSED ANSWER("401 Unauthorized", "2", "{}")
#define EXPIRED ANSWER("403 Forbidden", "36", "{\"__type\":\"a#ExpiredTokenException\"}")
#define FORBIDDEN                                                                                  \
    ANSWER("403 Forbidden", "61",                                                                  \
           "{\"error\":{\"type\":\"ForbiddenException\",\"message\":\"hands off\"}}")

static struct client *start(struct fixture *f, const char *const *script, size_t n,
                            enum catalog_auth auth)
{
    /* the store is only the fixture's: it is asked nothing */
    begin(f, "s3://bucket/x", (struct store_options){.no_sign_request = true}, script, n);
    struct sockaddr_in address;
    socklen_t bytes = sizeof address;
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&address, &bytes), 0);
    char uri[64];
    (void)snprintf(uri, sizeof uri, "http://127.0.0.1:%u/c/", ntohs(address.sin_port));
    const struct store_options store = {.deadline_ms = 5000,
                                        .access_key_id = "AK",
                                        .secret_access_key = "hunter2",
                                        .session_token = "hunter2"};
    const struct catalog_options o = {
        .name = "cat", .uri = uri, .auth = auth, .credential = "me:hunter2", .store = &store};
    struct client *c = NULL;
    assert_int_equal(client_new(&o, f->http, &c, &f->err), 0);
    return c;
}

static int ask(struct fixture *f, struct client *c)
{
    AUTO(client_answer) struct client_answer answer;
    f->err = (struct err)ERR_INIT;
    return client_ask(c, &(struct client_question){.what = "it", .path = "/x", .text_max = 1000},
                      &answer, &f->err);
}

static void finish(struct fixture *f, struct client *c)
{
    clock_shift_for_test(0);
    client_free(c);
    end(f);
}

/* Aim: one token serves until the catalog takes it no more; then another is fetched, once. */
static void test_a_token_is_fetched_anew(void **state)
{
    (void)state;
    static const char *const script[] = {TOKEN1, GOOD, GOOD, REFUSED, TOKEN2, GOOD};
    struct fixture f;
    struct client *c = start(&f, script, ARRAY_SIZE(script), CATALOG_AUTH_OAUTH2);
    assert_int_equal(ask(&f, c), 0);
    assert_true(sent(&f, "uthorization: Bearer one\r\n"));
    assert_int_equal(ask(&f, c), 0);
    assert_int_equal(served(&f), 3);
    clock_shift_for_test(5000);
    assert_int_equal(ask(&f, c), 0);
    assert_true(sent(&f, "uthorization: Bearer two\r\n"));
    assert_int_equal(served(&f), 6);
    finish(&f, c);
}

/* Aim: before its end a token is renewed, without the catalog having to refuse it. */
static void test_a_token_is_renewed_before_its_end(void **state)
{
    (void)state;
    static const char *const script[] = {TOKEN1, GOOD, TOKEN2, GOOD};
    struct fixture f;
    struct client *c = start(&f, script, ARRAY_SIZE(script), CATALOG_AUTH_OAUTH2);
    assert_int_equal(ask(&f, c), 0);
    clock_shift_for_test(3599 * 1000);
    assert_int_equal(ask(&f, c), 0);
    assert_true(sent(&f, "uthorization: Bearer two\r\n"));
    finish(&f, c);
}

/* Aim: a refusal that stays is told after one more try, and is EACCES. */
static void test_a_refusal_that_stays(void **state)
{
    (void)state;
    static const char *const script[] = {TOKEN1, GOOD, REFUSED, TOKEN2, REFUSED};
    struct fixture f;
    struct client *c = start(&f, script, ARRAY_SIZE(script), CATALOG_AUTH_OAUTH2);
    assert_int_equal(ask(&f, c), 0);
    clock_shift_for_test(5000);
    assert_int_equal(ask(&f, c), -EACCES);
    assert_int_equal(served(&f), 5);
    assert_non_null(strstr(f.err.msg, "catalog cat: it: HTTP 401"));
    finish(&f, c);
}

/* Aim: who may not is told so at once: another token would say the same. */
static void test_forbidden(void **state)
{
    (void)state;
    static const char *const script[] = {TOKEN1, FORBIDDEN};
    struct fixture f;
    struct client *c = start(&f, script, ARRAY_SIZE(script), CATALOG_AUTH_OAUTH2);
    assert_int_equal(ask(&f, c), -EACCES);
    assert_int_equal(served(&f), 2);
    assert_non_null(strstr(f.err.msg, "ForbiddenException: hands off"));
    finish(&f, c);
}

/* Aim: who gives tokens says no: EACCES with its word, and the catalog is not asked. */
static void test_no_token(void **state)
{
    (void)state;
    static const char *const script[] = {
        ANSWER("401 Unauthorized", "27", "{\"error\":\"invalid_client\"} ")};
    struct fixture f;
    struct client *c = start(&f, script, ARRAY_SIZE(script), CATALOG_AUTH_OAUTH2);
    assert_int_equal(ask(&f, c), -EACCES);
    assert_non_null(strstr(f.err.msg, "invalid_client"));
    assert_int_equal(served(&f), 1);
    finish(&f, c);
}

/* Aim: signatures carry the session's token; ended credentials are looked for once more. */
static void test_signed(void **state)
{
    (void)state;
    static const char *const script[] = {GOOD, EXPIRED, GOOD};
    struct fixture f;
    struct client *c = start(&f, script, ARRAY_SIZE(script), CATALOG_AUTH_SIGV4);
    assert_int_equal(ask(&f, c), 0);
    assert_true(sent(&f, "x-amz-security-token: hunter2\r\n"));
    assert_true(sent(&f, "uthorization: AWS4-HMAC-SHA256 Credential=AK/"));
    assert_true(sent(&f, "/us-east-1/execute-api/aws4_request"));
    clock_shift_for_test(5000);
    assert_int_equal(ask(&f, c), 0);
    assert_int_equal(served(&f), 3);
    finish(&f, c);
}

/* Aim: options that cannot be right are refused before anybody is asked. */
static void test_options(void **state)
{
    (void)state;
    static const char *const uris[] = {
        "", "host", "ftp://h/", "http://u:hunter2@h/", "http://h?", "http://h/a b", "https:///"};
    const struct store_options store = {0};
    const struct catalog_field field = {"x-a", "a\r\nb: c"};
    struct err err = ERR_INIT;
    struct client *c = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(uris); i++) {
        const struct catalog_options o = {.uri = uris[i], .store = &store};
        assert_int_equal(client_new(&o, NULL, &c, &err), -EINVAL);
        assert_null(strstr(err.msg, "hunter2"));
    }
    const struct catalog_options wrong[] = {
        {.uri = "http://h", .store = &store, .auth = CATALOG_AUTH_BEARER},
        {.uri = "http://h", .store = &store, .auth = CATALOG_AUTH_OAUTH2},
        {.uri = "http://h",
         .store = &store,
         .auth = CATALOG_AUTH_OAUTH2,
         .credential = "c",
         .oauth2_server_uri = "http://u@h/"},
        {.uri = "http://h", .store = &store, .fields = &field, .fields_n = 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(client_new(&wrong[i], NULL, &c, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_is_fetched_anew),
        cmocka_unit_test(test_a_token_is_renewed_before_its_end),
        cmocka_unit_test(test_a_refusal_that_stays),
        cmocka_unit_test(test_forbidden),
        cmocka_unit_test(test_no_token),
        cmocka_unit_test(test_signed),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
