/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/orc.h"

#include <lz4.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/text.h"
#include "lake/format/shape.h"

#define MAGIC "ORC"
#define MAGIC_BYTES 3
/* A chunk's length and whether it is compressed. */
#define CHUNK_HEADER_BYTES 3
#define CHUNK_BYTES_MAX ((uint64_t)16 * MIB)
#define ID_ATTRIBUTE "iceberg.id"

/* orc_proto.proto: enum CompressionKind. */
enum compression { NONE, ZLIB, SNAPPY, LZO, LZ4, ZSTD };

/* enum Type.Kind. */
enum kind {
    KIND_BOOLEAN,
    KIND_BYTE,
    KIND_SHORT,
    KIND_INT,
    KIND_LONG,
    KIND_FLOAT,
    KIND_DOUBLE,
    KIND_STRING,
    KIND_BINARY,
    KIND_TIMESTAMP,
    KIND_LIST,
    KIND_MAP,
    KIND_STRUCT,
    KIND_UNION,
    KIND_DECIMAL,
    KIND_DATE,
    KIND_VARCHAR,
    KIND_CHAR,
    KIND_INSTANT,
};

/* Protocol buffers */

struct field {
    uint64_t number, value; /* of a varint */
    struct slice bytes;     /* of a run of bytes */
};

static bool take_varint(struct slice *s, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; s->n && shift < 64; shift += 7) {
        uint8_t b = (uint8_t)s->p[0];
        *s = slice_from(*s, 1);
        v |= (uint64_t)(b & 127) << shift;
        if (b < 128) {
            *out = v;
            return true;
        }
    }
    return false;
}

/* 1: the next field; 0: the end; -1: damaged. */
static int next_field(struct slice *s, struct field *out)
{
    static const size_t fixed[] = {[1] = 8, [5] = 4};
    uint64_t key, n;
    *out = (struct field){.bytes = SLICE_LIT("")};
    if (s->n == 0)
        return 0;
    if (!take_varint(s, &key))
        return -1;
    out->number = key >> 3;
    switch (key & 7) {
    case 0:
        return take_varint(s, &out->value) ? 1 : -1;
    case 1:
    case 5:
        n = fixed[key & 7];
        break;
    case 2:
        if (!take_varint(s, &n))
            return -1;
        break;
    default:
        return -1;
    }
    if (n > s->n)
        return -1;
    out->bytes = slice_make(s->p, (size_t)n);
    *s = slice_from(*s, (size_t)n);
    return 1;
}

static int damaged(struct err *err)
{
    return err_set(err, EIO, "the end of an ORC file is damaged");
}

/* Postscript */

struct postscript {
    uint64_t footer_bytes, compression, block_bytes, bytes; /* bytes: of itself and its length */
};

bool orc_is(struct slice end)
{
    return end.n > MAGIC_BYTES + 1 &&
           memcmp(end.p + end.n - 1 - MAGIC_BYTES, MAGIC, MAGIC_BYTES) == 0;
}

static int read_postscript(struct slice end, struct postscript *out, struct err *err)
{
    struct field f;
    int rc;
    if (!orc_is(end))
        return damaged(err);
    size_t n = (uint8_t)end.p[end.n - 1];
    if (n >= end.n)
        return damaged(err);
    struct slice s = slice_make(end.p + end.n - 1 - n, n);
    *out = (struct postscript){.bytes = n + 1};
    while ((rc = next_field(&s, &f)) > 0) {
        if (f.number == 1)
            out->footer_bytes = f.value;
        else if (f.number == 2)
            out->compression = f.value;
        else if (f.number == 3)
            out->block_bytes = f.value;
    }
    if (rc < 0 || out->footer_bytes == 0 || out->block_bytes > CHUNK_BYTES_MAX)
        return damaged(err);
    return 0;
}

int orc_tail_bytes(struct slice end, uint64_t file_bytes, uint64_t *out, struct err *err)
{
    struct postscript p;
    int rc = read_postscript(end, &p, err);
    if (rc < 0)
        return rc;
    if (p.footer_bytes > FOOTER_BYTES_MAX)
        return err_set(err, EOVERFLOW, "a footer of %llu bytes, at most %zu are read",
                       (unsigned long long)p.footer_bytes, FOOTER_BYTES_MAX);
    if (p.footer_bytes + p.bytes > file_bytes)
        return damaged(err);
    *out = p.footer_bytes + p.bytes;
    return 0;
}

/* Compression */

static bool inflate_raw(struct slice from,
                        char *to, /* NOLINT(readability-non-const-parameter): zlib writes there */
                        size_t *n)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)from.p,
                  .avail_in = (uInt)from.n,
                  .next_out = (Bytef *)to,
                  .avail_out = (uInt)*n};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return false;
    int rc = inflate(&z, Z_FINISH);
    *n -= z.avail_out;
    return inflateEnd(&z) == Z_OK && rc == Z_STREAM_END;
}

