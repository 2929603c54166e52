/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/thrift.h"

static int64_t fail(struct thrift *t)
{
    t->in.bad = true;
    return 0;
}

bool thrift_next(struct thrift *t, struct thrift_field *f)
{
    uint8_t head = bytes_u8(&t->in);
    enum thrift_type type = head & 0x0f;
    if (t->in.bad || head == 0)
        return false;
    int64_t id = head >> 4 ? f->id + (head >> 4) : bytes_zigzag(&t->in);
    if (t->in.bad || type == THRIFT_STOP || type > THRIFT_UUID || id < 0 || id > INT16_MAX)
        return fail(t);
    f->id = (int)id;
    f->type = type;
    return true;
}

/* The head of a list or set. Every element has at least one byte. */
static size_t list_head(struct thrift *t, enum thrift_type *element)
{
    uint8_t head = bytes_u8(&t->in);
    uint64_t n = head >> 4 == 15 ? bytes_varint(&t->in) : head >> 4;
    *element = head & 0x0f;
    if (t->in.bad || n > bytes_left(&t->in)) {
        t->in.bad = true;
        return 0;
    }
    return (size_t)n;
}

static void skip_value(struct thrift *t, enum thrift_type type, unsigned depth);

/* A value in a list or map, where booleans take a byte. */
static void skip_element(struct thrift *t, enum thrift_type type, unsigned depth)
{
    if (type == THRIFT_TRUE || type == THRIFT_FALSE)
        (void)bytes_u8(&t->in); /* not wanted */
    else
        skip_value(t, type, depth);
}

static void skip_list(struct thrift *t, unsigned depth)
{
    enum thrift_type element;
    size_t n = list_head(t, &element);
    for (size_t i = 0; i < n && !t->in.bad; i++)
        skip_element(t, element, depth);
}

static void skip_map(struct thrift *t, unsigned depth)
{
    uint64_t n = bytes_varint(&t->in);
    if (n == 0 || t->in.bad)
        return;
    uint8_t types = bytes_u8(&t->in);
    for (uint64_t i = 0; i < n && !t->in.bad; i++) {
        skip_element(t, types >> 4, depth);
        skip_element(t, types & 0x0f, depth);
    }
}

/* Recurses at most THRIFT_DEPTH_MAX deep. */
static void skip_value(struct thrift *t, enum thrift_type type, unsigned depth)
{
    struct thrift_field f = THRIFT_STRUCT;
    if (depth == THRIFT_DEPTH_MAX) {
        (void)fail(t);
        return;
    }
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        break;
    case THRIFT_I8:
        (void)bytes_take(&t->in, 1); /* not wanted; what is missing sticks (all below, too) */
        break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        (void)bytes_varint(&t->in);
        break;
    case THRIFT_DOUBLE:
        (void)bytes_take(&t->in, 8);
        break;
    case THRIFT_BINARY:
        (void)bytes_take(&t->in, bytes_varint(&t->in));
        break;
    case THRIFT_UUID:
        (void)bytes_take(&t->in, 16);
        break;
    case THRIFT_LIST:
    case THRIFT_SET:
        skip_list(t, depth + 1);
        break;
    case THRIFT_MAP:
        skip_map(t, depth + 1);
        break;
    case THRIFT_STRUCT_TYPE:
        while (thrift_next(t, &f))
            skip_value(t, f.type, depth + 1);
        break;
    case THRIFT_STOP:
    default: /* four bits from outside, not only our own values */
        (void)fail(t);
    }
}

void thrift_skip(struct thrift *t, const struct thrift_field *f)
{
    skip_value(t, f->type, 0);
}

struct slice thrift_raw(struct thrift *t, const struct thrift_field *f)
{
    const uint8_t *start = t->in.p;
    thrift_skip(t, f);
    return t->in.bad ? SLICE_NONE : slice_make(start, (size_t)(t->in.p - start));
}

bool thrift_bool(struct thrift *t, const struct thrift_field *f)
{
    if (f->type != THRIFT_TRUE && f->type != THRIFT_FALSE)
        return fail(t);
    return f->type == THRIFT_TRUE;
}

int64_t thrift_int(struct thrift *t, const struct thrift_field *f)
{
    if (f->type == THRIFT_I8)
        return (int8_t)bytes_u8(&t->in);
    if (f->type != THRIFT_I16 && f->type != THRIFT_I32 && f->type != THRIFT_I64)
        return fail(t);
    return bytes_zigzag(&t->in);
}

int32_t thrift_i32(struct thrift *t, const struct thrift_field *f)
{
    int64_t v = thrift_int(t, f);
    return (int32_t)(v < INT32_MIN || v > INT32_MAX ? fail(t) : v);
}

struct slice thrift_binary(struct thrift *t, const struct thrift_field *f)
{
    if (f->type != THRIFT_BINARY) {
        (void)fail(t);
        return SLICE_NONE;
    }
    return bytes_slice(&t->in, bytes_varint(&t->in));
}

bool thrift_struct(struct thrift *t, const struct thrift_field *f)
{
    return f->type == THRIFT_STRUCT_TYPE || fail(t);
}

size_t thrift_structs(struct thrift *t, const struct thrift_field *f)
{
    if (f->type != THRIFT_LIST)
        return (size_t)fail(t);
    enum thrift_type element;
    size_t n = list_head(t, &element);
    return n == 0 || element == THRIFT_STRUCT_TYPE ? n : (size_t)fail(t);
}
