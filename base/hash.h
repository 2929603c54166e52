/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes: a fast one for tables and ids, CRC32C for what lies on disk, SHA-256 for names. Pure. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/slice.h"

#define SHA256_BYTES 32

/*
 * A fast 64-bit hash, the same on every machine and in every release: it is stored on disk and in
 * inode numbers. Not for protection against those who choose the input.
 */
uint64_t hash64(uint64_t seed, struct slice s);

/* CRC32C (Castagnoli, RFC 3720 appendix B.4), continued from `crc` (0 at the start). */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);

void sha256(struct slice s, uint8_t out[SHA256_BYTES]);

/* Lower-case hex of the SHA-256 and a final zero. */
void sha256_hex(struct slice s, char out[2 * SHA256_BYTES + 1]);

#endif
