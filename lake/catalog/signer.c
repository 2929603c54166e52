/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/signer.h"

#include <fcntl.h>
#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/instant.h"
#include "base/text.h"
#include "cache/store/proxy.h"
#include "cache/store/settings.h"
#include "cache/store/sigv4.h"

#define SECRET_FILE_BYTES_MAX (64 * KIB)
#define FORM_BYTES_MAX (256 * KIB)
#define OTHERWISE_SCOPE "catalog"
#define OTHERWISE_SERVICE "execute-api"

struct signer {
    enum catalog_auth auth;
    struct http *http;
    struct store_options store; /* its strings are owned */
    char *token, *token_file, *credential, *credential_file;
    char *token_url, *scope, *audience, *resource;
    char *service, *region;
    struct workers *workers; /* fetches; ends after `secret` */
    struct renewed *secret;  /* of struct oauth_token or struct credentials; NULL: nobody asks */
};

static void wipe(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

static void wipe_buf(struct buf *b)
{
    if (b->data)
        OPENSSL_cleanse(b->data, b->cap);
    buf_done(b);
}
DEFINE_AUTO_DONE(wiped, struct buf, wipe_buf)

/* ---- tokens ---- */

/* What is given, or what is in the file now, without the white space around it. */
static int read_secret(const char *given, const char *path, struct buf *out, struct err *err)
{
    struct err why = ERR_INIT;
    if (given) {
        buf_add_str(out, given);
        return buf_check(out, err);
    }
    if (file_read(AT_FDCWD, path, out, &why) < 0)
        return err_set(err, EACCES, "%s", why.msg);
    while (out->len && strchr(" \t\r\n", out->data[out->len - 1]))
        out->data[--out->len] = '\0';
    return out->len ? 0 : err_set(err, EACCES, "%s holds no secret", path);
}

static int fetch_given(struct signer *s, struct oauth_token *out, struct err *err)
{
    AUTO(wiped) struct buf text = {0};
    buf_init(&text, SECRET_FILE_BYTES_MAX);
    int rc = read_secret(s->token, s->token_file, &text, err);
    if (rc < 0)
        return rc;
    struct err why = ERR_INIT;
    rc = oauth_token_set(out, buf_slice(&text), &why);
    return rc < 0 ? err_set(err, EACCES, "%s", why.msg) : 0;
}

static void add_parameter(struct buf *form, const char *name, struct slice value)
{
    if (!value.n)
        return;
    if (form->len)
        buf_add_char(form, '&');
    buf_addf(form, "%s=", name);
    text_percent_encode(form, value, "");
}

/* RFC 6749 section 4.4.2, with the client's secret in the body as Iceberg's catalogs want it. */
static int add_form(const struct signer *s, struct buf *form, struct err *err)
{
    AUTO(wiped) struct buf text = {0};
    buf_init(&text, SECRET_FILE_BYTES_MAX);
    int rc = read_secret(s->credential, s->credential_file, &text, err);
    if (rc < 0)
        return rc;
    struct slice secret = buf_slice(&text), id = SLICE_NONE;
    ptrdiff_t colon = slice_find(secret, ':');
    if (colon >= 0) {
        id = slice_make(secret.p, (size_t)colon);
        secret = slice_from(secret, (size_t)colon + 1);
    }
    add_parameter(form, "grant_type", SLICE_LIT("client_credentials"));
    add_parameter(form, "client_id", id);
    add_parameter(form, "client_secret", secret);
    add_parameter(form, "scope", slice_of(s->scope));
    add_parameter(form, "audience", slice_of(s->audience));
    add_parameter(form, "resource", slice_of(s->resource));
    return buf_check(form, err);
}

static int fetch_by_client(struct signer *s, struct oauth_token *out, int64_t *expires_ms,
                           struct err *err)
{
    AUTO(wiped) struct buf form = {0};
    buf_init(&form, FORM_BYTES_MAX);
    int rc = add_form(s, &form, err);
    if (rc == 0)
        rc = oauth_fetch(s->http,
                         &(struct oauth_request){.url = s->token_url,
                                                 .form = buf_slice(&form),
                                                 .ca_bundle = s->store.ca_bundle,
                                                 .proxy_url = proxy_for(&s->store, s->token_url),
                                                 .deadline_ms = s->store.deadline_ms},
                         out, expires_ms, err);
    return rc;
}

static int fetch(void *arg, void *out, int64_t *expires_ms, struct err *err)
{
    struct signer *s = arg;
    if (s->auth == CATALOG_AUTH_BEARER)
        return fetch_given(s, out, err);
    return fetch_by_client(s, out, expires_ms, err);
}

/* ---- making one ---- */

void signer_free(struct signer *s)
{
    if (!s)
        return;
    renewed_free(s->secret);
    if (s->workers)
        workers_free(s->workers);
    settings_done(&s->store);
    wipe(s->token);
    wipe(s->credential);
    char *const texts[] = {s->token_file, s->credential_file, s->token_url, s->scope,
                           s->audience,   s->resource,        s->service,   s->region};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    free(s);
}

/* Copies where it is said; false: out of memory. */
static bool copy(char **to, const char *text)
{
    *to = text ? strdup(text) : NULL;
    return !text || *to;
}

static int copy_options(struct signer *s, const struct catalog_options *o, const char *uri,
                        struct err *err)
{
    const char *region = o->signing_region ? o->signing_region : o->store->region;
    AUTO_FREE char *token_url = NULL;
    bool ok = settings_copy(&s->store, o->store) == 0 && copy(&s->token, o->token) &&
              copy(&s->token_file, o->token_file) && copy(&s->credential, o->credential) &&
              copy(&s->credential_file, o->credential_file) &&
              copy(&s->scope, o->scope ? o->scope : OTHERWISE_SCOPE) &&
              copy(&s->audience, o->audience) && copy(&s->resource, o->resource) &&
              copy(&s->service, o->signing_name ? o->signing_name : OTHERWISE_SERVICE) &&
              copy(&s->region, region ? region : "us-east-1");
    if (ok && asprintf(&token_url, "%s/v1/oauth/tokens", uri) < 0)
        ok = false;
    ok = ok && copy(&s->token_url, o->oauth2_server_uri ? o->oauth2_server_uri : token_url);
    if (s->store.deadline_ms <= 0)
        s->store.deadline_ms = STORE_DEADLINE_MS;
    return ok ? 0 : err_set(err, ENOMEM, "out of memory");
}

/* Secrets go there: it holds none itself, and is sent as it is. */
static bool token_url_valid(const char *url)
{
    const char *host = strstr(url, "://");
    if (!host || (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0))
        return false;
    for (const char *p = url; *p; p++)
        if (*p <= ' ' || *p >= 0x7f || *p == '@' || *p == '#')
            return false;
    return host[3] && strlen(url) < URL_BYTES_MAX;
}

static int check_options(const struct catalog_options *o, struct err *err)
{
    switch (o->auth) {
    case CATALOG_AUTH_NONE:
        return 0;
    case CATALOG_AUTH_BEARER:
        return o->token || o->token_file ? 0 : err_set(err, EINVAL, "no token is given");
    case CATALOG_AUTH_OAUTH2:
        if (o->oauth2_server_uri && !token_url_valid(o->oauth2_server_uri))
            return err_set(err, EINVAL, "who gives tokens has no https:// URI");
        return o->credential || o->credential_file ? 0
                                                   : err_set(err, EINVAL, "no credential is given");
    case CATALOG_AUTH_SIGV4:
        return o->store->no_sign_request
                   ? err_set(err, EINVAL, "requests are to be signed, and not to be signed")
                   : 0;
    }
    return err_set(err, EINVAL, "an unknown kind of authorization");
}

int signer_new(const struct catalog_options *o, const char *uri, struct http *http,
               struct signer **out, struct err *err)
{
    int rc = check_options(o, err);
    if (rc < 0)
        return rc;
    AUTO(signer) struct signer *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ENOMEM, "out of memory");
    s->auth = o->auth;
    s->http = http;
    rc = copy_options(s, o, uri, err);
    if (rc == 0 && s->auth != CATALOG_AUTH_NONE) {
        const struct renewed_source source = {
            .bytes = sizeof(struct oauth_token), .fetch = fetch, .arg = s};
        s->workers = workers_new("tarn-catalog", 1, err);
        if (s->workers)
            s->secret = s->auth == CATALOG_AUTH_SIGV4
                            ? credentials_new(&s->store, http, s->workers, err)
                            : renewed_new(&source, s->workers, err);
        rc = s->secret ? 0 : err ? -err->code : -EINVAL;
    }
    if (rc == 0)
        *out = STEAL(s);
    return rc;
}

