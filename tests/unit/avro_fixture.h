/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: Avro files of tests/fixtures/avro, and a writer of others, put together by hand. */
#ifndef TESTS_UNIT_AVRO_FIXTURE_H
#define TESTS_UNIT_AVRO_FIXTURE_H

#include <fcntl.h>

#include "base/buf.h"
#include "base/file.h"
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

#define TYPES                                                                                      \
    "{\"type\":\"record\",\"name\":\"r\",\"namespace\":\"a.b\",\"fields\":["                       \
    "{\"name\":\"flag\",\"type\":\"boolean\",\"field-id\":1},"                                     \
    "{\"name\":\"int\",\"type\":[\"int\",\"null\"],\"field-id\":2},"                               \
    "{\"name\":\"long\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\","         \
    "\"adjust-to-utc\":false},\"field-id\":3},"                                                    \
    "{\"name\":\"float\",\"type\":\"float\",\"field-id\":4},"                                      \
    "{\"name\":\"double\",\"type\":\"double\",\"field-id\":5},"                                    \
    "{\"field-id\":6,\"type\":{\"size\":3,\"name\":\"c.three\",\"type\":\"fixed\"},"               \
    "\"name\":\"fixed\"},"                                                                         \
    "{\"name\":\"again\",\"type\":\"c.three\",\"field-id\":7},"                                    \
    "{\"name\":\"enum\",\"type\":{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"x\",\"y\"]},"    \
    "\"field-id\":8},"                                                                             \
    "{\"name\":\"either\",\"type\":[\"null\",\"long\",\"string\"],\"field-id\":9},"                \
    "{\"name\":\"map\",\"type\":{\"type\":\"map\",\"values\":[\"null\",\"int\"]},"                 \
    "\"field-id\":10},"                                                                            \
    "{\"name\":\"deep\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\","              \
    "\"name\":\"item\",\"fields\":[{\"name\":\"of\",\"type\":{\"type\":\"array\","                 \
    "\"items\":\"string\"}},{\"name\":\"is\",\"type\":[\"string\",\"int\"]}]}},\"field-id\":11},"  \
    "{\"name\":\"last\",\"type\":\"a.b.item\",\"field-id\":12},"                                   \
    "{\"name\":\"nothing\",\"type\":\"null\",\"field-id\":13},"                                    \
    "{\"name\":\"text \\\"\\u00e9\\\"\",\"type\":\"string\",\"field-id\":14}]}"

static inline void load_fixture(struct buf *out, const char *name)
{
    char path[256];
    struct err err = ERR_INIT;
    (void)snprintf(path, sizeof path, "tests/fixtures/avro/%s.avro", name);
    buf_init(out, MIB);
    assert_int_equal(file_read(AT_FDCWD, path, out, &err), 0);
}

/* The reader, or why there is none. */
static inline struct avro *open_bytes(struct slice file)
{
    struct err err = ERR_INIT;
    struct avro *a = avro_open_bytes(file, &err);
    if (!a)
        print_error("%s\n", err.msg);
    assert_non_null(a);
    return a;
}

static inline int choose(struct avro *a, int32_t id, const char *path, enum avro_type type)
{
    struct err err = ERR_INIT;
    return avro_choose(a, &(struct avro_want){.id = id, .path = path, .type = type}, &err);
}

#endif
