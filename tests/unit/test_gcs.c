/* SPDX-License-Identifier: Apache-2.0 */
/* The store of Cloud Storage on the wire: what it sends, and which answers it takes. */
#include "base/file.h"
#include "tests/unit/wire_fixture.h"

#define HEAD(status, fields)                                                                       \
    "HTTP/1.1 " status "\r\nConnection: close\r\n" fields "Content-Length: 5\r\n\r\nabcde"
#define PART(generation)                                                                           \
    HEAD("206 Partial Content", "Content-Range: bytes 10-14/90\r\n" generation "ETag: "            \
                                "\"md5\"\r\n")
#define GENERATION "x-goog-generation: 1700000000000007\r\n"
#define IDENTITY "\"1700000000000007\""
#define REFUSED(status) "HTTP/1.1 " status "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

#define BEGIN(f, token, ...)                                                                       \
    static const char *const script_[] = {__VA_ARGS__};                                            \
    begin((f), "gs://bucket/lake",                                                                 \
          (struct store_options){.no_sign_request = !(token), .gcs_access_token = (token)},        \
          script_, ARRAY_SIZE(script_))

static void test_the_generation_is_the_identity(void **state)
{
    (void)state;
    struct fixture f;
    struct store_info info;
    BEGIN(&f, NULL, PART(GENERATION));
    assert_int_equal(get(&f, "a/../k +", NULL, &info), 0);
    assert_string_equal(info.etag, IDENTITY);
    assert_int_equal(info.size, 90);
    assert_true(sent(&f, "GET /bucket/lake/a/../k%20%2B HTTP/1.1\r\n"));
    assert_true(sent(&f, "\r\naccept-encoding: gzip\r\n"));
    assert_false(sent(&f, "x-goog-if-generation-match"));
    assert_false(sent(&f, "authorization"));
    assert_int_equal(get(&f, "a/../k +", IDENTITY, &info), 0);
    assert_true(sent(&f, "\r\nx-goog-if-generation-match: 1700000000000007\r\n"));
    assert_false(sent(&f, "if-match:"));
    end(&f);
}

static void test_another_generation_is_stale(void **state)
{
    (void)state;
    struct fixture f;
    struct store_info info;
    BEGIN(&f, NULL, PART(GENERATION), REFUSED("412 Precondition Failed"));
    /* a server that does not know the precondition */
    assert_int_equal(get(&f, "a/../k +", "\"1700000000000008\"", &info), -ESTALE);
    assert_int_equal(get(&f, "a/../k +", IDENTITY, &info), -ESTALE);
    size_t before = served(&f);
    assert_int_equal(get(&f, "a/../k +", "\"d41d8cd98f00b204e9800998ecf8427e\"", &info), -ESTALE);
    assert_int_equal(served(&f), before);
    end(&f);
}

static void test_bytes_of_no_generation_are_not_taken(void **state)
{
    (void)state;
    struct fixture f;
    struct store_info info;
    BEGIN(&f, NULL, PART(""), PART("x-goog-generation: 12ab\r\n"));
    assert_int_equal(get(&f, "a/../k +", NULL, &info), -EIO);
    assert_non_null(strstr(f.err.msg, "generation"));
    end(&f);
}

static void test_head(void **state)
{
    (void)state;
    struct fixture f;
    struct store_info info;
    BEGIN(&f, NULL,
          "HTTP/1.1 200 OK\r\nConnection: close\r\n" GENERATION
          "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 90\r\n\r\n",
          REFUSED("404 Not Found"));
    assert_int_equal(f.store->ops->head(f.store, "k", &info, &f.err), 0);
    assert_int_equal(info.size, 90);
    assert_int_equal(info.mtime_ms, 784111777000);
    assert_string_equal(info.etag, IDENTITY);
    assert_int_equal(f.store->ops->head(f.store, "k", &info, &f.err), -ENOENT);
    assert_int_equal(f.store->ops->head(f.store, "", &info, &f.err), -ENOENT);
    end(&f);
}

static void test_put_if_absent(void **state)
{
    (void)state;
    struct fixture f;
    BEGIN(&f, NULL, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
          REFUSED("412 Precondition Failed"));
    assert_int_equal(f.store->ops->put_if_absent(f.store, "tag", SLICE_LIT("data"), &f.err), 0);
    assert_true(sent(&f, "PUT /bucket/lake/tag HTTP/1.1\r\n"));
    assert_true(sent(&f, "\r\nx-goog-if-generation-match: 0\r\n"));
    assert_int_equal(f.store->ops->put_if_absent(f.store, "tag", SLICE_LIT("data"), &f.err),
                     -EEXIST);
    end(&f);
}

