/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/remote.h"

#include <assert.h>

#include "cache/store/ranged.h"
#include "cache/store/write.h"

/* An answer that cannot be right is asked for again, but not for a whole deadline. */
#define BROKEN_ANSWERS_MAX 3

char *remote_whole_key(const struct remote *r, const char *key)
{
    AUTO(buf) struct buf whole = {0};
    buf_init(&whole, URL_BYTES_MAX + KEY_BYTES_MAX);
    buf_add_str(&whole, r->prefix);
    buf_add_str(&whole, key);
    return buf_steal_str(&whole);
}

void remote_request_free(struct remote_request *q)
{
    if (q)
        q->ops->end(q);
    free(q);
}

int remote_request_new(struct remote *r, const struct remote_parts *parts,
                       struct remote_request **out, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = calloc(1, r->ops->request_bytes);
    if (!q)
        return err_set(err, ENOMEM, "out of memory");
    q->ops = r->ops;
    int rc = r->init(r, q, parts, err);
    if (rc == 0)
        *out = STEAL(q);
    return rc;
}

/* ---- ranged reads ---- */

static bool is_success(const struct http_answer *a)
{
    return a->status >= 200 && a->status < 300;
}

static int check_identity(const struct remote_request *q, struct err *err)
{
    const struct remote_ops *ops = q->ops;
    const char *wanted = q->get->if_match;
    char identity[ETAG_BYTES_MAX], why[2 * ETAG_BYTES_MAX + 64];
    ops->identity(&q->http.answer, identity);
    if (wanted && identity[0] && strcmp(identity, wanted) != 0) {
        (void)snprintf(why, sizeof why, "the object changed: %s %.100s, asked for %.100s",
                       ops->identity_name, identity, wanted); /* may be cut */
        return remote_refuse(q, ESTALE, why, err);
    }
    if (!identity[0] && (wanted || ops->identity_always)) {
        (void)snprintf(why, sizeof why, "no %s, so it may be another object",
                       ops->identity_name); /* it fits */
        return remote_refuse(q, EIO, why, err);
    }
    return 0;
}

static int check_head(const struct remote_request *q, struct ranged_promise *out, struct err *err)
{
    const struct http_answer *a = &q->http.answer;
    if (a->is_directory)
        return remote_refuse(q, ENOENT, "a directory, not an object", err);
    int rc = check_identity(q, err);
    if (rc < 0)
        return rc;
    const char *wrong = ranged_check(a, q->get->offset, q->get->length, out);
    return wrong ? remote_refuse(q, EIO, wrong, err) : 0;
}

/* What the head of an answer tells of the object. */
static void tell_info(const struct remote_request *q, uint64_t size, struct store_info *info)
{
    info->size = size;
    info->mtime_ms = q->http.answer.last_modified_ms;
    q->ops->identity(&q->http.answer, info->etag);
    q->ops->tell_class(&q->http.answer, info);
    if (q->get)
        info->access = STORE_READABLE; /* as its bytes show, whatever the class */
}

/* What a refusal tells of an object whose bytes are archived. */
static void tell_archived(const struct remote_request *q, struct store_info *info)
{
    struct s3_problem problem = remote_problem(q);
    info->access = STORE_ARCHIVED;
    memcpy(info->class, problem.storage_class, sizeof info->class);
}

static struct remote_request *request_of(struct http_request *http)
{
    return CONTAINER_OF(http, struct remote_request, http);
}

static bool get_accept(struct http_request *http)
{
    struct remote_request *q = request_of(http);
    struct ranged_promise promise = {0};
    if (!is_success(&http->answer) || check_head(q, &promise, NULL) < 0)
        return false;
    tell_info(q, promise.size, &q->get->info); /* progress may ask for it */
    return true;
}

static void get_arrived(struct http_request *http)
{
    struct store_get *get = request_of(http)->get;
    if (get->progress)
        get->progress(get, http->got);
}

/* A range that begins at or after the object's end, which holds no byte. */
static int past_end(const struct remote_request *q, uint64_t *size, struct err *err)
{
    struct s3_problem problem = remote_problem(q);
    const char *wrong = ranged_past_end(&q->http.answer, q->get->offset,
                                        problem.has_size ? &problem.size : NULL, size);
    return wrong ? remote_refuse(q, EIO, wrong, err) : 0;
}

