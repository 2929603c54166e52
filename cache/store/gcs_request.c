/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/gcs_request.h"

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
#define AUTHORIZATION_BYTES_MAX (OAUTH_TOKEN_BYTES_MAX + 4 * KIB)
#define BEARER "Bearer "

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

static void add_field(struct gcs_request *q, const char *name, const char *value)
{
    assert(q->http.fields_count < GCS_REQUEST_FIELDS_MAX);
    q->fields[q->http.fields_count++] = (struct http_field){name, value};
}

static int add_url(struct gcs_request *q, const struct gcs_parts *parts, struct err *err)
{
    buf_add_str(&q->url, q->bucket->origin);
    size_t path_at = q->url.len;
    buf_addf(&q->url, "/%s", q->bucket->name);
    if (parts->key[0])
        buf_add_char(&q->url, '/');
    text_percent_encode(&q->url, slice_of(parts->key), "/");
    size_t path_end = q->url.len, query_at = path_end;
    if (parts->parameters_count) {
        buf_add_char(&q->url, '?');
        query_at = q->url.len;
        sigv4_query(&q->url, parts->parameters, parts->parameters_count);
    }
    int rc = buf_check(&q->url, err);
    if (rc < 0)
        return rc;
    q->path = slice_make(q->url.data + path_at, path_end - path_at);
    q->query = slice_make(q->url.data + query_at, q->url.len - query_at);
    return 0;
}

/*
 * The first one is not signed: Google's front end changes it. Without it an object that is stored
 * as gzip would be served decompressed, and in no ranges.
 */
#define UNSIGNED_FIELDS 1

static int add_fields(struct gcs_request *q, const struct gcs_parts *parts, struct err *err)
{
    add_field(q, "accept-encoding", "gzip");
    add_field(q, "host", strstr(q->bucket->origin, "://") + 3);
    if (parts->length) {
        (void)snprintf(q->range, sizeof q->range, "bytes=%" PRIu64 "-%" PRIu64, parts->offset,
                       parts->offset + (parts->length - 1)); /* two numbers fit */
        add_field(q, "range", q->range);
    }
    if (parts->identity && !generation_of(parts->identity, q->generation))
        return err_set(err, ESTALE, "bucket %.63s, key %.160s: %.60s is the identity of no object",
                       q->bucket->name, parts->key, parts->identity);
    if (parts->identity)
        add_field(q, "x-goog-if-generation-match", q->generation);
    if (parts->if_absent)
        add_field(q, "x-goog-if-generation-match", "0"); /* "no live version of it" */
    if (q->bucket->user_project)
        add_field(q, "x-goog-user-project", q->bucket->user_project);
    if (strcmp(parts->method, "PUT") == 0)
        add_field(q, "content-type", "application/octet-stream");
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
    sha256_hex(q->http.upload, q->payload_sha256);
    add_field(q, "x-goog-content-sha256", q->payload_sha256);
    add_field(q, "x-goog-date", q->date);
    struct sigv4_request r = {.scheme = &goog4,
                              .method = q->http.method,
                              .path = q->path,
                              .query = q->query,
                              .fields = q->fields + UNSIGNED_FIELDS,
                              .fields_count = q->http.fields_count - UNSIGNED_FIELDS,
                              .payload_sha256 = q->payload_sha256,
                              .time_ms = now_ms,
                              .region = "auto",
                              .service = "storage"};
    struct sigv4_credentials credentials = {auth->access_key_id, auth->secret_access_key};
    return sigv4_sign(&r, &credentials, &q->authorization, err);
}

/* By a token; -EAGAIN where there is none now. */
static int bear(struct gcs_request *q, struct err *err)
{
    struct oauth_token token;
    int rc = renewed_now(q->bucket->auth.tokens, &token);
    if (rc < 0)
        return rc;
    buf_addf(&q->authorization, BEARER "%s", token.text);
    OPENSSL_cleanse(&token, sizeof token);
    return buf_check(&q->authorization, err);
}

static bool again(struct http_request *http)
{
    return gcs_request_retryable(CONTAINER_OF(http, struct gcs_request, http));
}

static void wipe(struct buf *b)
{
    if (b->data)
        OPENSSL_cleanse(b->data, b->cap);
    buf_reset(b);
}

int gcs_request_sign(struct gcs_request *q, struct err *err)
{
    const struct gcs_auth *auth = &q->bucket->auth;
    wipe(&q->authorization);
    q->http.fields_count = q->plain_count;
    int rc = auth->access_key_id ? sign(q, err) : auth->tokens ? bear(q, err) : 0;
    if (rc == 0 && q->authorization.len)
        add_field(q, "authorization", q->authorization.data);
    return rc;
}

int gcs_request_init(struct gcs_request *q, const struct gcs_bucket *bucket,
                     const struct gcs_parts *parts, struct err *err)
{
    *q = (struct gcs_request){.bucket = bucket, .key = parts->key};
    buf_init(&q->url, REQUEST_URL_BYTES_MAX);
    buf_init(&q->authorization, AUTHORIZATION_BYTES_MAX);
    buf_init(&q->http.text, parts->text_max);
    int rc = add_url(q, parts, err);
    if (rc == 0)
        rc = add_fields(q, parts, err);
    if (rc < 0)
        return rc;
    q->plain_count = q->http.fields_count;
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

void gcs_request_done(struct gcs_request *q)
{
    wipe(&q->authorization);
    buf_done(&q->url);
    buf_done(&q->authorization);
    buf_done(&q->http.text);
}

/* answers */

bool gcs_request_token_refused(const struct gcs_request *q)
{
    struct oauth_token used = {{0}};
    struct slice sent = buf_slice(&q->authorization);
    if (q->http.rc < 0 || q->http.answer.status != 401 || !q->bucket->auth.tokens ||
        !slice_starts(sent, SLICE_LIT(BEARER)))
        return false;
    sent = slice_from(sent, sizeof BEARER - 1);
    memcpy(used.text, sent.p, sent.n); /* it was one */
    renewed_reject(q->bucket->auth.tokens, &used);
    OPENSSL_cleanse(&used, sizeof used);
    return true;
}

/* Only what an error says: a success's body is not one. */
static struct s3_problem problem_of(const struct gcs_request *q)
{
    struct s3_problem problem = {0};
    if (q->http.answer.status >= 300 && q->http.rc == 0)
        s3_problem_parse(buf_slice(&q->http.text), &problem);
    return problem;
}

bool gcs_request_retryable(const struct gcs_request *q)
{
    struct s3_problem problem = problem_of(q);
    return status_retryable(q->http.answer.status, slice_of(problem.code));
}

int gcs_request_refuse(const struct gcs_request *q, int code, const char *why, struct err *err)
{
    return refusal_set(&q->http, q->bucket->name, q->key, code, why, err);
}

int gcs_request_check(const struct gcs_request *q, struct err *err)
{
    const struct http_answer *a = &q->http.answer;
    if (q->unsent.code)
        return err_copy(err, &q->unsent);
    if (q->http.rc < 0 && a->status < 300)
        return gcs_request_refuse(q, -q->http.rc, q->http.err.msg, err);
    if (a->status >= 200 && a->status < 300)
        return 0;
    struct s3_problem problem = problem_of(q);
    char why[300];
    (void)snprintf(why, sizeof why, "%s%s%s", problem.code, problem.code[0] ? ": " : "",
                   problem.message[0] ? problem.message : "without a reason"); /* may be cut */
    return gcs_request_refuse(q, status_errno(a->status, slice_of(problem.code)), why, err);
}
