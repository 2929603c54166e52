/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/azure.h"

#include <assert.h>
#include <openssl/crypto.h>

#include "cache/store/azure_get.h"
#include "cache/store/azure_list.h"
#include "cache/store/azure_request.h"
#include "cache/store/azure_url.h"
#include "cache/store/proxy.h"

/* Pages without an entry, which Azure sends where partitions meet, one after the other. */
#define EMPTY_PAGES_MAX 1000

struct azure {
    struct store store;
    struct http *http; /* all immutable after azure_new */
    struct azure_container container;
    char *prefix; /* before every key */
};

static struct azure *azure_of(struct store *s)
{
    return CONTAINER_OF(s, struct azure, store);
}

/* The caller's to free; NULL when out of memory. */
static char *whole_key(const struct azure *s, const char *key)
{
    AUTO(buf) struct buf whole = {0};
    buf_init(&whole, URL_BYTES_MAX + KEY_BYTES_MAX);
    buf_add_str(&whole, s->prefix);
    buf_add_str(&whole, key);
    return buf_steal_str(&whole);
}

static void azure_get(struct store *store, struct store_get *get)
{
    struct azure *s = azure_of(store);
    assert(get->length > 0);
    get->rc = 0;
    get->got = 0;
    get->info = (struct store_info){0};
    get->err = (struct err)ERR_INIT;
    char *key = get->key[0] ? whole_key(s, get->key) : NULL;
    if (key) {
        azure_get_start(s->http, &s->container, key, get);
        return;
    }
    get->rc = get->key[0] ? err_set(&get->err, ENOMEM, "out of memory")
                          : err_set(&get->err, ENOENT, "container %s: no key", s->container.name);
    get->done(get);
}

/* What blocks. */

/* Sends with a token that counts, where one is needed, and waits. */
static int send_once(struct azure *s, struct azure_request *q, const struct azure_parts *parts,
                     struct err *err)
{
    struct oauth_token token;
    struct renewed *tokens = s->container.auth.tokens;
    int rc = tokens ? renewed_get(tokens, &token, err) : 0;
    if (rc < 0)
        return err_wrap(err, "account %s", s->container.account);
    rc = azure_request_init(q, &s->container, parts, tokens ? &token : NULL, err);
    if (tokens)
        OPENSSL_cleanse(&token, sizeof token);
    if (rc == 0)
        http_run(s->http, &q->http);
    return rc;
}

/* Sends and waits; again where the token had ended. 0: any answer that is a success. */
static int run(struct azure *s, struct azure_request *q, const struct azure_parts *parts,
               struct err *err)
{
    int rc = send_once(s, q, parts, err);
    if (rc == 0 && azure_request_token_refused(q)) {
        azure_request_done(q);
        rc = send_once(s, q, parts, err);
    }
    return rc < 0 ? rc : azure_request_check(q, err);
}

static int azure_head(struct store *store, const char *key, struct store_info *out, struct err *err)
{
    struct azure *s = azure_of(store);
    AUTO(azure_request) struct azure_request q = {0};
    AUTO_FREE char *whole = whole_key(s, key);
    if (!whole)
        return err_set(err, ENOMEM, "out of memory");
    if (!key[0])
        return err_set(err, ENOENT, "container %s: no key", s->container.name);
    struct azure_parts parts = {.method = "HEAD", .key = whole, .text_max = AZURE_ERROR_BYTES_MAX};
    int rc = run(s, &q, &parts, err);
    if (rc < 0)
        return rc;
    const struct http_answer *a = &q.http.answer;
    if (a->is_directory)
        return azure_request_refuse(&q, ENOENT, "a directory, not an object", err);
    if (a->status != 200 || !a->has_length)
        return azure_request_refuse(&q, EIO, "the answer does not tell the object's size", err);
    struct store_info info = {.size = a->content_length, .mtime_ms = a->last_modified_ms};
    memcpy(info.etag, a->etag, sizeof info.etag);
    *out = info;
    return 0;
}

static int emit_line(const struct azure *s, const struct store_list *req,
                     const struct azure_line *line, struct err *err)
{
    struct slice root = slice_of(s->prefix), prefix = slice_of(req->prefix);
    struct slice key = slice_starts(line->name, root) ? slice_from(line->name, root.n) : SLICE_NONE;
    if (!slice_starts(line->name, root) || !slice_starts(key, prefix))
        return err_set(err, EIO,
                       "container %s: the listing of %.100s%.100s names another key, %.*s",
                       s->container.name, s->prefix, req->prefix,
                       line->name.n > 100 ? 100 : (int)line->name.n, line->name.p);
    bool slash = key.n && key.p[key.n - 1] == '/';
    if (line->is_prefix && (!slash || key.n == prefix.n))
        return err_set(err, EIO, "container %s: a prefix that is no directory", s->container.name);
    /* What stands for a directory is no object of anybody's. */
    if (!line->is_prefix && (line->is_directory || key.n == prefix.n || (slash && line->size == 0)))
        return 0;
    if (!line->is_prefix && req->start_after && slice_cmp(key, slice_of(req->start_after)) <= 0)
        return 0; /* Azure lists from the prefix's start on */
    struct store_entry entry = {.key = key,
                                .is_prefix = line->is_prefix,
                                .size = line->size,
                                .mtime_ms = line->mtime_ms,
                                .etag = line->etag};
    return req->emit(req->arg, &entry);
}

