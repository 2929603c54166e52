/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/gcs_get.h"

#include "cache/store/gcs_send.h"
#include "cache/store/ranged.h"

/* An answer that cannot be right is asked for again, but not for a whole deadline. */
#define BROKEN_ANSWERS_MAX 3
struct reading {
    struct gcs_request request;
    struct store_get *get;
    char *key; /* whole */
};

static struct reading *reading_of(struct http_request *http)
{
    return CONTAINER_OF(http, struct reading, request.http);
}

/* answers */

static bool success(const struct http_answer *a)
{
    return a->status >= 200 && a->status < 300;
}

static int check_head(const struct reading *r, struct ranged_promise *out, struct err *err)
{
    const struct http_answer *a = &r->request.http.answer;
    const char *if_match = r->get->if_match;
    char identity[ETAG_BYTES_MAX];
    gcs_identity(slice_of(a->generation), identity);
    if (!identity[0])
        return gcs_request_refuse(&r->request, EIO, "no generation, so it may be another object",
                                  err);
    if (if_match && strcmp(identity, if_match) != 0) {
        char why[128];
        (void)snprintf(why, sizeof why, "the object changed: generation %.30s, asked for %.30s",
                       identity, if_match); /* may be cut */
        return gcs_request_refuse(&r->request, ESTALE, why, err);
    }
    const char *wrong = ranged_check(a, r->get->offset, r->get->length, out);
    return wrong ? gcs_request_refuse(&r->request, EIO, wrong, err) : 0;
}

/* What the head of an answer tells of the object. */
static void tell_info(const struct http_answer *a, const struct ranged_promise *promise,
                      struct store_info *info)
{
    info->size = promise->size;
    info->mtime_ms = a->last_modified_ms;
    gcs_identity(slice_of(a->generation), info->etag);
}

static bool get_accept(struct http_request *http)
{
    struct reading *r = reading_of(http);
    struct ranged_promise promise = {0};
    if (!success(&http->answer) || check_head(r, &promise, NULL) < 0)
        return false;
    tell_info(&http->answer, &promise, &r->get->info); /* progress may ask for it */
    return true;
}

static void get_arrived(struct http_request *http)
{
    struct store_get *get = reading_of(http)->get;
    if (get->progress)
        get->progress(get, http->got);
}

/* The verdict on a whole answer. */
static int judge_get(const struct reading *r, struct store_info *info, struct err *err)
{
    const struct http_request *http = &r->request.http;
    struct ranged_promise promise = {0};
    int rc;
    if (r->request.unsent.code) {
        rc = gcs_request_check(&r->request, err);
    } else if (http->rc == 0 && http->answer.status == 416) {
        const char *wrong = ranged_past_end(&http->answer, r->get->offset, NULL, &promise.size);
        rc = wrong ? gcs_request_refuse(&r->request, EIO, wrong, err) : 0;
    } else {
        rc = success(&http->answer) ? check_head(r, &promise, err) : 0;
        if (rc == 0)
            rc = gcs_request_check(&r->request, err);
        if (rc == 0 && http->got != promise.length)
            rc = gcs_request_refuse(&r->request, EIO, "fewer bytes than promised", err);
    }
    if (rc < 0)
        return rc;
    tell_info(&http->answer, &promise, info);
    return 0;
}

static bool get_again(struct http_request *http)
{
    struct reading *r = reading_of(http);
    struct store_info info;
    if (gcs_request_retryable(&r->request))
        return true;
    bool claims = http->answer.status == 416 || success(&http->answer);
    return claims && http->attempts < BROKEN_ANSWERS_MAX && judge_get(r, &info, NULL) == -EIO;
}

/* the way of a read */

static void reading_free(struct reading *r)
{
    gcs_request_done(&r->request);
    free(r->key);
    free(r);
}

static void get_done(struct gcs_request *q)
{
    struct reading *r = CONTAINER_OF(q, struct reading, request);
    struct store_get *get = r->get;
    get->rc = judge_get(r, &get->info, &get->err);
    get->got = get->rc == 0 ? q->http.got : 0;
    reading_free(r);
    get->done(get);
}

int gcs_get_start(struct http *http, const struct gcs_bucket *bucket, char *key,
                  struct store_get *get)
{
    struct reading *r = calloc(1, sizeof *r);
    if (!r) {
        free(key);
        return err_set(&get->err, ENOMEM, "out of memory");
    }
    r->get = get;
    r->key = key;
    struct gcs_parts parts = {.method = "GET",
                              .key = key,
                              .offset = get->offset,
                              .length = get->length,
                              .identity = get->if_match,
                              .text_max = GCS_ERROR_BYTES_MAX};
    int rc = get->offset > INT64_MAX - get->length
                 ? err_set(&get->err, EIO, "bucket %s, key %.160s: no object is that long",
                           bucket->name, key)
                 : gcs_request_init(&r->request, bucket, &parts, &get->err);
    if (rc < 0) {
        reading_free(r);
        return rc;
    }
    r->request.http.to = get->to;
    r->request.http.room = get->length;
    r->request.http.accept = get_accept;
    r->request.http.arrived = get_arrived;
    r->request.http.again = get_again;
    gcs_send(&r->request, http, get_done);
    return -EINPROGRESS;
}
