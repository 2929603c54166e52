/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4) of many values, each behind the same salt. Most are short: where the
 * processor has instructions for it, two blocks go through it side by side, since each round of one
 * waits for the round before. Pure.
 */
#ifndef BASE_DIGESTS_H
#define BASE_DIGESTS_H

#include "base/hash.h"

/* Of the salt (which may be empty) and each of the n values behind it. */
void sha256_each(struct slice salt, const struct slice *values, size_t n,
                 uint8_t (*out)[SHA256_BYTES]);

/* Lower-case hex, without a final zero. */
void sha256_digits(const uint8_t sum[SHA256_BYTES], char out[2 * SHA256_BYTES]);

#endif
