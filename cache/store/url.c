/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/url.h"

#include <strings.h>

#include "base/limits.h"
#include "base/text.h"
#include "cache/store/azure_url.h"

#define BUCKET_BYTES_MIN 3
#define BUCKET_BYTES_MAX 255
#define HOST_BYTES_MAX 300

void url_done(struct url *u)
{
    free(u->path);
    free(u->endpoint);
    free(u->bucket);
    free(u->prefix);
    free(u->account);
    free(u->host);
    *u = (struct url){0};
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* The scheme before `:` of what is a URL and no path; empty where there is none. */
static struct slice scheme_of(struct slice text)
{
    size_t n = 0;
    while (n < text.n && (is_alnum(text.p[n]) || (n && strchr("+.-", text.p[n]) && text.p[n])))
        n++;
    struct slice rest = slice_from(text, n), scheme = slice_make(text.p, n);
    bool url = slice_starts(rest, SLICE_LIT("://")) ||
               (slice_is(scheme, "file") && slice_starts(rest, SLICE_LIT(":/")));
    return n && url ? scheme : SLICE_NONE;
}

static char *copy_slice(struct slice s)
{
    char *copy = malloc(s.n + 1);
    if (copy) {
        if (s.n)
            memcpy(copy, s.p, s.n);
        copy[s.n] = '\0';
    }
    return copy;
}

/* The text up to the first `/`; *rest is what follows it. */
static struct slice take_component(struct slice text, struct slice *rest)
{
    ptrdiff_t slash = slice_find(text, '/');
    *rest = slash < 0 ? SLICE_NONE : slice_from(text, (size_t)slash + 1);
    return slash < 0 ? text : slice_make(text.p, (size_t)slash);
}

static bool bucket_valid(struct slice bucket)
{
    if (bucket.n < BUCKET_BYTES_MIN || bucket.n > BUCKET_BYTES_MAX)
        return false;
    for (size_t i = 0; i < bucket.n; i++)
        if (!is_alnum(bucket.p[i]) && bucket.p[i] != '.' && bucket.p[i] != '-' &&
            bucket.p[i] != '_')
            return false;
    return is_alnum(bucket.p[0]) && is_alnum(bucket.p[bucket.n - 1]);
}

static bool host_valid(struct slice host)
{
    bool six = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    if (host.n == 0 || host.n > HOST_BYTES_MAX)
        return false;
    for (size_t i = six; i < host.n - six; i++) {
        char c = host.p[i];
        bool ok = six ? text_hex_digit(c) >= 0 || c == ':' || c == '.'
                      : is_alnum(c) || c == '.' || c == '-' || c == '_';
        if (!ok)
            return false;
    }
    return true;
}

int url_endpoint(struct slice text, struct buf *out, struct err *err)
{
    bool tls = text.n >= 8 && strncasecmp(text.p, "https://", 8) == 0;
    if (!tls && !(text.n >= 7 && strncasecmp(text.p, "http://", 7) == 0))
        return err_set(err, EINVAL, "an endpoint begins with http:// or https://");
    struct slice rest, host = take_component(slice_from(text, tls ? 8 : 7), &rest);
    uint64_t port = 0, default_port = tls ? 443 : 80;
    ptrdiff_t colon = slice_rfind(host, ':');
    if (host.n && host.p[host.n - 1] != ']' && colon >= 0) {
        if (!text_parse_u64(slice_from(host, (size_t)colon + 1), 65535, &port) || port == 0)
            return err_set(err, EINVAL, "the endpoint's port is no number from 1 to 65535");
        host.n = (size_t)colon;
    }
    if (!host_valid(host) || rest.n)
        return err_set(err, EINVAL,
                       "an endpoint is http:// or https://, a host, and at most a port: no path, "
                       "no credentials");
    buf_add_str(out, tls ? "https://" : "http://");
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        buf_add_char(out, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
    }
    if (port && port != default_port)
        buf_addf(out, ":%u", (unsigned)port);
    return buf_check(out, err);
}

/* "http://host" of "s3+http://host/bucket/prefix", gs likewise; *rest is "bucket/prefix". */
static int take_endpoint(struct slice text, char **endpoint, struct slice *rest, struct err *err)
{
    text = slice_from(text, sizeof "s3+" - 1);
    ptrdiff_t colon = slice_find(text, ':'); /* scheme_of saw `://` */
    size_t scheme = (size_t)colon + sizeof "://" - 1;
    struct slice host = take_component(slice_from(text, scheme), rest);
    AUTO(buf) struct buf canonical = {0};
    buf_init(&canonical, URL_BYTES_MAX);
    int rc = url_endpoint(slice_make(text.p, scheme + host.n), &canonical, err);
    if (rc < 0)
        return rc;
    *endpoint = buf_steal_str(&canonical);
    return *endpoint ? 0 : err_set(err, ENOMEM, "out of memory");
}

/* S3 and Google, which write their URLs alike. */
static int parse_bucket(struct slice text, struct slice scheme, struct url *out, struct err *err)
{
    bool google = slice_starts(scheme, SLICE_LIT("gs"));
    AUTO(url) struct url u = {.kind = google ? URL_GCS : URL_S3};
    struct slice rest = slice_from(text, scheme.n + sizeof "://" - 1);
    if (scheme.n > sizeof "s3" - 1) {
        int rc = take_endpoint(text, &u.endpoint, &rest, err);
        if (rc < 0)
            return rc;
    }
    struct slice prefix, bucket = take_component(rest, &prefix);
    if (!bucket_valid(bucket))
        return err_set(err, EINVAL,
                       "the bucket's name in the URL is not valid: %d to %d letters, digits, `.`, "
                       "`-`, `_`; credentials do not belong in a URL",
                       BUCKET_BYTES_MIN, BUCKET_BYTES_MAX);
    if (prefix.n && prefix.p[prefix.n - 1] == '/')
        prefix.n--; /* `s3://b/p` and `s3://b/p/` are one */
    AUTO(buf) struct buf before = {0};
    buf_init(&before, URL_BYTES_MAX + 1);
    buf_add_slice(&before, prefix);
    if (prefix.n)
        buf_add_char(&before, '/');
    u.bucket = copy_slice(bucket);
    u.prefix = buf_steal_str(&before);
    if (!u.bucket || !u.prefix)
        return err_set(err, ENOMEM, "out of memory");
    *out = u;
    u.endpoint = u.bucket = u.prefix = NULL; /* taken over */
    return 0;
}

static int parse_local(struct slice path, bool encoded, struct url *out, struct err *err)
{
    AUTO(buf) struct buf decoded = {0};
    buf_init(&decoded, URL_BYTES_MAX);
    if (encoded)
        text_percent_decode(&decoded, path);
    else
        buf_add_slice(&decoded, path);
    int rc = buf_check(&decoded, err);
    if (rc < 0)
        return rc;
    if (decoded.len == 0 || memchr(decoded.data, '\0', decoded.len))
        return err_set(err, EINVAL, "the path is empty or has a zero byte");
    char *copy = buf_steal_str(&decoded);
    if (!copy)
        return err_set(err, ENOMEM, "out of memory");
    *out = (struct url){.kind = URL_LOCAL, .path = copy};
    return 0;
}

/* What follows `file:`: `/dir`, `///dir` or `//localhost/dir`. */
static int parse_file(struct slice rest, struct url *out, struct err *err)
{
    if (slice_starts(rest, SLICE_LIT("//"))) {
        struct slice path, host = take_component(slice_from(rest, 2), &path);
        if (host.n && !slice_is(host, "localhost"))
            return err_set(err, EINVAL, "a file URL names no other host: file:///dir");
        rest = slice_from(rest, 2 + host.n);
    }
    return parse_local(rest, true, out, err);
}

int url_parse(struct slice text, struct url *out, struct err *err)
{
    if (text.n == 0 || text.n > URL_BYTES_MAX)
        return err_set(err, EINVAL, "a store's URL has 1 to %d bytes, not %zu", URL_BYTES_MAX,
                       text.n);
    if (memchr(text.p, '\0', text.n))
        return err_set(err, EINVAL, "a store's URL has no zero byte");
    struct slice scheme = scheme_of(text);
    if (scheme.n == 0)
        return parse_local(text, false, out, err);
    if (slice_is(scheme, "file"))
        return parse_file(slice_from(text, sizeof "file:" - 1), out, err);
    static const char *const buckets[] = {"s3", "s3+http", "s3+https", "gs", "gs+http", "gs+https"};
    for (size_t i = 0; i < ARRAY_SIZE(buckets); i++)
        if (slice_is(scheme, buckets[i]))
            return parse_bucket(text, scheme, out, err);
    if (azure_url_is(scheme))
        return azure_url_parse(text, scheme, out, err);
    return err_set(
        err, EINVAL,
        "scheme %.*s is not known: s3://, gs://, abfss://, az://, file:// or a directory",
        scheme.n > 20 ? 20 : (int)scheme.n, scheme.p);
}

struct slice url_shown(struct slice text)
{
    AUTO(url) struct url u = {0};
    return url_parse(text, &u, NULL) == 0 ? text : scheme_of(text);
}

void url_format(const struct url *u, struct buf *out)
{
    if (u->kind == URL_AZURE) {
        azure_url_format(u, out);
        return;
    }
    const char *scheme = u->kind == URL_GCS ? "gs" : "s3";
    if (u->endpoint)
        buf_addf(out, "%s+%s/%s", scheme, u->endpoint, u->bucket);
    else
        buf_addf(out, "%s://%s", scheme, u->bucket);
    if (u->prefix[0])
        buf_addf(out, "/%s", u->prefix);
}
