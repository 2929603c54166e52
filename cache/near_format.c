/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/near_format.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/text.h"

#define MAGIC 0x6e726174u /* "tarn" */
#define PREFIX "objects/"

void near_key(const uint8_t *identity, char out[NEAR_KEY_BYTES])
{
    char *at = out + sizeof PREFIX - 1;
    memcpy(out, PREFIX, sizeof PREFIX);
    for (size_t i = 0; i < SHA256_BYTES; i++)
        at += snprintf(at, 4, i == 0 ? "%02x/" : "%02x", identity[i]);
}

bool near_key_parse(struct slice key, uint8_t identity[SHA256_BYTES])
{
    const char *at = key.p + sizeof PREFIX - 1;
    if (key.n != NEAR_KEY_BYTES - 1 || !slice_starts(key, SLICE_LIT(PREFIX)) || at[2] != '/')
        return false;
    for (size_t i = 0; i < SHA256_BYTES; i++, at += i == 1 ? 3 : 2) {
        int high = text_hex_digit(at[0]), low = text_hex_digit(at[1]);
        if (high < 0 || low < 0)
            return false;
        identity[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static uint64_t granules(uint64_t bytes)
{
    return bytes / GRANULE_BYTES + (bytes % GRANULE_BYTES != 0);
}

uint64_t near_bytes(uint64_t bytes)
{
    return bytes + granules(bytes) * NEAR_TAIL_BYTES;
}

uint64_t near_offset(uint64_t place)
{
    return place / GRANULE_BYTES * NEAR_STEP;
}

static void put_le64(char *to, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        to[i] = (char)(v >> 8 * i);
}

static uint32_t sum(const struct near_object *o, uint64_t granule, const char *bytes, size_t n,
                    const char etag[ETAG_BYTES_MAX])
{
    char place[16];
    put_le64(place, o->size);
    put_le64(place + 8, granule);
    uint32_t crc = crc32c(0, o->identity, SHA256_BYTES);
    crc = crc32c(crc, place, sizeof place);
    crc = crc32c(crc, etag, ETAG_BYTES_MAX);
    return crc32c(crc, bytes, n);
}

static void put_le32(char *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (char)(v >> 8 * i);
}

static uint32_t get_le32(const char *from)
{
    const unsigned char *p = (const unsigned char *)from;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void near_tail(const struct near_object *o, uint64_t granule, const char *bytes, size_t n,
               const char *etag, char out[NEAR_TAIL_BYTES])
{
    char padded[ETAG_BYTES_MAX] = {0};
    (void)snprintf(padded, sizeof padded, "%s", etag); /* it fits */
    put_le32(out, MAGIC);
    put_le32(out + 4, sum(o, granule, bytes, n, padded));
    memcpy(out + 8, padded, sizeof padded);
}

bool near_granule_right(const struct near_object *o, uint64_t granule, const char *bytes, size_t n,
                        char etag[ETAG_BYTES_MAX])
{
    const char *tail = bytes + n, *there = tail + 8;
    if (get_le32(tail) != MAGIC || there[ETAG_BYTES_MAX - 1] ||
        get_le32(tail + 4) != sum(o, granule, bytes, n, there))
        return false;
    if (etag[0] && strcmp(etag, there) != 0)
        return false;
    memcpy(etag, there, ETAG_BYTES_MAX);
    return true;
}

_Static_assert(NEAR_TAIL_BYTES == 8 + ETAG_BYTES_MAX, "two numbers and the ETag");
