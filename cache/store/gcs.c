/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/gcs.h"

#include <assert.h>

#include "cache/store/gcs_get.h"
#include "cache/store/gcs_send.h"
#include "cache/store/listing.h"
#include "cache/store/proxy.h"

#define ORIGIN "https://storage.googleapis.com"

struct gcs {
    struct store store;
    struct http *http; /* all immutable after gcs_new */
    struct gcs_bucket bucket;
    char *prefix; /* before every key */
};

static struct gcs *gcs_of(struct store *s)
{
    return CONTAINER_OF(s, struct gcs, store);
}

/* The caller's to free. NULL and err for no key, and when out of memory. */
static char *whole_key(const struct gcs *g, const char *key, struct err *err)
{
    AUTO(buf) struct buf whole = {0};
    buf_init(&whole, URL_BYTES_MAX + KEY_BYTES_MAX);
    if (!key[0]) {
        (void)err_set(err, ENOENT, "bucket %s: no key", g->bucket.name);
        return NULL;
    }
    buf_add_str(&whole, g->prefix);
    buf_add_str(&whole, key);
    char *out = buf_steal_str(&whole);
    if (!out)
        (void)err_set(err, ENOMEM, "out of memory");
    return out;
}

static void gcs_get(struct store *store, struct store_get *get)
{
    struct gcs *g = gcs_of(store);
    assert(get->length > 0);
    get->rc = 0;
    get->got = 0;
    get->info = (struct store_info){0};
    get->err = (struct err)ERR_INIT;
    char *key = whole_key(g, get->key, &get->err);
    int rc = key ? gcs_get_start(g->http, &g->bucket, key, get) : -get->err.code;
    if (rc == -EINPROGRESS)
        return; /* it may be another thread's already */
    get->rc = rc;
    get->done(get);
}

/* What blocks. */

/* Sends and waits. 0: any answer that is a success. */
static int run(struct gcs *g, struct gcs_request *q, const struct gcs_parts *parts, struct err *err)
{
    int rc = gcs_request_init(q, &g->bucket, parts, err);
    return rc < 0 ? rc : gcs_run(q, g->http, err);
}

static int gcs_head(struct store *store, const char *key, struct store_info *out, struct err *err)
{
    struct gcs *g = gcs_of(store);
    AUTO(gcs_request) struct gcs_request q = {0};
    struct err why = ERR_INIT;
    AUTO_FREE char *whole = whole_key(g, key, &why);
    if (!whole)
        return err_copy(err, &why);
    struct gcs_parts parts = {.method = "HEAD", .key = whole, .text_max = GCS_ERROR_BYTES_MAX};
    int rc = run(g, &q, &parts, err);
    if (rc < 0)
        return rc;
    const struct http_answer *a = &q.http.answer;
    struct store_info info = {.size = a->content_length, .mtime_ms = a->last_modified_ms};
    gcs_identity(slice_of(a->generation), info.etag);
    if (a->status != 200 || !a->has_length || !info.etag[0])
        return gcs_request_refuse(&q, EIO, "the answer does not tell size and generation", err);
    *out = info;
    return 0;
}

/* A line's identity is its generation; where the listing tells none, that is learned later. */
static int identify(struct s3_page *page, struct err *err)
{
    for (size_t i = 0; i < page->lines.n; i++) {
        char identity[ETAG_BYTES_MAX];
        struct s3_line *line = &page->lines.at[i];
        gcs_identity(line->generation, identity);
        line->etag = identity[0] ? arena_slice(&page->arena, slice_of(identity)) : SLICE_NONE;
        if (identity[0] && !line->etag.p)
            return err_set(err, ENOMEM, "listing: out of memory");
    }
    return 0;
}

static int get_page(void *arg, const struct sigv4_parameter *parameters, size_t count,
                    struct s3_page *page, struct err *err)
{
    struct gcs_parts parts = {.method = "GET",
                              .key = "",
                              .parameters = parameters,
                              .parameters_count = count,
                              .text_max = S3_PAGE_BYTES_MAX};
    AUTO(gcs_request) struct gcs_request q = {0};
    int rc = run(arg, &q, &parts, err);
    if (rc == 0)
        rc = s3_page_parse(buf_slice(&q.http.text), false, page, err);
    return rc < 0 ? rc : identify(page, err);
}

static int gcs_list(struct store *store, const struct store_list *req, struct err *err)
{
    struct gcs *g = gcs_of(store);
    struct listing l = {.bucket = g->bucket.name, .root = g->prefix, .page = get_page, .arg = g};
    return listing_run(&l, req, err);
}

static int gcs_put_if_absent(struct store *store, const char *key, struct slice data,
                             struct err *err)
{
    struct gcs *g = gcs_of(store);
    AUTO(gcs_request) struct gcs_request q = {0};
    struct err why = ERR_INIT;
    AUTO_FREE char *whole = whole_key(g, key, &why);
    if (!whole)
        return why.code == ENOENT ? err_set(err, EINVAL, "%s", why.msg) : err_copy(err, &why);
    struct gcs_parts parts = {.method = "PUT",
                              .key = whole,
                              .if_absent = true,
                              .upload = data,
                              .text_max = GCS_ERROR_BYTES_MAX};
    int rc = run(g, &q, &parts, err);
    if (rc != -ESTALE)
        return rc;
    if (q.http.attempts > 1 && store_holds(store, key, data))
        return 0; /* by an attempt whose answer was lost */
    return gcs_request_refuse(&q, EEXIST, "the key is there already", err);
}

