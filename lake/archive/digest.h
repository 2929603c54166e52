/* SPDX-License-Identifier: Apache-2.0 */
/* The SHA-256 of bytes that come piece after piece, and their MD5, which some stores' ETags are. */
#ifndef LAKE_ARCHIVE_DIGEST_H
#define LAKE_ARCHIVE_DIGEST_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"

#define MD5_BYTES 16

struct digest;

struct digest *digest_new(bool md5, struct err *err);
void digest_add(struct digest *d, struct slice bytes);
/* Once; md5 may be NULL, and must be where it was not wanted. */
void digest_end(struct digest *d, uint8_t sha256[SHA256_BYTES], uint8_t md5[MD5_BYTES]);
void digest_free(struct digest *d);
DEFINE_AUTO(digest, struct digest *, digest_free)

#endif
