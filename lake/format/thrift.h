/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded pull reader for Thrift's compact protocol (thrift-compact-protocol.md): no tree, no
 * allocation.
 *
 *   struct thrift t = thrift_make(bytes);
 *   struct thrift_field f = THRIFT_STRUCT;          one per struct that is being read
 *   while (thrift_next(&t, &f))
 *       switch (f.id) {
 *       case 1:  x = thrift_int(&t, &f);  break;
 *       default: thrift_skip(&t, &f);     break;    every field is either read or skipped
 *       }
 *   if (t.in.bad) ... damaged; t.in.p is where
 *
 * Errors stick in t.in.bad, and a field of another type than the one asked for is an error. The
 * caller checks once at the end; loops over lists end by themselves because a count never exceeds
 * the bytes that are left. Pure; slices point into the input.
 */
#ifndef LAKE_FORMAT_THRIFT_H
#define LAKE_FORMAT_THRIFT_H

#include "base/bytes.h"

/* Structs, lists and maps within one another in what is skipped; parquet.thrift needs five. */
#define THRIFT_DEPTH_MAX 32

enum thrift_type {
    THRIFT_STOP,
    THRIFT_TRUE, /* as the type of a field these two carry its value */
    THRIFT_FALSE,
    THRIFT_I8,
    THRIFT_I16,
    THRIFT_I32,
    THRIFT_I64,
    THRIFT_DOUBLE,
    THRIFT_BINARY,
    THRIFT_LIST,
    THRIFT_SET,
    THRIFT_MAP,
    THRIFT_STRUCT_TYPE,
    THRIFT_UUID,
};

struct thrift {
    struct bytes in;
};

struct thrift_field {
    int id; /* that of the field before, until thrift_next */
    enum thrift_type type;
};

/* The state before the first field of a struct. */
#define THRIFT_STRUCT                                                                              \
    {                                                                                              \
        0, THRIFT_STOP                                                                             \
    }

static inline struct thrift thrift_make(struct slice s)
{
    return (struct thrift){bytes_make(s.p, s.n)};
}

/* The next field of the struct; false at its end, and after an error. */
bool thrift_next(struct thrift *t, struct thrift_field *f);

/* Passes over the field's value, whatever it is. */
void thrift_skip(struct thrift *t, const struct thrift_field *f);

/* The bytes of the field's value (of a boolean: none), which thrift_put_raw puts elsewhere. Empty
 * after an error. */
struct slice thrift_raw(struct thrift *t, const struct thrift_field *f);

/* The field's value. Zero, false or empty after an error. */
bool thrift_bool(struct thrift *t, const struct thrift_field *f);
int64_t thrift_int(struct thrift *t, const struct thrift_field *f); /* I8 to I64 */
int32_t thrift_i32(struct thrift *t, const struct thrift_field *f); /* beyond 32 bits: an error */
struct slice thrift_binary(struct thrift *t, const struct thrift_field *f);

/* The field is a struct: its own fields come next. False (an error) where it is not. */
bool thrift_struct(struct thrift *t, const struct thrift_field *f);

/*
 * The field is a list of structs: the number of elements, each read as a struct of its own. Never
 * more than the bytes that are left.
 */
size_t thrift_structs(struct thrift *t, const struct thrift_field *f);

#endif
