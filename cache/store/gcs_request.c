/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/gcs_request.h"

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/instant.h"
#include "base/text.h"
#include "cache/store/status.h"

static const struct sigv4_scheme goog4 = {"GOOG4", "GOOG4-HMAC-SHA256", "goog4_request"};

void gcs_bucket_done(struct gcs_bucket *b)
{
    gcs_auth_done(&b->auth);
    char *owned[] = {b->origin, b->name, b->user_project, b->ca_bundle, b->proxy_url};
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
        free(owned[i]);
    *b = (struct gcs_bucket){0};
}

/* identity */

static bool all_digits(struct slice text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
    return text.n && text.n < GCS_GENERATION_BYTES;
}

void gcs_identity(struct slice generation, char out[ETAG_BYTES_MAX])
{
    out[0] = '\0';
    if (all_digits(generation))
        (void)snprintf(out, ETAG_BYTES_MAX, "\"%.*s\"", SLICE_FMT(generation)); /* it fits */
}

static bool generation_of(const char *identity, char out[GCS_GENERATION_BYTES])
{
    struct slice text = slice_of(identity);
    if (text.n < 2 || text.p[0] != '"' || text.p[text.n - 1] != '"')
        return false;
    text = slice_make(text.p + 1, text.n - 2);
    if (!all_digits(text))
        return false;
    memcpy(out, text.p, text.n);
    out[text.n] = '\0';
    return true;
}

/* making one */

static int add_url(struct gcs_request *q, const struct remote_parts *parts, struct err *err)
{
    buf_add_str(&q->remote.url, q->bucket->origin);
    size_t path_at = q->remote.url.len;
    buf_addf(&q->remote.url, "/%s", q->bucket->name);
    if (parts->key[0])
        buf_add_char(&q->remote.url, '/');
    text_percent_encode(&q->remote.url, slice_of(parts->key), "/");
    size_t path_end = q->remote.url.len, query_at = path_end;
    if (parts->parameters_count) {
        buf_add_char(&q->remote.url, '?');
        query_at = q->remote.url.len;
        sigv4_query(&q->remote.url, parts->parameters, parts->parameters_count);
    }
    int rc = buf_check(&q->remote.url, err);
    if (rc < 0)
        return rc;
    q->path = slice_make(q->remote.url.data + path_at, path_end - path_at);
    q->query = slice_make(q->remote.url.data + query_at, q->remote.url.len - query_at);
    return 0;
}

/*
 * The first one is not signed: Google's front end changes it. Without it an object that is stored
 * as gzip would be served decompressed, and in no ranges.
 */
#define UNSIGNED_FIELDS 1

static int add_fields(struct gcs_request *q, const struct remote_parts *parts, struct err *err)
{
    remote_add_field(&q->remote, "accept-encoding", "gzip");
    remote_add_field(&q->remote, "host", strstr(q->bucket->origin, "://") + 3);
    if (q->remote.range[0])
        remote_add_field(&q->remote, "range", q->remote.range);
    if (parts->identity && !generation_of(parts->identity, q->generation))
        return err_set(err, ESTALE, "bucket %.63s, key %.160s: %.60s is the identity of no object",
                       q->bucket->name, parts->key, parts->identity);
    if (parts->identity)
        remote_add_field(&q->remote, "x-goog-if-generation-match", q->generation);
    if (parts->if_absent)
        remote_add_field(&q->remote, "x-goog-if-generation-match",
                         "0"); /* "no live version of it" */
    if (q->bucket->user_project)
        remote_add_field(&q->remote, "x-goog-user-project", q->bucket->user_project);
    remote_add_fields(&q->remote, parts);
    if (parts->begins || (strcmp(parts->method, "PUT") == 0 && !parts->keeps && !parts->is_part))
        remote_add_field(&q->remote, "content-type", "application/octet-stream");
    return 0;
}

/* By an HMAC key: V4 in the Authorization field, with Google's words. */
static int sign(struct gcs_request *q, struct err *err)
{
    const struct gcs_auth *auth = &q->bucket->auth;
    int64_t now_ms = clock_real_ms();
    AUTO(buf) struct buf date = {0};
    buf_init(&date, sizeof q->date - 1);
    instant_format_basic(&date, now_ms);
    int rc = buf_check(&date, err);
    if (rc < 0)
        return rc;
    memcpy(q->date, date.data, date.len + 1);
    sha256_hex(q->remote.http.upload, q->payload_sha256);
    remote_add_field(&q->remote, "x-goog-content-sha256", q->payload_sha256);
    remote_add_field(&q->remote, "x-goog-date", q->date);
    struct sigv4_request r = {.scheme = &goog4,
                              .method = q->remote.http.method,
                              .path = q->path,
                              .query = q->query,
                              .fields = q->remote.fields + UNSIGNED_FIELDS,
                              .fields_count = q->remote.http.fields_count - UNSIGNED_FIELDS,
                              .payload_sha256 = q->payload_sha256,
                              .time_ms = now_ms,
                              .region = "auto",
                              .service = "storage"};
    struct sigv4_credentials credentials = {auth->access_key_id, auth->secret_access_key};
    return sigv4_sign(&r, &credentials, &q->remote.authorization, err);
}

/* Nobody asks, or who has a key. */
static int sign_if_known(struct remote_request *q, struct err *err)
{
    struct gcs_request *g = gcs_request_of(q);
    return g->bucket->auth.access_key_id ? sign(g, err) : 0;
}

int gcs_request_init(struct gcs_request *q, const struct gcs_bucket *bucket,
                     const struct remote_parts *parts, struct err *err)
{
    *q = (struct gcs_request){.bucket = bucket};
    remote_request_init(&q->remote, &gcs_request_ops, bucket->where, parts);
    int rc = add_url(q, parts, err);
    if (rc == 0)
        rc = add_fields(q, parts, err);
    if (rc < 0)
        return rc;
    q->remote.tokens = bucket->auth.access_key_id ? NULL : bucket->auth.tokens;
    q->remote.http.url = q->remote.url.data;
    q->remote.http.ca_bundle = bucket->ca_bundle;
    q->remote.http.proxy_url = bucket->proxy_url;
    q->remote.http.deadline_ms = parts->deadline_ms ? parts->deadline_ms : bucket->deadline_ms;
    return 0;
}

/* answers */

static bool token_refused(unsigned status, struct slice code)
{
    (void)code;
    return status == 401;
}

static void identity(const struct http_answer *a, char out[ETAG_BYTES_MAX])
{
    gcs_identity(slice_of(a->generation), out);
}

/* Every class of Google's is read at once. */
static void tell_class(const struct http_answer *a, struct store_info *info)
{
    memcpy(info->class, a->storage_class, sizeof info->class);
}

const struct remote_ops gcs_request_ops = {
    .request_bytes = sizeof(struct gcs_request),
    .end = remote_request_done,
    .sign = sign_if_known,
    .token_refused = token_refused,
    .error = status_errno,
    .retryable = status_retryable,
    .identity = identity,
    .identity_name = "generation",
    .identity_always = true,
    .tell_class = tell_class,
};
