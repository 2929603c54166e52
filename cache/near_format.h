/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object in a near store (docs/NEAR.md): its granules, each with a tail that tells whose it is.
 *
 *   granule 64 KiB | tail 136 | granule | tail | ... | last granule, as long as it is | tail
 *   tail: "tarn" u32 | CRC32C u32 | ETag of home, zeros behind it, 128 bytes
 *
 * Numbers are little-endian. The sum is of: the identity, the size of the object u64, the number of
 * the granule u64, the ETag's 128 bytes, the granule. So a granule of another object, of another
 * place or of another generation is as wrong as one with a bit flipped. A range of granules is a
 * range of the file, and carries its own sums: one request reads it. Pure.
 */
#ifndef CACHE_NEAR_FORMAT_H
#define CACHE_NEAR_FORMAT_H

#include "base/hash.h"
#include "base/limits.h"

#define NEAR_TAIL_BYTES 136
#define NEAR_STEP (GRANULE_BYTES + NEAR_TAIL_BYTES)
/* "objects/ab/cdef..." and a final zero. */
#define NEAR_KEY_BYTES (sizeof "objects/" + 2 * SHA256_BYTES + 1)

/* Whose granules they are. */
struct near_object {
    const uint8_t *identity; /* SHA256_BYTES */
    uint64_t size;
};

/* Where it lies. */
void near_key(const uint8_t *identity, char out[NEAR_KEY_BYTES]);
/* The identity of such a key. False: it is none. */
bool near_key_parse(struct slice key, uint8_t identity[SHA256_BYTES]);

/* What the granules that hold so many bytes take in the near store. */
uint64_t near_bytes(uint64_t bytes);
/* Where the granules from that place on begin; the place is a granule's first byte. */
uint64_t near_offset(uint64_t place);

/* The tail of a granule of n bytes. The ETag is shorter than ETAG_BYTES_MAX. */
void near_tail(const struct near_object *o, uint64_t granule, const char *bytes, size_t n,
               const char *etag, char out[NEAR_TAIL_BYTES]);

/*
 * The granule, with its tail behind it, is that one. The ETag goes to etag; where etag is not
 * empty, it must be the same.
 */
bool near_granule_right(const struct near_object *o, uint64_t granule, const char *bytes, size_t n,
                        char etag[ETAG_BYTES_MAX]);

#endif
