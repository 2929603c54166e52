/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and values of the index, as cache/index.h describes them. Pure. Internal to index.c. */
#ifndef CACHE_INDEX_RECORD_H
#define CACHE_INDEX_RECORD_H

#include <lmdb.h>

#include "cache/index.h"

#define RECORD_KEY_BYTES (SHA256_BYTES + 4)
#define RECORD_FIXED_BYTES 32
#define RECORD_BYTES_MAX                                                                           \
    (RECORD_FIXED_BYTES + ETAG_BYTES_MAX + SEGMENT_GRANULES / 8 +                                  \
     (size_t)SEGMENT_GRANULES * CHECK_BYTES_MAX)

void record_format_key(uint8_t to[RECORD_KEY_BYTES], const struct segment_id *id);

/* Of the value. */
size_t record_bytes(const struct segment_id *id, const struct index_record *r);
/* Into value, which has room for record_bytes. */
void record_format(const MDB_val *key, MDB_val *value, const struct segment_id *id,
                   const struct index_record *r);

/* False: it is damaged, or of another format. `out` points into the value. */
bool record_parse(const MDB_val *key, const MDB_val *value, struct segment_id *id,
                  struct index_record *out);

#endif
