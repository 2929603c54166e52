/* SPDX-License-Identifier: Apache-2.0 */
/* The store of an Azure container on the wire: what it sends, and which answers it takes. */
#include "cache/store/azure_auth.h"
#include "tests/unit/wire_fixture.h"

#define KEY                                                                                        \
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
#define SAS "sv=2023-11-03&sp=rl&sig=hunter2%3D"
#define ANSWER(status, fields, length, body)                                                       \
    "HTTP/1.1 " status "\r\nConnection: close\r\nx-ms-request-id: id-1\r\n" fields                 \
    "Content-Length: " length "\r\n\r\n" body
#define PART(fields)                                                                               \
    ANSWER("206 Partial Content", "ETag: \"0x8D\"\r\nContent-Range: bytes 10-14/90\r\n" fields,    \
           "5", "abcde")
#define REFUSED(status, code) ANSWER(status, "x-ms-error-code: " code "\r\n", "0", "")

#define BEGIN(f, options, ...)                                                                     \
    static const char *const script_[] = {__VA_ARGS__};                                            \
    begin((f), "az://acc/con/lake", (options), script_, ARRAY_SIZE(script_))
#define WITH_KEY ((struct store_options){.azure_account_key = KEY})
#define WITH_SAS ((struct store_options){.azure_sas_token = SAS})

/* A ranged read by Shared Key: its address, range and condition; what the answer tells. */
static void test_get(void **state)
{
    (void)state;
    struct fixture f;
    struct store_info info = {0};
    BEGIN(&f, WITH_KEY, PART("Last-Modified: Sun, 01 Mar 2026 09:30:00 GMT\r\n"));
    assert_int_equal(get(&f, "a b/%41\xc3\xa9", "\"0x8D\"", &info), 0);
    assert_int_equal(info.size, 90);
    assert_int_equal(info.mtime_ms, INT64_C(1772357400000));
    assert_string_equal(info.etag, "\"0x8D\"");
    assert_true(sent(&f, "GET /acc/con/lake/a%20b/%2541%C3%A9 HTTP/1.1\r\n"));
    assert_true(sent(&f, "\r\nx-ms-version: 2023-11-03\r\n"));
    assert_true(sent(&f, "\r\nx-ms-range: bytes=10-14\r\n"));
    assert_true(sent(&f, "\r\nif-match: \"0x8D\"\r\n"));
    assert_true(sent(&f, "\r\nauthorization: SharedKey acc:"));
    assert_false(sent(&f, KEY));
    end(&f);
}

/* A SAS stands in the query, behind what is asked, and nothing else is signed. */
static void test_sas(void **state)
{
    (void)state;
    struct fixture f;
    BEGIN(&f, WITH_SAS, PART(""));
    assert_int_equal(get(&f, "k", NULL, NULL), 0);
    assert_true(sent(&f, "GET /acc/con/lake/k?" SAS " HTTP/1.1\r\n"));
    assert_false(sent(&f, "uthorization:"));
    end(&f);
}

/* What Azure refuses has the errno of the table, and a message that names what was asked. */
static void test_refused(void **state)
{
    (void)state;
    struct fixture f;
    BEGIN(&f, WITH_SAS, REFUSED("404 Not Found", "BlobNotFound"),
          REFUSED("403 Forbidden", "AuthorizationPermissionMismatch"),
          REFUSED("409 Conflict", "BlobArchived"), REFUSED("412 Changed", "ConditionNotMet"),
          ANSWER("404 Not Found", "", "80",
                 "<Error><Code>ContainerNotFound</Code><Message>x\nRequestId:y</Message></Error>"
                 "          "));
    static const int errors[] = {ENOENT, EACCES, EREMOTE, ESTALE, ENOENT};
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        assert_int_equal(get(&f, "k", "\"e\"", NULL), -errors[i]);
        assert_non_null(strstr(f.err.msg, "GET account acc, container con, key lake/k: HTTP 4"));
        assert_non_null(strstr(f.err.msg, "(request id-1)"));
    }
    assert_non_null(strstr(f.err.msg, "there is no container of this name"));
    end(&f);
}

/* A server that is busy is asked again; a 5xx that stays is EIO. */
static void test_busy(void **state)
{
    (void)state;
    struct fixture f;
    BEGIN(&f, WITH_KEY, REFUSED("503 Server Busy", "ServerBusy"),
          REFUSED("500 Oops", "OperationTimedOut"), REFUSED("429 Slow", "TooManyRequests"),
          PART(""), REFUSED("503 Server Busy", "ServerBusy"));
    assert_int_equal(get(&f, "k", NULL, NULL), 0);
    assert_int_equal(served(&f), 4);
    assert_int_equal(get(&f, "k", NULL, NULL), -EIO);
    assert_non_null(strstr(f.err.msg, "ServerBusy"));
    end(&f);
}

