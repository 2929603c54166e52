/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/sigv4.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/hash.h"
#include "base/instant.h"
#include "base/text.h"

#define CANONICAL_BYTES_MAX (256 * KIB)
#define DATE_DIGITS 8

static const struct sigv4_scheme aws = {"AWS4", "AWS4-HMAC-SHA256", "aws4_request"};

static const struct sigv4_scheme *scheme_of(const struct sigv4_request *r)
{
    return r->scheme ? r->scheme : &aws;
}

static void hmac(const void *key, size_t key_n, struct slice data, uint8_t out[SHA256_BYTES])
{
    unsigned n = 0;
    const unsigned char *ok = HMAC(EVP_sha256(), key, (int)key_n,
                                   (const unsigned char *)(data.n ? data.p : ""), data.n, out, &n);
    assert(ok && n == SHA256_BYTES);
    (void)ok;
}

static int compare_fields(const void *a, const void *b)
{
    const struct http_field *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* The value without blanks around it, runs of spaces as one. */
static void add_trimmed(struct buf *out, const char *value)
{
    bool pending = false, any = false;
    for (; *value; value++) {
        if (*value == ' ' || *value == '\t') {
            pending = any;
            continue;
        }
        if (pending)
            buf_add_char(out, ' ');
        buf_add_char(out, *value);
        pending = false;
        any = true;
    }
}

static void add_signed_names(struct buf *out, const struct http_field *sorted, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_addf(out, "%s%s", i ? ";" : "", sorted[i].name);
}

static void add_canonical(struct buf *out, const struct sigv4_request *r,
                          const struct http_field *sorted)
{
    buf_addf(out, "%s\n", r->method);
    buf_add_slice(out, r->path);
    buf_add_char(out, '\n');
    buf_add_slice(out, r->query);
    buf_add_char(out, '\n');
    for (size_t i = 0; i < r->fields_count; i++) {
        buf_addf(out, "%s:", sorted[i].name);
        add_trimmed(out, sorted[i].value);
        buf_add_char(out, '\n');
    }
    buf_add_char(out, '\n');
    add_signed_names(out, sorted, r->fields_count);
    buf_addf(out, "\n%s", r->payload_sha256);
}

static int signing_key(const struct sigv4_request *r, const char *secret, struct slice date,
                       uint8_t key[SHA256_BYTES], struct err *err)
{
    AUTO(buf) struct buf first = {0};
    buf_init(&first, KIB);
    buf_addf(&first, "%s%s", scheme_of(r)->key_prefix, secret);
    int rc = buf_check(&first, err);
    if (rc == 0) {
        hmac(first.data, first.len, date, key);
        hmac(key, SHA256_BYTES, slice_of(r->region), key);
        hmac(key, SHA256_BYTES, slice_of(r->service), key);
        hmac(key, SHA256_BYTES, slice_of(scheme_of(r)->terminator), key);
    }
    if (first.data)
        OPENSSL_cleanse(first.data, first.cap);
    return rc;
}

int sigv4_sign(const struct sigv4_request *r, const struct sigv4_credentials *credentials,
               struct buf *out, struct err *err)
{
    struct http_field sorted[SIGV4_FIELDS_MAX];
    if (r->fields_count > SIGV4_FIELDS_MAX)
        return err_set(err, EINVAL, "signature of %zu fields, at most %d", r->fields_count,
                       SIGV4_FIELDS_MAX);
    memcpy(sorted, r->fields, r->fields_count * sizeof sorted[0]);
    qsort(sorted, r->fields_count, sizeof sorted[0], compare_fields);

    AUTO(buf) struct buf time = {0}, canonical = {0}, to_sign = {0};
    buf_init(&time, 32);
    buf_init(&canonical, CANONICAL_BYTES_MAX);
    buf_init(&to_sign, KIB);
    instant_format_basic(&time, r->time_ms);
    add_canonical(&canonical, r, sorted);
    int rc = buf_check(&time, err);
    if (rc == 0)
        rc = buf_check(&canonical, err);
    if (rc < 0)
        return rc;

    char canonical_hash[2 * SHA256_BYTES + 1];
    sha256_hex(buf_slice(&canonical), canonical_hash);
    const struct sigv4_scheme *scheme = scheme_of(r);
    buf_addf(&to_sign, "%s\n%s\n%.*s/%s/%s/%s\n%s", scheme->algorithm, time.data, DATE_DIGITS,
             time.data, r->region, r->service, scheme->terminator, canonical_hash);
    rc = buf_check(&to_sign, err);
    if (rc < 0)
        return rc;

    uint8_t key[SHA256_BYTES], signature[SHA256_BYTES];
    rc = signing_key(r, credentials->secret_access_key, slice_make(time.data, DATE_DIGITS), key,
                     err);
    if (rc < 0)
        return rc;
    hmac(key, sizeof key, buf_slice(&to_sign), signature);
    OPENSSL_cleanse(key, sizeof key);
    buf_addf(out, "%s Credential=%s/%.*s/%s/%s/%s, SignedHeaders=", scheme->algorithm,
             credentials->access_key_id, DATE_DIGITS, time.data, r->region, r->service,
             scheme->terminator);
    add_signed_names(out, sorted, r->fields_count);
    buf_add_str(out, ", Signature=");
    text_hex(out, signature, sizeof signature);
    return buf_check(out, err);
}

static int compare_parameters(const void *a, const void *b)
{
    const struct http_parameter *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : strcmp(x->value, y->value);
}

void sigv4_query(struct buf *out, const struct http_parameter *parameters, size_t count)
{
    struct http_parameter sorted[SIGV4_PARAMETERS_MAX];
    assert(count <= SIGV4_PARAMETERS_MAX);
    memcpy(sorted, parameters, count * sizeof sorted[0]);
    qsort(sorted, count, sizeof sorted[0], compare_parameters);
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(out, '&');
        text_percent_encode(out, slice_of(sorted[i].name), "");
        buf_add_char(out, '=');
        text_percent_encode(out, slice_of(sorted[i].value), "");
    }
}
