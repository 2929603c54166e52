/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/azure_request.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/instant.h"
#include "base/limits.h"
#include "base/text.h"
#include "cache/store/azure_status.h"
#include "cache/store/s3_list.h"

/* What the requests and answers are written in. */
#define API_VERSION "2023-11-03"
#define BEARER "Bearer "
/* A key, a marker, a SAS and the rest, thrice as long percent-encoded. */
#define REQUEST_URL_BYTES_MAX (64 * KIB)
#define SHOWN_KEY_BYTES 160

static void free_secret(struct buf *b)
{
    if (b->data)
        OPENSSL_cleanse(b->data, b->cap);
    buf_done(b);
}

void azure_container_done(struct azure_container *c)
{
    azure_auth_done(&c->auth);
    char *owned[] = {c->base, c->account, c->name, c->ca_bundle, c->proxy_url};
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
        free(owned[i]);
    *c = (struct azure_container){0};
}

/* A component that is `.` or `..`, however it is set apart. */
static bool leads_elsewhere(struct slice key)
{
    size_t from = 0;
    for (size_t i = 0; i <= key.n; i++) {
        if (i < key.n && key.p[i] != '/' && key.p[i] != '\\')
            continue;
        struct slice component = slice_make(key.p + from, i - from);
        if (slice_is(component, ".") || slice_is(component, ".."))
            return true;
        from = i + 1;
    }
    return false;
}

static void add_field(struct azure_request *q, const char *name, const char *value)
{
    assert(q->http.fields_count < AZURE_FIELDS_MAX);
    q->fields[q->http.fields_count++] = (struct http_field){name, value};
}

/* *path_end: the end of the path in q->url. */
static void add_url(struct azure_request *q, const struct azure_parts *parts, size_t *path_end)
{
    char before = '?';
    buf_add_str(&q->url, q->container->base);
    if (parts->key[0]) {
        buf_add_char(&q->url, '/');
        text_percent_encode(&q->url, slice_of(parts->key), "/");
    }
    *path_end = q->url.len;
    for (size_t i = 0; i < parts->parameters_count; i++) {
        buf_addf(&q->url, "%c%s=", before, parts->parameters[i].name);
        text_percent_encode(&q->url, slice_of(parts->parameters[i].value), "");
        before = '&';
    }
    if (q->container->auth.how == AZURE_SAS)
        buf_addf(&q->url, "%c%s", before, q->container->auth.sas);
}

static void add_fields(struct azure_request *q, const struct azure_parts *parts)
{
    add_field(q, "x-ms-version", API_VERSION);
    add_field(q, "x-ms-date", q->date);
    if (parts->length) {
        (void)snprintf(q->range, sizeof q->range, "bytes=%" PRIu64 "-%" PRIu64, parts->offset,
                       parts->offset + (parts->length - 1)); /* two numbers fit */
        add_field(q, "x-ms-range", q->range);
    }
    if (parts->if_match)
        add_field(q, "if-match", parts->if_match);
    if (parts->if_absent)
        add_field(q, "if-none-match", "*");
    if (strcmp(parts->method, "PUT") == 0) {
        add_field(q, "content-type", "application/octet-stream");
        add_field(q, "x-ms-blob-type", "BlockBlob");
    }
}

static void authorize(struct azure_request *q, const struct azure_parts *parts, size_t path_end,
                      const struct oauth_token *token)
{
    const struct azure_container *c = q->container;
    if (c->auth.how == AZURE_TOKEN) {
        buf_addf(&q->authorization, BEARER "%s", token->text);
    } else if (c->auth.how == AZURE_SHARED_KEY && !q->url.failed) {
        const char *host = strstr(q->url.data, "://") + 3, *path = strchr(host, '/');
        struct azure_signed r = {.method = parts->method,
                                 .account = c->account,
                                 .path = slice_make(path, (size_t)(q->url.data + path_end - path)),
                                 .parameters = parts->parameters,
                                 .parameters_count = parts->parameters_count,
                                 .fields = q->fields,
                                 .fields_count = q->http.fields_count,
                                 .content_length = parts->upload.n};
        azure_sign(&r, &c->auth.key, &q->authorization);
    }
    if (q->authorization.data)
        add_field(q, "authorization", q->authorization.data);
}

static bool again(struct http_request *http)
{
    return azure_request_retryable(CONTAINER_OF(http, struct azure_request, http));
}

