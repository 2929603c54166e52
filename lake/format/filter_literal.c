/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/instant.h"
#include "base/text.h"
#include "lake/format/filter_private.h"

/* Digits that count, as decimals have them. */
#define DIGITS_MAX 38
#define EXPONENT_MAX 1000
#define INT128_MAX ((__int128)(~(unsigned __int128)0 >> 1))
#define INT128_MIN (-INT128_MAX - 1)

#define DAY_NANOSECONDS INT64_C(86400000000000)
#define MILLISECOND_NANOSECONDS INT64_C(1000000)

/* Numbers */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool take_exponent(struct slice s, int *out)
{
    uint64_t v = 0;
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = slice_from(s, 1);
    if (!text_parse_u64(s, EXPONENT_MAX, &v))
        return false;
    *out = negative ? -(int)v : (int)v;
    return true;
}

/* Digits around a point, without zeros that do not count; their exponent. False: more than 38. */
static bool take_mantissa(struct slice s, struct filter_number *n)
{
    bool digits = false, point = false;
    unsigned counted = 0;
    int zeros = 0; /* seen and not counted yet */
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (!is_digit(s.p[i]) || n->exponent < -EXPONENT_MAX)
            return false;
        digits = true;
        n->exponent -= point;
        if (s.p[i] == '0') {
            zeros += counted > 0;
            continue;
        }
        if (counted + (unsigned)zeros + 1 > DIGITS_MAX)
            return false;
        counted += (unsigned)zeros + 1;
        for (; zeros; zeros--)
            n->coefficient *= 10;
        n->coefficient = n->coefficient * 10 + (unsigned)(s.p[i] - '0');
        zeros = 0;
    }
    n->exponent += zeros;
    return digits && zeros <= EXPONENT_MAX;
}

bool filter_number_parse(struct slice text, struct filter_number *out)
{
    struct filter_number n = {.negative = text.n && text.p[0] == '-'};
    int exponent = 0;
    if (text.n && (text.p[0] == '-' || text.p[0] == '+'))
        text = slice_from(text, 1);
    ptrdiff_t e = slice_find(text, 'e');
    e = e < 0 ? slice_find(text, 'E') : e;
    struct slice mantissa = e < 0 ? text : slice_make(text.p, (size_t)e);
    if ((e >= 0 && !take_exponent(slice_from(text, (size_t)e + 1), &exponent)) ||
        !take_mantissa(mantissa, &n))
        return false;
    n.exponent = n.coefficient ? n.exponent + exponent : 0;
    *out = n;
    return n.exponent >= -EXPONENT_MAX && n.exponent <= EXPONENT_MAX;
}

__int128 filter_number_floor(const struct filter_number *n, unsigned scale, bool *exact)
{
    unsigned __int128 v = n->coefficient;
    int shift = n->exponent + (int)scale;
    *exact = true;
    for (; shift > 0 && v; shift--)
        if (__builtin_mul_overflow(v, (unsigned __int128)10, &v) ||
            v > (unsigned __int128)INT128_MAX) {
            *exact = false;
            return n->negative ? INT128_MIN : INT128_MAX;
        }
    for (; shift < 0 && v; shift++) {
        *exact &= v % 10 == 0;
        v /= 10;
    }
    if (!n->negative)
        return (__int128)v;
    return *exact ? -(__int128)v : -(__int128)v - 1;
}

/* The digits of an unsigned number of 128 bits, a zero behind them. */
static void put_digits(unsigned __int128 v, char out[DIGITS_MAX + 2])
{
    char digits[DIGITS_MAX + 1];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + (unsigned)(v % 10));
    while ((v /= 10) && n < sizeof digits);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    out[n] = '\0';
}

/* printf's digits of a real, and the exponent of the first one; whatever the locale's point is. */
static bool same_digits(double v, const char *digits, size_t n, int exponent)
{
    char text[DIGITS_MAX + 16];
    (void)snprintf(text, sizeof text, "%.*e", (int)n - 1, fabs(v)); /* fits */
    size_t at = 0;
    const char *p = text;
    for (; *p && *p != 'e'; p++)
        if (is_digit(*p) && (at == n || *p != digits[at++]))
            return false;
    return at == n && *p == 'e' && strtol(p + 1, NULL, 10) == exponent;
}

