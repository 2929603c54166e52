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

void s3_bucket_init(struct s3_bucket *b)
{
    lock_init(&b->lock);
}

void s3_bucket_done(struct s3_bucket *b)
{
    renewed_free(b->credentials);
    OPENSSL_cleanse(b->sse_c_key, sizeof b->sse_c_key);
    char *owned[] = {b->endpoint, b->name, b->ca_bundle, b->proxy_url, b->sse, b->sse_kms_key_id};
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
        free(owned[i]);
    lock_done(&b->lock);
    *b = (struct s3_bucket){0};
}

bool s3_bucket_move(struct s3_bucket *b, const char *region)
{
    bool moved = false;
    if (!region_valid(region))
        return false;
    WITH_LOCK (&b->lock) {
        moved = b->endpoint || strcmp(region_domain(b->region), region_domain(region)) == 0;
        if (moved)
            memcpy(b->region, region, strlen(region) + 1);
    }
    return moved;
}

static void add_field(struct s3_request *q, const char *name, const char *value)
{
    assert(q->http.fields_count < S3_REQUEST_FIELDS_MAX);
    q->fields[q->http.fields_count++] = (struct http_field){name, value};
}

void s3_bucket_origin(const struct s3_bucket *b, const char *region, struct buf *out)
{
    const char *dot = b->path_style ? "" : ".", *name = b->path_style ? "" : b->name;
    const char *host = b->endpoint ? strstr(b->endpoint, "://") + 3 : NULL;
    if (host)
        buf_addf(out, "%.*s%s%s%s", (int)(host - b->endpoint), b->endpoint, name, dot, host);
    else
        buf_addf(out, "https://%s%ss3.%s%s.%s", name, dot, b->dualstack ? "dualstack." : "", region,
                 region_domain(region));
}

static int add_url(struct s3_request *q, struct err *err)
{
    buf_reset(&q->url);
    buf_reset(&q->origin);
    s3_bucket_origin(q->bucket, q->region, &q->origin);
    int rc = buf_check(&q->origin, err);
    if (rc < 0)
        return rc;
    buf_add_slice(&q->url, buf_slice(&q->origin));
    buf_add_slice(&q->url, buf_slice(&q->path));
    if (q->query.len) {
        buf_add_char(&q->url, '?');
        buf_add_slice(&q->url, buf_slice(&q->query));
    }
    return buf_check(&q->url, err);
}

static void add_special_fields(struct s3_request *q)
{
    const struct s3_bucket *b = q->bucket;
    bool put = strcmp(q->http.method, "PUT") == 0;
    if (b->requester_pays)
        add_field(q, "x-amz-request-payer", "requester");
    if (b->sse_c_key[0] && q->key[0]) {
        add_field(q, "x-amz-server-side-encryption-customer-algorithm", "AES256");
        add_field(q, "x-amz-server-side-encryption-customer-key", b->sse_c_key);
        add_field(q, "x-amz-server-side-encryption-customer-key-md5", b->sse_c_key_md5);
    }
    if (b->sse && put)
        add_field(q, "x-amz-server-side-encryption", b->sse);
    if (b->sse_kms_key_id && put)
        add_field(q, "x-amz-server-side-encryption-aws-kms-key-id", b->sse_kms_key_id);
}

static void add_fields(struct s3_request *q)
{
    q->http.fields_count = 0;
    add_field(q, "host", strstr(q->origin.data, "://") + 3);
    if (q->range[0])
        add_field(q, "range", q->range);
    if (q->if_match)
        add_field(q, "if-match", q->if_match);
    if (q->if_absent)
        add_field(q, "if-none-match", "*");
    if (strcmp(q->http.method, "PUT") == 0)
        add_field(q, "content-type", "application/octet-stream");
    add_special_fields(q);
}

static int sign(struct s3_request *q, struct err *err)
{
    const struct credentials *c = &q->credentials;
    int64_t now_ms = clock_real_ms();
    AUTO(buf) struct buf date = {0};
    buf_init(&date, sizeof q->date - 1);
    buf_reset(&q->authorization);
    instant_format_basic(&date, now_ms);
    int rc = buf_check(&date, err);
    if (rc < 0)
        return rc;
    memcpy(q->date, date.data, date.len + 1);
    add_field(q, "x-amz-content-sha256", q->payload_sha256);
    add_field(q, "x-amz-date", q->date);
    if (c->session_token[0])
        add_field(q, "x-amz-security-token", c->session_token);
    struct sigv4_request r = {.method = q->http.method,
                              .path = buf_slice(&q->path),
                              .query = buf_slice(&q->query),
                              .fields = q->fields,
                              .fields_count = q->http.fields_count,
                              .payload_sha256 = q->payload_sha256,
                              .time_ms = now_ms,
                              .region = q->region,
                              .service = "s3"};
    rc = sigv4_sign(&r, &(struct sigv4_credentials){c->access_key_id, c->secret_access_key},
                    &q->authorization, err);
    if (rc == 0)
        add_field(q, "authorization", q->authorization.data);
    return rc;
}

