/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/azure_url.h"

#include "base/limits.h"
#include "base/text.h"

#define ACCOUNT_BYTES_MAX 63 /* 24, and `-secondary` */
#define HOST_BYTES_MAX 253
#define CONTAINER_BYTES_MIN 3
#define CONTAINER_BYTES_MAX 63
#define PUBLIC_CLOUD "core.windows.net"

static const char label_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
static const char host_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";

bool azure_url_is(struct slice scheme)
{
    static const char *const known[] = {"abfss", "abfs",    "wasbs",   "wasb",
                                        "az",    "az+http", "az+https"};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (slice_is(scheme, known[i]))
            return true;
    return false;
}

/* The text up to the first byte c; *rest is what follows it. */
static struct slice take_until(struct slice text, char c, struct slice *rest)
{
    ptrdiff_t at = slice_find(text, c);
    *rest = at < 0 ? SLICE_NONE : slice_from(text, (size_t)at + 1);
    return at < 0 ? text : slice_make(text.p, (size_t)at);
}

static bool has_only(struct slice text, const char *allowed)
{
    for (size_t i = 0; i < text.n; i++)
        if (!text.p[i] || !strchr(allowed, text.p[i]))
            return false;
    return true;
}

static bool account_valid(struct slice account)
{
    return account.n >= 3 && account.n <= ACCOUNT_BYTES_MAX && has_only(account, label_bytes) &&
           account.p[0] != '-' && account.p[account.n - 1] != '-';
}

static bool container_valid(struct slice name)
{
    if (slice_is(name, "$root") || slice_is(name, "$web") || slice_is(name, "$logs"))
        return true;
    return name.n >= CONTAINER_BYTES_MIN && name.n <= CONTAINER_BYTES_MAX &&
           has_only(name, label_bytes) && name.p[0] != '-' && name.p[name.n - 1] != '-';
}

/*
 * The host with the label of one service, `.blob.` or `.dfs.`, in place of the first of either.
 * False where it has none.
 */
static bool add_host(struct buf *out, struct slice host, const char *service)
{
    static const char *const services[] = {".blob.", ".dfs."};
    for (size_t i = 0; i < host.n; i++) {
        struct slice rest = slice_from(host, i);
        for (size_t k = 0; k < ARRAY_SIZE(services); k++) {
            if (!slice_starts(rest, slice_of(services[k])))
                continue;
            buf_add(out, host.p, i);
            buf_add_str(out, service);
            buf_add_slice(out, slice_from(rest, strlen(services[k])));
            return i > 0;
        }
    }
    return false;
}

static char *text_of(struct slice s)
{
    return strndup(s.p ? s.p : "", s.n); /* no zero byte is in it */
}

/* `account.dfs.core.windows.net` in any case as the host of the account's blobs; or false. */
static bool add_blob_host(struct buf *out, struct slice text)
{
    AUTO(buf) struct buf lower = {0};
    buf_init(&lower, HOST_BYTES_MAX);
    for (size_t i = 0; i < text.n; i++) {
        bool upper = text.p[i] >= 'A' && text.p[i] <= 'Z';
        buf_add_char(&lower, upper ? (char)(text.p[i] | 0x20) : text.p[i]);
    }
    struct slice host = buf_slice(&lower), rest, account = take_until(host, '.', &rest);
    return !lower.failed && account_valid(account) && has_only(rest, host_bytes) &&
           !slice_ends(rest, SLICE_LIT(".")) && add_host(out, host, ".blob.");
}

