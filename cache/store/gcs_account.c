/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/gcs_account.h"

#include <inttypes.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/json.h"
#include "base/text.h"

#define TOKEN_URI "https://oauth2.googleapis.com/token"
/* What is asked for is no more than objects; what of it is granted is the project's to say. */
#define SCOPE "https://www.googleapis.com/auth/devstorage.read_write"
#define ASSERTION_S 3600

static const struct field {
    const char *name;
    size_t offset;
    bool of_user, of_service, needed;
} fields[] = {
    {"token_uri", offsetof(struct gcs_account, token_uri), true, true, true},
    {"client_email", offsetof(struct gcs_account, client_email), false, true, true},
    {"private_key", offsetof(struct gcs_account, private_key), false, true, true},
    {"private_key_id", offsetof(struct gcs_account, private_key_id), false, true, false},
    {"client_id", offsetof(struct gcs_account, client_id), true, false, true},
    {"client_secret", offsetof(struct gcs_account, client_secret), true, false, true},
    {"refresh_token", offsetof(struct gcs_account, refresh_token), true, false, true},
};

static char **at(struct gcs_account *a, const struct field *f)
{
    return (char **)(void *)((char *)a + f->offset);
}

static void wipe(char **text)
{
    if (*text)
        OPENSSL_cleanse(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

void gcs_account_done(struct gcs_account *a)
{
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        wipe(at(a, &fields[i]));
}

/* parsing */

/* One member whose key was read; `type` is kept apart. */
static bool read_member(struct json *j, struct slice key, struct gcs_account *a, char **type)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice text;
    char **to = slice_is(key, "type") ? type : NULL;
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (slice_is(key, fields[i].name))
            to = at(a, &fields[i]);
    if (!to || json_peek(j) != JSON_STRING)
        return json_skip(j, NULL);
    buf_init(&scratch, GCS_ACCOUNT_BYTES_MAX);
    bool ok = json_string(j, &scratch, &text) && slice_find(text, '\0') < 0;
    if (ok) {
        wipe(to);
        *to = strndup(text.p ? text.p : "", text.n);
    }
    if (scratch.data)
        OPENSSL_cleanse(scratch.data, scratch.cap);
    return ok && *to;
}

/* What is sent there is as good as the key: only encrypted, or to this machine itself. */
static bool token_uri_valid(const char *uri)
{
    static const char *const begins[] = {"https://",
                                         "http://127.0.0.1:", "http://localhost:", "http://[::1]:"};
    for (const char *p = uri; *p; p++)
        if (*p <= ' ' || *p >= 0x7f)
            return false;
    for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
        if (strncmp(uri, begins[i], strlen(begins[i])) == 0)
            return strlen(uri) < 1024;
    return false;
}

static int check_account(struct gcs_account *a, const char *type, struct err *err)
{
    a->is_user = type && strcmp(type, "authorized_user") == 0;
    if (!a->is_user && !(type && strcmp(type, "service_account") == 0))
        return err_set(err, EINVAL,
                       "credentials of type %.40s are not taken: service_account, authorized_user",
                       type ? type : "(none)");
    if (!a->token_uri && !(a->token_uri = strdup(TOKEN_URI)))
        return err_set(err, ENOMEM, "out of memory");
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        bool mine = a->is_user ? fields[i].of_user : fields[i].of_service;
        const char *text = *at(a, &fields[i]);
        if (mine && fields[i].needed && !(text && *text))
            return err_set(err, EINVAL, "credentials of type %s without %s", type, fields[i].name);
    }
    if (!token_uri_valid(a->token_uri))
        return err_set(err, EINVAL, "credentials whose token_uri is no https:// URL");
    return 0;
}

int gcs_account_parse(struct slice json, struct gcs_account *out, struct err *err)
{
    AUTO(gcs_account) struct gcs_account a = {0};
    AUTO_FREE char *type = NULL;
    struct json j;
    struct slice key;
    bool ok = true;
    json_init(&j, json);
    if (!json_enter_object(&j))
        return err_set(err, EINVAL, "credentials that are no JSON object");
    while (ok && json_next_key(&j, &key))
        ok = read_member(&j, key, &a, &type);
    if (!ok || json_failed(&j) || !json_at_end(&j))
        return err_set(err, EINVAL, "credentials that are damaged JSON");
    int rc = check_account(&a, type, err);
    if (rc == 0) {
        *out = a;
        a = (struct gcs_account){0}; /* taken over */
    }
    return rc;
}

/* asking */

