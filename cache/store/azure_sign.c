/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/azure_sign.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/hash.h"
#include "base/limits.h"

#define TEXT_BYTES_MAX (64 * KIB)
#define SECONDARY "-secondary"

bool azure_key_parse(struct slice text, struct azure_key *out)
{
    unsigned char bytes[AZURE_KEY_BYTES_MAX];
    size_t padding = 0;
    if (text.n == 0 || text.n % 4 || text.n / 4 * 3 > sizeof bytes)
        return false;
    while (padding < 2 && text.p[text.n - 1 - padding] == '=')
        padding++;
    if (memchr(text.p, '=', text.n - padding))
        return false; /* the decoder takes it anywhere */
    int n = EVP_DecodeBlock(bytes, (const unsigned char *)text.p, (int)text.n);
    if (n > (int)padding) {
        out->n = (size_t)n - padding; /* the decoder counts the padding's zeros */
        memcpy(out->bytes, bytes, out->n);
    }
    OPENSSL_cleanse(bytes, sizeof bytes);
    return n > (int)padding;
}

/* The value of a field; "" where there is none. */
static const char *field_of(const struct azure_signed *r, const char *name)
{
    for (size_t i = 0; i < r->fields_count; i++)
        if (strcmp(r->fields[i].name, name) == 0)
            return r->fields[i].value;
    return "";
}

static int compare_fields(const void *a, const void *b)
{
    const struct http_field *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int compare_parameters(const void *a, const void *b)
{
    const struct http_parameter *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void add_fields(const struct azure_signed *r, struct buf *out)
{
    struct http_field sorted[AZURE_FIELDS_MAX] = {{0}};
    assert(r->fields_count <= AZURE_FIELDS_MAX);
    if (r->fields_count)
        memcpy(sorted, r->fields, r->fields_count * sizeof sorted[0]);
    qsort(sorted, r->fields_count, sizeof sorted[0], compare_fields);
    for (size_t i = 0; i < r->fields_count; i++)
        if (strncmp(sorted[i].name, "x-ms-", 5) == 0)
            buf_addf(out, "%s:%s\n", sorted[i].name, sorted[i].value);
}

static void add_resource(const struct azure_signed *r, struct buf *out)
{
    struct http_parameter sorted[AZURE_PARAMETERS_MAX] = {{0}};
    struct slice account = slice_of(r->account);
    assert(r->parameters_count <= AZURE_PARAMETERS_MAX);
    if (slice_ends(account, SLICE_LIT(SECONDARY)))
        account.n -= sizeof SECONDARY - 1; /* the replica has the account's name */
    buf_add_char(out, '/');
    buf_add_slice(out, account);
    buf_add_slice(out, r->path);
    if (r->parameters_count)
        memcpy(sorted, r->parameters, r->parameters_count * sizeof sorted[0]);
    qsort(sorted, r->parameters_count, sizeof sorted[0], compare_parameters);
    for (size_t i = 0; i < r->parameters_count; i++)
        buf_addf(out, "\n%s:%s", sorted[i].name, sorted[i].value);
}

void azure_sign_text(const struct azure_signed *r, struct buf *out)
{
    static const char *const before_length[] = {"content-encoding", "content-language"};
    static const char *const after_length[] = {
        "content-md5",   "content-type",        "date", "if-modified-since", "if-match",
        "if-none-match", "if-unmodified-since", "range"};
    buf_addf(out, "%s\n", r->method);
    for (size_t i = 0; i < ARRAY_SIZE(before_length); i++)
        buf_addf(out, "%s\n", field_of(r, before_length[i]));
    if (r->content_length)
        buf_addf(out, "%zu", r->content_length);
    buf_add_char(out, '\n');
    for (size_t i = 0; i < ARRAY_SIZE(after_length); i++)
        buf_addf(out, "%s\n", field_of(r, after_length[i]));
    add_fields(r, out);
    add_resource(r, out);
}

void azure_sign(const struct azure_signed *r, const struct azure_key *key, struct buf *out)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, TEXT_BYTES_MAX);
    azure_sign_text(r, &text);
    if (text.failed) {
        out->failed = text.failed;
        return;
    }
    unsigned char digest[SHA256_BYTES], encoded[4 * (SHA256_BYTES + 2) / 3 + 1];
    unsigned n = 0;
    const unsigned char *ok = HMAC(EVP_sha256(), key->bytes, (int)key->n,
                                   (const unsigned char *)text.data, text.len, digest, &n);
    assert(ok && n == SHA256_BYTES);
    (void)ok;
    (void)EVP_EncodeBlock(encoded, digest, SHA256_BYTES); /* room for it and a zero */
    buf_addf(out, "SharedKey %s:%s", r->account, (const char *)encoded);
}
