/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/s3.h"

#include <assert.h>

#include "base/text.h"
#include "cache/store/s3_request.h"

#define ERROR_BYTES_MAX (64 * KIB)
/* An answer that cannot be right is asked for again, but not for a whole deadline. */
#define BROKEN_ANSWERS_MAX 3
/* Pages without an entry, which a server may send, one after the other. */
#define EMPTY_PAGES_MAX 100

struct s3 {
    struct store store;
    struct http *http; /* all immutable after s3_new */
    struct s3_bucket bucket;
    char *prefix; /* before every key */
};

static struct s3 *s3_of(struct store *s)
{
    return CONTAINER_OF(s, struct s3, store);
}

/* The caller's to free; NULL when out of memory. */
static char *whole_key(const struct s3 *s, const char *key)
{
    AUTO(buf) struct buf whole;
    buf_init(&whole, URL_BYTES_MAX + KEY_BYTES_MAX);
    buf_add_str(&whole, s->prefix);
    buf_add_str(&whole, key);
    return buf_steal_str(&whole);
}

/* Ranged reads. */

struct s3_get {
    struct s3_request request;
    struct s3 *s3;
    struct store_get *get;
    char *key;
};

/* What the head of an answer promises of the body. */
struct promise {
    uint64_t size; /* of the object */
    size_t length; /* of the body */
};

/* `bytes 0-99/1000`, or `bytes * /1000` (without the blank): no range. */
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

static int check_partial(const struct s3_get *g, struct promise *out, struct err *err)
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
static int check_whole(const struct s3_get *g, struct promise *out, struct err *err)
{
    const struct http_answer *a = &g->request.http.answer;
    if (g->get->offset || !a->has_length || a->content_length > g->get->length)
        return s3_request_refuse(&g->request, EIO, "the whole object instead of a range of it",
                                 err);
    *out = (struct promise){.size = a->content_length, .length = (size_t)a->content_length};
    return 0;
}

static int check_head(const struct s3_get *g, struct promise *out, struct err *err)
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

static struct s3_get *get_of(struct http_request *http)
{
    return CONTAINER_OF(http, struct s3_get, request.http);
}

static bool get_accept(struct http_request *http)
{
    struct promise promise;
    bool success = http->answer.status >= 200 && http->answer.status < 300;
    return success && check_head(get_of(http), &promise, NULL) == 0;
}

static void get_arrived(struct http_request *http)
{
    struct store_get *get = get_of(http)->get;
    if (get->progress)
        get->progress(get, http->got);
}

/* A range that begins at or after the object's end, which holds no byte. */
static int past_end(const struct s3_get *g, uint64_t *size, struct err *err)
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
static int judge_get(const struct s3_get *g, struct store_info *info, struct err *err)
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
    info->size = promise.size;
    info->mtime_ms = http->answer.last_modified_ms;
    memcpy(info->etag, http->answer.etag, sizeof info->etag);
    return 0;
}

static bool get_again(struct http_request *http)
{
    struct s3_get *g = get_of(http);
    struct store_info info;
    if (s3_request_retryable(&g->request))
        return true;
    bool claims =
        http->answer.status == 416 || (http->answer.status >= 200 && http->answer.status < 300);
    return claims && http->attempts < BROKEN_ANSWERS_MAX && judge_get(g, &info, NULL) == -EIO;
}

static void get_done(struct http_request *http)
{
    struct s3_get *g = get_of(http);
    struct store_get *get = g->get;
    get->rc = judge_get(g, &get->info, &get->err);
    get->got = get->rc == 0 ? http->got : 0;
    s3_request_done(&g->request);
    free(g->key);
    free(g);
    get->done(get);
}

static int get_start(struct s3 *s, struct store_get *get, struct s3_get *g, struct err *err)
{
    g->s3 = s;
    g->get = get;
    g->key = whole_key(s, get->key);
    if (!g->key)
        return err_set(err, ENOMEM, "out of memory");
    struct s3_parts parts = {.method = "GET",
                             .key = g->key,
                             .offset = get->offset,
                             .length = get->length,
                             .if_match = get->if_match,
                             .text_max = ERROR_BYTES_MAX};
    int rc = s3_request_init(&g->request, &s->bucket, &parts, err);
    if (rc < 0)
        return rc;
    g->request.http.to = get->to;
    g->request.http.room = get->length;
    g->request.http.accept = get_accept;
    g->request.http.arrived = get_arrived;
    g->request.http.again = get_again;
    g->request.http.done = get_done;
    get->private = g;
    http_submit(s->http, &g->request.http);
    return 0;
}