/* Base64 with the alphabet of URLs and without padding (RFC 7515 section 2), appended. */
static void add_base64url(struct buf *out, struct slice data)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *p = (const unsigned char *)data.p;
    for (size_t i = 0; i < data.n; i += 3) {
        size_t left = data.n - i;
        uint32_t bits = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                        (left > 2 ? (uint32_t)p[i + 2] : 0);
        buf_add_char(out, alphabet[bits >> 18 & 63]);
        buf_add_char(out, alphabet[bits >> 12 & 63]);
        if (left > 1)
            buf_add_char(out, alphabet[bits >> 6 & 63]);
        if (left > 2)
            buf_add_char(out, alphabet[bits & 63]);
    }
}

/* A key under a passphrase is none: nobody is there to be asked for it. The type is OpenSSL's. */
static int no_passphrase(char *to, /* NOLINT(readability-non-const-parameter) */
                         int size, int for_writing, void *arg)
{
    (void)to, (void)size, (void)for_writing, (void)arg;
    return -1;
}

/* RS256 of `text`, appended. */
static int add_signature(const char *pem, struct slice text, struct buf *out, struct err *err)
{
    unsigned char signature[1024]; /* of keys of up to 8,192 bits */
    size_t n = sizeof signature;
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    EVP_MD_CTX *ctx = key ? EVP_MD_CTX_new() : NULL;
    bool ok = ctx && EVP_PKEY_base_id(key) == EVP_PKEY_RSA &&
              (size_t)EVP_PKEY_size(key) <= sizeof signature &&
              EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestSign(ctx, signature, &n, (const unsigned char *)text.p, text.n) == 1;
    if (ok)
        add_base64url(out, slice_make(signature, n));
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    BIO_free_all(bio);
    return ok ? 0 : err_set(err, EINVAL, "the credentials' private_key is no RSA key as PEM");
}

/* header.claims.signature */
static int add_assertion(const struct gcs_account *a, int64_t now_ms, struct buf *out,
                         struct err *err)
{
    AUTO(buf) struct buf header = {0}, claims = {0};
    buf_init(&header, GCS_ACCOUNT_BYTES_MAX);
    buf_init(&claims, GCS_ACCOUNT_BYTES_MAX);
    buf_add_str(&header, "{\"alg\":\"RS256\",\"typ\":\"JWT\"");
    if (a->private_key_id) {
        buf_add_str(&header, ",\"kid\":");
        buf_add_json(&header, slice_of(a->private_key_id));
    }
    buf_add_char(&header, '}');
    buf_add_str(&claims, "{\"iss\":");
    buf_add_json(&claims, slice_of(a->client_email));
    buf_add_str(&claims, ",\"scope\":\"" SCOPE "\",\"aud\":");
    buf_add_json(&claims, slice_of(a->token_uri));
    int64_t now_s = now_ms / 1000, until_s = now_s + ASSERTION_S;
    buf_addf(&claims, ",\"iat\":%" PRId64 ",\"exp\":%" PRId64 "}", now_s, until_s);
    int rc = buf_check(&header, err);
    if (rc == 0)
        rc = buf_check(&claims, err);
    if (rc < 0)
        return rc;
    size_t begin = out->len;
    add_base64url(out, buf_slice(&header));
    buf_add_char(out, '.');
    add_base64url(out, buf_slice(&claims));
    if ((rc = buf_check(out, err)) < 0)
        return rc;
    AUTO(buf) struct buf signed_part = {0};
    buf_init(&signed_part, out->max);
    buf_add(&signed_part, out->data + begin, out->len - begin);
    if ((rc = buf_check(&signed_part, err)) < 0)
        return rc;
    buf_add_char(out, '.');
    return add_signature(a->private_key, buf_slice(&signed_part), out, err);
}

static void add_field(struct buf *form, const char *name, const char *value)
{
    buf_addf(form, "&%s=", name);
    text_percent_encode(form, slice_of(value), "");
}

int gcs_account_form(const struct gcs_account *a, int64_t now_ms, struct buf *form, struct err *err)
{
    if (a->is_user) {
        buf_add_str(form, "grant_type=refresh_token");
        add_field(form, "client_id", a->client_id);
        add_field(form, "client_secret", a->client_secret);
        add_field(form, "refresh_token", a->refresh_token);
    } else {
        buf_add_str(form, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
                          "&assertion=");
        int rc = add_assertion(a, now_ms, form, err);
        if (rc < 0)
            return rc;
    }
    return buf_check(form, err);
}
