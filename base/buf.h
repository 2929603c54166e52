/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable buffer of bytes with a mandatory maximum.
 *
 * Errors stick: after a failed append (out of memory, or over the maximum) every further append
 * fails too, and buf_check() tells once at the end, so that formatters need no check per call.
 * The bytes are followed by a zero that does not count, so data may be used as a C string.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/slice.h"

struct buf {
    char *data;      /* NULL until the first append */
    size_t len, cap; /* len < cap where data is not NULL */
    size_t max;      /* len never exceeds it */
    int failed;      /* 0, ENOMEM or EOVERFLOW */
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_done(struct buf *b);
DEFINE_AUTO_DONE(buf, struct buf, buf_done)

/* Forgets the contents and the failure, keeps the memory. */
void buf_reset(struct buf *b);

void buf_add(struct buf *b, const void *data, size_t n);
void buf_add_slice(struct buf *b, struct slice s);
void buf_add_str(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_add_le64(struct buf *b, uint64_t v);
/* LEB128, as in Thrift and protocol buffers. */
void buf_add_varint(struct buf *b, uint64_t v);
__attribute__((format(printf, 2, 3))) void buf_addf(struct buf *b, const char *fmt, ...);
/* Text as a quoted JSON string; bytes that are not UTF-8 become U+FFFD. */
void buf_add_json(struct buf *b, struct slice text);

/* Room for n more bytes that the caller fills and counts by b->len += used. NULL when failed. */
void *buf_reserve(struct buf *b, size_t n);

/* 0, or -errno of the first failed append, with a message. */
int buf_check(const struct buf *b, struct err *err);

static inline struct slice buf_slice(const struct buf *b)
{
    return slice_make(b->data, b->len);
}

/* The contents as a C string, owned by the caller (free); NULL when failed. The buffer is empty
 * afterwards. */
char *buf_steal_str(struct buf *b);

#endif