static void gcs_free(struct store *store)
{
    struct gcs *g = gcs_of(store);
    gcs_bucket_done(&g->bucket);
    free(g->prefix);
    free(g->store.url);
    free(g->store.home);
    free(g);
}

static const struct store_ops gcs_ops = {
    .scheme = "gs",
    .get = gcs_get,
    .head = gcs_head,
    .list = gcs_list,
    .put_if_absent = gcs_put_if_absent,
    .free = gcs_free,
};

/* Making one. */

static int check_options(const struct store_options *o, struct err *err)
{
    for (const char *p = o->gcs_user_project; p && *p; p++)
        if (*p <= ' ' || *p >= 0x7f)
            return err_set(err, EINVAL, "GOOGLE_CLOUD_QUOTA_PROJECT is the name of no project");
    if (o->deadline_ms < 0 || o->deadline_ms > REQUEST_DEADLINE_MS)
        return err_set(err, EINVAL, "a store's deadline of %lld ms; at most %d",
                       (long long)o->deadline_ms, REQUEST_DEADLINE_MS);
    return 0;
}

/* The server's address in canonical spelling: the URL's, the option's, the environment's. */
static int find_endpoint(const struct url *url, const struct store_options *o, struct buf *out,
                         struct err *err)
{
    AUTO(buf) struct buf text = {0};
    const char *given = url->endpoint ? url->endpoint : o->endpoint_url;
    buf_init(&text, URL_BYTES_MAX);
    if (given)
        buf_add_str(&text, given);
    else if (o->gcs_endpoint_url)
        buf_addf(&text, "%s%s", strstr(o->gcs_endpoint_url, "://") ? "" : "http://",
                 o->gcs_endpoint_url);
    else
        return 0;
    int rc = buf_check(&text, err);
    return rc < 0 ? rc : url_endpoint(buf_slice(&text), out, err);
}

/* By its name, which only Google has certificates for: also regional and private endpoints. */
static bool is_googles(struct slice endpoint)
{
    return endpoint.n == 0 || (slice_starts(endpoint, SLICE_LIT("https://")) &&
                               slice_ends(endpoint, SLICE_LIT(".googleapis.com")));
}

static char *copy_or_null(const char *text)
{
    return text ? strdup(text) : NULL;
}

/* `url` with its endpoint. */
static int fill(struct gcs *g, const struct url *url, const struct store_options *o,
                struct err *err)
{
    struct gcs_bucket *b = &g->bucket;
    AUTO(buf) struct buf canonical = {0}, home = {0};
    size_t prefix = strlen(url->prefix);
    buf_init(&canonical, 2 * URL_BYTES_MAX);
    buf_init(&home, 2 * URL_BYTES_MAX);
    buf_addf(&home, "gs://%s%s%.*s", url->bucket, prefix ? "/" : "", (int)(prefix ? prefix - 1 : 0),
             url->prefix);
    url_format(url, &canonical);
    b->deadline_ms = o->deadline_ms ? o->deadline_ms : STORE_DEADLINE_MS;
    b->origin = strdup(url->endpoint ? url->endpoint : ORIGIN);
    b->name = strdup(url->bucket);
    b->user_project = copy_or_null(o->gcs_user_project);
    b->ca_bundle = copy_or_null(o->ca_bundle);
    const char *proxy = b->origin ? proxy_for(o, b->origin) : NULL;
    b->proxy_url = copy_or_null(proxy);
    g->prefix = strdup(url->prefix);
    g->store.url = buf_steal_str(&canonical);
    g->store.home = buf_steal_str(&home);
    bool whole = b->origin && b->name && g->prefix && g->store.url && g->store.home &&
                 (b->user_project || !o->gcs_user_project) && (b->ca_bundle || !o->ca_bundle) &&
                 (b->proxy_url || !proxy);
    return whole ? 0 : err_set(err, ENOMEM, "out of memory");
}

struct store *gcs_new(const struct url *url, const struct store_options *options,
                      const struct store_runtime *runtime, struct err *err)
{
    AUTO(buf) struct buf endpoint = {0};
    buf_init(&endpoint, URL_BYTES_MAX);
    if (check_options(options, err) < 0 || find_endpoint(url, options, &endpoint, err) < 0)
        return NULL;
    struct url whole = *url; /* borrows its texts */
    bool googles = is_googles(buf_slice(&endpoint));
    whole.endpoint = slice_is(buf_slice(&endpoint), ORIGIN) ? NULL : endpoint.data;
    struct gcs *g = calloc(1, sizeof *g);
    if (!g) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    g->store.ops = &gcs_ops;
    g->http = runtime->http;
    if (fill(g, &whole, options, err) < 0 ||
        gcs_auth_init(&g->bucket.auth, options, googles, runtime, err) < 0) {
        gcs_free(&g->store);
        return NULL;
    }
    return &g->store;
}