/* One page: asked for with `marker` where it is not NULL. */
static int get_page(struct azure *s, const struct store_list *req, const char *marker,
                    struct azure_page *page, struct err *err)
{
    AUTO_FREE char *prefix = whole_key(s, req->prefix);
    if (!prefix)
        return err_set(err, ENOMEM, "out of memory");
    /* Only metadata tells of directories that Hadoop's older driver made. */
    struct azure_parameter parameters[AZURE_PARAMETERS_MAX] = {
        {"restype", "container"}, {"comp", "list"}, {"include", "metadata"}};
    size_t n = 3;
    if (prefix[0])
        parameters[n++] = (struct azure_parameter){"prefix", prefix};
    if (!req->recursive)
        parameters[n++] = (struct azure_parameter){"delimiter", "/"};
    if (marker)
        parameters[n++] = (struct azure_parameter){"marker", marker};
    struct azure_parts parts = {.method = "GET",
                                .key = "",
                                .parameters = parameters,
                                .parameters_count = n,
                                .text_max = AZURE_PAGE_BYTES_MAX};
    AUTO(azure_request) struct azure_request q = {0};
    int rc = run(s, &q, &parts, err);
    if (rc == 0)
        rc = azure_page_parse(buf_slice(&q.http.text), page, err);
    if (rc < 0)
        (void)err_wrap(err, "container %s, list %.100s", s->container.name,
                       prefix); /* the code stays */
    return rc;
}

static int azure_list(struct store *store, const struct store_list *req, struct err *err)
{
    struct azure *s = azure_of(store);
    struct slice prefix = slice_of(req->prefix);
    if (prefix.n && prefix.p[prefix.n - 1] != '/')
        return err_set(err, EINVAL, "the prefix of a listing ends in /: %s", req->prefix);
    AUTO_FREE char *marker = NULL;
    for (unsigned empty = 0; empty < EMPTY_PAGES_MAX; empty++) {
        AUTO(azure_page) struct azure_page page;
        azure_page_init(&page);
        int rc = get_page(s, req, marker, &page, err);
        for (size_t i = 0; rc == 0 && i < page.lines.n; i++)
            rc = emit_line(s, req, &page.lines.at[i], err);
        if (rc || !page.marker)
            return rc;
        if (marker && strcmp(marker, page.marker) == 0)
            return err_set(err, EIO,
                           "container %s: the listing goes on with the same marker for ever",
                           s->container.name);
        if (page.lines.n)
            empty = 0;
        free(marker);
        marker = strdup(page.marker);
        if (!marker)
            return err_set(err, ENOMEM, "out of memory");
    }
    return err_set(err, EIO, "container %s: %d empty pages of a listing", s->container.name,
                   EMPTY_PAGES_MAX);
}

static int azure_put_if_absent(struct store *store, const char *key, struct slice data,
                               struct err *err)
{
    struct azure *s = azure_of(store);
    AUTO(azure_request) struct azure_request q = {0};
    AUTO_FREE char *whole = whole_key(s, key);
    if (!whole)
        return err_set(err, ENOMEM, "out of memory");
    if (!key[0])
        return err_set(err, EINVAL, "container %s: no key to write", s->container.name);
    struct azure_parts parts = {.method = "PUT",
                                .key = whole,
                                .if_absent = true,
                                .upload = data,
                                .text_max = AZURE_ERROR_BYTES_MAX};
    int rc = run(s, &q, &parts, err);
    if (rc != -ESTALE && rc != -EEXIST)
        return rc;
    if (q.http.attempts > 1 && store_holds(store, key, data))
        return 0; /* by an attempt whose answer was lost */
    return azure_request_refuse(&q, EEXIST, "the key is there already", err);
}

static void azure_free(struct store *store)
{
    struct azure *s = azure_of(store);
    azure_container_done(&s->container);
    free(s->prefix);
    free(s->store.url);
    free(s->store.home);
    free(s);
}

static const struct store_ops azure_ops = {
    .scheme = "abfss",
    .get = azure_get,
    .head = azure_head,
    .list = azure_list,
    .put_if_absent = azure_put_if_absent,
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
    c->ca_bundle = copy_or_null(o->ca_bundle);
    s->prefix = strdup(url->prefix);
    s->store.url = buf_steal_str(&canonical);
    s->store.home = buf_steal_str(&home);
    bool whole = c->base && c->account && c->name && s->prefix && s->store.url && s->store.home &&
                 (c->ca_bundle || !o->ca_bundle) && (c->proxy_url || !proxy);
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
    s->store.ops = &azure_ops;
    s->http = runtime->http;
    if (azure_auth_init(&s->container.auth, url, options, runtime, err) < 0 ||
        fill(s, url, options, err) < 0) {
        azure_free(&s->store);
        return NULL;
    }
    return &s->store;
}
