/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IAM Identity Center: the sign-in that `aws sso login` left in ~/.aws/sso/cache is exchanged for
 * a role's credentials (SSO portal API, GetRoleCredentials). A sign-in that ends is renewed with
 * its refresh token (SSO OIDC API, CreateToken) and written back, as refresh tokens serve once.
 */
#include <fcntl.h>
#include <openssl/evp.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/instant.h"
#include "base/json.h"
#include "base/text.h"
#include "cache/store/credentials_parse.h"
#include "cache/store/credentials_source.h"
#include "cache/store/sigv4.h"

#define SSO_DEADLINE_MS 15000
#define SIGN_IN_BYTES_MAX ((size_t)64 << 10)
/* A sign-in is renewed so long before its end, as the AWS tools do. */
#define RENEWAL_MS 300000
#define CACHE "/.aws/sso/cache" /* below HOME */

/* `HASH.json`, where HASH is the SHA-1 of the session's name or, in profiles without one, of the
 * start URL. */
static void add_file_name(const struct credentials_profile *p, struct buf *out)
{
    const char *text = p->sso_session[0] ? p->sso_session : p->sso_start_url;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    (void)EVP_Digest(text, strlen(text), digest, &n, EVP_sha1(), NULL); /* n stays 0 */
    text_hex(out, digest, n);
    buf_add_str(out, ".json");
}

/* The file's members, with those of the new sign-in in their places. */
static int format_sign_in(struct slice old, const struct credentials_sign_in *s, struct buf *out,
                          struct err *err)
{
    struct json j;
    struct slice key, raw;
    AUTO(buf) struct buf time = {0};
    buf_init(&time, 64);
    instant_format(&time, s->expires_ms / 1000 * 1000);
    json_init(&j, old);
    buf_add_char(out, '{');
    if (json_enter_object(&j))
        while (json_next_key(&j, &key)) {
            const char *now = slice_is(key, "accessToken")    ? s->access_token
                              : slice_is(key, "refreshToken") ? s->refresh_token
                              : slice_is(key, "expiresAt")    ? time.data
                                                              : NULL;
            buf_add_str(out, out->len > 1 ? ", " : "");
            buf_add_json(out, key);
            buf_add_str(out, ": ");
            if (!json_skip(&j, &raw))
                break;
            if (now)
                buf_add_json(out, slice_of(now));
            else
                buf_add_slice(out, raw);
        }
    buf_add_char(out, '}');
    if (json_failed(&j))
        return json_error(&j, err);
    return buf_check(out, err);
}

static int save_sign_in(const struct credentials_finder *f, const char *name, struct slice old,
                        const struct credentials_sign_in *s, struct err *err)
{
    AUTO(buf) struct buf dir = {0};
    AUTO(wiped_buf) struct buf text = {0};
    buf_init(&dir, 8192);
    buf_init(&text, 2 * SIGN_IN_BYTES_MAX);
    buf_addf(&dir, "%s%s", f->o.home, CACHE);
    int rc = buf_check(&dir, err);
    if (rc == 0)
        rc = format_sign_in(old, s, &text, err);
    if (rc < 0)
        return rc;
    AUTO_FD int fd = open(dir.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, errno, "%s: %s", dir.data, strerror(errno));
    return file_replace(fd, name, buf_slice(&text), 0600, err);
}

static int renew_sign_in(const struct credentials_finder *f, const struct credentials_profile *p,
                         struct credentials_sign_in *s, struct err *err)
{
    static const struct http_field fields[] = {{"content-type", "application/json"}};
    AUTO(buf) struct buf url = {0};
    AUTO(wiped_buf) struct buf body = {0}, text = {0};
    unsigned status = 0;
    buf_init(&url, 1024);
    buf_init(&body, SIGN_IN_BYTES_MAX);
    buf_add_str(&body, "{\"grantType\":\"refresh_token\",\"clientId\":");
    buf_add_json(&body, slice_of(s->client_id));
    buf_add_str(&body, ",\"clientSecret\":");
    buf_add_json(&body, slice_of(s->client_secret));
    buf_add_str(&body, ",\"refreshToken\":");
    buf_add_json(&body, slice_of(s->refresh_token));
    buf_add_char(&body, '}');
    int rc = credentials_service_url(f->o.aws_sso_oidc_url, "oidc", p->sso_region, &url, err);
    buf_add_str(&url, "/token");
    if (rc == 0)
        rc = buf_check(&url, err);
    if (rc == 0)
        rc = buf_check(&body, err);
    if (rc == 0)
        rc = credentials_ask(f,
                             &(struct credentials_question){.whom = "SSO OIDC",
                                                            .method = "POST",
                                                            .url = url.data,
                                                            .fields = fields,
                                                            .fields_count = ARRAY_SIZE(fields),
                                                            .upload = buf_slice(&body),
                                                            .deadline_ms = SSO_DEADLINE_MS},
                             &text, &status, err);
    if (rc == 0)
        rc = credentials_parse_new_token(buf_slice(&text), clock_real_ms(), s, err);
    return rc;
}