/* *n: the room at `to`, then what is there. */
static bool decompress(uint64_t how, struct slice from, char *to, size_t *n)
{
    size_t got;
    int bytes;
    switch (how) {
    case ZLIB:
        return inflate_raw(from, to, n);
    case SNAPPY:
        return snappy_uncompress(from.p, from.n, to, n) == SNAPPY_OK;
    case LZ4:
        bytes = LZ4_decompress_safe(from.p, to, (int)from.n, (int)*n);
        *n = bytes < 0 ? 0 : (size_t)bytes;
        return bytes >= 0;
    case ZSTD:
        got = ZSTD_decompress(to, *n, from.p, from.n);
        *n = ZSTD_isError(got) ? 0 : got;
        return !ZSTD_isError(got);
    default:
        return false;
    }
}

/* The footer, all chunks of it. */
static int unpack(const struct postscript *p, struct slice s, struct buf *out, struct err *err)
{
    if (p->compression == NONE) {
        buf_add_slice(out, s);
        return buf_check(out, err);
    }
    if (p->compression != ZLIB && p->compression != SNAPPY && p->compression != LZ4 &&
        p->compression != ZSTD)
        return err_set(err, EOPNOTSUPP, "an ORC file of the compression %llu",
                       (unsigned long long)p->compression);
    while (s.n) {
        if (s.n < CHUNK_HEADER_BYTES)
            return damaged(err);
        const uint8_t *h = (const uint8_t *)s.p;
        size_t header = (size_t)h[0] | (size_t)h[1] << 8 | (size_t)h[2] << 16, n = header >> 1;
        s = slice_from(s, CHUNK_HEADER_BYTES);
        if (n > s.n)
            return damaged(err);
        struct slice chunk = slice_make(s.p, n);
        s = slice_from(s, n);
        if (header & 1) {
            buf_add_slice(out, chunk);
            continue;
        }
        size_t room = (size_t)p->block_bytes;
        char *to = buf_reserve(out, room);
        if (!to)
            return buf_check(out, err);
        if (!decompress(p->compression, chunk, to, &room))
            return damaged(err);
        out->len += room;
    }
    return buf_check(out, err);
}

/* Types */

struct type {
    uint64_t kind, precision, scale;
    int32_t id;            /* SHAPE_NO_ID: it has none */
    struct slice children; /* of a packed run of varints, or empty */
    struct slice text;     /* all of it: names and children that are not packed */
};

struct types {
    struct type *at;
    size_t n, max;
    bool has_ids;
};

static int read_attribute(struct slice s, struct type *t, struct types *all)
{
    struct slice key = SLICE_LIT(""), value = SLICE_LIT("");
    struct field f;
    uint64_t id;
    int rc;
    while ((rc = next_field(&s, &f)) > 0) {
        if (f.number == 1)
            key = f.bytes;
        else if (f.number == 2)
            value = f.bytes;
    }
    if (rc == 0 && slice_is(key, ID_ATTRIBUTE) && text_parse_u64(value, INT32_MAX, &id)) {
        t->id = (int32_t)id;
        all->has_ids = true;
    }
    return rc;
}

static int read_type(struct slice s, struct type *t, struct types *all)
{
    struct field f;
    int rc;
    *t = (struct type){.id = SHAPE_NO_ID, .text = s};
    while ((rc = next_field(&s, &f)) > 0) {
        if (f.number == 1)
            t->kind = f.value;
        else if (f.number == 2)
            t->children = f.bytes;
        else if (f.number == 5)
            t->precision = f.value;
        else if (f.number == 6)
            t->scale = f.value;
        else if (f.number == 7 && read_attribute(f.bytes, t, all) < 0)
            return -1;
    }
    return rc;
}

/* Goes through the children of a type. */
struct children {
    bool named;
    struct slice packed, loose, names; /* what was not passed yet */
};

static struct children children_of(const struct type *t)
{
    return (struct children){t->kind == KIND_STRUCT, t->children, t->text, t->text};
}

/* The next one: its type and its name. False at the end, and where it is damaged. */
static bool next_child(struct children *c, uint64_t *child, struct slice *name)
{
    struct field f = {0};
    bool found = c->packed.n && take_varint(&c->packed, child);
    while (!found && next_field(&c->loose, &f) > 0)
        if (f.number == 2 && f.bytes.n == 0) {
            *child = f.value;
            found = true;
        }
    while (found && c->named && next_field(&c->names, &f) > 0)
        if (f.number == 3) {
            *name = f.bytes;
            return true;
        }
    return found && !c->named;
}

/* Comparing */

static int differs(const struct shape_field *f, const char *what, struct err *err)
{
    return err_set(err, EOPNOTSUPP,
                   "an ORC file, which is only shown as it is stored: the column \"%.*s\" %s",
                   (int)(f->name.n < 200 ? f->name.n : 200), f->name.p, what);
}

