/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/s3_get.h"

#include "cache/store/ranged.h"
#include "cache/store/s3_send.h"

/* An answer that cannot be right is asked for again, but not for a whole deadline. */
#define BROKEN_ANSWERS_MAX 3

struct ranged {
    struct s3_request request;
    struct store_get *get;
    char *key; /* whole */
};

static int check_head(const struct ranged *g, struct ranged_promise *out, struct err *err)
{
    const struct http_answer *a = &g->request.http.answer;
    const char *if_match = g->get->if_match;
    if (if_match && a->etag[0] && strcmp(a->etag, if_match) != 0) {
        char why[2 * ETAG_BYTES_MAX + 64];
        (void)snprintf(why, sizeof why, "the object changed: ETag %.100s, asked for %.100s",
                       a->etag, if_match); /* may be cut */
        return s3_request_refuse(&g->request, ESTALE, why, err);
    }
    if (if_match && !a->etag[0])
        return s3_request_refuse(&g->request, EIO, "no ETag, so it may be another object", err);
    const char *wrong = ranged_check(a, g->get->offset, g->get->length, out);
    return wrong ? s3_request_refuse(&g->request, EIO, wrong, err) : 0;
}

static struct ranged *get_of(struct http_request *http)
{
    return CONTAINER_OF(http, struct ranged, request.http);
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
    struct ranged *g = get_of(http);
    struct ranged_promise promise = {0};
    bool success = http->answer.status >= 200 && http->answer.status < 300;
    if (!success || check_head(g, &promise, NULL) < 0)
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

/* A range that begins at or after the object's end, which holds no byte. */
static int past_end(const struct ranged *g, uint64_t *size, struct err *err)
{
    struct s3_problem problem;
    s3_problem_parse(buf_slice(&g->request.http.text), &problem);
    const char *wrong = ranged_past_end(&g->request.http.answer, g->get->offset,
                                        problem.has_size ? &problem.size : NULL, size);
    return wrong ? s3_request_refuse(&g->request, EIO, wrong, err) : 0;
}

/* The verdict on a whole answer. */
static int judge_get(const struct ranged *g, struct store_info *info, struct err *err)
{
    const struct http_request *http = &g->request.http;
    struct ranged_promise promise = {0};
    bool success = http->answer.status >= 200 && http->answer.status < 300;
    int rc;
    if (http->rc == 0 && http->answer.status == 416) {
        rc = past_end(g, &promise.size, err);
    } else {
        rc = success ? check_head(g, &promise, err) : 0;
        if (rc == 0)
            rc = s3_request_check(&g->request, err);
        if (rc == 0 && http->got != promise.length)
            rc = s3_request_refuse(&g->request, EIO, "fewer bytes than promised", err);
    }
    if (rc < 0)
        return rc;
    tell_info(&http->answer, &promise, info);
    return 0;
}

static bool get_again(struct http_request *http)
{
    struct ranged *g = get_of(http);
    struct store_info info;
    if (s3_request_retryable(&g->request))
        return true;
    bool claims =
        http->answer.status == 416 || (http->answer.status >= 200 && http->answer.status < 300);
    return claims && http->attempts < BROKEN_ANSWERS_MAX && judge_get(g, &info, NULL) == -EIO;
}

static void ranged_free(struct ranged *g)
{
    s3_request_done(&g->request);
    free(g->key);
    free(g);
}

static void get_done(struct s3_request *q)
{
    struct ranged *g = CONTAINER_OF(q, struct ranged, request);
    struct store_get *get = g->get;
    get->rc = judge_get(g, &get->info, &get->err);
    get->got = get->rc == 0 ? q->http.got : 0;
    ranged_free(g);
    get->done(get);
}

int s3_get_start(struct http *http, struct s3_bucket *bucket, char *key, struct store_get *get)
{
    struct ranged *g = calloc(1, sizeof *g);
    if (!g) {
        free(key);
        return err_set(&get->err, ENOMEM, "out of memory");
    }
    g->get = get;
    g->key = key;
    struct sigv4_parameter version = {"versionId", get->version};
    struct s3_parts parts = {.method = "GET",
                             .key = key,
                             .parameters = &version,
                             .parameters_count = get->version ? 1 : 0,
                             .offset = get->offset,
                             .length = get->length,
                             .if_match = get->if_match,
                             .text_max = S3_ERROR_BYTES_MAX};
    int rc = get->offset > INT64_MAX - get->length
                 ? err_set(&get->err, EIO, "bucket %s, key %.160s: no object is that long",
                           bucket->name, key)
                 : s3_request_init(&g->request, bucket, &parts, &get->err);
    if (rc < 0) {
        ranged_free(g);
        return rc;
    }
    g->request.http.to = get->to;
    g->request.http.room = get->length;
    g->request.http.rooms = get->rooms;
    g->request.http.accept = get_accept;
    g->request.http.arrived = get_arrived;
    g->request.http.ahead = get->ahead;
    g->request.http.again = get_again;
    s3_send(&g->request, http, get_done);
    return -EINPROGRESS;
}