int s3_request_address(struct s3_request *q, struct err *err)
{
    WITH_LOCK (&q->bucket->lock)
        memcpy(q->region, q->bucket->region, sizeof q->region);
    int rc = add_url(q, err);
    if (rc < 0)
        return rc;
    add_fields(q);
    q->http.url = q->url.data;
    return q->bucket->credentials ? sign(q, err) : 0;
}

static bool again(struct http_request *http)
{
    return s3_request_retryable(CONTAINER_OF(http, struct s3_request, http));
}

int s3_request_init(struct s3_request *q, struct s3_bucket *bucket, const struct s3_parts *parts,
                    struct err *err)
{
    *q = (struct s3_request){.bucket = bucket,
                             .key = parts->key,
                             .if_match = parts->if_match,
                             .if_absent = parts->if_absent};
    buf_init(&q->path, REQUEST_URL_BYTES_MAX);
    buf_init(&q->query, REQUEST_URL_BYTES_MAX);
    buf_init(&q->origin, URL_BYTES_MAX);
    buf_init(&q->url, REQUEST_URL_BYTES_MAX);
    buf_init(&q->authorization, AUTHORIZATION_BYTES_MAX);
    buf_init(&q->http.text, parts->text_max);
    if (bucket->path_style)
        buf_addf(&q->path, "/%s", bucket->name);
    buf_add_char(&q->path, '/');
    text_percent_encode(&q->path, slice_of(parts->key), "/");
    sigv4_query(&q->query, parts->parameters, parts->parameters_count);
    if (parts->length)
        (void)snprintf(q->range, sizeof q->range, "bytes=%" PRIu64 "-%" PRIu64, parts->offset,
                       parts->offset + (parts->length - 1)); /* two numbers fit */
    sha256_hex(parts->upload, q->payload_sha256);
    q->http.method = parts->method;
    q->http.fields = q->fields;
    q->http.ca_bundle = bucket->ca_bundle;
    q->http.proxy_url = bucket->proxy_url;
    q->http.upload = parts->upload;
    q->http.deadline_ms = bucket->deadline_ms;
    q->http.again = again;
    int rc = buf_check(&q->path, err);
    return rc < 0 ? rc : buf_check(&q->query, err);
}

void s3_request_done(struct s3_request *q)
{
    OPENSSL_cleanse(&q->credentials, sizeof q->credentials);
    buf_done(&q->path);
    buf_done(&q->query);
    buf_done(&q->origin);
    buf_done(&q->url);
    buf_done(&q->authorization);
    buf_done(&q->http.text);
}

/* Only what an error says: a success's body is not one. */
struct s3_problem s3_request_problem(const struct s3_request *q)
{
    struct s3_problem problem = {0};
    if (q->http.answer.status >= 300 && q->http.rc == 0)
        s3_problem_parse(buf_slice(&q->http.text), &problem);
    return problem;
}

bool s3_request_retryable(const struct s3_request *q)
{
    struct s3_problem problem = s3_request_problem(q);
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
    struct s3_problem problem = s3_request_problem(q);
    char why[400], region[160] = "";
    if (a->bucket_region[0] && strcmp(a->bucket_region, q->region) != 0)
        (void)snprintf(region, sizeof region, "; the bucket is in %.40s, it was asked in %.40s",
                       a->bucket_region, q->region); /* may be cut */
    bool no_bucket = strcmp(problem.code, "NoSuchBucket") == 0;
    (void)snprintf(why, sizeof why, "%s%s%s%s", problem.code, problem.code[0] ? ": " : "",
                   no_bucket            ? "there is no bucket of this name"
                   : problem.message[0] ? problem.message
                                        : "without a reason",
                   region); /* likewise */
    return s3_request_refuse(q, status_errno(a->status, slice_of(problem.code)), why, err);
}
