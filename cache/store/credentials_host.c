/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials of the machine or container that we run in: the ECS agent and EKS Pod Identity by
 * their URL, an EC2 instance by its metadata service (IMDSv2 only: with a session's token).
 * Their addresses are fixed, or come from whoever mounts; no proxy is asked for them.
 */
#include <strings.h>

#include "base/clock.h"
#include "base/text.h"
#include "cache/store/credentials_parse.h"
#include "cache/store/credentials_source.h"
#include "cache/store/url.h"

#define CONTAINER_DEADLINE_MS 5000
/* Where it is, it is near; where it is not, nobody answers. */
#define METADATA_DEADLINE_MS 3000
#define METADATA_TOKEN_SECONDS "21600"
#define METADATA_TOKEN_PATH "/latest/api/token"
#define METADATA_PATH "/latest/meta-data/iam/security-credentials/"
/* The instance's credentials may be handed out when they have ended: they are asked for again after
 * this. */
#define METADATA_OLD_MS 600000
#define CONTAINER_HOST "http://169.254.170.2"
#define TOKEN_BYTES_MAX ((size_t)16 << 10)

/* Without TLS only to those who are no network away. */
static bool is_near(struct slice url)
{
    static const char *const near[] = {"169.254.170.2", "169.254.170.23", "[fd00:ec2::23]",
                                       "localhost", "[::1]"};
    struct slice host = slice_from(url, sizeof "http://" - 1);
    size_t n = 0;
    bool digits = true, six = host.n && host.p[0] == '[';
    while (n < host.n && !strchr("/?#", host.p[n]) && (host.p[n] != ':' || six)) {
        if (host.p[n] == ']')
            six = false;
        digits = digits && ((host.p[n] >= '0' && host.p[n] <= '9') || host.p[n] == '.');
        n++;
    }
    host.n = n;
    for (size_t i = 0; i < ARRAY_SIZE(near); i++)
        if (slice_is(host, near[i]))
            return true;
    return digits && slice_starts(host, SLICE_LIT("127."));
}

static int container_url(const struct credentials_finder *f, struct buf *out, struct err *err)
{
    const char *path = f->o.aws_container_path, *url = f->o.aws_container_url;
    struct slice whole = slice_of(url);
    if (path && path[0] != '/')
        return err_set(err, EINVAL, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI begins with no /");
    if (path) {
        buf_addf(out, CONTAINER_HOST "%s", path);
        return buf_check(out, err);
    }
    bool tls = slice_starts(whole, SLICE_LIT("https://"));
    if (slice_find(whole, '@') >= 0 ||
        (!tls && !(slice_starts(whole, SLICE_LIT("http://")) && is_near(whole))))
        return err_set(err, EINVAL,
                       "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor this machine");
    buf_add_slice(out, whole);
    return buf_check(out, err);
}

/* What the agent wants to see; empty: nothing. Read anew each time, as it is exchanged. */
static int container_token(const struct credentials_finder *f, struct buf *out, struct err *err)
{
    int rc = 0;
    if (f->o.aws_container_token_file)
        rc = credentials_read_file(f, f->o.aws_container_token_file, out, err);
    else if (f->o.aws_container_token)
        buf_add_str(out, f->o.aws_container_token);
    while (out->len && strchr("\r\n", out->data[out->len - 1]))
        out->data[--out->len] = '\0';
    for (size_t i = 0; rc == 0 && i < out->len; i++)
        if ((unsigned char)out->data[i] < ' ')
            rc = err_set(err, EINVAL, "the container's token has control characters");
    return rc;
}

int credentials_from_container(const struct credentials_finder *f, struct credentials *out,
                               struct err *err)
{
    AUTO(buf) struct buf url = {0};
    AUTO(wiped_buf) struct buf token = {0}, text = {0};
    unsigned status = 0;
    if (!f->o.aws_container_path && !f->o.aws_container_url)
        return err_set(err, ENOENT, "no container");
    buf_init(&url, 4096);
    buf_init(&token, TOKEN_BYTES_MAX);
    int rc = container_url(f, &url, err);
    if (rc == 0)
        rc = container_token(f, &token, err);
    if (rc < 0)
        return credentials_deny(err);
    const struct http_field fields[] = {{"accept", "application/json"},
                                        {"authorization", token.data}};
    rc = credentials_ask(f,
                         &(struct credentials_question){.whom = "the container's credentials",
                                                        .method = "GET",
                                                        .url = url.data,
                                                        .fields = fields,
                                                        .fields_count = token.len ? 2 : 1,
                                                        .deadline_ms = CONTAINER_DEADLINE_MS,
                                                        .direct = true},
                         &text, &status, err);
    if (rc < 0)
        return rc;
    rc = credentials_parse_json(buf_slice(&text), out, err);
    if (rc == 0 && status != 200)
        rc = err_set(err, EIO, "no answer that is right");
    return rc < 0 ? err_wrap(err, "the container's credentials: HTTP %u", status) : 0;
}

/* The metadata service. */

static int metadata_base(const struct credentials_finder *f, struct buf *out, struct err *err)
{
    const char *mode = f->o.aws_metadata_mode;
    struct slice given = slice_of(f->o.aws_metadata_url);
    while (slice_ends(given, SLICE_LIT("/")))
        given.n--;
    if (given.n)
        return url_endpoint(given, out, err);
    bool six = mode && strcasecmp(mode, "ipv6") == 0;
    buf_add_str(out, six ? "http://[fd00:ec2::254]" : "http://169.254.169.254");
    return buf_check(out, err);
}

/* One thing that it tells: a text of one line or JSON. */
static int ask_metadata(const struct credentials_finder *f, const char *base, const char *path,
                        const struct http_field *field, struct buf *text, struct err *err)
{
    AUTO(buf) struct buf url = {0};
    unsigned status = 0;
    bool token = strcmp(path, METADATA_TOKEN_PATH) == 0;
    buf_init(&url, 4096);
    buf_addf(&url, "%s%s", base, path);
    int rc = buf_check(&url, err);
    if (rc == 0)
        rc = credentials_ask(f,
                             &(struct credentials_question){.whom = "the metadata service",
                                                            .method = token ? "PUT" : "GET",
                                                            .url = url.data,
                                                            .fields = field,
                                                            .fields_count = 1,
                                                            .deadline_ms = METADATA_DEADLINE_MS,
                                                            .direct = true},
                             text, &status, err);
    if (rc == 0 && status == 404)
        return err_set(err, ENOENT, "the instance has no role");
    if (rc == 0 && status != 200)
        return err_set(err, status >= 500 ? EIO : EACCES, "the metadata service: HTTP %u", status);
    return rc;
}

/* The first line; false where it is none that may be sent. */
static bool first_line(struct buf *text)
{
    ptrdiff_t end = slice_find(buf_slice(text), '\n');
    if (end >= 0)
        text->data[text->len = (size_t)end] = '\0';
    if (text->len && text->data[text->len - 1] == '\r')
        text->data[--text->len] = '\0';
    for (size_t i = 0; i < text->len; i++)
        if (text->data[i] <= ' ' || text->data[i] == 0x7f)
            return false;
    return text->len > 0;
}

int credentials_from_metadata(const struct credentials_finder *f, struct credentials *out,
                              struct err *err)
{
    const char *disabled = f->o.aws_metadata_disabled;
    AUTO(buf) struct buf base = {0}, path = {0}, role = {0};
    AUTO(wiped_buf) struct buf token = {0}, text = {0};
    buf_init(&base, 1024);
    buf_init(&path, 2048);
    if (disabled && strcasecmp(disabled, "true") == 0)
        return err_set(err, ENOENT, "the metadata service is not to be asked");
    int rc = metadata_base(f, &base, err);
    const struct http_field ttl = {"x-aws-ec2-metadata-token-ttl-seconds", METADATA_TOKEN_SECONDS};
    if (rc == 0)
        rc = ask_metadata(f, base.data, METADATA_TOKEN_PATH, &ttl, &token, err);
    if (rc == 0 && !first_line(&token))
        rc = err_set(err, EIO, "the metadata service gives no token");
    const struct http_field session = {"x-aws-ec2-metadata-token", token.data};
    if (rc == 0)
        rc = ask_metadata(f, base.data, METADATA_PATH, &session, &role, err);
    if (rc == 0 && !first_line(&role))
        rc = err_set(err, ENOENT, "the instance has no role");
    if (rc < 0)
        return rc;
    buf_add_str(&path, METADATA_PATH);
    text_percent_encode(&path, buf_slice(&role), "");
    rc = buf_check(&path, err);
    if (rc == 0)
        rc = ask_metadata(f, base.data, path.data, &session, &text, err);
    if (rc == 0)
        rc = credentials_parse_json(buf_slice(&text), out, err);
    if (rc < 0)
        return err_wrap(err, "the instance's credentials");
    int64_t soonest_ms = clock_real_ms() + METADATA_OLD_MS;
    if (out->expires_ms && out->expires_ms < clock_real_ms())
        out->expires_ms = soonest_ms;
    return 0;
}
