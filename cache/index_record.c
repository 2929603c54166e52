/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/index_record.h"

#include <endian.h>
#include <string.h>

#include "base/bytes.h"

#define FORMAT 2
#define FLAG_SEALED 1
#define FLAG_DENSE 2

/* Segment 0 is where its object's id says; the others are in the same half. */
static uint64_t scatter(uint32_t segment)
{
    return segment * UINT64_C(0x9e3779b97f4a7c15) & ~htobe64(INDEX_PLACE_LARGE);
}

void record_format_key(uint8_t to[RECORD_KEY_BYTES], const struct segment_id *id)
{
    uint64_t first, mixed = scatter(id->number);
    memcpy(to, id->object.bytes, SHA256_BYTES);
    memcpy(&first, to, sizeof first);
    first ^= mixed;
    memcpy(to, &first, sizeof first);
    memcpy(to + SHA256_BYTES, &id->number, sizeof id->number);
}

static bool parse_key(const MDB_val *key, struct segment_id *id)
{
    uint64_t first;
    if (key->mv_size != RECORD_KEY_BYTES)
        return false;
    const uint8_t *from = key->mv_data;
    memcpy(id->object.bytes, from, SHA256_BYTES);
    memcpy(&id->number, from + SHA256_BYTES, sizeof id->number);
    memcpy(&first, from, sizeof first);
    first ^= scatter(id->number);
    memcpy(id->object.bytes, &first, sizeof first);
    return true;
}

static uint32_t checksum(const MDB_val *key, const uint8_t *value, size_t n)
{
    return crc32c(crc32c(0, key->mv_data, key->mv_size), value + sizeof(uint32_t),
                  n - sizeof(uint32_t));
}

bool record_parse(const MDB_val *key, const MDB_val *value, struct segment_id *id,
                  struct index_record *out)
{
    if (!parse_key(key, id) || value->mv_size < RECORD_FIXED_BYTES)
        return false;
    struct bytes b = bytes_make(value->mv_data, value->mv_size);
    uint32_t crc = bytes_le32(&b);
    uint8_t format = bytes_u8(&b), flags = bytes_u8(&b);
    struct index_record r = {.sealed = flags & FLAG_SEALED, .dense = flags & FLAG_DENSE};
    size_t etag_length = bytes_u8(&b);
    r.check_bytes = bytes_u8(&b);
    r.size = bytes_le64(&b);
    r.checked_ms = (int64_t)bytes_le64(&b);
    r.frozen_bytes = bytes_le64(&b);
    if (format != FORMAT || etag_length >= sizeof r.etag || r.check_bytes == 0 ||
        r.check_bytes > CHECK_BYTES_MAX || r.size > OBJECT_BYTES_MAX ||
        id->number >= segments_of(r.size) || crc != checksum(key, value->mv_data, value->mv_size))
        return false;
    unsigned granules = granules_of(r.size, id->number);
    const uint8_t *etag = bytes_take(&b, etag_length);
    if (!etag)
        return false;
    memcpy(r.etag, etag, etag_length);
    r.present = bytes_take(&b, bitmap_bytes(granules));
    r.checks = bytes_take(&b, (size_t)granules * r.check_bytes);
    if (!r.present || !r.checks || bytes_left(&b) != 0)
        return false;
    *out = r;
    return true;
}

size_t record_bytes(const struct segment_id *id, const struct index_record *r)
{
    unsigned granules = granules_of(r->size, id->number);
    return RECORD_FIXED_BYTES + strlen(r->etag) + bitmap_bytes(granules) +
           (size_t)granules * r->check_bytes;
}

void record_format(const MDB_val *key, MDB_val *value, const struct segment_id *id,
                   const struct index_record *r)
{
    uint8_t *to = value->mv_data;
    unsigned granules = granules_of(r->size, id->number);
    size_t etag_length = strlen(r->etag), bitmap = bitmap_bytes(granules);
    memset(to, 0, RECORD_FIXED_BYTES);
    to[4] = FORMAT;
    to[5] = (uint8_t)((r->sealed ? FLAG_SEALED : 0) | (r->dense ? FLAG_DENSE : 0));
    to[6] = (uint8_t)etag_length;
    to[7] = (uint8_t)r->check_bytes;
    memcpy(to + 8, &r->size, sizeof r->size);
    memcpy(to + 16, &r->checked_ms, sizeof r->checked_ms);
    memcpy(to + 24, &r->frozen_bytes, sizeof r->frozen_bytes);
    memcpy(to + RECORD_FIXED_BYTES, r->etag, etag_length);
    memcpy(to + RECORD_FIXED_BYTES + etag_length, r->present, bitmap);
    memcpy(to + RECORD_FIXED_BYTES + etag_length + bitmap, r->checks,
           (size_t)granules * r->check_bytes);
    uint32_t crc = checksum(key, to, value->mv_size);
    memcpy(to, &crc, sizeof crc);
}

struct present_sum present_sum(uint64_t size, uint32_t segment, const uint8_t *present)
{
    struct present_sum sum = {0};
    uint64_t first = (uint64_t)segment * SEGMENT_GRANULES;
    for (unsigned i = 0, n = granules_of(size, segment); i < n; i++) {
        if (!bitmap_has(present, i))
            continue;
        size_t length = granule_length(size, first + i);
        sum.disk += disk_bytes(length);
        sum.bytes += length;
        sum.granules++;
    }
    return sum;
}

uint64_t index_place(const struct segment_id *id)
{
    uint8_t key[RECORD_KEY_BYTES];
    uint64_t first;
    record_format_key(key, id);
    memcpy(&first, key, sizeof first);
    return be64toh(first);
}
