/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/archive/digest.h"

#include <assert.h>
#include <openssl/evp.h>

struct digest {
    EVP_MD_CTX *sha256, *md5; /* md5 NULL: not wanted */
};

void digest_free(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->sha256);
    EVP_MD_CTX_free(d->md5);
    free(d);
}

static EVP_MD_CTX *begin(const EVP_MD *kind)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (c && EVP_DigestInit_ex(c, kind, NULL) == 1)
        return c;
    EVP_MD_CTX_free(c);
    return NULL;
}

struct digest *digest_new(bool md5, struct err *err)
{
    AUTO(digest) struct digest *d = calloc(1, sizeof *d);
    if (d) {
        d->sha256 = begin(EVP_sha256());
        d->md5 = md5 ? begin(EVP_md5()) : NULL;
    }
    if (!d || !d->sha256 || (md5 && !d->md5)) {
        (void)err_set(err, ENOMEM, "no digest can be made");
        return NULL;
    }
    return STEAL(d);
}

void digest_add(struct digest *d, struct slice bytes)
{
    int ok = bytes.n ? EVP_DigestUpdate(d->sha256, bytes.p, bytes.n) : 1;
    if (ok == 1 && bytes.n && d->md5)
        ok = EVP_DigestUpdate(d->md5, bytes.p, bytes.n);
    assert(ok == 1); /* it has no way to fail once it has begun */
}

void digest_end(struct digest *d, uint8_t sha256[SHA256_BYTES], uint8_t md5[MD5_BYTES])
{
    int ok = EVP_DigestFinal_ex(d->sha256, sha256, NULL);
    if (ok == 1 && md5)
        ok = EVP_DigestFinal_ex(d->md5, md5, NULL);
    assert(ok == 1);
}