/* Another object's bytes are ESTALE though the server sends them; wrong ranges are EIO. */
static void test_lies(void **state)
{
    (void)state;
    struct fixture f;
    BEGIN(&f, WITH_KEY, PART(""),
          ANSWER("206 Partial Content", "ETag: \"0x8D\"\r\nContent-Range: bytes 0-4/90\r\n", "5",
                 "abcde"));
    assert_int_equal(get(&f, "k", "\"0x8E\"", NULL), -ESTALE);
    assert_int_equal(get(&f, "k", NULL, NULL), -EIO);
    end(&f);
}

/* The blob that stands for a directory of a hierarchical namespace is no object. */
static void test_directory(void **state)
{
    (void)state;
    struct fixture f;
    struct store_info info;
    BEGIN(&f, WITH_KEY,
          ANSWER("200 OK", "x-ms-meta-hdi_isfolder: true\r\nETag: \"e\"\r\n", "0", ""),
          ANSWER("200 OK", "x-ms-resource-type: directory\r\nETag: \"e\"\r\n", "0", ""));
    for (int i = 0; i < 2; i++)
        assert_int_equal(f.store->ops->head(f.store, "d", &info, &f.err), -ENOENT);
    end(&f);
}

/* A key that Azure would resolve to another one is not asked for. */
static void test_keys_that_lead_elsewhere(void **state)
{
    (void)state;
    struct fixture f;
    static const char *const keys[] = {"..", "a/../../../other/k", "a/./b", "a\\..\\b", "a/.."};
    BEGIN(&f, WITH_KEY, PART(""));
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_int_equal(get(&f, keys[i], NULL, NULL), -ENOENT);
    assert_int_equal(served(&f), 0);
    assert_int_equal(get(&f, "..a/b../...", NULL, NULL), 0);
    end(&f);
}

/* Reading at or after the end gets nothing, and is no error. */
static void test_past_the_end(void **state)
{
    (void)state;
    struct fixture f;
    BEGIN(&f, WITH_KEY,
          ANSWER("416 Range", "x-ms-error-code: InvalidRange\r\nContent-Range: bytes */10\r\n", "0",
                 ""),
          ANSWER("416 Range", "x-ms-error-code: InvalidRange\r\nContent-Range: bytes */11\r\n", "0",
                 ""));
    char to[5];
    struct store_get req = {.key = "k", .offset = 10, .length = 5, .to = to};
    assert_int_equal(store_get_wait(f.store, &req, &f.err), 0);
    assert_int_equal(req.got, 0);
    assert_int_equal(req.info.size, 10);
    assert_int_equal(store_get_wait(f.store, &req, &f.err), -EIO);
    end(&f);
}

/* A conditional write: what is there already is EEXIST, by whichever name Azure calls it. */
static void test_put_if_absent(void **state)
{
    (void)state;
    struct fixture f;
    BEGIN(&f, WITH_KEY, ANSWER("201 Created", "", "0", ""),
          REFUSED("409 Conflict", "BlobAlreadyExists"), REFUSED("412 No", "ConditionNotMet"));
    assert_int_equal(f.store->ops->put_if_absent(f.store, "k", SLICE_LIT("hello"), &f.err), 0);
    assert_true(sent(&f, "PUT /acc/con/lake/k HTTP/1.1\r\n"));
    assert_true(sent(&f, "\r\nif-none-match: *\r\n"));
    assert_true(sent(&f, "\r\nx-ms-blob-type: BlockBlob\r\n"));
    for (int i = 0; i < 2; i++)
        assert_int_equal(f.store->ops->put_if_absent(f.store, "k", SLICE_LIT("x"), &f.err),
                         -EEXIST);
    end(&f);
}

/* Ends with the connection. */
#define PAGE(body, marker)                                                                         \
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<EnumerationResults><Blobs>" body                 \
    "</Blobs><NextMarker>" marker "</NextMarker></EnumerationResults>"
#define BLOB(name, more)                                                                           \
    "<Blob><Name>lake/d/" name "</Name><Properties><Content-Length>1</Content-Length>" more        \
    "</Properties></Blob>"

static int note(void *arg, const struct store_entry *e)
{
    struct buf *names = arg;
    buf_add_slice(names, e->key);
    buf_add_char(names, ' ');
    return 0;
}

