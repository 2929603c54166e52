/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/azure_get.h"

#include <openssl/crypto.h>

#include "cache/store/ranged.h"

/* An answer that cannot be right is asked for again, but not for a whole deadline. */
#define BROKEN_ANSWERS_MAX 3
/* A token may end between its coming and our taking it. */
#define TOKEN_WAITS_MAX 3

struct azure_get {
    struct azure_request request;
    struct http *http;
    const struct azure_container *container;
    struct store_get *get;
    char *key; /* whole */
    struct renewed_wait token;
    unsigned token_waits;
    bool token_refused; /* once already */
};

static int check_head(const struct azure_get *g, struct ranged_promise *out, struct err *err)
{
    const struct http_answer *a = &g->request.http.answer;
    const char *if_match = g->get->if_match;
    if (a->is_directory)
        return azure_request_refuse(&g->request, ENOENT, "a directory, not an object", err);
    if (if_match && a->etag[0] && strcmp(a->etag, if_match) != 0) {
        char why[2 * ETAG_BYTES_MAX + 64];
        (void)snprintf(why, sizeof why, "the object changed: ETag %.100s, asked for %.100s",
                       a->etag, if_match); /* may be cut */
        return azure_request_refuse(&g->request, ESTALE, why, err);
    }
    if (if_match && !a->etag[0])
        return azure_request_refuse(&g->request, EIO, "no ETag, so it may be another object", err);
    const char *wrong = ranged_check(a, g->get->offset, g->get->length, out);
    return wrong ? azure_request_refuse(&g->request, EIO, wrong, err) : 0;
}

static struct azure_get *get_of(struct http_request *http)
{
    return CONTAINER_OF(http, struct azure_get, request.http);
}

static bool is_success(const struct http_request *http)
{
    return http->answer.status >= 200 && http->answer.status < 300;
}

/* What the head of an answer tells of the object. */
static void tell_info(const struct http_answer *a, const struct ranged_promise *promise,
                      struct store_info *info)
{
    info->size = promise->size;
    info->mtime_ms = a->last_modified_ms;
    memcpy(info->etag, a->etag, sizeof info->etag);
}

static bool get_accept(struct http_request *http)
{
    struct azure_get *g = get_of(http);
    struct ranged_promise promise = {0};
    if (!is_success(http) || check_head(g, &promise, NULL) < 0)
        return false;
    tell_info(&http->answer, &promise, &g->get->info); /* progress may ask for it */
    return true;
}

static void get_arrived(struct http_request *http)
{
    struct store_get *get = get_of(http)->get;
    if (get->progress)
        get->progress(get, http->got);
}

/* The verdict on a whole answer. */
static int judge_get(const struct azure_get *g, struct store_info *info, struct err *err)
{
    const struct http_request *http = &g->request.http;
    struct ranged_promise promise = {0};
    int rc;
    if (http->rc == 0 && http->answer.status == 416) {
        const char *wrong = ranged_past_end(&http->answer, g->get->offset, NULL, &promise.size);
        rc = wrong ? azure_request_refuse(&g->request, EIO, wrong, err) : 0;
    } else {
        rc = is_success(http) ? check_head(g, &promise, err) : 0;
        if (rc == 0)
            rc = azure_request_check(&g->request, err);
        if (rc == 0 && http->got != promise.length)
            rc = azure_request_refuse(&g->request, EIO, "fewer bytes than promised", err);
    }
    if (rc < 0)
        return rc;
    tell_info(&http->answer, &promise, info);
    return 0;
}

static bool get_again(struct http_request *http)
{
    struct azure_get *g = get_of(http);
    struct store_info info;
    if (azure_request_retryable(&g->request))
        return true;
    bool claims = http->answer.status == 416 || is_success(http);
    return claims && http->attempts < BROKEN_ANSWERS_MAX && judge_get(g, &info, NULL) == -EIO;
}

/* rc and get->err are the outcome. */
static void finish(struct azure_get *g, int rc)
{
    struct store_get *get = g->get;
    get->rc = rc;
    get->got = rc == 0 ? g->request.http.got : 0;
    azure_request_done(&g->request);
    free(g->key);
    free(g);
    get->done(get);
}

static void begin(struct azure_get *g);

static void get_done(struct http_request *http)
{
    struct azure_get *g = get_of(http);
    if (!g->token_refused && azure_request_token_refused(&g->request)) {
        g->token_refused = true;
        g->token_waits = 0;
        azure_request_done(&g->request);
        begin(g);
        return;
    }
    finish(g, judge_get(g, &g->get->info, &g->get->err));
}

static void send(struct azure_get *g, const struct oauth_token *token)
{
    struct store_get *get = g->get;
    struct azure_parts parts = {.method = "GET",
                                .key = g->key,
                                .offset = get->offset,
                                .length = get->length,
                                .if_match = get->if_match,
                                .text_max = AZURE_ERROR_BYTES_MAX};
    int rc = azure_request_init(&g->request, g->container, &parts, token, &get->err);
    if (rc < 0) {
        finish(g, rc);
        return;
    }
    struct http_request *http = &g->request.http;
    http->to = get->to;
    http->room = get->length;
    http->accept = get_accept;
    http->arrived = get_arrived;
    http->again = get_again;
    http->done = get_done;
    http_submit(g->http, http);
}

static void on_token(struct renewed_wait *w)
{
    struct azure_get *g = CONTAINER_OF(w, struct azure_get, token);
    if (w->rc == 0) {
        begin(g);
        return;
    }
    (void)err_copy(&g->get->err, &w->err);
    finish(g, err_wrap(&g->get->err, "account %s", g->container->account));
}

/* Sends it, or parks it until there is a token to send it with. */
static void begin(struct azure_get *g)
{
    struct renewed *tokens = g->container->auth.tokens;
    struct oauth_token token;
    if (!tokens) {
        send(g, NULL);
        return;
    }
    for (; g->token_waits < TOKEN_WAITS_MAX; g->token_waits++) {
        if (renewed_now(tokens, &token) == 0) {
            send(g, &token);
            OPENSSL_cleanse(&token, sizeof token);
            return;
        }
        g->token.done = on_token;
        if (renewed_want(tokens, &g->token) == -EINPROGRESS)
            return; /* g may be gone already */
    }
    finish(g, err_set(&g->get->err, EACCES, "account %s: tokens end as soon as they are fetched",
                      g->container->account));
}

void azure_get_start(struct http *http, const struct azure_container *container, char *key,
                     struct store_get *get)
{
    struct azure_get *g = calloc(1, sizeof *g);
    if (!g) {
        free(key);
        get->rc = err_set(&get->err, ENOMEM, "out of memory");
        get->done(get);
        return;
    }
    g->http = http;
    g->container = container;
    g->get = get;
    g->key = key;
    if (get->offset > INT64_MAX - get->length)
        finish(g, err_set(&get->err, EIO, "container %s, key %.160s: no object is that long",
                          container->name, key));
    else
        begin(g);
}
