/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Granules at rest, encrypted and authenticated: AES-256-GCM.
 *
 *   given key --HKDF-SHA256--> root key --HMAC-SHA256(object's id)--> key of one object
 *                         \--> fingerprint
 *
 * Each sealing takes a fresh random nonce of 96 bits, so that a granule that is written again (its
 * first bytes were lost, or the object changed) never meets the same nonce with other bytes. Random
 * nonces are good for 2^32 sealings a key; with a key for each object that is never near, however
 * many years a cache is filled and evicted with the same key. The object's id and the granule's
 * number are authenticated with the bytes: a granule that was moved does not open.
 *
 * What it does not hide: sizes, which granules are present, when they were written.
 *
 * Any thread may call; a cipher is immutable.
 */
#ifndef CACHE_CIPHER_H
#define CACHE_CIPHER_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define CIPHER_KEY_BYTES 32
/* What a record keeps of a granule: nonce (12) and tag (16). */
#define CIPHER_CHECK_BYTES 28
/* Hex digits of a fingerprint and a final zero. */
#define CIPHER_FINGERPRINT_BYTES 65

struct object_id;
struct cipher;

/* The key is not kept. NULL and err when out of memory, or libcrypto has no such algorithms. */
struct cipher *cipher_new(const uint8_t key[CIPHER_KEY_BYTES], struct err *err);
/* Wipes what it knew. */
void cipher_free(struct cipher *c);
DEFINE_AUTO(cipher, struct cipher *, cipher_free)

/* A granule's bytes as they come, and where they belong. */
struct cipher_input {
    const struct object_id *id;
    uint64_t granule; /* its number in the object */
    const void *bytes;
    size_t n; /* at most 2^31 - 1 */
};

/*
 * Encrypts the bytes to `out`, as many, which may be where they are. -EIO or -ENOMEM where
 * libcrypto fails; then `out` and `check` must not be used.
 */
int cipher_seal(const struct cipher *c, const struct cipher_input *in, void *out,
                uint8_t check[CIPHER_CHECK_BYTES], struct err *err);

/*
 * The reverse. -EBADMSG where bytes, check, id, granule or key are not those of the sealing. After
 * any failure `out` is zeroes.
 */
int cipher_open(const struct cipher *c, const struct cipher_input *in, void *out,
                const uint8_t check[CIPHER_CHECK_BYTES], struct err *err);

/* Tells this key from others without telling it: lower-case hex digits. */
void cipher_fingerprint(const struct cipher *c, char out[CIPHER_FINGERPRINT_BYTES]);

#endif