/* Page after page by their markers; entries for directories and those before a key are left out. */
static void test_list(void **state)
{
    (void)state;
    struct fixture f;
    AUTO(buf) struct buf names = {0};
    struct store_list req = {.prefix = "d/", .start_after = "d/b", .emit = note, .arg = &names};
    buf_init(&names, 256);
    BEGIN(&f, WITH_SAS, PAGE(BLOB("a", "") BLOB("c", ""), "2!m 1"), PAGE("", "2!m 2"),
          PAGE(BLOB("e", "<ResourceType>directory</ResourceType>") "<BlobPrefix><Name>lake/d/s/</"
                                                                   "Name></BlobPrefix>",
               ""));
    assert_int_equal(f.store->ops->list(f.store, &req, &f.err), 0);
    assert_string_equal(names.data, "d/c d/s/ ");
    assert_int_equal(served(&f), 3);
    assert_true(sent(&f, "GET /acc/con?restype=container&comp=list&include=metadata&prefix=lake%2F"
                         "d%2F&delimiter=%2F&marker=2%21m%202&" SAS " HTTP/1.1\r\n"));
    end(&f);
}

/* Connection strings as the portal shows them; what is none is refused. */
static void test_connection_strings(void **state)
{
    (void)state;
    struct azure_connection c;
    assert_true(azure_connection_parse(
        SLICE_LIT("DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=aGk=;"
                  "EndpointSuffix=core.windows.net"),
        &c));
    assert_true(slice_is(c.account, "acc") && slice_is(c.key, "aGk=") &&
                slice_is(c.suffix, "core.windows.net") && slice_is(c.protocol, "https"));
    assert_true(azure_connection_parse(
        SLICE_LIT("blobendpoint=http://h:1/acc;SharedAccessSignature=sv=1&sig=a=;"), &c));
    assert_true(slice_is(c.endpoint, "http://h:1/acc") && slice_is(c.sas, "sv=1&sig=a="));
    assert_false(azure_connection_parse(SLICE_LIT("AccountName=acc"), &c));
    assert_false(azure_connection_parse(SLICE_LIT("hunter2"), &c));
    assert_false(azure_connection_parse(SLICE_LIT(""), &c));
}

/* Settings that can be no secret are refused when the store is opened, and not repeated. */
static void test_settings_refused(void **state)
{
    (void)state;
    static const struct store_options bad[] = {
        {.azure_account_key = "hunter2"},
        {.azure_sas_token = "hunter2"},
        {.azure_sas_token = "sig=hunter2 \r\nX: y"},
        {.azure_connection_string = "AccountName=other;AccountKey=hunter2="},
        {.azure_connection_string = "hunter2"},
        {.azure_token = "hunter2\r\nX: y"},
        {.azure_token = "hunter2", .endpoint_url = "http://127.0.0.1:1"},
        {.azure_client_secret = "hunter2"},
        {.azure_client_secret = "hunter2",
         .azure_client_id = "c",
         .azure_tenant_id = "t",
         .azure_authority_host = "http://127.0.0.1"},
        {.azure_account_key = KEY, .endpoint_url = "ftp://hunter2"},
        {.azure_account_key = KEY, .deadline_ms = -1},
    };
    struct err err = ERR_INIT;
    AUTO(workers) struct workers *secrets = workers_new("secret", 1, &err);
    struct store_runtime runtime = {.secrets = secrets};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        err = (struct err)ERR_INIT;
        assert_null(store_open("az://acc/con", &bad[i], &runtime, &err));
        assert_int_equal(err.code, EINVAL);
        assert_null(strstr(err.msg, "hunter2"));
    }
}

/* A SAS or a token goes to no host that merely stands in a URL; Shared Key tells it nothing. */
static void test_secrets_stay_in_azure(void **state)
{
    (void)state;
    static const char other[] = "abfss://con@acc.dfs.core.windows.net.example.org/x";
    static const struct store_options secrets_of[] = {{.azure_sas_token = SAS},
                                                      {.azure_token = "hunter2"}};
    struct err err = ERR_INIT;
    AUTO(workers) struct workers *secrets = workers_new("secret", 1, &err);
    struct store_runtime runtime = {.secrets = secrets};
    for (size_t i = 0; i < ARRAY_SIZE(secrets_of); i++) {
        struct store_options named = secrets_of[i];
        assert_null(store_open(other, &secrets_of[i], &runtime, &err));
        assert_int_equal(err.code, EINVAL);
        assert_null(strstr(err.msg, "hunter2"));
        named.endpoint_url = "https://storage.example.org";
        AUTO(store) struct store *s = store_open(other, &named, &runtime, &err);
        assert_non_null(s);
        AUTO(store)
        struct store *cloud = store_open("wasbs://con@acc.blob.core.usgovcloudapi.net/x",
                                         &secrets_of[i], &runtime, &err);
        assert_non_null(cloud);
    }
    AUTO(store)
    struct store *keyed =
        store_open(other, &(struct store_options){.azure_account_key = KEY}, &runtime, &err);
    assert_non_null(keyed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_sas),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_directory),
        cmocka_unit_test(test_keys_that_lead_elsewhere),
        cmocka_unit_test(test_past_the_end),
        cmocka_unit_test(test_put_if_absent),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_connection_strings),
        cmocka_unit_test(test_settings_refused),
        cmocka_unit_test(test_secrets_stay_in_azure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
