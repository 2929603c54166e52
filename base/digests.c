/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digests.h"

#include <assert.h>
#include <openssl/evp.h>

#include "base/cleanup.h"

/* By the library, with one context for all. */
static void each_portable(struct slice salt, const struct slice *values, size_t n,
                          uint8_t (*out)[SHA256_BYTES])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; i < n && ok; i++)
        ok = EVP_DigestInit_ex(context, NULL, NULL) == 1 &&
             EVP_DigestUpdate(context, salt.p, salt.n) == 1 &&
             EVP_DigestUpdate(context, values[i].p, values[i].n) == 1 &&
             EVP_DigestFinal_ex(context, out[i], NULL) == 1;
    EVP_MD_CTX_free(context);
    assert(ok);
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define WITH_SHA __attribute__((target("sha,sse4.1,ssse3")))
#define SHA_BLOCK_BYTES ((size_t)64)
/* A message, one bit behind it, and its length in bits: of these the last two. */
#define TAIL_BYTES ((size_t)9)
/* Messages that are hashed at once. */
#define LANES 2

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t rounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* The words of a hash as the instructions have them: a, b, e, f and c, d, g, h. */
struct lane {
    __m128i abef, cdgh;
};

WITH_SHA static struct lane lane_start(void)
{
    return (struct lane){_mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c),
                         _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19)};
}

/* Four rounds of each lane are one step; the words of the next ones are made meanwhile. Inlined
 * for a constant n, so that all of it is in registers. */
WITH_SHA static inline __attribute__((always_inline)) void
add_blocks(struct lane *lanes, const uint8_t *const *blocks, size_t n)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    struct lane before[LANES];
    __m128i words[LANES][4];
    for (size_t l = 0; l < n; l++) {
        before[l] = lanes[l];
        for (size_t i = 0; i < 4; i++)
            words[l][i] = _mm_shuffle_epi8(
                _mm_loadu_si128((const __m128i *)(const void *)(blocks[l] + 16 * i)), swap);
    }
#pragma GCC unroll 16
    for (size_t step = 0; step < 16; step++) {
        const __m128i k = _mm_loadu_si128((const __m128i *)(const void *)(rounds + 4 * step));
#pragma GCC unroll 2
        for (size_t l = 0; l < n; l++) {
            __m128i *w = words[l], now = w[step % 4], sum = _mm_add_epi32(now, k);
            lanes[l].cdgh = _mm_sha256rnds2_epu32(lanes[l].cdgh, lanes[l].abef, sum);
            lanes[l].abef =
                _mm_sha256rnds2_epu32(lanes[l].abef, lanes[l].cdgh, _mm_shuffle_epi32(sum, 0x0e));
            if (step >= 12)
                continue;
            __m128i last = w[(step + 3) % 4];
            __m128i next = _mm_sha256msg1_epu32(now, w[(step + 1) % 4]);
            next = _mm_add_epi32(next, _mm_alignr_epi8(last, w[(step + 2) % 4], 4));
            w[step % 4] = _mm_sha256msg2_epu32(next, last);
        }
    }
    for (size_t l = 0; l < n; l++) {
        lanes[l].abef = _mm_add_epi32(lanes[l].abef, before[l].abef);
        lanes[l].cdgh = _mm_add_epi32(lanes[l].cdgh, before[l].cdgh);
    }
}

WITH_SHA static void lane_end(const struct lane *lane, uint8_t out[SHA256_BYTES])
{
    /* Big-endian words in their order: the highest of each register come first. */
    const __m128i turn = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
    __m128i abef = _mm_shuffle_epi8(lane->abef, turn), cdgh = _mm_shuffle_epi8(lane->cdgh, turn);
    _mm_storeu_si128((__m128i *)(void *)out, _mm_unpacklo_epi64(abef, cdgh));
    _mm_storeu_si128((__m128i *)(void *)(out + 16), _mm_unpackhi_epi64(abef, cdgh));
}

/* The message's end: its one or two last blocks. `whole`: bytes of blocks before them. */
static size_t pad(uint8_t *last, uint64_t whole, size_t n)
{
    size_t blocks = n + TAIL_BYTES > SHA_BLOCK_BYTES ? 2 : 1;
    uint64_t bits = __builtin_bswap64((whole + n) * 8);
    memset(last + n, 0, blocks * SHA_BLOCK_BYTES - n);
    last[n] = 0x80;
    memcpy(last + blocks * SHA_BLOCK_BYTES - sizeof bits, &bits, sizeof bits);
    return blocks;
}

