/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/gcs.h"

#include "cache/store/gcs_request.h"
#include "cache/store/gcs_write.h"
#include "cache/store/listing.h"
#include "cache/store/proxy.h"

#define ORIGIN "https://storage.googleapis.com"

/* Pages without an entry, which a server may send, one after the other. */
#define EMPTY_PAGES_MAX 100

struct gcs {
    struct remote remote;
    struct gcs_bucket bucket; /* immutable after gcs_new */
};

static struct gcs *gcs_of(struct store *s)
{
    return CONTAINER_OF(s, struct gcs, remote.store);
}

static int init(struct remote *r, struct remote_request *q, const struct remote_parts *parts,
                struct err *err)
{
    return gcs_request_init(gcs_request_of(q), &gcs_of(&r->store)->bucket, parts, err);
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

static int get_page(struct remote *r, const struct listing_page *ask, struct s3_page *page,
                    struct err *err)
{
    int rc = listing_v2_page(r, ask, page, err);
    return rc < 0 ? rc : identify(page, err);
}

static int gcs_list(struct store *store, const struct store_list *req, struct err *err)
{
    static const struct listing_ops pages = {.page = get_page, .empty_max = EMPTY_PAGES_MAX};
    return listing_run(remote_of(store), &pages, req, err);
}

static void gcs_free(struct store *store)
{
    struct gcs *g = gcs_of(store);
    gcs_bucket_done(&g->bucket);
    remote_done(&g->remote);
    free(g);
}

static const struct store_ops gcs_ops = {
    .scheme = "gs",
    .rooms_bytes = TRAIN_BYTES,
    .get = remote_get,
    .head = remote_head,
    .list = gcs_list,
    .put_if_absent = remote_put_if_absent,
    .put_begin = gcs_put_begin,
    .remove = remote_remove,
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
    (void)snprintf(b->where, sizeof b->where, "bucket %.63s", url->bucket); /* may be cut */
    b->user_project = copy_or_null(o->gcs_user_project);
    b->ca_bundle = copy_or_null(o->ca_bundle);
    const char *proxy = b->origin ? proxy_for(o, b->origin) : NULL;
    b->proxy_url = copy_or_null(proxy);
    g->remote.prefix = strdup(url->prefix);
    g->remote.store.url = buf_steal_str(&canonical);
    g->remote.store.home = buf_steal_str(&home);
    bool whole = b->origin && b->name && g->remote.prefix && g->remote.store.url &&
                 g->remote.store.home && (b->user_project || !o->gcs_user_project) &&
                 (b->ca_bundle || !o->ca_bundle) && (b->proxy_url || !proxy);
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
    g->remote = (struct remote){.store.ops = &gcs_ops,
                                .ops = &gcs_request_ops,
                                .init = init,
                                .http = runtime->http,
                                .where = g->bucket.where};
    if (fill(g, &whole, options, err) < 0 ||
        gcs_auth_init(&g->bucket.auth, options, googles, runtime, err) < 0) {
        gcs_free(&g->remote.store);
        return NULL;
    }
    return &g->remote.store;
}