static int read_host(struct slice text, struct url *u, struct err *err)
{
    AUTO(buf) struct buf host = {0};
    buf_init(&host, HOST_BYTES_MAX + 1);
    if (!add_blob_host(&host, text))
        return err_set(err, EINVAL,
                       "the account in the URL is not valid: "
                       "abfss://container@account.dfs." PUBLIC_CLOUD "/prefix");
    struct slice rest;
    u->account = text_of(take_until(buf_slice(&host), '.', &rest));
    u->host = buf_steal_str(&host);
    return u->account && u->host ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int set_account(struct slice account, struct url *u, struct err *err)
{
    AUTO(buf) struct buf host = {0};
    if (!account_valid(account))
        return err_set(err, EINVAL,
                       "the account in the URL is not valid: az://account/container/prefix");
    buf_init(&host, HOST_BYTES_MAX + 1);
    buf_addf(&host, "%.*s.blob." PUBLIC_CLOUD, SLICE_FMT(account));
    u->account = text_of(account);
    u->host = buf_steal_str(&host);
    return u->account && u->host ? 0 : err_set(err, ENOMEM, "out of memory");
}

static int set_container(struct slice name, struct slice prefix, struct url *u, struct err *err)
{
    AUTO(buf) struct buf before = {0};
    if (!container_valid(name))
        return err_set(err, EINVAL,
                       "the container's name in the URL is not valid: %d to %d lower-case letters, "
                       "digits, `-`; credentials do not belong in a URL",
                       CONTAINER_BYTES_MIN, CONTAINER_BYTES_MAX);
    ptrdiff_t question = slice_find(prefix, '?');
    if (question >= 0 && memmem(prefix.p + question, prefix.n - (size_t)question, "sig=", 4))
        return err_set(err, EINVAL, "a SAS does not belong in a URL: AZURE_STORAGE_SAS_TOKEN");
    if (prefix.n && prefix.p[prefix.n - 1] == '/')
        prefix.n--; /* with and without it are one */
    buf_init(&before, URL_BYTES_MAX + 1);
    buf_add_slice(&before, prefix);
    if (prefix.n)
        buf_add_char(&before, '/');
    u->bucket = text_of(name);
    u->prefix = buf_steal_str(&before);
    return u->bucket && u->prefix ? 0 : err_set(err, ENOMEM, "out of memory");
}

/* What follows `abfss://`. */
static int parse_hadoop(struct slice rest, struct url *u, struct err *err)
{
    struct slice prefix, host, authority = take_until(rest, '/', &prefix);
    struct slice container = take_until(authority, '@', &host);
    int rc = set_container(container, prefix, u, err);
    return rc < 0 ? rc : read_host(host, u, err);
}

/* What follows `az://`, or the endpoint. */
static int parse_path(struct slice rest, struct url *u, struct err *err)
{
    struct slice below, prefix, account = take_until(rest, '/', &below);
    struct slice container = take_until(below, '/', &prefix);
    int rc = set_account(account, u, err);
    return rc < 0 ? rc : set_container(container, prefix, u, err);
}

/* What follows `az+`. */
static int parse_endpoint(struct slice text, struct url *u, struct err *err)
{
    size_t scheme = (size_t)slice_find(text, ':') + sizeof "://" - 1; /* url_parse saw `://` */
    struct slice rest, host = take_until(slice_from(text, scheme), '/', &rest);
    int rc = parse_path(rest, u, err);
    return rc < 0 ? rc : azure_url_set_endpoint(u, slice_make(text.p, scheme + host.n), err);
}

int azure_url_parse(struct slice text, struct slice scheme, struct url *out, struct err *err)
{
    AUTO(url) struct url u = {.kind = URL_AZURE};
    struct slice rest = slice_from(text, scheme.n + sizeof "://" - 1);
    int rc;
    if (slice_is(scheme, "az"))
        rc = parse_path(rest, &u, err);
    else if (slice_starts(scheme, SLICE_LIT("az+")))
        rc = parse_endpoint(slice_from(text, sizeof "az+" - 1), &u, err);
    else
        rc = parse_hadoop(rest, &u, err);
    if (rc < 0)
        return rc;
    *out = u;
    u = (struct url){0}; /* taken over */
    return 0;
}

/* `https://account.blob.SUFFIX`, or `.dfs.`, tells the same as a URL without an endpoint. */
static bool is_own_host(const struct url *u, struct slice endpoint, struct buf *host)
{
    if (!slice_starts(endpoint, SLICE_LIT("https://")))
        return false;
    struct slice rest, account, name = slice_from(endpoint, sizeof "https://" - 1);
    account = take_until(name, '.', &rest);
    return slice_is(account, u->account) && add_blob_host(host, name);
}

int azure_url_set_endpoint(struct url *u, struct slice text, struct err *err)
{
    AUTO(buf) struct buf endpoint = {0}, host = {0};
    if (text.n && text.p[text.n - 1] == '/')
        text.n--;
    ptrdiff_t slash = slice_rfind(text, '/');
    if (slash > 0 && text.p[slash - 1] != '/' &&
        slice_is(slice_from(text, (size_t)slash + 1), u->account))
        text.n = (size_t)slash;
    buf_init(&endpoint, URL_BYTES_MAX);
    buf_init(&host, HOST_BYTES_MAX + 1);
    int rc = url_endpoint(text, &endpoint, err);
    if (rc < 0)
        return rc;
    bool own = is_own_host(u, buf_slice(&endpoint), &host);
    char **to = own ? &u->host : &u->endpoint;
    char *copy = buf_steal_str(own ? &host : &endpoint);
    if (!copy)
        return err_set(err, ENOMEM, "out of memory");
    free(*to);
    *to = copy;
    return 0;
}

void azure_url_format_home(const struct url *u, struct buf *out)
{
    size_t n = strlen(u->prefix);
    buf_addf(out, "abfss://%s@", u->bucket);
    (void)add_host(out, slice_of(u->host), ".dfs."); /* it has such a label */
    if (n)
        buf_addf(out, "/%.*s", (int)(n - 1), u->prefix);
}

void azure_url_format(const struct url *u, struct buf *out)
{
    if (u->endpoint) {
        buf_addf(out, "az+%s/%s/%s", u->endpoint, u->account, u->bucket);
        if (u->prefix[0])
            buf_addf(out, "/%s", u->prefix);
        return;
    }
    azure_url_format_home(u, out);
    if (u->prefix[0])
        buf_add_char(out, '/');
}

bool azure_url_host_names_account(const struct url *u)
{
    if (!u->endpoint)
        return true;
    struct slice rest, host = slice_of(strstr(u->endpoint, "://") + 3);
    struct slice label = take_until(host, '.', &rest);
    return rest.n && slice_is(label, u->account);
}
