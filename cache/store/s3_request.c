/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/s3_request.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/instant.h"
#include "base/text.h"
#include "cache/store/refusal.h"
#include "cache/store/status.h"

/* A key, a continuation token and the rest, thrice as long percent-encoded. */
#define REQUEST_URL_BYTES_MAX (64 * KIB)
#define AUTHORIZATION_BYTES_MAX (4 * KIB)

void s3_bucket_done(struct s3_bucket *b)
{
    if (b->secret_access_key)
        OPENSSL_cleanse(b->secret_access_key, strlen(b->secret_access_key));
    if (b->session_token)
        OPENSSL_cleanse(b->session_token, strlen(b->session_token));
    char *owned[] = {
        b->origin,        b->name,      b->region,   b->access_key_id, b->secret_access_key,
        b->session_token, b->ca_bundle, b->proxy_url};
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
        free(owned[i]);
    *b = (struct s3_bucket){0};
}

static void add_field(struct s3_request *q, const char *name, const char *value)
{
    assert(q->http.fields_count < S3_REQUEST_FIELDS_MAX);
    q->fields[q->http.fields_count++] = (struct http_field){name, value};
}

static void add_url(struct s3_request *q, const struct s3_parts *parts, struct slice *path,
                    struct slice *query)
{
    buf_add_str(&q->url, q->bucket->origin);
    size_t path_at = q->url.len;
    if (q->bucket->path_style)
        buf_addf(&q->url, "/%s", q->bucket->name);
    buf_add_char(&q->url, '/');
    text_percent_encode(&q->url, slice_of(parts->key), "/");
    size_t path_end = q->url.len, query_at = path_end;
    if (parts->parameters_count) {
        buf_add_char(&q->url, '?');
        query_at = q->url.len;
        sigv4_query(&q->url, parts->parameters, parts->parameters_count);
    }
    if (q->url.failed)
        return;
    *path = slice_make(q->url.data + path_at, path_end - path_at);
    *query = slice_make(q->url.data + query_at, q->url.len - query_at);
}

static void add_fields(struct s3_request *q, const struct s3_parts *parts)
{
    add_field(q, "host", strstr(q->bucket->origin, "://") + 3);
    if (parts->length) {
        (void)snprintf(q->range, sizeof q->range, "bytes=%" PRIu64 "-%" PRIu64, parts->offset,
                       parts->offset + (parts->length - 1)); /* two numbers fit */
        add_field(q, "range", q->range);
    }
    if (parts->if_match)
        add_field(q, "if-match", parts->if_match);
    if (parts->if_absent)
        add_field(q, "if-none-match", "*");
    if (strcmp(parts->method, "PUT") == 0)
        add_field(q, "content-type", "application/octet-stream");
}

static int sign(struct s3_request *q, const struct s3_parts *parts, struct slice path,
                struct slice query, struct err *err)
{
    const struct s3_bucket *b = q->bucket;
    int64_t now_ms = clock_real_ms();
    AUTO(buf) struct buf date = {0};
    buf_init(&date, sizeof q->date - 1);
    instant_format_basic(&date, now_ms);
    int rc = buf_check(&date, err);
    if (rc < 0)
        return rc;
    memcpy(q->date, date.data, date.len + 1);
    sha256_hex(parts->upload, q->payload_sha256);
    add_field(q, "x-amz-content-sha256", q->payload_sha256);
    add_field(q, "x-amz-date", q->date);
    if (b->session_token)
        add_field(q, "x-amz-security-token", b->session_token);
    struct sigv4_request r = {.method = parts->method,
                              .path = path,
                              .query = query,
                              .fields = q->fields,
                              .fields_count = q->http.fields_count,
                              .payload_sha256 = q->payload_sha256,
                              .time_ms = now_ms,
                              .region = b->region,
                              .service = "s3"};
    struct sigv4_credentials credentials = {b->access_key_id, b->secret_access_key};
    rc = sigv4_sign(&r, &credentials, &q->authorization, err);
    if (rc == 0)
        add_field(q, "authorization", q->authorization.data);
    return rc;
}

static bool again(struct http_request *http)
{
    return s3_request_retryable(CONTAINER_OF(http, struct s3_request, http));
}

int s3_request_init(struct s3_request *q, const struct s3_bucket *bucket,
                    const struct s3_parts *parts, struct err *err)
{
    *q = (struct s3_request){.bucket = bucket, .key = parts->key};
    buf_init(&q->url, REQUEST_URL_BYTES_MAX);
    buf_init(&q->authorization, AUTHORIZATION_BYTES_MAX);
    buf_init(&q->http.text, parts->text_max);
    struct slice path = SLICE_NONE, query = SLICE_NONE;
    add_url(q, parts, &path, &query);
    int rc = buf_check(&q->url, err);
    if (rc < 0)
        return rc;
    add_fields(q, parts);
    if (bucket->sign && (rc = sign(q, parts, path, query, err)) < 0)
        return rc;
    q->http.method = parts->method;
    q->http.url = q->url.data;
    q->http.fields = q->fields;
    q->http.ca_bundle = bucket->ca_bundle;
    q->http.proxy_url = bucket->proxy_url;
    q->http.upload = parts->upload;
    q->http.deadline_ms = bucket->deadline_ms;
    q->http.again = again;
    return 0;
}

void s3_request_done(struct s3_request *q)
{
    buf_done(&q->url);
    buf_done(&q->authorization);
    buf_done(&q->http.text);
}

/* Only what an error says: a success's body is not one. */
static struct s3_problem problem_of(const struct s3_request *q)
{
    struct s3_problem problem = {0};
    if (q->http.answer.status >= 300 && q->http.rc == 0)
        s3_problem_parse(buf_slice(&q->http.text), &problem);
    return problem;
}

bool s3_request_retryable(const struct s3_request *q)
{
    struct s3_problem problem = problem_of(q);
    return status_retryable(q->http.answer.status, slice_of(problem.code));
}

int s3_request_refuse(const struct s3_request *q, int code, const char *why, struct err *err)
{
    return refusal_set(&q->http, q->bucket->name, q->key, code, why, err);
}

int s3_request_check(const struct s3_request *q, struct err *err)
{
    const struct http_answer *a = &q->http.answer;
    if (q->http.rc < 0 && a->status < 300)
        return s3_request_refuse(q, -q->http.rc, q->http.err.msg, err);
    if (a->status >= 200 && a->status < 300)
        return 0;
    struct s3_problem problem = problem_of(q);
    char why[400], region[160] = "";
    if (a->bucket_region[0] && strcmp(a->bucket_region, q->bucket->region) != 0)
        (void)snprintf(region, sizeof region, "; the bucket is in %.40s, it was asked in %.40s",
                       a->bucket_region, q->bucket->region); /* may be cut */
    bool no_bucket = strcmp(problem.code, "NoSuchBucket") == 0;
    (void)snprintf(why, sizeof why, "%s%s%s%s", problem.code, problem.code[0] ? ": " : "",
                   no_bucket            ? "there is no bucket of this name"
                   : problem.message[0] ? problem.message
                                        : "without a reason",
                   region); /* likewise */
    return s3_request_refuse(q, status_errno(a->status, slice_of(problem.code)), why, err);
}