/* ---- a request ---- */

void signature_done(struct signature *s)
{
    wipe_buf(&s->authorization);
    buf_done(&s->host);
    OPENSSL_cleanse(&s->used, sizeof s->used);
}

static void add_field(struct signature *s, const char *name, const char *value)
{
    s->fields[s->fields_n++] = (struct http_field){name, value};
}

/* Every service but S3 signs the path percent-encoded once more. */
static void add_signed_path(struct buf *out, const char *path)
{
    text_percent_encode(out, slice_of(*path ? path : "/"), "/");
}

static int add_date(struct signature *s, int64_t now_ms, struct err *err)
{
    AUTO(buf) struct buf date = {0};
    buf_init(&date, sizeof s->date - 1);
    instant_format_basic(&date, now_ms);
    int rc = buf_check(&date, err);
    if (rc == 0)
        memcpy(s->date, date.data, date.len + 1);
    return rc;
}

/* The host stands in what is signed; the engine sends it by itself. */
static int add_signature(struct signer *s, const struct signer_request *r, struct signature *out,
                         struct err *err)
{
    const struct credentials *c = &out->used.credentials;
    AUTO(buf) struct buf path = {0};
    const char *host = strstr(r->url, "://") + 3, *slash = strchrnul(host, '/');
    int64_t now_ms = clock_real_ms();
    struct http_field fields[ARRAY_SIZE(out->fields) + 2];
    size_t n = 0;
    buf_init(&path, 3 * URL_BYTES_MAX * 16);
    add_signed_path(&path, slash);
    buf_add(&out->host, host, (size_t)(slash - host));
    int rc = buf_check(&path, err);
    if (rc == 0)
        rc = buf_check(&out->host, err);
    if (rc == 0)
        rc = add_date(out, now_ms, err);
    if (rc < 0)
        return rc;
    sha256_hex(r->upload, out->sha256);
    add_field(out, "x-amz-date", out->date);
    add_field(out, "x-amz-content-sha256", out->sha256);
    if (c->session_token[0])
        add_field(out, "x-amz-security-token", c->session_token);
    fields[n++] = (struct http_field){"host", out->host.data};
    if (r->json)
        fields[n++] = (struct http_field){"content-type", "application/json"};
    memcpy(fields + n, out->fields, out->fields_n * sizeof fields[0]);
    rc = sigv4_sign(&(struct sigv4_request){.method = r->method,
                                            .path = buf_slice(&path),
                                            .query = r->query,
                                            .fields = fields,
                                            .fields_count = n + out->fields_n,
                                            .payload_sha256 = out->sha256,
                                            .time_ms = now_ms,
                                            .region = s->region,
                                            .service = s->service},
                    &(struct sigv4_credentials){c->access_key_id, c->secret_access_key},
                    &out->authorization, err);
    return rc < 0 ? rc : buf_check(&out->authorization, err);
}

int signer_sign(struct signer *s, const struct signer_request *r, struct signature *out,
                struct err *err)
{
    memset(out, 0, sizeof *out);
    buf_init(&out->authorization, 2 * OAUTH_TOKEN_BYTES_MAX);
    buf_init(&out->host, URL_BYTES_MAX);
    if (!s->secret)
        return 0;
    int rc = renewed_get(s->secret, &out->used, err);
    if (rc < 0)
        return rc;
    out->has_secret = true;
    if (s->auth == CATALOG_AUTH_SIGV4) {
        rc = add_signature(s, r, out, err);
    } else {
        buf_addf(&out->authorization, "Bearer %s", out->used.token.text);
        rc = buf_check(&out->authorization, err);
    }
    if (rc == 0)
        add_field(out, "authorization", out->authorization.data);
    return rc;
}

bool signer_reject(struct signer *s, const struct signature *used)
{
    if (!s->secret || !used->has_secret)
        return false;
    renewed_reject(s->secret, &used->used);
    return true;
}
