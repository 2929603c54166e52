/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/s3_get.h"

#include "base/text.h"
#include "cache/store/s3_send.h"

/* An answer that cannot be right is asked for again, but not for a whole deadline. */
#define BROKEN_ANSWERS_MAX 3

struct ranged {
    struct s3_request request;
    struct store_get *get;
    char *key; /* whole */
};

/* What the head of an answer promises of the body. */
struct promise {
    uint64_t size; /* of the object */
    size_t length; /* of the body */
};

/* `bytes 0-99/1000`; an asterisk stands for the range where none was satisfied. */
static bool parse_content_range(struct slice s, uint64_t *first, uint64_t *last, uint64_t *size,
                                bool *satisfied)
{
    if (!slice_starts(s, SLICE_LIT("bytes ")))
        return false;
    s = slice_from(s, sizeof "bytes " - 1);
    ptrdiff_t slash = slice_find(s, '/');
    if (slash < 0 || !text_parse_u64(slice_from(s, (size_t)slash + 1), INT64_MAX, size))
        return false;
    struct slice range = slice_make(s.p, (size_t)slash);
    *satisfied = !slice_is(range, "*");
    if (!*satisfied)
        return true;
    ptrdiff_t dash = slice_find(range, '-');
    return dash > 0 && text_parse_u64(slice_make(range.p, (size_t)dash), INT64_MAX, first) &&
           text_parse_u64(slice_from(range, (size_t)dash + 1), INT64_MAX, last) &&
           *first <= *last && *last < *size;
}

static int check_partial(const struct ranged *g, struct promise *out, struct err *err)
{
    const struct http_answer *a = &g->request.http.answer;
    const struct store_get *get = g->get;
    uint64_t first = 0, last = 0, size = 0;
    bool satisfied = false;
    if (!parse_content_range(slice_of(a->content_range), &first, &last, &size, &satisfied) ||
        !satisfied)
        return s3_request_refuse(&g->request, EIO, "no Content-Range that tells range and size",
                                 err);
    uint64_t want = size - first < get->length ? size - first : get->length;
    if (first != get->offset || last - first + 1 != want)
        return s3_request_refuse(&g->request, EIO, "another range than was asked for", err);
    if (a->has_length && a->content_length != want)
        return s3_request_refuse(&g->request, EIO, "Content-Length and Content-Range differ", err);
    *out = (struct promise){.size = size, .length = (size_t)want};
    return 0;
}

/* A server that knows no ranges, or an object that the range covers. */
static int check_whole(const struct ranged *g, struct promise *out, struct err *err)
{
    const struct http_answer *a = &g->request.http.answer;
    if (g->get->offset || !a->has_length || a->content_length > g->get->length)
        return s3_request_refuse(&g->request, EIO, "the whole object instead of a range of it",
                                 err);
    *out = (struct promise){.size = a->content_length, .length = (size_t)a->content_length};
    return 0;
}

static int check_head(const struct ranged *g, struct promise *out, struct err *err)
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
    if (a->status == 206)
        return check_partial(g, out, err);
    if (a->status == 200)
        return check_whole(g, out, err);
    return s3_request_refuse(&g->request, EIO, "a success of an unknown kind", err);
}

static struct ranged *get_of(struct http_request *http)
{
    return CONTAINER_OF(http, struct ranged, request.http);
}

/* What the head of an answer tells of the object. */
static void tell_info(const struct http_answer *a, const struct promise *promise,
                      struct store_info *info)
{
    info->size = promise->size;
    info->mtime_ms = a->last_modified_ms;
    memcpy(info->etag, a->etag, sizeof info->etag);
}

static bool get_accept(struct http_request *http)
{
    struct ranged *g = get_of(http);
    struct promise promise = {0};
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
    uint64_t first, last;
    bool satisfied = false;
    struct s3_problem problem;
    s3_problem_parse(buf_slice(&g->request.http.text), &problem);
    struct slice range = slice_of(g->request.http.answer.content_range);
    if (parse_content_range(range, &first, &last, size, &satisfied) && !satisfied) {
        /* told */
    } else if (problem.has_size) {
        *size = problem.size;
    } else if (g->get->offset == 0) {
        *size = 0; /* no range from 0 on: there can be no byte */
    } else {
        return s3_request_refuse(&g->request, EIO, "past the end of an object of unknown size",
                                 err);
    }
    if (*size > g->get->offset)
        return s3_request_refuse(&g->request, EIO, "the range is refused, though it is inside",
                                 err);
    return 0;
}

/* The verdict on a whole answer. */
static int judge_get(const struct ranged *g, struct store_info *info, struct err *err)
{
    const struct http_request *http = &g->request.http;
    struct promise promise = {0};
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
    g->request.http.accept = get_accept;
    g->request.http.arrived = get_arrived;
    g->request.http.again = get_again;
    s3_send(&g->request, http, get_done);
    return -EINPROGRESS;
}