double filter_number_nearest(const struct filter_number *n, unsigned bits)
{
    char digits[DIGITS_MAX + 2], text[DIGITS_MAX + 16];
    put_digits(n->coefficient, digits);
    (void)snprintf(text, sizeof text, "%s%se%d", n->negative ? "-" : "", digits,
                   n->exponent); /* fits */
    return bits == 32 ? (double)strtof(text, NULL) : strtod(text, NULL);
}

bool filter_number_real(const struct filter_number *n, unsigned bits, double *out)
{
    char digits[DIGITS_MAX + 2];
    double v = filter_number_nearest(n, bits);
    put_digits(n->coefficient, digits);
    size_t count = strlen(digits);
    *out = v;
    return n->coefficient == 0 ||
           (isfinite(v) && same_digits(v, digits, count, n->exponent + (int)count - 1));
}

/* Dates and instants */

#define DATE_BYTES 16

/* Splits a date off: year, month and day of digits, the latter two of one or two. False: none. */
static bool take_date(struct slice *s, char out[DATE_BYTES])
{
    size_t at = 0, lengths[3] = {0};
    for (size_t part = 0; part < 3; part++) {
        size_t max = part == 0 ? 4 : 2, from = at;
        while (at < s->n && is_digit(s->p[at]) && at - from < max)
            at++;
        lengths[part] = at - from;
        if (lengths[part] == 0 || (part == 0 && lengths[0] != 4))
            return false;
        if (part < 2 && (at == s->n || s->p[at++] != '-'))
            return false;
    }
    size_t month = 5, day = month + lengths[1] + 1;
    (void)snprintf(out, DATE_BYTES, "%.4s-%s%.*s-%s%.*s", s->p, lengths[1] == 1 ? "0" : "",
                   (int)lengths[1], s->p + month, lengths[2] == 1 ? "0" : "", (int)lengths[2],
                   s->p + day);
    *s = slice_from(*s, at);
    return true;
}

bool filter_date_parse(struct slice text, __int128 *out)
{
    char date[DATE_BYTES];
    int64_t ms;
    if (!take_date(&text, date) || text.n || !instant_parse(slice_of(date), &ms))
        return false;
    *out = ms / (DAY_NANOSECONDS / MILLISECOND_NANOSECONDS); /* whole days */
    return true;
}

/* Nanoseconds behind the point, which is taken out; digits behind the ninth have to be zeros. */
static bool take_fraction(struct slice s, size_t *end, int64_t *ns)
{
    size_t n = 0;
    *ns = 0;
    for (; n < s.n && is_digit(s.p[n]); n++) {
        if (n < 9)
            *ns = *ns * 10 + (s.p[n] - '0');
        else if (s.p[n] != '0')
            return false;
    }
    for (size_t i = n; i < 9; i++)
        *ns *= 10;
    *end = n;
    return n > 0;
}

bool filter_instant_parse(struct slice text, bool *zoned, __int128 *out)
{
    AUTO(buf) struct buf plain = {0};
    char date[DATE_BYTES];
    int64_t ms, ns = 0;
    buf_init(&plain, 100);
    if (!take_date(&text, date))
        return false;
    buf_add_str(&plain, date);
    ptrdiff_t point = slice_find(text, '.');
    if (point >= 0) {
        size_t digits;
        struct slice behind = slice_from(text, (size_t)point + 1);
        if (!take_fraction(behind, &digits, &ns))
            return false;
        buf_add(&plain, text.p, (size_t)point);
        buf_add_slice(&plain, slice_from(behind, digits));
    } else {
        buf_add_slice(&plain, text);
    }
    if (plain.failed || !instant_parse(buf_slice(&plain), &ms))
        return false;
    *zoned = false;
    for (size_t i = 0; i < text.n; i++)
        *zoned |= text.p[i] == 'Z' || text.p[i] == 'z' || text.p[i] == '+' || text.p[i] == '-';
    *out = (__int128)ms * MILLISECOND_NANOSECONDS + ns;
    return true;
}

bool filter_uuid_parse(struct slice text, uint8_t out[16])
{
    size_t n = 0;
    if (text.n != 36)
        return false;
    for (size_t i = 0; i < text.n; i += 2) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text.p[i++] != '-')
                return false;
        }
        int high = text_hex_digit(text.p[i]), low = text_hex_digit(text.p[i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[n++] = (uint8_t)(high << 4 | low);
    }
    return true;
}
