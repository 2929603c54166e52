/* SPDX-License-Identifier: Apache-2.0 */
/* A writer of Avro files, for tests: the bytes are put together by hand. */
#ifndef TESTS_UNIT_AVRO_FIXTURE_H
#define TESTS_UNIT_AVRO_FIXTURE_H

#include "base/buf.h"
#include "base/limits.h"
#include "lake/format/avro.h"

#define AVRO_FIXTURE_SYNC "0123456789abcdef"

static inline void put_long(struct buf *out, int64_t v)
{
    buf_add_varint(out, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

static inline void put_text(struct buf *out, struct slice s)
{
    put_long(out, (int64_t)s.n);
    buf_add_slice(out, s);
}

/* The header of a file; codec NULL: it does not say one. */
static inline void put_header(struct buf *out, struct slice schema, const char *codec)
{
    buf_add(out, "Obj\1", 4);
    put_long(out, codec ? 2 : 1);
    put_text(out, SLICE_LIT("avro.schema"));
    put_text(out, schema);
    if (codec) {
        put_text(out, SLICE_LIT("avro.codec"));
        put_text(out, slice_of(codec));
    }
    put_long(out, 0);
    buf_add_str(out, AVRO_FIXTURE_SYNC);
}

static inline void put_block(struct buf *out, int64_t records, struct slice bytes)
{
    put_long(out, records);
    put_text(out, bytes);
    buf_add_str(out, AVRO_FIXTURE_SYNC);
}

/* A file of one block, not compressed. */
static inline void put_file(struct buf *out, const char *schema, int64_t records,
                            struct slice bytes)
{
    buf_init(out, 16 * MIB);
    put_header(out, slice_of(schema), NULL);
    put_block(out, records, bytes);
}

#endif
