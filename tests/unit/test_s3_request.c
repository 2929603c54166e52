/* SPDX-License-Identifier: Apache-2.0 */
/* Where requests to a bucket go, where a server may send them, and which fields they have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cache/store/s3_request.h"

static void check_origin(struct s3_bucket *b, const char *want)
{
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 1024);
    s3_bucket_origin(b, b->region, &out);
    assert_string_equal(out.data, want);
}

static struct s3_bucket bucket_of(char *name, char *endpoint, bool path_style)
{
    struct s3_bucket b = {.name = strdup(name),
                          .endpoint = endpoint ? strdup(endpoint) : NULL,
                          .path_style = path_style,
                          .deadline_ms = 1000,
                          .region = "us-east-1"};
    s3_bucket_init(&b);
    return b;
}

/* The bucket's name stands in the host's, or in the path; also before an endpoint's. */
static void test_origin(void **state)
{
    (void)state;
    static const struct {
        char *endpoint;
        bool path_style;
        const char *want;
    } rows[] = {
        {NULL, false, "https://my-bucket.s3.us-east-1.amazonaws.com"},
        {NULL, true, "https://s3.us-east-1.amazonaws.com"},
        {"http://[::1]:9000", true, "http://[::1]:9000"},
        {"https://s3.example:9000", false, "https://my-bucket.s3.example:9000"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct s3_bucket b = bucket_of("my-bucket", rows[i].endpoint, rows[i].path_style);
        check_origin(&b, rows[i].want);
        s3_bucket_done(&b);
    }
}

/* AWS's hosts with IPv6 addresses are other ones; endpoints stay what they are. */
static void test_dualstack(void **state)
{
    (void)state;
    struct s3_bucket b = bucket_of("my-bucket", NULL, false);
    b.dualstack = true;
    check_origin(&b, "https://my-bucket.s3.dualstack.us-east-1.amazonaws.com");
    s3_bucket_done(&b);
    b = bucket_of("my-bucket", "https://s3.example", true);
    b.dualstack = true;
    check_origin(&b, "https://s3.example");
    s3_bucket_done(&b);
}

/* A server moves the bucket within AWS's domain; never to another one, never to a host it names. */
static void test_move(void **state)
{
    (void)state;
    struct s3_bucket b = bucket_of("my-bucket", NULL, false);
    assert_true(s3_bucket_move(&b, "eu-central-1"));
    check_origin(&b, "https://my-bucket.s3.eu-central-1.amazonaws.com");
    assert_false(s3_bucket_move(&b, "cn-north-1"));
    assert_false(s3_bucket_move(&b, "evil.example/"));
    assert_false(s3_bucket_move(&b, "evil.example"));
    assert_false(s3_bucket_move(&b, ""));
    check_origin(&b, "https://my-bucket.s3.eu-central-1.amazonaws.com");
    s3_bucket_done(&b);
    b = bucket_of("my-bucket", "https://s3.example", true);
    assert_true(s3_bucket_move(&b, "cn-north-1"));
    check_origin(&b, "https://s3.example");
    s3_bucket_done(&b);
}

static const char *field_of(const struct s3_request *q, const char *name)
{
    for (size_t i = 0; i < q->remote.http.fields_count; i++)
        if (strcmp(q->remote.fields[i].name, name) == 0)
            return q->remote.fields[i].value;
    return "";
}

#define SSE "x-amz-server-side-encryption"

static void address(struct s3_request *q, struct s3_bucket *b, const char *method, const char *key)
{
    struct remote_parts parts = {.method = method, .key = key, .text_max = 1024};
    assert_int_equal(s3_request_init(q, b, &parts, NULL), 0);
    assert_int_equal(s3_request_address(q, NULL), 0);
}

/* Keys of the customer's go with what has bytes of objects; the service's encryption with writes.
 */
static void test_special_fields(void **state)
{
    (void)state;
    struct s3_bucket b = bucket_of("my-bucket", "https://s3.example", true);
    memcpy(b.sse_c_key, "a2V5", 5);
    memcpy(b.sse_c_key_md5, "bWQ1", 5);
    b.sse = strdup("aws:kms");
    b.sse_kms_key_id = strdup("arn:of:key");
    b.requester_pays = true;
    static const struct {
        const char *method, *key;
        bool customer, service;
    } rows[] = {{"GET", "k", true, false},
                {"HEAD", "k", true, false},
                {"PUT", "k", true, true},
                {"GET", "", false, false}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(s3_request) struct s3_request q = {0};
        address(&q, &b, rows[i].method, rows[i].key);
        bool customer = rows[i].customer, service = rows[i].service;
        assert_string_equal(field_of(&q, "x-amz-request-payer"), "requester");
        assert_string_equal(field_of(&q, SSE "-customer-algorithm"), customer ? "AES256" : "");
        assert_string_equal(field_of(&q, SSE "-customer-key"), customer ? "a2V5" : "");
        assert_string_equal(field_of(&q, SSE "-customer-key-md5"), customer ? "bWQ1" : "");
        assert_string_equal(field_of(&q, SSE), service ? "aws:kms" : "");
        assert_string_equal(field_of(&q, SSE "-aws-kms-key-id"), service ? "arn:of:key" : "");
    }
    s3_bucket_done(&b);
}

/* A request that is sent again is addressed anew, to where the bucket is by then. */
static void test_addressed_again(void **state)
{
    (void)state;
    struct s3_bucket b = bucket_of("my-bucket", NULL, false);
    AUTO(s3_request) struct s3_request q = {0};
    address(&q, &b, "GET", "a b/../c");
    assert_string_equal(q.remote.http.url,
                        "https://my-bucket.s3.us-east-1.amazonaws.com/a%20b/../c");
    size_t fields = q.remote.http.fields_count;
    assert_true(s3_bucket_move(&b, "ap-south-1"));
    assert_int_equal(s3_request_address(&q, NULL), 0);
    assert_string_equal(q.remote.http.url,
                        "https://my-bucket.s3.ap-south-1.amazonaws.com/a%20b/../c");
    assert_string_equal(field_of(&q, "host"), "my-bucket.s3.ap-south-1.amazonaws.com");
    assert_int_equal(q.remote.http.fields_count, fields);
    s3_bucket_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origin),
        cmocka_unit_test(test_dualstack),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_special_fields),
        cmocka_unit_test(test_addressed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
