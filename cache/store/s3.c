/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/s3.h"

#include <assert.h>
#include <openssl/evp.h>
#include <strings.h>

#include "base/text.h"
#include "cache/store/credentials.h"
#include "cache/store/proxy.h"
#include "cache/store/s3_get.h"
#include "cache/store/s3_send.h"
#include "cache/store/s3_versions.h"
#include "cache/store/s3_walk.h"

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
    AUTO(buf) struct buf whole = {0};
    buf_init(&whole, URL_BYTES_MAX + KEY_BYTES_MAX);
    buf_add_str(&whole, s->prefix);
    buf_add_str(&whole, key);
    return buf_steal_str(&whole);
}

static void s3_get(struct store *store, struct store_get *get)
{
    struct s3 *s = s3_of(store);
    assert(get->length > 0);
    get->rc = 0;
    get->got = 0;
    get->info = (struct store_info){0};
    get->err = (struct err)ERR_INIT;
    bool named = get->key[0] || s->prefix[0];
    char *key = named ? whole_key(s, get->key) : NULL;
    int rc;
    if (key)
        rc = s3_get_start(s->http, &s->bucket, key, get);
    else if (named)
        rc = err_set(&get->err, ENOMEM, "out of memory");
    else
        rc = err_set(&get->err, ENOENT, "bucket %s: no key", s->bucket.name);
    if (rc == -EINPROGRESS)
        return; /* it may be the engine's already */
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
    return s3_run(q, s->http, err);
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
    struct s3_parts parts = {.method = "HEAD", .key = whole, .text_max = S3_ERROR_BYTES_MAX};
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
    if (!line->is_prefix && line->size == 0 && (key.n == 0 || slash))
        return 0;
    if (!line->is_prefix && req->start_after && slice_cmp(key, slice_of(req->start_after)) <= 0)
        return 0; /* some servers do not know start-after */
    struct store_entry entry = {.key = key,
                                .is_prefix = line->is_prefix,
                                .size = line->size,
                                .mtime_ms = line->mtime_ms,
                                .etag = line->etag,
                                .version = line->version};
    return req->emit(req->arg, &entry);
}

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
        rc = emit_line(l->store, l->req, &page->lines.at[i], err);
    return rc;
}

/* Walks what a listing asks for; fields of `w` that say what is done with it are set. */
static int walk(struct s3 *s, const struct store_list *req, struct s3_walk *w, struct err *err)
{
    struct slice prefix = slice_of(req->prefix);
    if (prefix.n && prefix.p[prefix.n - 1] != '/')
        return err_set(err, EINVAL, "the prefix of a listing ends in /: %s", req->prefix);
    AUTO_FREE char *whole = whole_key(s, req->prefix);
    AUTO_FREE char *after = req->start_after ? whole_key(s, req->start_after) : NULL;
    if (!whole || (req->start_after && !after))
        return err_set(err, ENOMEM, "out of memory");
    w->http = s->http;
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
    return emit_line(l->store, l->req, line, err);
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
    AUTO(s3_request) struct s3_request q = {0};
    struct sigv4_parameter parameter = {"versioning", ""};
    struct s3_parts parts = {.method = "GET",
                             .key = "",
                             .parameters = &parameter,
                             .parameters_count = 1,
                             .text_max = S3_ERROR_BYTES_MAX};
    int rc = run(s, &q, &parts, err);
    return rc < 0 ? rc : s3_versioning_parse(buf_slice(&q.http.text), keeps, err);
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
                             .text_max = S3_ERROR_BYTES_MAX};
    int rc = run(s, &q, &parts, err);
    if (rc != -ESTALE)
        return rc;
    if (q.http.attempts > 1 && store_holds(store, key, data))
        return 0; /* by an attempt whose answer was lost */
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
    .rooms_bytes = TRAIN_BYTES,
    .get = s3_get,
    .head = s3_head,
    .list = s3_list,
    .list_at = s3_list_at,
    .put_if_absent = s3_put_if_absent,
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
    bool ok = strlen(hex) == 2 * sizeof key;
    for (size_t i = 0; ok && i < sizeof key; i++) {
        int high = text_hex_digit(hex[2 * i]), low = text_hex_digit(hex[2 * i + 1]);
        ok = high >= 0 && low >= 0;
        key[i] = (uint8_t)(high << 4 | low);
    }
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
    memcpy(b->region, region, strlen(region) + 1); /* checked */
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
    s->prefix = strdup(url->prefix);
    s->store.url = buf_steal_str(&canonical);
    s->store.home = buf_steal_str(&home);
    return s->prefix && s->store.url && s->store.home ? 0 : err_set(err, ENOMEM, "out of memory");
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
    s->bucket.credentials = credentials_new(o, s->http, runtime->secrets, err);
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
    s->store.ops = &s3_ops;
    s->http = runtime->http;
    s3_bucket_init(&s->bucket);
    if (fill(s, &whole, options, err) < 0 || find_credentials(s, options, runtime, err) < 0) {
        s3_free(&s->store);
        return NULL;
    }
    return &s->store;
}
