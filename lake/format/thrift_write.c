/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/thrift_write.h"

#include <assert.h>

static void put_zigzag(struct thrift_out *t, int64_t v)
{
    buf_add_varint(t->to, ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0));
}

static void put_head(struct thrift_out *t, int id, enum thrift_type type)
{
    assert(t->depth > 0);
    int *last = &t->last[t->depth - 1];
    int delta = id - *last;
    if (delta >= 1 && delta <= 15) {
        buf_add_char(t->to, (char)(delta << 4 | (int)type));
    } else {
        buf_add_char(t->to, (char)type);
        put_zigzag(t, id);
    }
    *last = id;
}

static void push(struct thrift_out *t)
{
    assert(t->depth < THRIFT_OUT_DEPTH);
    t->last[t->depth++] = 0;
}

void thrift_put_int(struct thrift_out *t, int id, enum thrift_type type, int64_t v)
{
    put_head(t, id, type);
    put_zigzag(t, v);
}

void thrift_put_byte(struct thrift_out *t, int id, int8_t v)
{
    put_head(t, id, THRIFT_I8);
    buf_add_char(t->to, (char)v);
}

void thrift_put_bool(struct thrift_out *t, int id, bool v)
{
    put_head(t, id, v ? THRIFT_TRUE : THRIFT_FALSE);
}

void thrift_put_binary(struct thrift_out *t, int id, struct slice s)
{
    put_head(t, id, THRIFT_BINARY);
    thrift_put_item_binary(t, s);
}

void thrift_put_raw(struct thrift_out *t, int id, enum thrift_type type, struct slice value)
{
    put_head(t, id, type);
    buf_add_slice(t->to, value);
}

void thrift_put_struct(struct thrift_out *t, int id)
{
    put_head(t, id, THRIFT_STRUCT_TYPE);
    push(t);
}

void thrift_put_list(struct thrift_out *t, int id, enum thrift_type element, size_t n)
{
    put_head(t, id, THRIFT_LIST);
    if (n < 15) {
        buf_add_char(t->to, (char)((unsigned)n << 4 | element));
    } else {
        buf_add_char(t->to, (char)(0xf0 | element));
        buf_add_varint(t->to, n);
    }
}

void thrift_put_item(struct thrift_out *t)
{
    push(t);
}

void thrift_put_item_int(struct thrift_out *t, int64_t v)
{
    put_zigzag(t, v);
}

void thrift_put_item_binary(struct thrift_out *t, struct slice s)
{
    buf_add_varint(t->to, s.n);
    buf_add_slice(t->to, s);
}

void thrift_put_end(struct thrift_out *t)
{
    assert(t->depth > 0);
    buf_add_char(t->to, 0);
    t->depth--;
}