static void s3_get(struct store *store, struct store_get *get)
{
    assert(get->length > 0);
    get->rc = 0;
    get->got = 0;
    get->info = (struct store_info){0};
    get->err = (struct err)ERR_INIT;
    int rc = 0;
    struct s3_get *g = NULL;
    if (!get->key[0] || get->offset > INT64_MAX - get->length)
        rc = err_set(&get->err, get->key[0] ? EIO : ENOENT, "bucket %s: no such key or range",
                     s3_of(store)->bucket.name);
    else if (!(g = calloc(1, sizeof *g)))
        rc = err_set(&get->err, ENOMEM, "out of memory");
    else
        rc = get_start(s3_of(store), get, g, &get->err);
    if (rc == 0)
        return;
    if (g) {
        s3_request_done(&g->request);
        free(g->key);
        free(g);
    }
    get->rc = rc;
    get->done(get);
}

/* What blocks. */

/* Sends and waits. 0: any answer that is a success. */
static int run(struct s3 *s, struct s3_request *q, const struct s3_parts *parts, struct err *err)
{
    int rc = s3_request_init(q, &s->bucket, parts, err);
    if (rc < 0)
        return rc;
    http_run(s->http, &q->http);
    return s3_request_check(q, err);
}

static int s3_head(struct store *store, const char *key, struct store_info *out, struct err *err)
{
    struct s3 *s = s3_of(store);
    AUTO(s3_request) struct s3_request q = {0};
    AUTO_FREE char *whole = whole_key(s, key);
    if (!whole)
        return err_set(err, ENOMEM, "out of memory");
    if (!key[0])
        return err_set(err, ENOENT, "bucket %s: no key", s->bucket.name);
    struct s3_parts parts = {.method = "HEAD", .key = whole, .text_max = ERROR_BYTES_MAX};
    int rc = run(s, &q, &parts, err);
    if (rc < 0)
        return rc;
    const struct http_answer *a = &q.http.answer;
    if (a->status != 200 || !a->has_length)
        return s3_request_refuse(&q, EIO, "the answer does not tell the object's size", err);
    struct store_info info = {.size = a->content_length, .mtime_ms = a->last_modified_ms};
    memcpy(info.etag, a->etag, sizeof info.etag);
    *out = info;
    return 0;
}

static int emit_line(const struct s3 *s, const struct store_list *req, const struct s3_line *line,
                     struct err *err)
{
    struct slice root = slice_of(s->prefix), prefix = slice_of(req->prefix);
    struct slice key = slice_starts(line->key, root) ? slice_from(line->key, root.n) : SLICE_NONE;
    if (!slice_starts(line->key, root) || !slice_starts(key, prefix))
        return err_set(err, EIO, "bucket %s: the listing of %.100s%.100s names another key, %.*s",
                       s->bucket.name, s->prefix, req->prefix,
                       line->key.n > 100 ? 100 : (int)line->key.n, line->key.p);
    bool slash = key.n && key.p[key.n - 1] == '/';
    if (line->is_prefix && (!slash || key.n == prefix.n))
        return err_set(err, EIO, "bucket %s: a common prefix that is no directory", s->bucket.name);
    /* A directory's marker: made by tools, no object of anybody's. */
    if (!line->is_prefix && (key.n == prefix.n || (slash && line->size == 0)))
        return 0;
    if (!line->is_prefix && req->start_after && slice_cmp(key, slice_of(req->start_after)) <= 0)
        return 0; /* some servers do not know start-after */
    struct store_entry entry = {.key = key,
                                .is_prefix = line->is_prefix,
                                .size = line->size,
                                .mtime_ms = line->mtime_ms,
                                .etag = line->etag};
    return req->emit(req->arg, &entry);
}