int azure_request_init(struct azure_request *q, const struct azure_container *container,
                       const struct azure_parts *parts, const struct oauth_token *token,
                       struct err *err)
{
    AUTO(buf) struct buf date = {0};
    size_t path_end = 0;
    *q = (struct azure_request){.container = container, .key = parts->key};
    buf_init(&date, sizeof q->date - 1);
    buf_init(&q->url, REQUEST_URL_BYTES_MAX);
    buf_init(&q->authorization, sizeof *token + KIB);
    buf_init(&q->http.text, parts->text_max);
    q->http.method = parts->method;
    if (leads_elsewhere(slice_of(parts->key)))
        return azure_request_refuse(q, ENOENT, "no blob can have this name", err);
    instant_format_http(&date, clock_real_ms());
    int rc = buf_check(&date, err);
    if (rc < 0)
        return rc;
    memcpy(q->date, date.data, date.len + 1);
    add_url(q, parts, &path_end);
    add_fields(q, parts);
    authorize(q, parts, path_end, token);
    rc = buf_check(&q->url, err);
    if (rc == 0)
        rc = buf_check(&q->authorization, err);
    if (rc < 0)
        return rc;
    q->http.url = q->url.data;
    q->http.fields = q->fields;
    q->http.ca_bundle = container->ca_bundle;
    q->http.proxy_url = container->proxy_url;
    q->http.upload = parts->upload;
    q->http.deadline_ms = container->deadline_ms;
    q->http.again = again;
    return 0;
}

void azure_request_done(struct azure_request *q)
{
    free_secret(&q->url); /* it may have a SAS */
    free_secret(&q->authorization);
    buf_done(&q->http.text);
}

/* What an error says in its body; HEAD has none. The code is also a field. */
static struct s3_problem problem_of(const struct azure_request *q)
{
    struct s3_problem problem = {0};
    if (q->http.answer.status >= 300 && q->http.rc == 0)
        s3_problem_parse(buf_slice(&q->http.text), &problem); /* the same document */
    if (q->http.answer.error_code[0])
        memcpy(problem.code, q->http.answer.error_code, sizeof problem.code);
    problem.message[strcspn(problem.message, "\r\n")] = '\0'; /* then come id and time */
    return problem;
}

bool azure_request_retryable(const struct azure_request *q)
{
    struct s3_problem problem = problem_of(q);
    return azure_status_retryable(q->http.answer.status, slice_of(problem.code));
}

bool azure_request_token_refused(const struct azure_request *q)
{
    struct s3_problem problem = problem_of(q);
    if (q->container->auth.how != AZURE_TOKEN || q->http.rc < 0 ||
        !azure_status_token_refused(q->http.answer.status, slice_of(problem.code)))
        return false;
    struct oauth_token used = {0};
    memcpy(used.text, q->authorization.data + sizeof BEARER - 1,
           q->authorization.len - (sizeof BEARER - 1)); /* it came from there */
    renewed_reject(q->container->auth.tokens, &used);
    OPENSSL_cleanse(&used, sizeof used);
    return true;
}

int azure_request_refuse(const struct azure_request *q, int code, const char *why, struct err *err)
{
    const struct http_answer *a = &q->http.answer;
    struct slice key = slice_of(q->key);
    bool cut = key.n > SHOWN_KEY_BYTES;
    if (cut)
        key = slice_from(key, key.n - SHOWN_KEY_BYTES);
    char status[24] = "no answer", id[128] = "";
    if (a->status)
        (void)snprintf(status, sizeof status, "HTTP %u", a->status); /* three digits fit */
    if (a->request_id[0])
        (void)snprintf(id, sizeof id, " (request %.90s)", a->request_id); /* likewise */
    return err_set(err, code, "%s account %.63s, container %.63s%s%s%.*s: %s%s: %s", q->http.method,
                   q->container->account, q->container->name, key.n ? ", key " : "",
                   cut ? "..." : "", SLICE_FMT(key), status, id, why);
}

int azure_request_check(const struct azure_request *q, struct err *err)
{
    const struct http_answer *a = &q->http.answer;
    if (q->http.rc < 0 && a->status < 300)
        return azure_request_refuse(q, -q->http.rc, q->http.err.msg, err);
    if (a->status >= 200 && a->status < 300)
        return 0;
    struct s3_problem problem = problem_of(q);
    char why[400];
    bool no_container = strcmp(problem.code, "ContainerNotFound") == 0;
    (void)snprintf(why, sizeof why, "%s%s%s", problem.code, problem.code[0] ? ": " : "",
                   no_container         ? "there is no container of this name"
                   : problem.message[0] ? problem.message
                                        : "without a reason"); /* may be cut */
    return azure_request_refuse(q, azure_status_errno(a->status, slice_of(problem.code)), why, err);
}
