/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/access.h"

#include "base/text.h"

enum kind { KIND_NONE, KIND_S3, KIND_GCS, KIND_AZURE };

static const struct {
    const char *scheme;
    enum kind kind;
} schemes[] = {
    {"s3", KIND_S3},      {"s3a", KIND_S3},      {"s3n", KIND_S3},     {"gs", KIND_GCS},
    {"abfs", KIND_AZURE}, {"abfss", KIND_AZURE}, {"wasb", KIND_AZURE}, {"wasbs", KIND_AZURE},
};

/* What stands before "://", or the whole: a prefix may be a scheme alone. */
static struct slice scheme_of(struct slice location)
{
    ptrdiff_t colon = slice_find(location, ':');
    return colon < 0 ? location : slice_make(location.p, (size_t)colon);
}

static enum kind kind_of(struct slice location)
{
    struct slice scheme = scheme_of(location);
    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
        if (slice_is(scheme, schemes[i].scheme))
            return schemes[i].kind;
    return KIND_NONE;
}

/* One store has several schemes: `s3a://` is `s3://`. */
static bool fits(struct slice location, struct slice prefix)
{
    struct slice scheme = scheme_of(location), wanted = scheme_of(prefix);
    if (!prefix.n)
        return true;
    if (kind_of(location) != kind_of(prefix) ||
        (kind_of(location) == KIND_NONE && !slice_eq(scheme, wanted)))
        return false;
    return slice_starts(slice_from(location, scheme.n), slice_from(prefix, wanted.n));
}

/* As many keys as these are looked for in a handful of pairs. */
struct pairs {
    const struct catalog_pair *at;
    size_t n;
};

static const char *text(const struct pairs *p, const char *key)
{
    const struct slice *value = catalog_find(p->at, p->n, key);
    return value && value->n ? value->p : NULL;
}

static int64_t milliseconds(const struct pairs *p, const char *key)
{
    int64_t ms = 0;
    const struct slice *value = catalog_find(p->at, p->n, key);
    return value && text_parse_i64(*value, &ms) && ms > 0 ? ms : 0;
}

static bool is_true(const struct pairs *p, const char *key)
{
    const struct slice *value = catalog_find(p->at, p->n, key);
    return value && slice_is(*value, "true");
}