/* One page: asked for with `token` where it is not NULL. */
static int get_page(struct s3 *s, const struct store_list *req, const char *token,
                    struct s3_page *page, struct err *err)
{
    AUTO_FREE char *prefix = whole_key(s, req->prefix);
    AUTO_FREE char *after = req->start_after ? whole_key(s, req->start_after) : NULL;
    if (!prefix || (req->start_after && !after))
        return err_set(err, ENOMEM, "out of memory");
    struct sigv4_parameter parameters[8] = {{"list-type", "2"}, {"encoding-type", "url"}};
    size_t n = 2;
    if (prefix[0])
        parameters[n++] = (struct sigv4_parameter){"prefix", prefix};
    if (!req->recursive)
        parameters[n++] = (struct sigv4_parameter){"delimiter", "/"};
    if (token)
        parameters[n++] = (struct sigv4_parameter){"continuation-token", token};
    else if (after)
        parameters[n++] = (struct sigv4_parameter){"start-after", after};
    struct s3_parts parts = {.method = "GET",
                             .key = "",
                             .parameters = parameters,
                             .parameters_count = n,
                             .text_max = S3_PAGE_BYTES_MAX};
    AUTO(s3_request) struct s3_request q = {0};
    int rc = run(s, &q, &parts, err);
    if (rc == 0)
        rc = s3_page_parse(buf_slice(&q.http.text), page, err);
    if (rc < 0)
        (void)err_wrap(err, "bucket %s, list %.100s", s->bucket.name, prefix); /* the code stays */
    return rc;
}

static int s3_list(struct store *store, const struct store_list *req, struct err *err)
{
    struct s3 *s = s3_of(store);
    struct slice prefix = slice_of(req->prefix);
    if (prefix.n && prefix.p[prefix.n - 1] != '/')
        return err_set(err, EINVAL, "the prefix of a listing ends in /: %s", req->prefix);
    AUTO_FREE char *token = NULL;
    for (unsigned empty = 0; empty < EMPTY_PAGES_MAX; empty++) {
        AUTO(s3_page) struct s3_page page;
        s3_page_init(&page);
        int rc = get_page(s, req, token, &page, err);
        for (size_t i = 0; rc == 0 && i < page.lines.n; i++)
            rc = emit_line(s, req, &page.lines.at[i], err);
        if (rc || !page.truncated)
            return rc;
        if (token && strcmp(token, page.token) == 0)
            return err_set(err, EIO, "bucket %s: the listing goes on with the same token for ever",
                           s->bucket.name);
        if (page.lines.n)
            empty = 0;
        free(token);
        token = strdup(page.token);
        if (!token)
            return err_set(err, ENOMEM, "out of memory");
    }
    return err_set(err, EIO, "bucket %s: %d empty pages of a listing", s->bucket.name,
                   EMPTY_PAGES_MAX);
}

/* An attempt whose answer was lost may have written the key: then it holds our bytes. */
static bool holds_our_bytes(struct store *store, const char *key, struct slice data)
{
    AUTO(buf) struct buf there;
    buf_init(&there, data.n);
    return store_read(store, key, &there, NULL, NULL) == 0 && slice_eq(buf_slice(&there), data);
}

static int s3_put_if_absent(struct store *store, const char *key, struct slice data,
                            struct err *err)
{
    struct s3 *s = s3_of(store);
    AUTO(s3_request) struct s3_request q = {0};
    AUTO_FREE char *whole = whole_key(s, key);
    if (!whole)
        return err_set(err, ENOMEM, "out of memory");
    if (!key[0])
        return err_set(err, EINVAL, "bucket %s: no key to write", s->bucket.name);
    struct s3_parts parts = {.method = "PUT",
                             .key = whole,
                             .if_absent = true,
                             .upload = data,
                             .text_max = ERROR_BYTES_MAX};
    int rc = run(s, &q, &parts, err);
    if (rc != -ESTALE)
        return rc;
    if (q.http.attempts > 1 && holds_our_bytes(store, key, data))
        return 0;
    return s3_request_refuse(&q, EEXIST, "the key is there already", err);
}

static void s3_free(struct store *store)
{
    struct s3 *s = s3_of(store);
    s3_bucket_done(&s->bucket);
    free(s->prefix);
    free(s->store.url);
    free(s->store.home);
    free(s);
}

static const struct store_ops s3_ops = {
    .scheme = "s3",
    .get = s3_get,
    .head = s3_head,
    .list = s3_list,
    .put_if_absent = s3_put_if_absent,
    .free = s3_free,
};

/* Making one. */

