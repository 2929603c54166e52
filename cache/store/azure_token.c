/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/azure_token.h"

#include <fcntl.h>
#include <openssl/crypto.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "cache/store/oauth.h"
#include "cache/store/proxy.h"

#define PUBLIC_AUTHORITY "https://login.microsoftonline.com"
#define METADATA_SERVICE "http://169.254.169.254"
#define RESOURCE "https://storage.azure.com/"
#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

#define DEADLINE_MS 30000
/* It is on the machine itself, or it is not there. */
#define METADATA_DEADLINE_MS 10000
#define FORM_BYTES_MAX (64 * KIB)
#define ASSERTION_BYTES_MAX (16 * KIB)

enum source { GIVEN, CLIENT_SECRET, TOKEN_FILE, IDENTITY_ENDPOINT, METADATA };

/* Strings are owned; NULL where the source does not need them. */
struct tokens {
    enum source source;
    struct http *http;
    char *url, *client_id;
    char *secret; /* the token itself, the client's secret, or the identity endpoint's header */
    char *token_file, *ca_bundle, *proxy_url;
};

static void tokens_free(void *arg)
{
    struct tokens *t = arg;
    if (t->secret)
        OPENSSL_cleanse(t->secret, strlen(t->secret));
    char *owned[] = {t->url, t->client_id, t->secret, t->token_file, t->ca_bundle, t->proxy_url};
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
        free(owned[i]);
    free(t);
}

static void add_pair(struct buf *form, const char *name, struct slice value)
{
    buf_addf(form, "%s%s=", form->len ? "&" : "", name);
    text_percent_encode(form, value, "");
}

/* A fresh one each time: it is renewed under our feet. */
static int add_assertion(const struct tokens *t, struct buf *form, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    struct err why = {0, "it is empty"};
    buf_init(&text, ASSERTION_BYTES_MAX);
    int rc = file_read(AT_FDCWD, t->token_file, &text, &why);
    struct slice assertion = buf_slice(&text);
    while (assertion.n && strchr("\r\n\t ", assertion.p[assertion.n - 1]))
        assertion.n--;
    if (rc < 0 || assertion.n == 0) { /* ENOENT would be the object's */
        rc = err_set(err, EACCES, "token file %.200s: %.200s", t->token_file, why.msg);
    } else {
        add_pair(form, "client_assertion_type", SLICE_LIT(ASSERTION_TYPE));
        add_pair(form, "client_assertion", assertion);
    }
    if (text.data)
        OPENSSL_cleanse(text.data, text.cap);
    return rc;
}

/* OAuth 2.0 client credentials (RFC 6749 section 4.4), with a secret or an assertion. */
static int fetch_as_client(const struct tokens *t, struct oauth_token *out, int64_t *expires_ms,
                           struct err *err)
{
    AUTO(buf) struct buf form = {0};
    buf_init(&form, FORM_BYTES_MAX);
    add_pair(&form, "grant_type", SLICE_LIT("client_credentials"));
    add_pair(&form, "client_id", slice_of(t->client_id));
    add_pair(&form, "scope", SLICE_LIT(RESOURCE ".default"));
    int rc = 0;
    if (t->source == CLIENT_SECRET)
        add_pair(&form, "client_secret", slice_of(t->secret));
    else
        rc = add_assertion(t, &form, err);
    if (rc == 0)
        rc = buf_check(&form, err);
    struct oauth_request request = {.url = t->url,
                                    .form = buf_slice(&form),
                                    .ca_bundle = t->ca_bundle,
                                    .proxy_url = t->proxy_url,
                                    .deadline_ms = DEADLINE_MS};
    if (rc == 0)
        rc = oauth_fetch(t->http, &request, out, expires_ms, err);
    if (form.data)
        OPENSSL_cleanse(form.data, form.cap);
    return rc;
}

/* Both of them refuse requests that a browser, or somebody's redirect, could make. */
static int fetch_from_machine(const struct tokens *t, struct oauth_token *out, int64_t *expires_ms,
                              struct err *err)
{
    struct http_field metadata = {"metadata", "true"};
    struct http_field header = {"x-identity-header", t->secret};
    struct oauth_request request = {.url = t->url,
                                    .fields = t->source == METADATA ? &metadata : &header,
                                    .fields_count = 1,
                                    .deadline_ms = METADATA_DEADLINE_MS};
    int rc = oauth_fetch(t->http, &request, out, expires_ms, err);
    if (rc < 0 && t->source == METADATA)
        return err_wrap(err, "no key, SAS or secret is given, and the machine has no identity");
    return rc;
}

static int fetch(void *arg, void *out, int64_t *expires_ms, struct err *err)
{
    const struct tokens *t = arg;
    switch (t->source) {
    case GIVEN:
        return oauth_token_set(out, slice_of(t->secret), err);
    case CLIENT_SECRET:
    case TOKEN_FILE:
        return fetch_as_client(t, out, expires_ms, err);
    case IDENTITY_ENDPOINT:
    case METADATA:
        return fetch_from_machine(t, out, expires_ms, err);
    }
    return err_set(err, EINVAL, "no source of tokens");
}