static const char *either(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

static bool s3_access(const struct pairs *p, struct catalog_access *out)
{
    out->region = either(text(p, "s3.region"), text(p, "client.region"));
    out->endpoint_url = text(p, "s3.endpoint");
    out->path_style = is_true(p, "s3.path-style-access");
    const char *id = text(p, "s3.access-key-id"), *secret = text(p, "s3.secret-access-key");
    if (!id || !secret)
        return false;
    out->access_key_id = id;
    out->secret_access_key = secret;
    out->session_token = text(p, "s3.session-token");
    out->expires_ms = milliseconds(p, "s3.session-token-expires-at-ms");
    return true;
}

static bool gcs_access(const struct pairs *p, struct catalog_access *out)
{
    out->gcs_token = text(p, "gcs.oauth2.token");
    out->expires_ms = milliseconds(p, "gcs.oauth2.token-expires-at");
    return out->gcs_token;
}

/* "ACCOUNT.dfs.core.windows.net" of abfss://container@HOST/path. */
static struct slice host_of(struct slice location)
{
    ptrdiff_t at = slice_find(location, '@');
    struct slice host = at < 0 ? SLICE_NONE : slice_from(location, (size_t)at + 1);
    ptrdiff_t slash = slice_find(host, '/');
    return slash < 0 ? host : slice_make(host.p, (size_t)slash);
}

/* `key` and the account behind it: its host, its name alone, or none at all. */
static const struct slice *of_account(const struct pairs *p, const char *key, struct slice host)
{
    ptrdiff_t dot = slice_find(host, '.');
    const struct slice ends[] = {host, dot < 0 ? host : slice_make(host.p, (size_t)dot),
                                 SLICE_NONE};
    struct slice begin = slice_of(key);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        for (size_t k = 0; k < p->n; k++) {
            struct slice have = p->at[k].key;
            if (!slice_starts(have, begin) || !p->at[k].value.n)
                continue;
            struct slice rest = slice_from(have, begin.n);
            if (rest.n && ends[i].n && rest.p[0] == '.' && slice_eq(slice_from(rest, 1), ends[i]))
                return &p->at[k].value;
            if (!rest.n && !ends[i].n)
                return &p->at[k].value;
        }
    return NULL;
}

static bool azure_access(const struct pairs *p, struct slice location, struct catalog_access *out)
{
    struct slice host = host_of(location);
    const struct slice *sas = of_account(p, "adls.sas-token", host);
    const struct slice *ends = of_account(p, "adls.sas-token-expires-at-ms", host);
    int64_t ms = 0;
    out->azure_sas_token = sas ? sas->p : NULL;
    out->azure_token = sas ? NULL : text(p, "adls.token");
    if (ends && text_parse_i64(*ends, &ms) && ms > 0)
        out->expires_ms = ms;
    return out->azure_sas_token || out->azure_token;
}

static bool access_by(const struct pairs *p, struct slice location, struct catalog_access *out)
{
    *out = (struct catalog_access){0};
    switch (kind_of(location)) {
    case KIND_S3:
        return s3_access(p, out);
    case KIND_GCS:
        return gcs_access(p, out);
    case KIND_AZURE:
        return azure_access(p, location, out);
    case KIND_NONE:
        break;
    }
    return false;
}

/* What the credentials do not tell of the store, the table's configuration does. */
static void complete(const struct catalog_table *t, struct slice location,
                     struct catalog_access *out)
{
    struct catalog_access common;
    (void)access_by(&(struct pairs){t->config, t->config_n}, location, &common);
    out->region = either(out->region, common.region);
    out->endpoint_url = either(out->endpoint_url, common.endpoint_url);
    out->path_style = out->path_style || common.path_style;
}

int catalog_access_of(const struct catalog_table *t, struct slice location,
                      struct catalog_access *out)
{
    const struct catalog_credential *best = NULL;
    for (size_t i = 0; i < t->credentials_n; i++) {
        const struct catalog_credential *c = &t->credentials[i];
        struct catalog_access access;
        if ((!best || c->prefix.n > best->prefix.n) && fits(location, c->prefix) &&
            access_by(&(struct pairs){c->config, c->config_n}, location, &access)) {
            best = c;
            *out = access;
        }
    }
    if (!best)
        return access_by(&(struct pairs){t->config, t->config_n}, location, out);
    complete(t, location, out);
    return 1;
}

void catalog_access_options(const struct catalog_access *access, struct store_options *o)
{
    if (access->access_key_id) {
        o->access_key_id = access->access_key_id;
        o->secret_access_key = access->secret_access_key;
        o->session_token = access->session_token;
        o->no_sign_request = false;
    }
    if (access->gcs_token) {
        o->gcs_access_token = access->gcs_token;
        o->gcs_access_key_id = o->gcs_secret_access_key = o->gcs_credentials_file = NULL;
    }
    if (access->azure_sas_token || access->azure_token) {
        o->azure_connection_string = o->azure_account_key = NULL;
        o->azure_sas_token = access->azure_sas_token;
        o->azure_token = access->azure_token;
    }
    if (!o->endpoint_url)
        o->endpoint_url = access->endpoint_url;
    if (!o->region)
        o->region = access->region;
    if (!o->addressing && access->path_style)
        o->addressing = "path";
}

static int64_t earlier(int64_t a, int64_t b)
{
    return !a || (b && b < a) ? b : a;
}

static int64_t ends(const struct catalog_pair *pairs, size_t n)
{
    static const char *const keys[] = {"s3.session-token-expires-at-ms",
                                       "gcs.oauth2.token-expires-at"};
    const struct pairs p = {pairs, n};
    int64_t first = 0;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        first = earlier(first, milliseconds(&p, keys[i]));
    for (size_t i = 0; i < n; i++) {
        int64_t ms = 0;
        if (slice_starts(pairs[i].key, SLICE_LIT("adls.sas-token-expires-at-ms")) &&
            text_parse_i64(pairs[i].value, &ms) && ms > 0)
            first = earlier(first, ms);
    }
    return first;
}

int64_t catalog_access_ends(const struct catalog_table *t)
{
    int64_t first = ends(t->config, t->config_n);
    for (size_t i = 0; i < t->credentials_n; i++)
        first = earlier(first, ends(t->credentials[i].config, t->credentials[i].config_n));
    return first;
}