static bool region_valid(const char *region)
{
    size_t n = strlen(region);
    return n && n < 40 && strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

/* No control characters, which would end a field and begin another. */
static bool secret_valid(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static int check_options(const struct store_options *o, struct err *err)
{
    if (o->region && !region_valid(o->region))
        return err_set(err, EINVAL, "the region has other than lower-case letters, digits and `-`");
    if (!o->no_sign_request && (!o->access_key_id || !o->secret_access_key))
        return err_set(
            err, EINVAL,
            "no credentials for S3: an access key id with its secret, or no-sign-request");
    if (!secret_valid(o->access_key_id) || !secret_valid(o->session_token))
        return err_set(err, EINVAL, "the credentials contain control characters");
    if (o->deadline_ms < 0 || o->deadline_ms > REQUEST_DEADLINE_MS)
        return err_set(err, EINVAL, "a store's deadline of %lld ms; at most %d",
                       (long long)o->deadline_ms, REQUEST_DEADLINE_MS);
    return 0;
}

static char *copy_or_null(const char *text)
{
    return text ? strdup(text) : NULL;
}

/* AWS's own address of the bucket. */
static void add_aws_origin(struct buf *out, const char *bucket, const char *region, bool path_style)
{
    const char *domain = strncmp(region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";
    buf_addf(out, "https://%s%ss3.%s.%s", path_style ? "" : bucket, path_style ? "" : ".", region,
             domain);
}

/* Names that are no part of a host name, or not below the wildcard of the certificate. */
static bool needs_path_style(const char *bucket)
{
    return bucket[strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0';
}

static int fill(struct s3 *s, const struct url *url, const struct store_options *o, struct err *err)
{
    struct s3_bucket *b = &s->bucket;
    const char *region = o->region ? o->region : "us-east-1";
    size_t prefix = strlen(url->prefix); /* with a final slash, where there is one */
    AUTO(buf) struct buf origin, canonical, home;
    buf_init(&origin, URL_BYTES_MAX);
    buf_init(&home, 2 * URL_BYTES_MAX);
    buf_addf(&home, "s3://%s%s%.*s", url->bucket, prefix ? "/" : "", (int)(prefix ? prefix - 1 : 0),
             url->prefix);
    buf_init(&canonical, 2 * URL_BYTES_MAX);
    b->path_style = url->endpoint || needs_path_style(url->bucket);
    if (url->endpoint)
        buf_add_str(&origin, url->endpoint);
    else
        add_aws_origin(&origin, url->bucket, region, b->path_style);
    url_format(url, &canonical);
    b->sign = !o->no_sign_request;
    b->deadline_ms = o->deadline_ms ? o->deadline_ms : STORE_DEADLINE_MS;
    b->origin = buf_steal_str(&origin);
    b->name = strdup(url->bucket);
    b->region = strdup(region);
    b->access_key_id = b->sign ? strdup(o->access_key_id) : NULL;
    b->secret_access_key = b->sign ? strdup(o->secret_access_key) : NULL;
    b->session_token = copy_or_null(o->session_token);
    b->ca_bundle = copy_or_null(o->ca_bundle);
    b->proxy_url = copy_or_null(o->proxy_url);
    s->prefix = strdup(url->prefix);
    s->store.url = buf_steal_str(&canonical);
    s->store.home = buf_steal_str(&home);
    bool whole = b->origin && b->name && b->region && s->prefix && s->store.url && s->store.home &&
                 (!b->sign || (b->access_key_id && b->secret_access_key)) &&
                 (b->session_token || !o->session_token) && (b->ca_bundle || !o->ca_bundle) &&
                 (b->proxy_url || !o->proxy_url);
    return whole ? 0 : err_set(err, ENOMEM, "out of memory");
}

struct store *s3_new(const struct url *url, const struct store_options *options, struct http *http,
                     struct err *err)
{
    if (check_options(options, err) < 0)
        return NULL;
    AUTO(buf) struct buf endpoint;
    buf_init(&endpoint, URL_BYTES_MAX);
    struct url whole = *url; /* borrows its texts */
    if (!whole.endpoint && options->endpoint_url) {
        struct slice text = slice_of(options->endpoint_url);
        if (url_endpoint(text, &endpoint, err) < 0)
            return NULL;
        whole.endpoint = endpoint.data;
    }
    struct s3 *s = calloc(1, sizeof *s);
    if (!s) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    s->store.ops = &s3_ops;
    s->http = http;
    if (fill(s, &whole, options, err) < 0) {
        s3_free(&s->store);
        return NULL;
    }
    return &s->store;
}
