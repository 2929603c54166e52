/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/s3.h"

#include <openssl/evp.h>
#include <strings.h>

#include "base/text.h"
#include "cache/store/credentials.h"
#include "cache/store/listing.h"
#include "cache/store/proxy.h"
#include "cache/store/remote_tags.h"
#include "cache/store/s3_class.h"
#include "cache/store/s3_request.h"
#include "cache/store/s3_restore.h"
#include "cache/store/s3_versions.h"
#include "cache/store/s3_walk.h"
#include "cache/store/s3_write.h"

struct s3 {
    struct remote remote;
    struct s3_bucket bucket; /* immutable after s3_new */
};

static struct s3 *s3_of(struct store *s)
{
    return CONTAINER_OF(s, struct s3, remote.store);
}

static int init(struct remote *r, struct remote_request *q, const struct remote_parts *parts,
                struct err *err)
{
    return s3_request_init(s3_request_of(q), &s3_of(&r->store)->bucket, parts, err);
}

/* What blocks. */

/* One listing: whose it is, and of what. */
struct s3_listing {
    struct s3 *store;
    const struct store_list *req;
};

static int emit_page(void *arg, unsigned part, const struct s3_page *page, bool last,
                     struct err *err)
{
    const struct s3_listing *l = arg;
    (void)part, (void)last;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < page->lines.n; i++)
        rc = listing_emit(&l->store->remote, l->req, &page->lines.at[i], err);
    return rc;
}

/* Walks what a listing asks for; fields of `w` that say what is done with it are set. */
static int walk(struct s3 *s, const struct store_list *req, struct s3_walk *w, struct err *err)
{
    int rc = listing_check(req, err);
    if (rc < 0)
        return rc;
    AUTO_FREE char *whole = remote_whole_key(&s->remote, req->prefix);
    AUTO_FREE char *after =
        req->start_after ? remote_whole_key(&s->remote, req->start_after) : NULL;
    if (!whole || (req->start_after && !after))
        return err_set(err, ENOMEM, "out of memory");
    w->http = s->remote.http;
    w->bucket = &s->bucket;
    w->prefix = whole;
    w->start_after = after;
    w->recursive = req->recursive;
    return s3_walk(w, err);
}

static int s3_list(struct store *store, const struct store_list *req, struct err *err)
{
    struct s3_listing l = {s3_of(store), req};
    struct s3_walk w = {.page = emit_page, .arg = &l};
    return walk(l.store, req, &w, err);
}

/* What was there at a moment. */
struct s3_past {
    struct s3_listing listing;
    struct s3_choice choices[S3_WALK_PARTS_MAX];
};

static int emit_chosen(void *arg, const struct s3_line *line, struct err *err)
{
    const struct s3_listing *l = arg;
    return listing_emit(&l->store->remote, l->req, line, err);
}

static int choose_page(void *arg, unsigned part, const struct s3_page *page, bool last,
                       struct err *err)
{
    struct s3_past *past = arg;
    return s3_choose(&past->choices[part], page, last, err);
}

/* Whether the bucket keeps versions, or has kept some. */
static int ask_versioning(struct s3 *s, bool *keeps, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    struct http_parameter parameter = {"versioning", ""};
    struct remote_parts parts = {.method = "GET",
                                 .key = "",
                                 .parameters = &parameter,
                                 .parameters_count = 1,
                                 .text_max = REMOTE_ERROR_BYTES_MAX};
    int rc = remote_ask(&s->remote, &parts, &q, err);
    return rc < 0 ? rc : s3_versioning_parse(buf_slice(&q->http.text), keeps, err);
}

static int s3_list_at(struct store *store, const struct store_list *req, int64_t time_ms,
                      struct err *err)
{
    struct s3 *s = s3_of(store);
    bool keeps = false;
    int rc = ask_versioning(s, &keeps, err);
    if (rc == 0 && !keeps)
        rc = err_set(err, ENOENT, "bucket %s keeps no versions, so it has no past", s->bucket.name);
    if (rc < 0)
        return rc;
    AUTO_FREE struct s3_past *past = calloc(1, sizeof *past);
    if (!past)
        return err_set(err, ENOMEM, "out of memory");
    past->listing = (struct s3_listing){s, req};
    for (unsigned i = 0; i < S3_WALK_PARTS_MAX; i++)
        s3_choice_init(&past->choices[i], time_ms, emit_chosen, &past->listing);
    struct s3_walk w = {.versions = true, .page = choose_page, .arg = past};
    rc = walk(s, req, &w, err);
    for (unsigned i = 0; i < S3_WALK_PARTS_MAX; i++)
        s3_choice_done(&past->choices[i]);
    return rc < 0 ? err_wrap(err, "bucket %s", s->bucket.name) : rc;
}

