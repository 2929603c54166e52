/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <assert.h>
#include <openssl/evp.h>
#include <pthread.h>

#define MULTIPLIER_A UINT64_C(0x9e3779b97f4a7c15) /* 2^64 divided by the golden ratio */
#define MULTIPLIER_B UINT64_C(0xd6e8feb86659fd93)
#define CRC32C_POLYNOMIAL 0x82f63b78U /* reflected */

static uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)(a ^ MULTIPLIER_A) * (b ^ MULTIPLIER_B);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash64(uint64_t seed, struct slice s)
{
    uint64_t h = mix(seed, s.n);
    const char *p = s.p;
    for (size_t left = s.n; left;) {
        uint64_t word[2] = {0, 0};
        size_t n = left < sizeof word ? left : sizeof word;
        memcpy(word, p, n);
        h = mix(h ^ word[0], h + word[1]);
        p += n;
        left -= n;
    }
    return mix(h, s.n + 1);
}

static uint32_t crc_table[256];

__attribute__((constructor)) static void fill_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ CRC32C_POLYNOMIAL : c >> 1;
        crc_table[i] = c;
    }
}

static uint32_t crc_portable(uint32_t crc, const uint8_t *p, size_t n)
{
    while (n--)
        crc = crc_table[(crc ^ *p++) & 0xff] ^ crc >> 8;
    return crc;
}

#if defined(__x86_64__)
/*
 * The instruction takes a word each cycle, but gives its result three cycles later: three lanes
 * side by side keep it busy. Sixteen rounds of them are a granule but for a kilobyte.
 */
#define LANE_WORDS 168
#define LANE_BYTES (LANE_WORDS * sizeof(uint64_t))
/* How far ahead memory is asked for: it is twice as fast then as the processor's own guess. */
#define AHEAD_BYTES 8192
#define CACHE_LINE_BYTES 64

/* What a state becomes over a lane of zeros: the sum of what its four bytes become. */
static uint32_t crc_over_lane[4][256];

static uint64_t load_word(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

__attribute__((target("sse4.2"))) static uint32_t crc_single(uint32_t crc, const uint8_t *p,
                                                             size_t n)
{
    uint64_t c = crc;
    for (; n >= 8; n -= 8, p += 8)
        c = __builtin_ia32_crc32di(c, load_word(p));
    crc = (uint32_t)c;
    for (; n; n--)
        crc = __builtin_ia32_crc32qi(crc, *p++);
    return crc;
}

__attribute__((constructor)) static void fill_crc_over_lane(void)
{
    static const uint8_t zeros[LANE_BYTES];
    if (!__builtin_cpu_supports("sse4.2"))
        return;
    for (unsigned byte = 0; byte < 4; byte++) {
        for (unsigned bit = 0; bit < 8; bit++)
            crc_over_lane[byte][1U << bit] =
                crc_single((uint32_t)1 << (8 * byte + bit), zeros, LANE_BYTES);
        for (unsigned i = 1; i < 256; i++) /* linear: of its lowest bit, and of the rest */
            crc_over_lane[byte][i] = crc_over_lane[byte][i & -i] ^ crc_over_lane[byte][i & (i - 1)];
    }
}

static uint32_t over_lane(uint32_t c)
{
    return crc_over_lane[0][c & 0xff] ^ crc_over_lane[1][c >> 8 & 0xff] ^
           crc_over_lane[2][c >> 16 & 0xff] ^ crc_over_lane[3][c >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc_hardware(uint32_t crc, const uint8_t *p,
                                                               size_t n)
{
    for (; n >= 3 * LANE_BYTES; n -= 3 * LANE_BYTES, p += 3 * LANE_BYTES) {
        uint64_t a = crc, b = 0, c = 0;
        for (size_t at = 0; at < LANE_BYTES; at += sizeof(uint64_t)) {
            if (at % CACHE_LINE_BYTES == 0)
                for (unsigned lane = 0; lane < 3; lane++)
                    __builtin_prefetch(p + lane * LANE_BYTES + at + AHEAD_BYTES);
            a = __builtin_ia32_crc32di(a, load_word(p + at));
            b = __builtin_ia32_crc32di(b, load_word(p + LANE_BYTES + at));
            c = __builtin_ia32_crc32di(c, load_word(p + 2 * LANE_BYTES + at));
        }
        crc = over_lane(over_lane((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
    }
    return crc_single(crc, p, n);
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_hardware(~crc, data, n);
#endif
    return ~crc_portable(~crc, data, n);
}

/* EVP_sha256() would be looked up anew, under a lock, in each digest: every open takes one. */
static EVP_MD *sha256_fetched;

static void fetch_sha256(void)
{
    sha256_fetched = EVP_MD_fetch(NULL, "SHA256", NULL);
    assert(sha256_fetched); /* in OpenSSL's default provider */
}

void sha256(struct slice s, uint8_t out[SHA256_BYTES])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    unsigned n = 0;
    (void)pthread_once(&once, fetch_sha256); /* cannot fail */
    int ok = EVP_Digest(s.p ? s.p : "", s.n, out, &n, sha256_fetched, NULL);
    assert(ok == 1 && n == SHA256_BYTES);
    (void)ok;
}

void sha256_hex(struct slice s, char out[2 * SHA256_BYTES + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t sum[SHA256_BYTES];
    sha256(s, sum);
    for (size_t i = 0; i < sizeof sum; i++) {
        out[2 * i] = digits[sum[i] >> 4];
        out[2 * i + 1] = digits[sum[i] & 15];
    }
    out[sizeof sum * 2] = '\0';
}