/* Of any length. */
WITH_SHA static void one(struct slice salt, struct slice value, uint8_t out[SHA256_BYTES])
{
    struct lane lane = lane_start();
    uint8_t block[2 * SHA_BLOCK_BYTES];
    const uint8_t *at = block;
    struct slice parts[2] = {salt, value};
    uint64_t whole = 0;
    size_t used = 0;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        while (parts[i].n) {
            size_t room = SHA_BLOCK_BYTES - used;
            size_t take = parts[i].n < room ? parts[i].n : room;
            memcpy(block + used, parts[i].p, take);
            parts[i] = slice_from(parts[i], take);
            used += take;
            if (used < SHA_BLOCK_BYTES)
                continue;
            add_blocks(&lane, &at, 1);
            whole += used;
            used = 0;
        }
    size_t left = pad(block, whole, used);
    for (size_t i = 0; i < left; i++, at += SHA_BLOCK_BYTES)
        add_blocks(&lane, &at, 1);
    lane_end(&lane, out);
}

/* Of which each is a block. */
WITH_SHA static void two(struct slice salt, const struct slice *values,
                         uint8_t (*out)[SHA256_BYTES])
{
    struct lane lanes[LANES];
    uint8_t blocks[LANES][SHA_BLOCK_BYTES];
    const uint8_t *at[LANES];
    for (size_t l = 0; l < LANES; l++) {
        lanes[l] = lane_start();
        at[l] = blocks[l];
        if (salt.n)
            memcpy(blocks[l], salt.p, salt.n);
        if (values[l].n)
            memcpy(blocks[l] + salt.n, values[l].p, values[l].n);
        (void)pad(blocks[l], 0, salt.n + values[l].n); /* one, as asked */
    }
    add_blocks(lanes, at, LANES);
    for (size_t l = 0; l < LANES; l++)
        lane_end(&lanes[l], out[l]);
}

WITH_SHA static void each_by_instructions(struct slice salt, const struct slice *values, size_t n,
                                          uint8_t (*out)[SHA256_BYTES])
{
    const size_t most = SHA_BLOCK_BYTES - TAIL_BYTES;
    size_t room = salt.n <= most ? most - salt.n : 0;
    for (size_t i = 0; i < n;) {
        if (salt.n <= most && i + 1 < n && values[i].n <= room && values[i + 1].n <= room) {
            two(salt, values + i, out + i);
            i += LANES;
        } else {
            one(salt, values[i], out[i]);
            i++;
        }
    }
}

WITH_SHA static void hex_by_instructions(const uint8_t sum[SHA256_BYTES],
                                         char out[2 * SHA256_BYTES])
{
    const __m128i digits = _mm_setr_epi8('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b',
                                         'c', 'd', 'e', 'f');
    const __m128i half = _mm_set1_epi8(0x0f);
    for (size_t i = 0; i < SHA256_BYTES; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(sum + i));
        __m128i upper = _mm_shuffle_epi8(digits, _mm_and_si128(_mm_srli_epi16(v, 4), half));
        __m128i lower = _mm_shuffle_epi8(digits, _mm_and_si128(v, half));
        _mm_storeu_si128((__m128i *)(void *)(out + 2 * i), _mm_unpacklo_epi8(upper, lower));
        _mm_storeu_si128((__m128i *)(void *)(out + 2 * i + 16), _mm_unpackhi_epi8(upper, lower));
    }
}

/* GCC's and clang's names of processor features know nothing of these instructions. */
static bool has_instructions;

__attribute__((constructor)) static void look_for_instructions(void)
{
    unsigned a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSSE3) && (c & bit_SSE4_1) &&
        __get_cpuid_count(7, 0, &a, &b, &c, &d))
        has_instructions = b & bit_SHA;
}
#endif

void sha256_each(struct slice salt, const struct slice *values, size_t n,
                 uint8_t (*out)[SHA256_BYTES])
{
#if defined(__x86_64__)
    if (has_instructions) {
        each_by_instructions(salt, values, n, out);
        return;
    }
#endif
    each_portable(salt, values, n, out);
}

void sha256_digits(const uint8_t sum[SHA256_BYTES], char out[2 * SHA256_BYTES])
{
    static const char digits[] = "0123456789abcdef";
#if defined(__x86_64__)
    if (has_instructions) {
        hex_by_instructions(sum, out);
        return;
    }
#endif
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        out[2 * i] = digits[sum[i] >> 4];
        out[2 * i + 1] = digits[sum[i] & 15];
    }
}