static void s3_free(struct store *store)
{
    struct s3 *s = s3_of(store);
    s3_bucket_done(&s->bucket);
    remote_done(&s->remote);
    free(s);
}

static const struct store_ops s3_ops = {
    .scheme = "s3",
    .rooms_bytes = TRAIN_BYTES,
    .get = remote_get,
    .head = remote_head,
    .list = s3_list,
    .list_at = s3_list_at,
    .put_if_absent = remote_put_if_absent,
    .put_begin = s3_put_begin,
    .remove = remote_remove,
    .set_class = s3_set_class,
    .tags = remote_tags,
    .set_tag = remote_set_tag,
    .restore = s3_restore,
    .free = s3_free,
};

/* Making one. */

/* No control characters, which would end a field and begin another. */
static bool secret_valid(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

/* An SSE-C key travels with every request: not past anybody who listens. */
static bool may_carry_key(const char *endpoint)
{
    struct slice s = slice_of(endpoint);
    return !endpoint || slice_starts(s, SLICE_LIT("https://")) ||
           slice_starts(s, SLICE_LIT("http://127.0.0.1")) ||
           slice_starts(s, SLICE_LIT("http://[::1]"));
}

static int check_options(const struct store_options *o, const char *endpoint, struct err *err)
{
    if (o->region && !region_valid(o->region))
        return err_set(err, EINVAL, "the region has other than lower-case letters, digits and `-`");
    if (!o->no_sign_request && !o->access_key_id != !o->secret_access_key)
        return err_set(err, EINVAL, "half of a key pair: an access key id needs its secret");
    if (!secret_valid(o->access_key_id) || !secret_valid(o->session_token))
        return err_set(err, EINVAL, "the credentials contain control characters");
    if (!secret_valid(o->sse) || !secret_valid(o->sse_kms_key_id))
        return err_set(err, EINVAL, "sse or sse-kms-key-id contain control characters");
    if (o->sse_c_key && !may_carry_key(endpoint))
        return err_set(err, EINVAL, "sse-c-key-file needs https: the key travels");
    if (o->deadline_ms < 0 || o->deadline_ms > REQUEST_DEADLINE_MS)
        return err_set(err, EINVAL, "a store's deadline of %lld ms; at most %d",
                       (long long)o->deadline_ms, REQUEST_DEADLINE_MS);
    return 0;
}

/* Names that are no part of a host name, or not below the wildcard of the certificate. */
static bool needs_path_style(const char *bucket)
{
    return bucket[strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0';
}

/* The style that a host's address has room for. */
static int choose_style(const struct url *url, const struct store_options *o, bool *path_style,
                        struct err *err)
{
    struct slice wanted = slice_of(o->addressing ? o->addressing : "auto");
    if (slice_is(wanted, "virtual") && needs_path_style(url->bucket))
        return err_set(err, EINVAL, "bucket %.63s cannot be part of a host's name: addressing path",
                       url->bucket);
    if (slice_is(wanted, "virtual") && url->endpoint && strchr(url->endpoint, '['))
        return err_set(err, EINVAL, "an address has no host names below it: addressing path");
    if (slice_is(wanted, "path") || slice_is(wanted, "virtual"))
        *path_style = slice_is(wanted, "path");
    else if (slice_is(wanted, "auto"))
        *path_style = url->endpoint || needs_path_style(url->bucket);
    else
        return err_set(err, EINVAL, "addressing %.20s: it is auto, path or virtual", o->addressing);
    return 0;
}

/* The key as the fields have it: base64, and its MD5 (RFC 1864), as S3 wants it. */
static int set_sse_c_key(struct s3_bucket *b, const char *hex, struct err *err)
{
    uint8_t key[32], md5[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    bool ok = strlen(hex) == 2 * sizeof key && text_unhex(slice_of(hex), key);
    ok = ok && EVP_Digest(key, sizeof key, md5, &n, EVP_md5(), NULL) == 1;
    if (ok) {
        (void)EVP_EncodeBlock((unsigned char *)b->sse_c_key, key, sizeof key);
        (void)EVP_EncodeBlock((unsigned char *)b->sse_c_key_md5, md5, (int)n);
    }
    explicit_bzero(key, sizeof key);
    return ok ? 0 : err_set(err, EINVAL, "an SSE-C key has 32 bytes");
}

/* The proxy of the environment may be told by the host that is asked. */
static int set_proxy(struct s3_bucket *b, const struct store_options *o, struct err *err)
{
    AUTO(buf) struct buf host = {0};
    buf_init(&host, 2 * URL_BYTES_MAX);
    s3_bucket_origin(b, b->region, &host);
    int rc = buf_check(&host, err);
    const char *proxy = rc == 0 ? proxy_for(o, host.data) : NULL;
    if (proxy && !(b->proxy_url = strdup(proxy)))
        return err_set(err, ENOMEM, "out of memory");
    return rc;
}

static int fill_bucket(struct s3_bucket *b, const struct url *url, const struct store_options *o,
                       struct err *err)
{
    const char *region = o->region ? o->region : "us-east-1";
    int rc = choose_style(url, o, &b->path_style, err);
    if (rc == 0 && o->sse_c_key)
        rc = set_sse_c_key(b, o->sse_c_key, err);
    if (rc < 0)
        return rc;
    memcpy(b->region, region, strlen(region) + 1);                          /* checked */
    (void)snprintf(b->where, sizeof b->where, "bucket %.63s", url->bucket); /* may be cut */
    b->deadline_ms = o->deadline_ms ? o->deadline_ms : STORE_DEADLINE_MS;
    b->requester_pays = o->requester_pays;
    b->dualstack = o->aws_dualstack && strcasecmp(o->aws_dualstack, "true") == 0;
    const struct {
        char **to;
        const char *from;
    } texts[] = {
        {&b->name, url->bucket},
        {&b->endpoint, url->endpoint},
        {&b->ca_bundle, o->ca_bundle},
        {&b->sse, o->sse},
        {&b->sse_kms_key_id, o->sse_kms_key_id},
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (texts[i].from && !(*texts[i].to = strdup(texts[i].from)))
            return err_set(err, ENOMEM, "out of memory");
    return set_proxy(b, o, err);
}

static int fill(struct s3 *s, const struct url *url, const struct store_options *o, struct err *err)
{
    AUTO(buf) struct buf canonical = {0}, home = {0};
    size_t prefix = strlen(url->prefix);
    buf_init(&canonical, 2 * URL_BYTES_MAX);
    buf_init(&home, 2 * URL_BYTES_MAX);
    buf_addf(&home, "s3://%s%s%.*s", url->bucket, prefix ? "/" : "", (int)(prefix ? prefix - 1 : 0),
             url->prefix);
    url_format(url, &canonical);
    int rc = fill_bucket(&s->bucket, url, o, err);
    if (rc < 0)
        return rc;
    struct remote *r = &s->remote;
    r->prefix = strdup(url->prefix);
    r->store.url = buf_steal_str(&canonical);
    r->store.home = buf_steal_str(&home);
    return r->prefix && r->store.url && r->store.home ? 0 : err_set(err, ENOMEM, "out of memory");
}

/*
 * Credentials are looked for at once, so that who mounts is told that there are none. That nobody
 * answers is no reason not to mount.
 */
static int find_credentials(struct s3 *s, const struct store_options *o,
                            const struct store_runtime *runtime, struct err *err)
{
    struct credentials first = {0};
    struct err why = ERR_INIT;
    if (o->no_sign_request)
        return 0;
    s->bucket.credentials = credentials_new(o, s->remote.http, runtime->secrets, err);
    if (!s->bucket.credentials)
        return -err->code;
    int rc = renewed_get(s->bucket.credentials, &first, &why);
    explicit_bzero(&first, sizeof first);
    return rc == -EACCES ? err_copy(err, &why) : 0;
}

struct store *s3_new(const struct url *url, const struct store_options *options,
                     const struct store_runtime *runtime, struct err *err)
{
    AUTO(buf) struct buf endpoint = {0};
    buf_init(&endpoint, URL_BYTES_MAX);
    struct url whole = *url; /* borrows its texts */
    if (!whole.endpoint && options->endpoint_url) {
        struct slice text = slice_of(options->endpoint_url);
        if (url_endpoint(text, &endpoint, err) < 0)
            return NULL;
        whole.endpoint = endpoint.data;
    }
    if (check_options(options, whole.endpoint, err) < 0)
        return NULL;
    struct s3 *s = calloc(1, sizeof *s);
    if (!s) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    s->remote = (struct remote){.store.ops = &s3_ops,
                                .ops = &s3_request_ops,
                                .init = init,
                                .http = runtime->http,
                                .where = s->bucket.where};
    s3_bucket_init(&s->bucket);
    if (fill(s, &whole, options, err) < 0 || find_credentials(s, options, runtime, err) < 0) {
        s3_free(&s->remote.store);
        return NULL;
    }
    return &s->remote.store;
}