static bool kind_fits(const struct shape_field *f, const struct type *t)
{
    switch ((enum shape_type)f->type) {
    case SHAPE_BOOLEAN:
        return t->kind == KIND_BOOLEAN;
    case SHAPE_INT8:
        return t->kind == KIND_BYTE;
    case SHAPE_INT16:
        return t->kind == KIND_SHORT;
    case SHAPE_INT32:
        return t->kind == KIND_INT;
    case SHAPE_INT64:
    case SHAPE_TIME:
        return t->kind == KIND_LONG;
    case SHAPE_FLOAT:
        return t->kind == KIND_FLOAT;
    case SHAPE_DOUBLE:
        return t->kind == KIND_DOUBLE;
    case SHAPE_DECIMAL:
        return t->kind == KIND_DECIMAL && t->precision == f->precision && t->scale == f->scale;
    case SHAPE_STRING:
        return t->kind == KIND_STRING || t->kind == KIND_VARCHAR || t->kind == KIND_CHAR;
    case SHAPE_BINARY:
    case SHAPE_FIXED:
    case SHAPE_UUID:
        return t->kind == KIND_BINARY;
    case SHAPE_DATE:
        return t->kind == KIND_DATE;
    case SHAPE_TIMESTAMP:
    case SHAPE_TIMESTAMP_NS:
        return t->kind == KIND_INSTANT;
    case SHAPE_TIMESTAMP_LOCAL:
    case SHAPE_TIMESTAMP_LOCAL_NS:
        return t->kind == KIND_TIMESTAMP;
    case SHAPE_VARIANT:
    case SHAPE_UNKNOWN:
    case SHAPE_STORED:
    case SHAPE_GEOMETRY:
    case SHAPE_GEOGRAPHY:
        break;
    }
    return false;
}

static int compare(const struct types *types, const struct shape *s, uint32_t field, uint64_t at,
                   struct err *err);

/* A field of a struct. */
static int compare_name(const struct types *types, const struct shape *s,
                        const struct shape_field *f, struct slice name, struct err *err)
{
    if (!slice_eq(name, f->name))
        return differs(f, "has another name or place there", err);
    if (!types->has_ids && s->match == SHAPE_BY_MAPPING && !shape_is_mapped(f, name))
        return differs(f, "is not that of this name", err);
    return 0;
}

/* The children of a struct, a list or a map, in order. */
static int compare_children(const struct types *types, const struct shape *s, uint32_t field,
                            const struct type *t, struct err *err)
{
    struct children c = children_of(t);
    struct slice name = SLICE_LIT("");
    uint64_t child;
    for (uint32_t i = field + 1; i < s->fields[field].end; i = s->fields[i].end) {
        int rc = next_child(&c, &child, &name) ? 0 : differs(&s->fields[i], "is not in it", err);
        if (rc == 0 && c.named)
            rc = compare_name(types, s, &s->fields[i], name, err);
        if (rc == 0)
            rc = compare(types, s, i, child, err);
        if (rc < 0)
            return rc;
    }
    return next_child(&c, &child, &name) ? differs(&s->fields[field], "has more fields there", err)
                                         : 0;
}

static int compare(const struct types *types, const struct shape *s, uint32_t field, uint64_t at,
                   struct err *err)
{
    static const uint8_t kinds[] = {
        [SHAPE_STRUCT] = KIND_STRUCT, [SHAPE_LIST] = KIND_LIST, [SHAPE_MAP] = KIND_MAP};
    const struct shape_field *f = &s->fields[field];
    if (at >= types->n)
        return damaged(err);
    const struct type *t = &types->at[at];
    if (field && types->has_ids && f->id != SHAPE_NO_ID && t->id != f->id)
        return differs(f, "is another one there", err);
    if (f->kind == SHAPE_LEAF ? !kind_fits(f, t) : t->kind != kinds[f->kind])
        return differs(f, "has another type there", err);
    return f->kind == SHAPE_LEAF ? 0 : compare_children(types, s, field, t, err);
}

static int read_types(struct slice footer, struct types *out, struct err *err)
{
    struct field f;
    int rc;
    for (struct slice s = footer; (rc = next_field(&s, &f)) > 0;)
        out->max += f.number == 4;
    if (rc < 0 || out->max == 0)
        return damaged(err);
    if (out->max > PARQUET_NODES_MAX)
        return err_set(err, EOVERFLOW, "an ORC file of %zu columns", out->max);
    out->at = calloc(out->max, sizeof *out->at);
    if (!out->at)
        return err_set(err, ENOMEM, "an ORC file: out of memory");
    for (struct slice s = footer; next_field(&s, &f) > 0;)
        if (f.number == 4 && read_type(f.bytes, &out->at[out->n++], out) < 0)
            return damaged(err);
    return 0;
}

int orc_presents(struct slice tail, const struct shape *shape, struct err *err)
{
    AUTO(buf) struct buf footer = {0};
    struct postscript p;
    struct types types = {0};
    buf_init(&footer, FOOTER_BYTES_MAX + CHUNK_BYTES_MAX);
    int rc = read_postscript(tail, &p, err);
    if (rc < 0)
        return rc;
    if (p.footer_bytes + p.bytes > tail.n)
        return damaged(err);
    struct slice packed =
        slice_make(tail.p + tail.n - p.bytes - p.footer_bytes, (size_t)p.footer_bytes);
    rc = unpack(&p, packed, &footer, err);
    if (rc == 0)
        rc = read_types(buf_slice(&footer), &types, err);
    if (rc == 0)
        rc = compare(&types, shape, 0, 0, err);
    free(types.at);
    return rc;
}
