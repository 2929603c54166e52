/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>

#include "base/text.h"

#define FIRST_CAPACITY 64

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max = max_bytes};
}

void buf_done(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = 0;
    if (b->data)
        b->data[0] = '\0';
}

void *buf_reserve(struct buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (n > b->max - b->len) {
        b->failed = EOVERFLOW;
        return NULL;
    }
    size_t want = b->len + n + 1;
    if (want > b->cap) {
        size_t cap = b->cap ? b->cap : FIRST_CAPACITY;
        while (cap < want)
            cap = cap > SIZE_MAX / 2 ? want : cap * 2;
        char *data = realloc(b->data, cap);
        if (!data) {
            b->failed = ENOMEM;
            return NULL;
        }
        b->data = data;
        b->cap = cap;
    }
    return b->data + b->len;
}

void buf_add(struct buf *b, const void *data, size_t n)
{
    char *to = buf_reserve(b, n);
    if (!to)
        return;
    if (n)
        memcpy(to, data, n);
    to[n] = '\0';
    b->len += n;
}

void buf_add_slice(struct buf *b, struct slice s)
{
    buf_add(b, s.p, s.n);
}

void buf_add_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_add_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_add_le64(struct buf *b, uint64_t v)
{
    buf_add(b, &v, sizeof v);
}

void buf_add_varint(struct buf *b, uint64_t v)
{
    while (v >= 0x80) {
        buf_add_char(b, (char)(uint8_t)(v | 0x80));
        v >>= 7;
    }
    buf_add_char(b, (char)(uint8_t)v);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *to = n < 0 ? NULL : buf_reserve(b, (size_t)n);
    if (!to)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(to, (size_t)n + 1, fmt, ap); /* measured just above */
    va_end(ap);
    b->len += (size_t)n;
}

void buf_add_json(struct buf *b, struct slice text)
{
    buf_add_char(b, '"');
    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)text.p[i];
        size_t n = utf8_length(slice_from(text, i));
        if (n == 0) {
            buf_add_str(b, "\xef\xbf\xbd");
            i++;
        } else if (c == '"' || c == '\\') {
            buf_add_char(b, '\\');
            buf_add_char(b, (char)c);
            i++;
        } else if (c < 0x20 || c == 0x7f) {
            buf_addf(b, "\\u%04x", c);
            i++;
        } else {
            buf_add(b, text.p + i, n);
            i += n;
        }
    }
    buf_add_char(b, '"');
}

int buf_check(const struct buf *b, struct err *err)
{
    if (b->failed == EOVERFLOW)
        return err_set(err, EOVERFLOW, "more than the permitted %zu bytes", b->max);
    if (b->failed)
        return err_set(err, b->failed, "out of memory");
    return 0;
}

char *buf_steal_str(struct buf *b)
{
    if (!buf_reserve(b, 0))
        return NULL;
    b->data[b->len] = '\0';
    char *data = b->data;
    *b = (struct buf){.max = b->max};
    return data;
}
