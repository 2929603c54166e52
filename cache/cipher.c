/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cipher.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <string.h>

#include "cache/index.h"

#define NONCE_BYTES 12
#define TAG_BYTES 16
_Static_assert(NONCE_BYTES + TAG_BYTES == CIPHER_CHECK_BYTES, "a check is nonce and tag");

/* One for each use of the given key; another format takes other words. */
#define ROOT_INFO "tarn cache granules 1"
#define FINGERPRINT_INFO "tarn cache fingerprint 1"

struct cipher {
    EVP_CIPHER *gcm;
    EVP_MAC *hmac;
    EVP_MAC_CTX *root; /* keyed, never used itself: each call copies it */
    uint8_t fingerprint[CIPHER_KEY_BYTES];
};

/* What authenticates a granule besides its bytes. */
struct place {
    struct object_id id;
    uint64_t granule;
};
_Static_assert(sizeof(struct place) == SHA256_BYTES + 8, "no padding");

static void free_context(EVP_CIPHER_CTX *ctx)
{
    EVP_CIPHER_CTX_free(ctx); /* wipes its key */
}
DEFINE_AUTO(context, EVP_CIPHER_CTX *, free_context)
DEFINE_AUTO(mac, EVP_MAC_CTX *, EVP_MAC_CTX_free)
DEFINE_AUTO(kdf, EVP_KDF *, EVP_KDF_free)
DEFINE_AUTO(kdf_context, EVP_KDF_CTX *, EVP_KDF_CTX_free)

static int failed(struct err *err)
{
    return err_set(err, EIO, "libcrypto failed, or has no AES-256-GCM, HKDF or HMAC");
}

/* HKDF-SHA256 (RFC 5869) without salt: the given key is uniform. */
static int derive(const uint8_t key[CIPHER_KEY_BYTES], const char *info,
                  uint8_t out[CIPHER_KEY_BYTES], struct err *err)
{
    AUTO(kdf) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    AUTO(kdf_context) EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key,
                                          CIPHER_KEY_BYTES),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info,
                                          strlen(info)),
        OSSL_PARAM_construct_end(),
    };
    if (!ctx || EVP_KDF_derive(ctx, out, CIPHER_KEY_BYTES, params) != 1)
        return failed(err);
    return 0;
}

static int make_root(struct cipher *c, const uint8_t key[CIPHER_KEY_BYTES], struct err *err)
{
    uint8_t root[CIPHER_KEY_BYTES];
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    int rc = derive(key, ROOT_INFO, root, err);
    if (rc == 0 && EVP_MAC_init(c->root, root, sizeof root, params) != 1)
        rc = failed(err);
    OPENSSL_cleanse(root, sizeof root);
    return rc;
}

static int cipher_init(struct cipher *c, const uint8_t key[CIPHER_KEY_BYTES], struct err *err)
{
    c->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    c->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    c->root = c->hmac ? EVP_MAC_CTX_new(c->hmac) : NULL;
    if (!c->gcm || !c->root)
        return failed(err);
    int rc = make_root(c, key, err);
    return rc < 0 ? rc : derive(key, FINGERPRINT_INFO, c->fingerprint, err);
}

struct cipher *cipher_new(const uint8_t key[CIPHER_KEY_BYTES], struct err *err)
{
    struct cipher *c = calloc(1, sizeof *c);
    if (!c) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    if (cipher_init(c, key, err) < 0) {
        cipher_free(c);
        return NULL;
    }
    return c;
}

void cipher_free(struct cipher *c)
{
    if (!c)
        return;
    EVP_MAC_CTX_free(c->root); /* wipes its key */
    EVP_MAC_free(c->hmac);
    EVP_CIPHER_free(c->gcm);
    OPENSSL_cleanse(c, sizeof *c);
    free(c);
}

