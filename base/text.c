/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <strings.h>

static bool continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t utf8_length(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    if (s.n == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        return s.n >= 2 && continuation(p[1]) ? 2 : 0;
    if (p[0] >= 0xe0 && p[0] <= 0xef) {
        unsigned char low = p[0] == 0xe0 ? 0xa0 : 0x80;
        unsigned char high = p[0] == 0xed ? 0x9f : 0xbf; /* no surrogates */
        return s.n >= 3 && p[1] >= low && p[1] <= high && continuation(p[2]) ? 3 : 0;
    }
    if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        unsigned char low = p[0] == 0xf0 ? 0x90 : 0x80;
        unsigned char high = p[0] == 0xf4 ? 0x8f : 0xbf; /* up to U+10FFFF */
        bool ok =
            s.n >= 4 && p[1] >= low && p[1] <= high && continuation(p[2]) && continuation(p[3]);
        return ok ? 4 : 0;
    }
    return 0;
}

bool utf8_valid(struct slice s)
{
    while (s.n) {
        size_t n = utf8_length(s);
        if (n == 0)
            return false;
        s = slice_from(s, n);
    }
    return true;
}

int text_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool text_unhex(struct slice text, void *out)
{
    uint8_t *to = out;
    for (size_t i = 0; i < text.n / 2; i++) {
        int high = text_hex_digit(text.p[2 * i]), low = text_hex_digit(text.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return text.n % 2 == 0;
}

bool text_unhex_add(struct buf *out, struct slice text)
{
    void *room = buf_reserve(out, text.n / 2 + 1);
    if (!room)
        return true; /* the buffer tells of it */
    bool good = text_unhex(text, room);
    out->len += good ? text.n / 2 : 0;
    return good;
}

bool text_parse_hex(struct slice s, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < s.n && i < 16; i++) {
        int digit = text_hex_digit(s.p[i]);
        if (digit < 0)
            return false;
        *out = *out << 4 | (uint64_t)digit;
    }
    return s.n > 0 && s.n <= 16;
}

void text_percent_decode(struct buf *out, struct slice s)
{
    while (s.n) {
        ptrdiff_t percent = slice_find(s, '%');
        buf_add(out, s.p, percent < 0 ? s.n : (size_t)percent);
        if (percent < 0)
            return;
        s = slice_from(s, (size_t)percent);
        int high = s.n >= 3 ? text_hex_digit(s.p[1]) : -1;
        int low = high >= 0 ? text_hex_digit(s.p[2]) : -1;
        buf_add_char(out, low >= 0 ? (char)(high * 16 + low) : '%');
        s = slice_from(s, low >= 0 ? 3 : 1);
    }
}

static bool unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void text_percent_encode(struct buf *out, struct slice s, const char *keep)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (unreserved(c) || (c && strchr(keep, c)))
            buf_add_char(out, c);
        else
            buf_addf(out, "%%%02X", (unsigned)(unsigned char)c);
    }
}

void text_hex(struct buf *out, const void *data, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++) {
        buf_add_char(out, digits[p[i] >> 4]);
        buf_add_char(out, digits[p[i] & 15]);
    }
}

bool text_parse_u64(struct slice s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v) || v > max)
            return false;
    }
    *out = v;
    return true;
}

bool text_parse_i64(struct slice s, int64_t *out)
{
    bool negative = s.n && s.p[0] == '-';
    uint64_t v;
    if (!text_parse_u64(negative ? slice_from(s, 1) : s, (uint64_t)INT64_MAX + negative, &v))
        return false;
    *out = negative ? (int64_t)-v : (int64_t)v;
    return true;
}

bool text_parse_size(struct slice s, uint64_t *out)
{
    static const char units[] = "kmgt";
    size_t digits = 0;
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    uint64_t v;
    if (!text_parse_u64(slice_make(s.p, digits), UINT64_MAX, &v))
        return false;
    struct slice unit = slice_from(s, digits);
    if (unit.n && (slice_is(unit, "B") || slice_is(unit, "b")))
        unit.n = 0;
    if (unit.n) {
        const char *hit = strchr(units, unit.p[0] | 0x20);
        struct slice rest = slice_from(unit, 1);
        if (!hit || !(rest.n == 0 || slice_is(rest, "B") || slice_is(rest, "iB")))
            return false;
        unsigned shift = 10 * (unsigned)(hit - units + 1);
        if (v > UINT64_MAX >> shift)
            return false;
        v <<= shift;
    }
    *out = v;
    return true;
}

bool text_parse_duration_ms(struct slice s, int64_t *out)
{
    int64_t unit_ms = 1000;
    if (s.n > 1) {
        static const struct {
            char c;
            int64_t ms;
        } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
        for (size_t i = 0; i < ARRAY_SIZE(units); i++)
            if (s.p[s.n - 1] == units[i].c) {
                unit_ms = units[i].ms;
                s.n--;
                break;
            }
    }
    ptrdiff_t dot = slice_find(s, '.');
    uint64_t whole, part = 0;
    struct slice left = dot < 0 ? s : slice_make(s.p, (size_t)dot);
    struct slice right = dot < 0 ? SLICE_NONE : slice_from(s, (size_t)dot + 1);
    if (!text_parse_u64(left, (uint64_t)INT64_MAX / 86400000 - 1, &whole) || right.n > 6)
        return false;
    if (dot >= 0 && !text_parse_u64(right, UINT64_MAX, &part))
        return false;
    int64_t scale = 1;
    for (size_t i = 0; i < right.n; i++)
        scale *= 10;
    *out = (int64_t)whole * unit_ms + (int64_t)part * unit_ms / scale;
    return true;
}

struct slice text_dirname(struct slice path)
{
    ptrdiff_t slash = slice_rfind(path, '/');
    return slice_make(path.p, slash < 0 ? 0 : (size_t)slash);
}

struct slice text_basename(struct slice path)
{
    ptrdiff_t slash = slice_rfind(path, '/');
    return slice_from(path, slash < 0 ? 0 : (size_t)slash + 1);
}