/* A token that is refused is asked for once more, not for ever, and is in no message. */
static void test_a_refused_token(void **state)
{
    (void)state;
    struct fixture f;
    struct store_info info;
    BEGIN(&f, "hunter2", REFUSED("401 Unauthorized"));
    assert_int_equal(get(&f, "a/../k +", NULL, &info), -EACCES);
    assert_int_equal(served(&f), 2);
    assert_true(sent(&f, "\r\nauthorization: Bearer hunter2\r\n"));
    assert_int_equal(f.store->ops->head(f.store, "k", &info, &f.err), -EACCES);
    assert_int_equal(served(&f), 4);
    end(&f);
}

static int take(void *arg, const struct store_entry *entry)
{
    struct buf *out = arg;
    buf_addf(out, "%.*s %llu %.*s\n", SLICE_FMT(entry->key), (unsigned long long)entry->size,
             SLICE_FMT(entry->etag));
    return 0;
}

/* A listing tells the generation, or nothing: never the ETag, which is another thing. */
static void test_a_listing_tells_generations(void **state)
{
    (void)state;
    struct fixture f;
    AUTO(buf) struct buf found = {0};
    buf_init(&found, 1024);
#define ENTRY(key, generation)                                                                     \
    "<Contents><Key>lake/" key "</Key>" generation "<ETag>\"e\"</ETag><Size>7</Size></Contents>"
    BEGIN(&f, NULL,
          "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<ListBucketResult>" ENTRY(
              "a", "<Generation>12</Generation>") ENTRY("b", "") "</ListBucketResult>");
    struct store_list list = {.prefix = "", .recursive = true, .emit = take, .arg = &found};
    assert_int_equal(f.store->ops->list(f.store, &list, &f.err), 0);
    assert_string_equal(found.data, "a 7 \"12\"\nb 7 \n");
    assert_true(sent(&f, "GET /bucket?encoding-type=url&list-type=2&prefix=lake%2F HTTP/1.1\r\n"));
    end(&f);
}

/* gcloud's own file below HOME is for Google's own servers, whatever they are called. */
static void test_the_file_of_the_machine_is_for_google(void **state)
{
    (void)state;
    char home[] = "/tmp/test_gcs.XXXXXX", path[128];
    assert_non_null(mkdtemp(home));
    (void)snprintf(path, sizeof path, "%s/.config/gcloud", home); /* it fits */
    assert_int_equal(file_mkdirs(path, 0700, NULL), 0);
    (void)snprintf(path, sizeof path, "%s/.config/gcloud/application_default_credentials.json",
                   home); /* likewise */
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    static const struct {
        const char *endpoint;
        bool googles;
    } cases[] = {{NULL, true},
                 {"https://storage.googleapis.com", true},
                 {"https://storage.europe-west4.rep.googleapis.com", true},
                 {"http://storage.googleapis.com", false},
                 {"https://storage.googleapis.com.example.com", false},
                 {"http://127.0.0.1:9", false}};
    struct err err = ERR_INIT;
    AUTO(http) struct http *http = http_new(&err);
    AUTO(workers) struct workers *secrets = workers_new("secret", 1, &err);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct store_options options = {.endpoint_url = cases[i].endpoint, .home = home};
        struct store_runtime runtime = {.http = http, .secrets = secrets};
        AUTO(store) struct store *s = store_open("gs://bucket", &options, &runtime, &err);
        /* the file is empty: who takes it refuses it */
        assert_true((s == NULL) == cases[i].googles);
        if (!s)
            assert_non_null(strstr(err.msg, path));
    }
    (void)unlink(path);
    while (strlen(path) > strlen(home)) {
        *strrchr(path, '/') = '\0';
        (void)rmdir(path); /* our own, empty */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_generation_is_the_identity),
        cmocka_unit_test(test_another_generation_is_stale),
        cmocka_unit_test(test_bytes_of_no_generation_are_not_taken),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_put_if_absent),
        cmocka_unit_test(test_a_refused_token),
        cmocka_unit_test(test_a_listing_tells_generations),
        cmocka_unit_test(test_the_file_of_the_machine_is_for_google),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
