/* SPDX-License-Identifier: Apache-2.0 */
/* Credential files: which are taken, and that what they ask with is what the server can check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/text.h"
#include "cache/store/gcs_account.h"

#define USER                                                                                       \
    "\"type\":\"authorized_user\",\"client_id\":\"i d\",\"client_secret\":\"s&t\","                \
    "\"refresh_token\":\"1//r\""
#define SERVICE "\"type\":\"service_account\",\"client_email\":\"a\\\"@b\",\"private_key\":\"k\""

static int parse(const char *json, struct gcs_account *a, struct err *err)
{
    *err = (struct err)ERR_INIT;
    int rc = gcs_account_parse(slice_of(json), a, err);
    assert_int_equal(rc, -err->code);
    return rc;
}

static void test_a_user_asks_by_its_refresh_token(void **state)
{
    (void)state;
    struct err err;
    AUTO(gcs_account) struct gcs_account a = {0};
    AUTO(buf) struct buf form = {0};
    buf_init(&form, GCS_ACCOUNT_BYTES_MAX);
    assert_int_equal(parse("{\"quota\":[{}]," USER "}", &a, &err), 0);
    assert_string_equal(a.token_uri, "https://oauth2.googleapis.com/token");
    assert_int_equal(gcs_account_form(&a, 0, &form, &err), 0);
    assert_string_equal(form.data, "grant_type=refresh_token&client_id=i%20d&client_secret=s%26t"
                                   "&refresh_token=1%2F%2Fr");
}

static void test_what_cannot_be_used_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "[]",
        "{",
        "{}",
        "{\"type\":7}",
        "{" USER "} more",
        "{\"type\":\"external_account\"}",
        "{\"type\":\"impersonated_service_account\"}",
        "{\"type\":\"authorized_user\",\"client_id\":\"i\"}",
        "{\"type\":\"service_account\",\"client_email\":\"\",\"private_key\":\"k\"}",
        "{" USER ",\"token_uri\":\"http://oauth2.googleapis.com/token\"}",
        "{" USER ",\"token_uri\":\"http://127.0.0.1.example.com/\"}",
        "{" USER ",\"token_uri\":\"https://host/\\r\\nX: y\"}",
        "{" USER ",\"token_uri\":\"ftp://host/\"}",
        "{" USER ",\"client_id\":\"a\\u0000b\"}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err;
        struct gcs_account a = {0};
        assert_int_equal(parse(cases[i], &a, &err), -EINVAL);
        assert_null(a.token_uri);
        assert_null(strstr(err.msg, "s&t"));
    }
    struct err err;
    AUTO(gcs_account) struct gcs_account a = {0};
    assert_int_equal(parse("{" USER ",\"token_uri\":\"http://127.0.0.1:80/t\"}", &a, &err), 0);
}

static void test_a_key_that_is_none_is_refused(void **state)
{
    (void)state;
    struct err err;
    AUTO(gcs_account) struct gcs_account a = {0};
    AUTO(buf) struct buf form = {0};
    buf_init(&form, GCS_ACCOUNT_BYTES_MAX);
    assert_int_equal(parse("{" SERVICE "}", &a, &err), 0);
    assert_int_equal(gcs_account_form(&a, 0, &form, &err), -EINVAL);
}

/* Base64 of URLs, decoded; the caller frees. */
static unsigned char *decode(const char *begin, const char *end, size_t *n)
{
    size_t length = (size_t)(end - begin), padded = (length + 3) / 4 * 4;
    AUTO_FREE char *text = malloc(padded + 1);
    unsigned char *out = malloc(padded);
    assert_non_null(text);
    assert_non_null(out);
    for (size_t i = 0; i < padded; i++)
        text[i] = (char)(i >= length       ? '='
                         : begin[i] == '-' ? '+'
                         : begin[i] == '_' ? '/'
                                           : begin[i]);
    text[padded] = '\0';
    int got = EVP_DecodeBlock(out, (unsigned char *)text, (int)padded);
    assert_true(got >= 0);
    *n = (size_t)got - (padded - length);
    return out;
}

/* The statement says who asks for what, of whom and for how long, and its signature is right. */
static void test_a_service_account_signs_what_it_says(void **state)
{
    (void)state;
    struct err err;
    EVP_PKEY *key = EVP_RSA_gen(2048);
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem;
    assert_true(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    long pem_n = BIO_get_mem_data(bio, &pem);
    AUTO(buf) struct buf json = {0}, form = {0};
    buf_init(&json, GCS_ACCOUNT_BYTES_MAX);
    buf_init(&form, GCS_ACCOUNT_BYTES_MAX);
    buf_add_str(&json,
                "{\"type\":\"service_account\",\"client_email\":\"a\\\"@b\",\"private_key\":");
    buf_add_json(&json, slice_make(pem, (size_t)pem_n));
    buf_add_char(&json, '}');
    AUTO(gcs_account) struct gcs_account a = {0};
    assert_int_equal(parse(json.data, &a, &err), 0);
    assert_int_equal(gcs_account_form(&a, 1700000000999, &form, &err), 0);

    char *assertion = strstr(form.data, "&assertion="), *dot, *last;
    assert_non_null(assertion);
    assertion += strlen("&assertion=");
    dot = strchr(assertion, '.');
    last = strrchr(assertion, '.');
    size_t n;
    AUTO_FREE unsigned char *claims = decode(dot + 1, last, &n);
    claims[n] = '\0';
    assert_string_equal(
        (char *)claims,
        "{\"iss\":\"a\\\"@b\",\"scope\":\"https://www.googleapis.com/auth/devstorage.read_write\","
        "\"aud\":\"https://oauth2.googleapis.com/token\",\"iat\":1700000000,\"exp\":1700003600}");
    AUTO_FREE unsigned char *signature = decode(last + 1, last + strlen(last), &n);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(
        EVP_DigestVerify(ctx, signature, n, (unsigned char *)assertion, (size_t)(last - assertion)),
        1);
    EVP_MD_CTX_free(ctx);
    BIO_free_all(bio);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_user_asks_by_its_refresh_token),
        cmocka_unit_test(test_what_cannot_be_used_is_refused),
        cmocka_unit_test(test_a_key_that_is_none_is_refused),
        cmocka_unit_test(test_a_service_account_signs_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
