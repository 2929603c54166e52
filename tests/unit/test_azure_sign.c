/* SPDX-License-Identifier: Apache-2.0 */
/* Shared Key against the strings of Azure's documentation and the signatures of Azure's own SDK. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cache/store/azure_sign.h"

/* Bytes 0 to 63. */
#define KEY                                                                                        \
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
#define DATE "Fri, 26 Jun 2015 23:39:12 GMT"

static void check(const struct azure_signed *r, const char *text, const char *authorization)
{
    struct azure_key key;
    AUTO(buf) struct buf got = {0}, signature = {0};
    buf_init(&got, 4096);
    buf_init(&signature, 4096);
    assert_true(azure_key_parse(SLICE_LIT(KEY), &key));
    azure_sign_text(r, &got);
    assert_string_equal(got.data, text);
    azure_sign(r, &key, &signature);
    assert_string_equal(signature.data, authorization);
}

/* The documentation's first example: parameters in order, below the path. */
static void test_documented(void **state)
{
    (void)state;
    const struct http_field fields[] = {{"x-ms-version", "2015-02-21"}, {"x-ms-date", DATE}};
    const struct http_parameter parameters[] = {
        {"restype", "container"}, {"comp", "metadata"}, {"timeout", "20"}};
    check(&(struct azure_signed){.method = "GET",
                                 .account = "myaccount",
                                 .path = SLICE_LIT("/mycontainer"),
                                 .parameters = parameters,
                                 .parameters_count = ARRAY_SIZE(parameters),
                                 .fields = fields,
                                 .fields_count = ARRAY_SIZE(fields)},
          "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:" DATE "\nx-ms-version:2015-02-21\n"
          "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20",
          "SharedKey myaccount:ZfuQJIowrCGKlm/KTSTcA7Tx12MxVvDi2ryOPQQw7Gw=");
}

/* A ranged read with its condition; the path is signed as it is sent, percent-encoded. */
static void test_ranged_get(void **state)
{
    (void)state;
    const struct http_field fields[] = {{"x-ms-version", "2023-11-03"},
                                        {"x-ms-date", DATE},
                                        {"x-ms-range", "bytes=10-14"},
                                        {"if-match", "\"0x8D\""}};
    check(&(struct azure_signed){.method = "GET",
                                 .account = "myaccount",
                                 .path = SLICE_LIT("/c/a%20b/%C3%A9%25.parquet"),
                                 .fields = fields,
                                 .fields_count = ARRAY_SIZE(fields)},
          "GET\n\n\n\n\n\n\n\n\"0x8D\"\n\n\n\nx-ms-date:" DATE "\nx-ms-range:bytes=10-14\n"
          "x-ms-version:2023-11-03\n/myaccount/c/a%20b/%C3%A9%25.parquet",
          "SharedKey myaccount:TFwGM7/SSuRKWpkDd68Z3foPsAEQqrxYANo1i0FSqHw=");
}

/* A listing: parameters are signed as they were before they were encoded. */
static void test_list(void **state)
{
    (void)state;
    const struct http_field fields[] = {{"x-ms-date", DATE}, {"x-ms-version", "2023-11-03"}};
    const struct http_parameter parameters[] = {
        {"restype", "container"},    {"comp", "list"},   {"include", "metadata"},
        {"prefix", "a b/\xc3\xa9%"}, {"delimiter", "/"}, {"marker", "2!92!MDAw"}};
    check(&(struct azure_signed){.method = "GET",
                                 .account = "myaccount",
                                 .path = SLICE_LIT("/c"),
                                 .parameters = parameters,
                                 .parameters_count = ARRAY_SIZE(parameters),
                                 .fields = fields,
                                 .fields_count = ARRAY_SIZE(fields)},
          "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:" DATE "\nx-ms-version:2023-11-03\n/myaccount/c\n"
          "comp:list\ndelimiter:/\ninclude:metadata\nmarker:2!92!MDAw\nprefix:a b/\xc3\xa9%\n"
          "restype:container",
          "SharedKey myaccount:bXU1K7NLKupIo8s4ACMha6r7tzcjeDdUT9MWMbIU3fQ=");
}

/* A conditional write: length, type and If-None-Match have their lines. */
static void test_put(void **state)
{
    (void)state;
    const struct http_field fields[] = {{"x-ms-version", "2023-11-03"},
                                        {"x-ms-date", DATE},
                                        {"if-none-match", "*"},
                                        {"content-type", "application/octet-stream"},
                                        {"x-ms-blob-type", "BlockBlob"}};
    check(&(struct azure_signed){.method = "PUT",
                                 .account = "myaccount",
                                 .path = SLICE_LIT("/c/k"),
                                 .fields = fields,
                                 .fields_count = ARRAY_SIZE(fields),
                                 .content_length = 5},
          "PUT\n\n\n5\n\napplication/octet-stream\n\n\n\n*\n\n\nx-ms-blob-type:BlockBlob\n"
          "x-ms-date:" DATE "\nx-ms-version:2023-11-03\n/myaccount/c/k",
          "SharedKey myaccount:aU8cOlCESl1SDGdlWD4U+YlCeu9IV2MktFjoWxq9u7k=");
}

/* Where the path names the account it is there twice; a replica has the account's own name. */
static void test_accounts(void **state)
{
    (void)state;
    const struct http_field fields[] = {{"x-ms-date", DATE}, {"x-ms-version", "2023-11-03"}};
    struct azure_signed r = {.method = "GET",
                             .account = "devstoreaccount1",
                             .path = SLICE_LIT("/devstoreaccount1/c/k"),
                             .fields = fields,
                             .fields_count = ARRAY_SIZE(fields)};
    check(&r,
          "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:" DATE "\nx-ms-version:2023-11-03\n"
          "/devstoreaccount1/devstoreaccount1/c/k",
          "SharedKey devstoreaccount1:8TiRw0348IEQNr1hIKiJhXXBDL9Mg92K+7q6NhzvadQ=");
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 4096);
    r.account = "acc-secondary";
    r.path = SLICE_LIT("/c/k");
    azure_sign_text(&r, &text);
    assert_non_null(strstr(text.data, "\n/acc/c/k"));
}

/* Keys are base64 of a bounded length, nothing else. */
static void test_keys(void **state)
{
    (void)state;
    struct azure_key key;
    assert_true(azure_key_parse(SLICE_LIT("aGk="), &key));
    assert_int_equal(key.n, 2);
    assert_memory_equal(key.bytes, "hi", 2);
    static const char *const bad[] = {
        "", "aGk", "=", "====", "a===", "aG k", "a\xc3\xa9k=", "aGk=aGk="};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(azure_key_parse(slice_of(bad[i]), &key));
    assert_false(azure_key_parse(SLICE_LIT(KEY KEY KEY), &key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documented), cmocka_unit_test(test_ranged_get),
        cmocka_unit_test(test_list),       cmocka_unit_test(test_put),
        cmocka_unit_test(test_accounts),   cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
