/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/azure_request.h"

#include "base/clock.h"
#include "base/instant.h"
#include "base/text.h"
#include "cache/store/azure_restore.h"
#include "cache/store/azure_status.h"

/* What the requests and answers are written in. */
#define API_VERSION "2023-11-03"
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

static void add_sas(struct azure_request *q, struct slice sas)
{
    buf_addf(&q->remote.url, "%c%.*s", q->query_end > q->path_end ? '&' : '?', SLICE_FMT(sas));
}

static void add_url(struct azure_request *q, const struct remote_parts *parts)
{
    char before = '?';
    buf_add_str(&q->remote.url, q->container->base);
    if (parts->key[0]) {
        buf_add_char(&q->remote.url, '/');
        text_percent_encode(&q->remote.url, slice_of(parts->key), "/");
    }
    q->path_end = q->remote.url.len;
    for (size_t i = 0; i < parts->parameters_count; i++) {
        buf_addf(&q->remote.url, "%c%s=", before, parts->parameters[i].name);
        text_percent_encode(&q->remote.url, slice_of(parts->parameters[i].value), "");
        before = '&';
    }
    q->query_end = q->remote.url.len;
    if (q->container->auth.sas)
        add_sas(q, slice_of(q->container->auth.sas));
}

/* A SAS that is renewed is put into the URL anew; a token is a field. */
static void put_token(struct remote_request *r, struct slice token)
{
    struct azure_request *q = azure_request_of(r);
    if (q->container->auth.how != AZURE_SAS) {
        remote_add_field(r, "authorization", r->authorization.data);
        return;
    }
    r->url.len = q->query_end;
    add_sas(q, token);
    r->http.url = r->url.data;
}

static void add_fields(struct azure_request *q, const struct remote_parts *parts)
{
    remote_add_field(&q->remote, "x-ms-version", API_VERSION);
    remote_add_field(&q->remote, "x-ms-date", q->date);
    if (q->remote.range[0])
        remote_add_field(&q->remote, "x-ms-range", q->remote.range);
    if (parts->identity)
        remote_add_field(&q->remote, "if-match", parts->identity);
    if (parts->if_absent)
        remote_add_field(&q->remote, "if-none-match", "*");
    remote_add_fields(&q->remote, parts);
    if (parts->begins || (strcmp(parts->method, "PUT") == 0 && !parts->keeps && !parts->is_part)) {
        remote_add_field(&q->remote, "content-type", "application/octet-stream");
        remote_add_field(&q->remote, "x-ms-blob-type", "BlockBlob");
    }
}

/* Nobody asks, or who has a key; a SAS stands in the URL. */
static int sign(struct remote_request *q, struct err *err)
{
    const struct azure_request *a = azure_request_of(q);
    const struct azure_container *c = a->container;
    (void)err; /* a failure sticks in the buffer */
    if (c->auth.how != AZURE_SHARED_KEY)
        return 0;
    const char *host = strstr(q->url.data, "://") + 3, *path = strchr(host, '/');
    struct azure_signed r = {.method = q->http.method,
                             .account = c->account,
                             .path = slice_make(path, (size_t)(q->url.data + a->path_end - path)),
                             .parameters = a->parameters,
                             .parameters_count = a->parameters_count,
                             .fields = q->fields,
                             .fields_count = q->http.fields_count,
                             .content_length = q->http.upload.n};
    azure_sign(&r, &c->auth.key, &q->authorization);
    return 0;
}

int azure_request_init(struct azure_request *q, const struct azure_container *container,
                       const struct remote_parts *parts, struct err *err)
{
    AUTO(buf) struct buf date = {0};
    *q = (struct azure_request){.container = container,
                                .parameters = parts->parameters,
                                .parameters_count = parts->parameters_count};
    remote_request_init(&q->remote, &azure_request_ops, container->where, parts);
    buf_init(&date, sizeof q->date - 1);
    if (leads_elsewhere(slice_of(parts->key)))
        return remote_refuse(&q->remote, ENOENT, "no blob can have this name", err);
    instant_format_http(&date, clock_real_ms());
    int rc = buf_check(&date, err);
    if (rc < 0)
        return rc;
    memcpy(q->date, date.data, date.len + 1);
    add_url(q, parts);
    add_fields(q, parts);
    rc = buf_check(&q->remote.url, err);
    if (rc < 0)
        return rc;
    q->remote.tokens = container->auth.tokens;
    q->remote.http.url = q->remote.url.data;
    q->remote.http.ca_bundle = container->ca_bundle;
    q->remote.http.proxy_url = container->proxy_url;
    q->remote.http.deadline_ms = parts->deadline_ms ? parts->deadline_ms : container->deadline_ms;
    return 0;
}

/* The code is also a field, which HEAD has too. */
static void explain(const struct remote_request *q, struct s3_problem *problem)
{
    if (q->http.answer.error_code[0])
        memcpy(problem->code, q->http.answer.error_code, sizeof problem->code);
    problem->message[strcspn(problem->message, "\r\n")] = '\0'; /* then come id and time */
    if (strcmp(problem->code, "BlobArchived") == 0)
        (void)snprintf(problem->storage_class, sizeof problem->storage_class, "Archive");
    if (strcmp(problem->code, "ContainerNotFound") == 0)
        (void)snprintf(problem->message, sizeof problem->message,
                       "there is no container of this name"); /* it fits */
}

static void identity(const struct http_answer *a, char out[ETAG_BYTES_MAX])
{
    memcpy(out, a->etag, ETAG_BYTES_MAX);
}

const struct remote_ops azure_request_ops = {
    .request_bytes = sizeof(struct azure_request),
    .end = remote_request_done,
    .put_token = put_token,
    .sign = sign,
    .token_refused = azure_status_token_refused,
    .explain = explain,
    .error = azure_status_errno,
    .retryable = azure_status_retryable,
    .identity = identity,
    .identity_name = "ETag",
    .tell_class = azure_tell_class,
};
