/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/azure_auth.h"

#include <openssl/crypto.h>
#include <strings.h>

#include "base/limits.h"
#include "cache/store/azure_token.h"
#include "cache/store/azure_url.h"
#include "cache/store/vended.h"

/* A SAS has some 300 bytes; a user delegation's some 700. */
#define SAS_BYTES_MAX (4 * KIB)

static bool name_is(struct slice name, const char *known)
{
    return name.n == strlen(known) && strncasecmp(name.p, known, name.n) == 0;
}

bool azure_connection_parse(struct slice text, struct azure_connection *out)
{
    struct azure_connection c = {0};
    while (text.n) {
        ptrdiff_t end = slice_find(text, ';');
        struct slice pair = slice_make(text.p, end < 0 ? text.n : (size_t)end);
        text = end < 0 ? SLICE_NONE : slice_from(text, (size_t)end + 1);
        ptrdiff_t equals = slice_find(pair, '=');
        if (equals < 0 && pair.n)
            return false;
        if (equals < 0)
            continue; /* `;` at the end */
        struct slice name = slice_make(pair.p, (size_t)equals);
        struct slice value = slice_from(pair, (size_t)equals + 1);
        struct slice *to = name_is(name, "AccountName")                ? &c.account
                           : name_is(name, "AccountKey")               ? &c.key
                           : name_is(name, "SharedAccessSignature")    ? &c.sas
                           : name_is(name, "BlobEndpoint")             ? &c.endpoint
                           : name_is(name, "EndpointSuffix")           ? &c.suffix
                           : name_is(name, "DefaultEndpointsProtocol") ? &c.protocol
                                                                       : NULL;
        if (to)
            *to = value;
    }
    if (!c.key.n && !c.sas.n)
        return false;
    *out = c;
    return true;
}

/* The mount's connection string, if any. */
static int read_connection(const struct url *url, const struct store_options *o,
                           struct azure_connection *out, struct err *err)
{
    *out = (struct azure_connection){0};
    if (!o->azure_connection_string || o->no_sign_request)
        return 0;
    if (!azure_connection_parse(slice_of(o->azure_connection_string), out))
        return err_set(err, EINVAL,
                       "the connection string is none with an AccountKey or a "
                       "SharedAccessSignature");
    if (out->account.n && !slice_is(out->account, url->account))
        return err_set(
            err, EINVAL, "the connection string is that of account %.*s, the URL names account %s",
            out->account.n > 80 ? 80 : (int)out->account.n, out->account.p, url->account);
    return 0;
}

int azure_auth_endpoint(struct url *url, const struct store_options *o, struct err *err)
{
    struct azure_connection c;
    int rc = read_connection(url, o, &c, err);
    if (rc < 0 || url->endpoint)
        return rc;
    if (o->endpoint_url)
        return azure_url_set_endpoint(url, slice_of(o->endpoint_url), err);
    if (c.endpoint.n)
        return azure_url_set_endpoint(url, c.endpoint, err);
    if (!c.suffix.n && !slice_is(c.protocol, "http"))
        return 0;
    AUTO(buf) struct buf endpoint = {0};
    buf_init(&endpoint, URL_BYTES_MAX);
    buf_addf(&endpoint, "%s://%s.blob.", slice_is(c.protocol, "http") ? "http" : "https",
             url->account);
    if (c.suffix.n)
        buf_add_slice(&endpoint, c.suffix);
    else
        buf_add_str(&endpoint, "core.windows.net");
    rc = buf_check(&endpoint, err);
    return rc < 0 ? rc : azure_url_set_endpoint(url, buf_slice(&endpoint), err);
}

/* Who is sent a SAS or a token has it: a host of Azure's clouds, or one that is named as endpoint.
 */
static int check_host(const struct url *url, struct err *err)
{
    static const char *const clouds[] = {".core.windows.net", ".core.usgovcloudapi.net",
                                         ".core.chinacloudapi.cn", ".storage.azure.net",
                                         ".fabric.microsoft.com"};
    if (url->endpoint)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(clouds); i++)
        if (slice_ends(slice_of(url->host), slice_of(clouds[i])))
            return 0;
    return err_set(err, EINVAL,
                   "%.200s is no host of Azure's clouds: a SAS or a token is sent to it only where "
                   "endpoint-url names it",
                   url->host);
}

static int use_key(struct azure_auth *a, struct slice text, struct err *err)
{
    a->how = AZURE_SHARED_KEY;
    return azure_key_parse(text, &a->key)
               ? 0
               : err_set(err, EINVAL, "the account key of %zu characters is no base64", text.n);
}

static int use_sas(struct azure_auth *a, const struct url *url, struct slice text, struct err *err)
{
    int rc = check_host(url, err);
    if (rc < 0)
        return rc;
    a->how = AZURE_SAS;
    if (text.n && text.p[0] == '?')
        text = slice_from(text, 1); /* as the portal shows it */
    bool good = text.n && text.n <= SAS_BYTES_MAX && memmem(text.p, text.n, "sig=", 4);
    for (size_t i = 0; good && i < text.n; i++)
        good = text.p[i] > ' ' && text.p[i] < 0x7f && text.p[i] != '#';
    if (!good)
        return err_set(err, EINVAL, "the SAS of %zu characters is none: sv=...&sig=...", text.n);
    a->sas = strndup(text.p, text.n);
    return a->sas ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int use_tokens(struct azure_auth *a, const struct url *url, const struct store_options *o,
                      const struct store_runtime *runtime, struct err *err)
{
    int rc = check_host(url, err);
    if (rc < 0)
        return rc;
    a->how = AZURE_TOKEN;
    if (url->endpoint && strncmp(url->endpoint, "https://", 8) != 0)
        return err_set(err, EINVAL,
                       "no account key and no SAS for Azure, and a token would be sent without "
                       "TLS; or no-sign-request");
    a->tokens = azure_tokens_new(o, runtime, err);
    return a->tokens ? 0 : -EINVAL;
}

static int use_vended(struct azure_auth *a, const struct url *url, struct vended *vended,
                      struct err *err)
{
    int rc = check_host(url, err);
    if (rc < 0)
        return rc;
    a->how = vended->sas ? AZURE_SAS : AZURE_TOKEN;
    a->tokens = vended_tokens(vended, err);
    return a->tokens ? 0 : -ENOMEM;
}

int azure_auth_init(struct azure_auth *a, const struct url *url,
                    const struct store_options *options, const struct store_runtime *runtime,
                    struct err *err)
{
    struct azure_connection c;
    *a = (struct azure_auth){.how = AZURE_UNSIGNED};
    int rc = read_connection(url, options, &c, err);
    if (rc < 0 || options->no_sign_request)
        return rc;
    if (options->vended)
        return use_vended(a, url, options->vended, err);
    if (c.key.n)
        return use_key(a, c.key, err);
    if (c.sas.n)
        return use_sas(a, url, c.sas, err);
    if (options->azure_account_key)
        return use_key(a, slice_of(options->azure_account_key), err);
    if (options->azure_sas_token)
        return use_sas(a, url, slice_of(options->azure_sas_token), err);
    return use_tokens(a, url, options, runtime, err);
}

void azure_auth_done(struct azure_auth *a)
{
    OPENSSL_cleanse(&a->key, sizeof a->key);
    if (a->sas)
        OPENSSL_cleanse(a->sas, strlen(a->sas));
    free(a->sas);
    renewed_free(a->tokens);
    *a = (struct azure_auth){0};
}