/* The verdict on a whole answer. */
static int judge_get(const struct remote_request *q, struct store_info *info, struct err *err)
{
    const struct http_request *http = &q->http;
    struct ranged_promise promise = {0};
    int rc;
    if (!q->unsent.code && http->rc == 0 && http->answer.status == 416) {
        rc = past_end(q, &promise.size, err);
    } else {
        rc = !q->unsent.code && is_success(&http->answer) ? check_head(q, &promise, err) : 0;
        if (rc == 0)
            rc = remote_check(q, err);
        if (rc == 0 && http->got != promise.length)
            rc = remote_refuse(q, EIO, "fewer bytes than promised", err);
    }
    if (rc == 0)
        tell_info(q, promise.size, info);
    else if (rc == -EREMOTE)
        tell_archived(q, info);
    return rc;
}

static bool get_again(struct http_request *http)
{
    struct remote_request *q = request_of(http);
    struct store_info info;
    if (remote_retryable(q))
        return true;
    bool claims = http->answer.status == 416 || is_success(&http->answer);
    return claims && http->attempts < BROKEN_ANSWERS_MAX && judge_get(q, &info, NULL) == -EIO;
}

static void get_done(struct remote_request *q)
{
    struct store_get *get = q->get;
    get->rc = judge_get(q, &get->info, &get->err);
    get->got = get->rc == 0 ? q->http.got : 0;
    free(get->private); /* the key */
    remote_request_free(q);
    get->done(get);
}

static int get_request(struct remote *r, struct store_get *get, struct remote_request **out)
{
    struct remote_parts parts = {.method = "GET",
                                 .offset = get->offset,
                                 .length = get->length,
                                 .identity = get->if_match,
                                 .version = get->version,
                                 .text_max = REMOTE_ERROR_BYTES_MAX};
    if (!get->key[0])
        return err_set(&get->err, ENOENT, "%s: no key", r->where);
    parts.key = get->private = remote_whole_key(r, get->key);
    if (!parts.key)
        return err_set(&get->err, ENOMEM, "out of memory");
    if (get->offset > INT64_MAX - get->length)
        return err_set(&get->err, EIO, "%s, key %.160s: no object is that long", r->where,
                       parts.key);
    return remote_request_new(r, &parts, out, &get->err);
}

void remote_get(struct store *s, struct store_get *get)
{
    struct remote *r = remote_of(s);
    struct remote_request *q = NULL;
    assert(get->length > 0);
    get->got = 0;
    get->info = (struct store_info){0};
    get->err = (struct err)ERR_INIT;
    get->private = NULL;
    get->rc = get_request(r, get, &q);
    if (get->rc < 0) {
        free(get->private);
        get->done(get);
        return;
    }
    q->get = get;
    q->http.to = get->to;
    q->http.room = get->length;
    q->http.rooms = get->rooms;
    q->http.accept = get_accept;
    q->http.arrived = get_arrived;
    q->http.ahead = get->ahead;
    q->http.again = get_again;
    remote_send(q, r->http, get_done);
}

/* ---- what blocks ---- */

int remote_ask(struct remote *r, const struct remote_parts *parts, struct remote_request **out,
               struct err *err)
{
    int rc = remote_request_new(r, parts, out, err);
    return rc < 0 ? rc : remote_run(*out, r->http, err);
}

int remote_look(struct remote *r, const char *whole, struct remote_request **out,
                struct store_info *info, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    struct store_info told = {0};
    struct remote_parts parts = {
        .method = "HEAD", .key = whole, .text_max = REMOTE_ERROR_BYTES_MAX};
    int rc = remote_ask(r, &parts, &q, err);
    if (rc < 0)
        return rc;
    const struct http_answer *a = &q->http.answer;
    tell_info(q, a->content_length, &told);
    if (a->is_directory)
        return remote_refuse(q, ENOENT, "a directory, not an object", err);
    if (a->status != 200 || !a->has_length)
        return remote_refuse(q, EIO, "the answer does not tell the object's size", err);
    if (q->ops->identity_always && !told.etag[0])
        return remote_refuse(q, EIO, "the answer does not tell which object it is", err);
    *info = told;
    *out = STEAL(q);
    return 0;
}

int remote_head(struct store *s, const char *key, struct store_info *out, struct err *err)
{
    struct remote *r = remote_of(s);
    AUTO_FREE char *whole = remote_whole_key(r, key);
    AUTO(remote_request) struct remote_request *q = NULL; /* borrows the key */
    if (!whole)
        return err_set(err, ENOMEM, "out of memory");
    if (!key[0])
        return err_set(err, ENOENT, "%s: no key", r->where);
    return remote_look(r, whole, &q, out, err);
}

int remote_put_if_absent(struct store *s, const char *key, struct slice data, struct err *err)
{
    const struct store_put how = {.size = data.n, .if_absent = true};
    return store_write(s, key, &how, data, NULL, err);
}

void remote_done(struct remote *r)
{
    free(r->prefix);
    free(r->store.url);
    free(r->store.home);
}
