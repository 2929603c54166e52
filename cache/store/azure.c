/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/azure.h"

#include "cache/store/azure_class.h"
#include "cache/store/azure_list.h"
#include "cache/store/azure_request.h"
#include "cache/store/azure_restore.h"
#include "cache/store/azure_url.h"
#include "cache/store/azure_write.h"
#include "cache/store/listing.h"
#include "cache/store/proxy.h"
#include "cache/store/remote_tags.h"

/* Pages without an entry, which Azure sends where partitions meet, one after the other. */
#define EMPTY_PAGES_MAX 1000

struct azure {
    struct remote remote;
    struct azure_container container; /* immutable after azure_new */
};

static struct azure *azure_of(struct store *s)
{
    return CONTAINER_OF(s, struct azure, remote.store);
}

static int init(struct remote *r, struct remote_request *q, const struct remote_parts *parts,
                struct err *err)
{
    return azure_request_init(azure_request_of(q), &azure_of(&r->store)->container, parts, err);
}

/* Lists from the prefix's start on, whatever it shall begin after. */
static int get_page(struct remote *r, const struct listing_page *ask, struct s3_page *page,
                    struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    /* Only metadata tells of directories that Hadoop's older driver made. */
    struct http_parameter parameters[AZURE_PARAMETERS_MAX] = {
        {"restype", "container"}, {"comp", "list"}, {"include", "metadata"}};
    size_t n = 3;
    if (ask->prefix[0])
        parameters[n++] = (struct http_parameter){"prefix", ask->prefix};
    if (!ask->recursive)
        parameters[n++] = (struct http_parameter){"delimiter", "/"};
    if (ask->token)
        parameters[n++] = (struct http_parameter){"marker", ask->token};
    struct remote_parts parts = {.method = "GET",
                                 .key = "",
                                 .parameters = parameters,
                                 .parameters_count = n,
                                 .text_max = AZURE_PAGE_BYTES_MAX};
    int rc = remote_ask(r, &parts, &q, err);
    return rc < 0 ? rc : azure_page_parse(buf_slice(&q->http.text), page, err);
}

static int azure_list(struct store *store, const struct store_list *req, struct err *err)
{
    static const struct listing_ops pages = {.page = get_page, .empty_max = EMPTY_PAGES_MAX};
    return listing_run(remote_of(store), &pages, req, err);
}

static void azure_free(struct store *store)
{
    struct azure *s = azure_of(store);
    azure_container_done(&s->container);
    remote_done(&s->remote);
    free(s);
}

static const struct store_ops azure_ops = {
    .scheme = "abfss",
    .rooms_bytes = TRAIN_BYTES,
    .get = remote_get,
    .head = remote_head,
    .list = azure_list,
    .put_if_absent = remote_put_if_absent,
    .put_begin = azure_put_begin,
    .remove = remote_remove,
    .set_class = azure_set_class,
    .tags = remote_tags,
    .set_tag = remote_set_tag,
    .restore = azure_restore,
    .free = azure_free,
};

/* Making one. */

static char *copy_or_null(const char *text)
{
    return text ? strdup(text) : NULL;
}

static int fill(struct azure *s, const struct url *url, const struct store_options *o,
                struct err *err)
{
    struct azure_container *c = &s->container;
    AUTO(buf) struct buf base = {0}, canonical = {0}, home = {0};
    buf_init(&base, URL_BYTES_MAX);
    buf_init(&canonical, 2 * URL_BYTES_MAX);
    buf_init(&home, 2 * URL_BYTES_MAX);
    buf_addf(&base, "%s%s", url->endpoint ? "" : "https://",
             url->endpoint ? url->endpoint : url->host);
    if (!azure_url_host_names_account(url))
        buf_addf(&base, "/%s", url->account);
    buf_addf(&base, "/%s", url->bucket);
    azure_url_format(url, &canonical);
    azure_url_format_home(url, &home);
    c->deadline_ms = o->deadline_ms ? o->deadline_ms : STORE_DEADLINE_MS;
    c->base = buf_steal_str(&base);
    const char *proxy = c->base ? proxy_for(o, c->base) : NULL;
    c->proxy_url = copy_or_null(proxy);
    c->account = strdup(url->account);
    c->name = strdup(url->bucket);
    (void)snprintf(c->where, sizeof c->where, "account %.63s, container %.63s", url->account,
                   url->bucket); /* may be cut */
    c->ca_bundle = copy_or_null(o->ca_bundle);
    s->remote.prefix = strdup(url->prefix);
    s->remote.store.url = buf_steal_str(&canonical);
    s->remote.store.home = buf_steal_str(&home);
    bool whole = c->base && c->account && c->name && s->remote.prefix && s->remote.store.url &&
                 s->remote.store.home && (c->ca_bundle || !o->ca_bundle) &&
                 (c->proxy_url || !proxy);
    return whole ? 0 : err_set(err, ENOMEM, "out of memory");
}

struct store *azure_new(struct url *url, const struct store_options *options,
                        const struct store_runtime *runtime, struct err *err)
{
    if (options->deadline_ms < 0 || options->deadline_ms > REQUEST_DEADLINE_MS) {
        (void)err_set(err, EINVAL, "a store's deadline of %lld ms; at most %d",
                      (long long)options->deadline_ms, REQUEST_DEADLINE_MS);
        return NULL;
    }
    if (azure_auth_endpoint(url, options, err) < 0)
        return NULL;
    struct azure *s = calloc(1, sizeof *s);
    if (!s) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    s->remote = (struct remote){.store.ops = &azure_ops,
                                .ops = &azure_request_ops,
                                .init = init,
                                .http = runtime->http,
                                .where = s->container.where};
    if (azure_auth_init(&s->container.auth, url, options, runtime, err) < 0 ||
        fill(s, url, options, err) < 0) {
        azure_free(&s->remote.store);
        return NULL;
    }
    return &s->remote.store;
}