static int object_key(const struct cipher *c, const struct object_id *id,
                      uint8_t key[CIPHER_KEY_BYTES], struct err *err)
{
    size_t n = 0;
    AUTO(mac) EVP_MAC_CTX *mac = EVP_MAC_CTX_dup(c->root);
    if (!mac)
        return err_set(err, ENOMEM, "out of memory");
    if (EVP_MAC_update(mac, id->bytes, sizeof id->bytes) != 1 ||
        EVP_MAC_final(mac, key, &n, CIPHER_KEY_BYTES) != 1 || n != CIPHER_KEY_BYTES)
        return failed(err);
    return 0;
}

/* A context with key and nonce set and the place authenticated. */
static int begin(const struct cipher *c, EVP_CIPHER_CTX *ctx, const struct place *place,
                 const uint8_t *nonce, int encrypt, struct err *err)
{
    uint8_t key[CIPHER_KEY_BYTES];
    int done;
    int rc = object_key(c, &place->id, key, err);
    if (rc == 0 && (EVP_CipherInit_ex2(ctx, c->gcm, key, nonce, encrypt, NULL) != 1 ||
                    EVP_CipherUpdate(ctx, NULL, &done, (const uint8_t *)place, sizeof *place) != 1))
        rc = failed(err);
    OPENSSL_cleanse(key, sizeof key);
    return rc;
}

static int context_for(size_t n, EVP_CIPHER_CTX **ctx, struct err *err)
{
    if (n > INT_MAX)
        return err_set(err, EINVAL, "%zu bytes at once, at most %d are possible", n, INT_MAX);
    *ctx = EVP_CIPHER_CTX_new();
    return *ctx ? 0 : err_set(err, ENOMEM, "out of memory");
}

int cipher_seal(const struct cipher *c, const struct cipher_input *in, void *out,
                uint8_t check[CIPHER_CHECK_BYTES], struct err *err)
{
    AUTO(context) EVP_CIPHER_CTX *ctx = NULL;
    struct place place = {.id = *in->id, .granule = in->granule};
    uint8_t rest[TAG_BYTES];
    int done = 0;
    int rc = context_for(in->n, &ctx, err);
    if (rc == 0 && RAND_bytes(check, NONCE_BYTES) != 1)
        rc = failed(err);
    if (rc == 0)
        rc = begin(c, ctx, &place, check, 1, err);
    if (rc == 0 &&
        ((in->n && EVP_EncryptUpdate(ctx, out, &done, in->bytes, (int)in->n) != 1) ||
         (size_t)done != in->n || EVP_EncryptFinal_ex(ctx, rest, &done) != 1 || done != 0 ||
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, check + NONCE_BYTES) != 1))
        rc = failed(err);
    return rc;
}

int cipher_open(const struct cipher *c, const struct cipher_input *in, void *out,
                const uint8_t check[CIPHER_CHECK_BYTES], struct err *err)
{
    AUTO(context) EVP_CIPHER_CTX *ctx = NULL;
    struct place place = {.id = *in->id, .granule = in->granule};
    uint8_t tag[TAG_BYTES], rest[TAG_BYTES];
    int done = 0;
    memcpy(tag, check + NONCE_BYTES, sizeof tag);
    int rc = context_for(in->n, &ctx, err);
    if (rc == 0)
        rc = begin(c, ctx, &place, check, 0, err);
    if (rc == 0 && ((in->n && EVP_DecryptUpdate(ctx, out, &done, in->bytes, (int)in->n) != 1) ||
                    (size_t)done != in->n ||
                    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) != 1))
        rc = failed(err);
    if (rc == 0 && EVP_DecryptFinal_ex(ctx, rest, &done) != 1)
        rc = err_set(err, EBADMSG, "granule %llu does not open with this key",
                     (unsigned long long)in->granule);
    if (rc < 0 && in->n)
        OPENSSL_cleanse(out, in->n); /* what is not authentic must not be used by mistake */
    return rc;
}

void cipher_fingerprint(const struct cipher *c, char out[CIPHER_FINGERPRINT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof c->fingerprint; i++) {
        out[2 * i] = digits[c->fingerprint[i] >> 4];
        out[2 * i + 1] = digits[c->fingerprint[i] & 15];
    }
    out[2 * sizeof c->fingerprint] = '\0';
}
