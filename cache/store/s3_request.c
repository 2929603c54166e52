/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/s3_request.h"

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/instant.h"
#include "base/text.h"
#include "cache/store/s3_restore.h"
#include "cache/store/s3_send.h"
#include "cache/store/status.h"

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
    buf_reset(&q->remote.url);
    buf_reset(&q->origin);
    s3_bucket_origin(q->bucket, q->region, &q->origin);
    int rc = buf_check(&q->origin, err);
    if (rc < 0)
        return rc;
    buf_add_slice(&q->remote.url, buf_slice(&q->origin));
    buf_add_slice(&q->remote.url, buf_slice(&q->path));
    if (q->query.len) {
        buf_add_char(&q->remote.url, '?');
        buf_add_slice(&q->remote.url, buf_slice(&q->query));
    }
    return buf_check(&q->remote.url, err);
}

/* An object is made, which has a type and maybe encryption. */
static bool makes(const struct s3_request *q)
{
    const struct remote_parts *p = &q->parts;
    return p->begins || (strcmp(p->method, "PUT") == 0 && !p->keeps && !p->is_part);
}

static void add_special_fields(struct s3_request *q)
{
    const struct s3_bucket *b = q->bucket;
    bool put = makes(q);
    if (b->requester_pays)
        remote_add_field(&q->remote, "x-amz-request-payer", "requester");
    if (q->parts.keeps)
        return;
    if (b->sse_c_key[0] && q->remote.key[0]) {
        remote_add_field(&q->remote, "x-amz-server-side-encryption-customer-algorithm", "AES256");
        remote_add_field(&q->remote, "x-amz-server-side-encryption-customer-key", b->sse_c_key);
        remote_add_field(&q->remote, "x-amz-server-side-encryption-customer-key-md5",
                         b->sse_c_key_md5);
    }
    if (b->sse && put)
        remote_add_field(&q->remote, "x-amz-server-side-encryption", b->sse);
    if (b->sse_kms_key_id && put)
        remote_add_field(&q->remote, "x-amz-server-side-encryption-aws-kms-key-id",
                         b->sse_kms_key_id);
}

static void add_fields(struct s3_request *q)
{
    q->remote.http.fields_count = 0;
    remote_add_field(&q->remote, "host", strstr(q->origin.data, "://") + 3);
    if (q->remote.range[0])
        remote_add_field(&q->remote, "range", q->remote.range);
    if (q->parts.identity)
        remote_add_field(&q->remote, "if-match", q->parts.identity);
    if (q->parts.if_absent)
        remote_add_field(&q->remote, "if-none-match", "*");
    remote_add_fields(&q->remote, &q->parts);
    if (makes(q))
        remote_add_field(&q->remote, "content-type", "application/octet-stream");
    add_special_fields(q);
}

static int sign(struct s3_request *q, struct err *err)
{
    const struct credentials *c = &q->credentials;
    int64_t now_ms = clock_real_ms();
    AUTO(buf) struct buf date = {0};
    buf_init(&date, sizeof q->date - 1);
    buf_reset(&q->remote.authorization);
    instant_format_basic(&date, now_ms);
    int rc = buf_check(&date, err);
    if (rc < 0)
        return rc;
    memcpy(q->date, date.data, date.len + 1);
    remote_add_field(&q->remote, "x-amz-content-sha256", q->payload_sha256);
    remote_add_field(&q->remote, "x-amz-date", q->date);
    if (c->session_token[0])
        remote_add_field(&q->remote, "x-amz-security-token", c->session_token);
    struct sigv4_request r = {.method = q->remote.http.method,
                              .path = buf_slice(&q->path),
                              .query = buf_slice(&q->query),
                              .fields = q->remote.fields,
                              .fields_count = q->remote.http.fields_count,
                              .payload_sha256 = q->payload_sha256,
                              .time_ms = now_ms,
                              .region = q->region,
                              .service = "s3"};
    rc = sigv4_sign(&r, &(struct sigv4_credentials){c->access_key_id, c->secret_access_key},
                    &q->remote.authorization, err);
    if (rc == 0)
        remote_add_field(&q->remote, "authorization", q->remote.authorization.data);
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
    q->remote.http.url = q->remote.url.data;
    return q->bucket->credentials ? sign(q, err) : 0;
}

int s3_request_init(struct s3_request *q, struct s3_bucket *bucket,
                    const struct remote_parts *parts, struct err *err)
{
    const struct http_parameter version = {"versionId", parts->version};
    *q = (struct s3_request){.bucket = bucket, .parts = *parts};
    remote_request_init(&q->remote, &s3_request_ops, bucket->where, parts);
    buf_init(&q->path, REMOTE_URL_BYTES_MAX);
    buf_init(&q->query, REMOTE_URL_BYTES_MAX);
    buf_init(&q->origin, URL_BYTES_MAX);
    if (bucket->path_style)
        buf_addf(&q->path, "/%s", bucket->name);
    buf_add_char(&q->path, '/');
    text_percent_encode(&q->path, slice_of(parts->key), "/");
    if (parts->version)
        sigv4_query(&q->query, &version, 1);
    else if (parts->parameters_count)
        sigv4_query(&q->query, parts->parameters, parts->parameters_count);
    sha256_hex(parts->upload, q->payload_sha256);
    q->remote.http.ca_bundle = bucket->ca_bundle;
    q->remote.http.proxy_url = bucket->proxy_url;
    q->remote.http.deadline_ms = parts->deadline_ms ? parts->deadline_ms : bucket->deadline_ms;
    int rc = buf_check(&q->path, err);
    return rc < 0 ? rc : buf_check(&q->query, err);
}

void s3_request_done(struct s3_request *q)
{
    OPENSSL_cleanse(&q->credentials, sizeof q->credentials);
    buf_done(&q->path);
    buf_done(&q->query);
    buf_done(&q->origin);
    remote_request_done(&q->remote);
}

static void end(struct remote_request *q)
{
    s3_request_done(s3_request_of(q));
}

static void explain(const struct remote_request *q, struct s3_problem *problem)
{
    const char *told = q->http.answer.bucket_region;
    const char *asked = CONTAINER_OF(q, const struct s3_request, remote)->region;
    size_t n = strlen(problem->message);
    if (strcmp(problem->code, "NoSuchBucket") == 0)
        (void)snprintf(problem->message, sizeof problem->message,
                       "there is no bucket of this name"); /* it fits */
    else if (strcmp(problem->code, "RequestTimeTooSkewed") == 0)
        (void)snprintf(problem->message + n, sizeof problem->message - n,
                       " Set this machine's clock"); /* may be cut */
    else if (told[0] && strcmp(told, asked) != 0)
        (void)snprintf(problem->message + n, sizeof problem->message - n,
                       "%s; the bucket is in %.40s, it was asked in %.40s",
                       n ? "" : "without a reason", told, asked); /* may be cut */
}

static void identity(const struct http_answer *a, char out[ETAG_BYTES_MAX])
{
    memcpy(out, a->etag, ETAG_BYTES_MAX);
}

const struct remote_ops s3_request_ops = {
    .request_bytes = sizeof(struct s3_request),
    .end = end,
    .send = s3_send,
    .explain = explain,
    .error = status_errno,
    .retryable = status_retryable,
    .identity = identity,
    .identity_name = "ETag",
    .tell_class = s3_tell_class,
    .tells_codes = true,
};