/* Making one. */

static enum source choose(const struct store_options *o)
{
    return o->azure_token                                           ? GIVEN
           : o->azure_client_secret                                 ? CLIENT_SECRET
           : o->azure_token_file                                    ? TOKEN_FILE
           : o->azure_identity_endpoint && o->azure_identity_header ? IDENTITY_ENDPOINT
                                                                    : METADATA;
}

static int add_client_url(struct buf *url, const struct store_options *o, struct err *err)
{
    struct slice authority =
        slice_of(o->azure_authority_host ? o->azure_authority_host : PUBLIC_AUTHORITY);
    if (!o->azure_tenant_id || !o->azure_client_id)
        return err_set(err, EINVAL,
                       "a client's secret or token file also needs AZURE_TENANT_ID and "
                       "AZURE_CLIENT_ID");
    if (!slice_starts(authority, SLICE_LIT("https://")))
        return err_set(err, EINVAL, "AZURE_AUTHORITY_HOST does not begin with https://");
    while (slice_ends(authority, SLICE_LIT("/")))
        authority.n--;
    buf_add_slice(url, authority);
    buf_add_char(url, '/');
    text_percent_encode(url, slice_of(o->azure_tenant_id), "");
    buf_add_str(url, "/oauth2/v2.0/token");
    return 0;
}

static int add_machine_url(struct buf *url, const struct store_options *o, bool metadata,
                           struct err *err)
{
    const char *base = !metadata               ? o->azure_identity_endpoint
                       : o->azure_metadata_url ? o->azure_metadata_url
                                               : METADATA_SERVICE;
    if (strncmp(base, "http://", 7) != 0 && strncmp(base, "https://", 8) != 0)
        return err_set(err, EINVAL, "the address of the identity endpoint is no URL");
    struct slice text = slice_of(base);
    while (slice_ends(text, SLICE_LIT("/")))
        text.n--;
    buf_add_slice(url, text);
    buf_add_str(url, metadata ? "/metadata/identity/oauth2/token?api-version=2018-02-01"
                              : "?api-version=2019-08-01");
    add_pair(url, "resource", SLICE_LIT(RESOURCE));
    if (o->azure_client_id)
        add_pair(url, "client_id", slice_of(o->azure_client_id));
    return 0;
}

static char *copy_or_null(const char *text)
{
    return text ? strdup(text) : NULL;
}

/* A secret that is sent in a field of a request can be one. */
static int check_secret(const struct tokens *t, struct err *err)
{
    struct oauth_token field;
    if (t->source != GIVEN && t->source != IDENTITY_ENDPOINT)
        return 0;
    int rc = oauth_token_set(&field, slice_of(t->secret), err);
    OPENSSL_cleanse(&field, sizeof field);
    return rc;
}

static int fill(struct tokens *t, const struct store_options *o, struct err *err)
{
    AUTO(buf) struct buf url = {0};
    int rc = 0;
    buf_init(&url, URL_BYTES_MAX);
    t->source = choose(o);
    const char *secret = t->source == GIVEN               ? o->azure_token
                         : t->source == CLIENT_SECRET     ? o->azure_client_secret
                         : t->source == IDENTITY_ENDPOINT ? o->azure_identity_header
                                                          : NULL;
    if (t->source == CLIENT_SECRET || t->source == TOKEN_FILE)
        rc = add_client_url(&url, o, err);
    else if (t->source != GIVEN)
        rc = add_machine_url(&url, o, t->source == METADATA, err);
    if (rc == 0)
        rc = buf_check(&url, err);
    if (rc < 0)
        return rc;
    t->url = buf_steal_str(&url);
    t->client_id = copy_or_null(o->azure_client_id);
    t->secret = copy_or_null(secret);
    t->token_file = copy_or_null(o->azure_token_file);
    t->ca_bundle = copy_or_null(o->ca_bundle);
    const char *proxy = t->url ? proxy_for(o, t->url) : NULL;
    t->proxy_url = copy_or_null(proxy);
    bool whole = t->url && (t->client_id || !o->azure_client_id) && (t->secret || !secret) &&
                 (t->token_file || !o->azure_token_file) && (t->ca_bundle || !o->ca_bundle) &&
                 (t->proxy_url || !proxy);
    return whole ? check_secret(t, err) : err_set(err, ENOMEM, "out of memory");
}

struct renewed *azure_tokens_new(const struct store_options *options,
                                 const struct store_runtime *runtime, struct err *err)
{
    struct tokens *t = calloc(1, sizeof *t);
    if (!t) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    t->http = runtime->http;
    struct renewed_source source = {
        .bytes = sizeof(struct oauth_token), .fetch = fetch, .free = tokens_free, .arg = t};
    struct renewed *r =
        fill(t, options, err) == 0 ? renewed_new(&source, runtime->secrets, err) : NULL;
    if (!r)
        tokens_free(t);
    return r;
}
