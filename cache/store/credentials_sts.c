/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Security Token Service, API version 2011-06-15: AssumeRole, AssumeRoleWithWebIdentity. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/instant.h"
#include "cache/store/credentials_parse.h"
#include "cache/store/credentials_source.h"
#include "cache/store/sigv4.h"

#define STS_DEADLINE_MS 15000
#define FORM "application/x-www-form-urlencoded; charset=utf-8"
/* As the AWS tools have it where nothing else is said. */
#define OTHERWISE_REGION "us-east-1"
#define WEB_TOKEN_BYTES_MAX ((size_t)64 << 10)

struct signature {
    struct http_field fields[5];
    size_t count;
    char date[24], hash[65];
    struct buf authorization;
};

static int sign(struct signature *s, const char *host, const char *region, struct slice upload,
                const struct credentials *c, struct err *err)
{
    int64_t now_ms = clock_real_ms();
    AUTO(buf) struct buf date = {0};
    buf_init(&date, sizeof s->date - 1);
    buf_init(&s->authorization, 4096);
    instant_format_basic(&date, now_ms);
    int rc = buf_check(&date, err);
    if (rc < 0)
        return rc;
    memcpy(s->date, date.data, date.len + 1);
    sha256_hex(upload, s->hash);
    s->fields[s->count++] = (struct http_field){"host", host};
    s->fields[s->count++] = (struct http_field){"content-type", FORM};
    s->fields[s->count++] = (struct http_field){"x-amz-date", s->date};
    if (c->session_token[0])
        s->fields[s->count++] = (struct http_field){"x-amz-security-token", c->session_token};
    rc = sigv4_sign(&(struct sigv4_request){.method = "POST",
                                            .path = SLICE_LIT("/"),
                                            .fields = s->fields,
                                            .fields_count = s->count,
                                            .payload_sha256 = s->hash,
                                            .time_ms = now_ms,
                                            .region = region,
                                            .service = "sts"},
                    &(struct sigv4_credentials){c->access_key_id, c->secret_access_key},
                    &s->authorization, err);
    if (rc == 0)
        s->fields[s->count++] = (struct http_field){"authorization", s->authorization.data};
    return rc;
}

/* Signed where there is a source. */
struct question {
    const char *region;
    const struct http_parameter *parameters;
    size_t count;
    const struct credentials *source;
};

static int ask_sts(const struct credentials_finder *f, const struct question *q,
                   struct credentials *out, struct err *err)
{
    AUTO(buf) struct buf url = {0};
    AUTO(wiped_buf) struct buf form = {0}, text = {0};
    struct signature s = {.fields = {{"content-type", FORM}}, .count = q->source ? 0 : 1};
    unsigned status = 0;
    buf_init(&url, 1024);
    buf_init(&form, 4 * WEB_TOKEN_BYTES_MAX);
    int rc = credentials_service_url(f->o.aws_sts_url, "sts", q->region, &url, err);
    sigv4_query(&form, q->parameters, q->count);
    if (rc == 0)
        rc = buf_check(&form, err);
    if (rc == 0 && q->source)
        rc = sign(&s, strstr(url.data, "://") + 3, q->region, buf_slice(&form), q->source, err);
    if (rc == 0) {
        buf_add_char(&url, '/');
        rc = buf_check(&url, err);
    }
    if (rc == 0)
        rc = credentials_ask(f,
                             &(struct credentials_question){.whom = "STS",
                                                            .method = "POST",
                                                            .url = url.data,
                                                            .fields = s.fields,
                                                            .fields_count = s.count,
                                                            .upload = buf_slice(&form),
                                                            .deadline_ms = STS_DEADLINE_MS},
                             &text, &status, err);
    buf_done(&s.authorization);
    if (rc < 0)
        return rc;
    rc = credentials_parse_sts(buf_slice(&text), out, err);
    if (rc == 0 && status != 200)
        rc = err_set(err, EIO, "no answer that is right");
    return rc < 0 ? err_wrap(err, "STS: HTTP %u", status) : 0;
}

static const char *region_of(const struct credentials_finder *f,
                             const struct credentials_profile *p)
{
    if (p->region[0])
        return p->region;
    return f->o.region ? f->o.region : OTHERWISE_REGION;
}

static const char *or_else(const char *text, const char *otherwise)
{
    return text[0] ? text : otherwise;
}

int credentials_from_role(const struct credentials_finder *f, const struct credentials_profile *p,
                          const struct credentials *source, struct credentials *out,
                          struct err *err)
{
    struct http_parameter form[6] = {
        {"Action", "AssumeRole"},
        {"Version", "2011-06-15"},
        {"RoleArn", p->role_arn},
        {"RoleSessionName", or_else(p->role_session_name, "tarn")},
    };
    size_t n = 4;
    if (p->mfa_serial[0])
        return err_set(err, EACCES, "profile %s: a role with mfa_serial needs somebody to ask",
                       p->name);
    if (p->external_id[0])
        form[n++] = (struct http_parameter){"ExternalId", p->external_id};
    if (p->duration_seconds[0])
        form[n++] = (struct http_parameter){"DurationSeconds", p->duration_seconds};
    int rc = ask_sts(f, &(struct question){region_of(f, p), form, n, source}, out, err);
    return rc < 0 ? err_wrap(err, "role %.100s", p->role_arn) : 0;
}

int credentials_from_web_identity(const struct credentials_finder *f,
                                  const struct credentials_profile *p, struct credentials *out,
                                  struct err *err)
{
    AUTO(wiped_buf) struct buf token = {0};
    buf_init(&token, WEB_TOKEN_BYTES_MAX);
    int rc = credentials_read_file(f, p->token_file, &token, err);
    if (rc < 0)
        return err_set(err, EACCES, "the web identity's token: %s", strerror(-rc));
    while (token.len && strchr(" \t\r\n", token.data[token.len - 1]))
        token.data[--token.len] = '\0';
    if (!token.len || strlen(token.data) != token.len)
        return err_set(err, EACCES, "the web identity's token file holds none");
    const struct http_parameter form[] = {
        {"Action", "AssumeRoleWithWebIdentity"},
        {"Version", "2011-06-15"},
        {"RoleArn", p->role_arn},
        {"RoleSessionName", or_else(p->role_session_name, "tarn")},
        {"WebIdentityToken", token.data},
    };
    rc = ask_sts(f, &(struct question){region_of(f, p), form, ARRAY_SIZE(form), NULL}, out, err);
    return rc < 0 ? err_wrap(err, "role %.100s", p->role_arn) : 0;
}