/* A sign-in that is good, from the cache or renewed. */
static int find_sign_in(const struct credentials_finder *f, const struct credentials_profile *p,
                        struct credentials_sign_in *s, struct err *err)
{
    AUTO(buf) struct buf name = {0}, path = {0};
    AUTO(wiped_buf) struct buf text = {0};
    buf_init(&name, 64);
    buf_init(&path, 128);
    buf_init(&text, SIGN_IN_BYTES_MAX);
    add_file_name(p, &name);
    buf_addf(&path, "~" CACHE "/%s", name.data);
    int rc = buf_check(&path, err);
    if (rc == 0)
        rc = credentials_read_file(f, path.data, &text, err);
    if (rc == 0)
        rc = credentials_parse_sign_in(buf_slice(&text), s, err);
    if (rc < 0)
        return err_wrap(err, "no sign-in to use");
    int64_t left_ms = s->expires_ms - clock_real_ms();
    if (left_ms < RENEWAL_MS && s->refresh_token[0] && s->client_id[0]) {
        rc = renew_sign_in(f, p, s, err);
        if (rc == 0) /* where it cannot be written, the next one finds the old one and says so */
            (void)save_sign_in(f, name.data, buf_slice(&text), s, NULL);
        else if (left_ms > 0)
            rc = 0;
    } else if (left_ms <= 0) {
        rc = err_set(err, EACCES, "the sign-in has ended");
    }
    return rc;
}

static int ask_portal(const struct credentials_finder *f, const struct credentials_profile *p,
                      const struct credentials_sign_in *s, struct credentials *out, struct err *err)
{
    const struct http_field fields[] = {{"x-amz-sso_bearer_token", s->access_token}};
    const struct http_parameter parameters[] = {{"account_id", p->sso_account_id},
                                                {"role_name", p->sso_role_name}};
    AUTO(buf) struct buf url = {0};
    AUTO(wiped_buf) struct buf text = {0};
    unsigned status = 0;
    buf_init(&url, 2048);
    int rc = credentials_service_url(f->o.aws_sso_url, "portal.sso", p->sso_region, &url, err);
    buf_add_str(&url, "/federation/credentials?");
    sigv4_query(&url, parameters, ARRAY_SIZE(parameters));
    if (rc == 0)
        rc = buf_check(&url, err);
    if (rc == 0)
        rc = credentials_ask(f,
                             &(struct credentials_question){.whom = "SSO",
                                                            .method = "GET",
                                                            .url = url.data,
                                                            .fields = fields,
                                                            .fields_count = ARRAY_SIZE(fields),
                                                            .deadline_ms = SSO_DEADLINE_MS},
                             &text, &status, err);
    if (rc < 0)
        return rc;
    if (status == 401 || status == 403)
        return err_set(err, EACCES, "SSO: HTTP %u for account %s, role %s", status,
                       p->sso_account_id, p->sso_role_name);
    rc = status == 200 ? credentials_parse_json(buf_slice(&text), out, err)
                       : err_set(err, EIO, "HTTP %u", status);
    return rc < 0 ? err_wrap(err, "SSO") : 0;
}

int credentials_from_sso(const struct credentials_finder *f, const struct credentials_profile *p,
                         struct credentials *out, struct err *err)
{
    struct credentials_sign_in s = {0};
    if (!p->sso_region[0] || !p->sso_start_url[0])
        return err_set(err, EACCES, "profile %s: sso_region or sso_start_url is missing", p->name);
    int rc = find_sign_in(f, p, &s, err);
    if (rc == 0) {
        rc = ask_portal(f, p, &s, out, err);
    } else if (rc != -EIO || !s.access_token[0]) {
        (void)err_wrap(err, "sign in with `aws sso login --profile %s`", p->name);
        rc = credentials_deny(err);
    }
    explicit_bzero(&s, sizeof s);
    return rc;
}
