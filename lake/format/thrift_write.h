/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer of Thrift's compact protocol (thrift-compact-protocol.md), the counterpart of thrift.h.
 *
 *   struct thrift_out t = thrift_out_make(&buf);      inside a struct from here on
 *   thrift_put_int(&t, 1, THRIFT_I32, 7);             field 1; ids ascend, or cost two bytes more
 *   thrift_put_struct(&t, 5);                         field 5, its fields come next
 *   ...
 *   thrift_put_end(&t);                               of that struct
 *   thrift_put_list(&t, 6, THRIFT_STRUCT_TYPE, n);    n times: thrift_put_item, fields,
 * thrift_put_end thrift_put_end(&t);                               of the outermost struct
 *
 * Failures stick in the buffer (buf_check). Structs that nest deeper than THRIFT_OUT_DEPTH are a
 * bug of ours.
 */
#ifndef LAKE_FORMAT_THRIFT_WRITE_H
#define LAKE_FORMAT_THRIFT_WRITE_H

#include "base/buf.h"
#include "lake/format/thrift.h"

#define THRIFT_OUT_DEPTH 8

struct thrift_out {
    struct buf *to;
    int last[THRIFT_OUT_DEPTH]; /* ids of the fields that were put last, of each open struct */
    unsigned depth;
};

static inline struct thrift_out thrift_out_make(struct buf *to)
{
    return (struct thrift_out){.to = to, .depth = 1};
}

/* Fields. type: THRIFT_I16 to THRIFT_I64. */
void thrift_put_int(struct thrift_out *t, int id, enum thrift_type type, int64_t v);
void thrift_put_byte(struct thrift_out *t, int id, int8_t v);
void thrift_put_bool(struct thrift_out *t, int id, bool v);
void thrift_put_binary(struct thrift_out *t, int id, struct slice s);
/* A value that was read from elsewhere, as its bytes are; thrift_raw reads such. */
void thrift_put_raw(struct thrift_out *t, int id, enum thrift_type type, struct slice value);
void thrift_put_struct(struct thrift_out *t, int id);
void thrift_put_list(struct thrift_out *t, int id, enum thrift_type element, size_t n);

/* Elements of a list. */
void thrift_put_item(struct thrift_out *t); /* a struct */
void thrift_put_item_int(struct thrift_out *t, int64_t v);
void thrift_put_item_binary(struct thrift_out *t, struct slice s);

/* Ends the innermost struct. */
void thrift_put_end(struct thrift_out *t);

#endif
