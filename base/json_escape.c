/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_escape.h"

#include <stdint.h>
#include <string.h>

#include "base/text.h"

/* Four hex digits at p, or -1. */
static int32_t hex4(const char *p, const char *end)
{
    int32_t v = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int d = text_hex_digit(p[i]);
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

static size_t put_utf8(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* A \u escape whose digits begin at *p: the character's bytes; *p moves on. 0: *why not. */
static size_t unescape_unicode(const char **p, const char *end, char out[4], const char **why)
{
    int32_t unit = hex4(*p, end);
    *why = "a \\u escape without four hex digits";
    if (unit < 0)
        return 0;
    *p += 4;
    uint32_t c = (uint32_t)unit;
    if (c >= 0xd800 && c <= 0xdbff && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
        int32_t low = hex4(*p + 2, end);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *p += 6;
            return put_utf8(out, 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)low - 0xdc00));
        }
    }
    if (c < 0xd800 || c > 0xdfff)
        return put_utf8(out, c);
    *why = "half a surrogate pair"; /* with a replacement in it, a name would be another one */
    return 0;
}

bool json_unescape(struct slice inner, char *to, size_t *n, const char **why)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *p = inner.p, *end = inner.p + inner.n;
    char *out = to;
    while (p < end) {
        const char *back = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((back ? back : end) - p);
        memcpy(out, p, plain);
        out += plain;
        p += plain;
        if (p == end)
            break;
        p++; /* no string ends inside of an escape, so one more byte is there */
        const char *name = *p ? strchr(names, *p) : NULL;
        if (name) {
            *out++ = values[name - names];
            p++;
        } else if (*p == 'u') {
            p++;
            char utf8[4];
            size_t got = unescape_unicode(&p, end, utf8, why);
            if (got == 0)
                return false;
            memcpy(out, utf8, got);
            out += got;
        } else {
            *why = "an unknown escape";
            return false;
        }
    }
    *n = (size_t)(out - to);
    return true;
}
