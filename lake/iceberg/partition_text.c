/* SPDX-License-Identifier: Apache-2.0 */
/* What Iceberg's writers call partition values in paths. */
#include <math.h>

#include "lake/iceberg/partition.h"

#define EPOCH_YEAR 1970
#define DAY_SECONDS INT64_C(86400)
#define DAY_HOURS 24
/* Beyond it no calendar is computed: no writer's value is. */
#define DAYS_MAX ((int64_t)1 << 40)
#define INT128_BYTES 16
#define UUID_BYTES 16

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* `2026-03-01` of days since 1970, proleptic Gregorian; years begin in March here. */
static void put_date(struct buf *out, int64_t days)
{
    if (days < -DAYS_MAX || days > DAYS_MAX) {
        buf_addf(out, "%lld", (long long)days);
        return;
    }
    int64_t since = days + 719468, era = floor_div(since, 146097), of_era = since - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * of_year + 2) / 153, day = of_year - (153 * month + 2) / 5 + 1;
    month = month < 10 ? month + 3 : month - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    buf_addf(out, "%04lld-%02d-%02d", (long long)year, (int)month, (int)day);
}

/* A time of day from a count of units, of which `digits` stand behind the point where they are not
 * zero. */
static void put_time(struct buf *out, int64_t of_day, int64_t second, int digits)
{
    int64_t s = of_day / second, fraction = of_day % second;
    buf_addf(out, "%02d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    if (fraction)
        buf_addf(out, ".%0*lld", digits, (long long)fraction);
}

static void put_instant(struct buf *out, int64_t v, bool ns, bool utc)
{
    int64_t second = ns ? 1000000000 : 1000000, day = floor_div(v, DAY_SECONDS * second);
    put_date(out, day);
    buf_add_char(out, 'T');
    put_time(out, v - day * (DAY_SECONDS * second), second, ns ? 9 : 6);
    if (utc)
        buf_add_str(out, "+00:00");
}

/* The fewest digits that are read as the same value. */
static void put_real(struct buf *out, double v, bool half)
{
    char text[32];
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v); /* fits */
        if (half ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v)
            break;
    }
    buf_add_str(out, text);
    if (isfinite(v) && !strpbrk(text, ".e"))
        buf_add_str(out, ".0");
}

static void put_base64(struct buf *out, struct slice s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (i + k < s.n ? (unsigned char)s.p[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            buf_add_char(out, i + k > s.n ? '=' : digits[v >> (18 - 6 * k) & 63]);
    }
}

/* An unscaled number, big-endian, with a point before the last `scale` digits. */
static void put_decimal(struct buf *out, struct slice s, unsigned scale)
{
    unsigned __int128 v = s.n && (signed char)s.p[0] < 0 ? ~(unsigned __int128)0 : 0;
    char digits[2 * INT128_BYTES + 48];
    size_t n = 0;
    if (s.n > INT128_BYTES) {
        put_base64(out, s);
        return;
    }
    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | (unsigned char)s.p[i];
    bool negative = (__int128)v < 0;
    v = negative ? -v : v;
    do
        digits[n++] = (char)('0' + (unsigned)(v % 10));
    while ((v /= 10) || n <= scale);
    if (negative)
        buf_add_char(out, '-');
    while (n--) {
        buf_add_char(out, digits[n]);
        if (n && n == scale)
            buf_add_char(out, '.');
    }
}

static void put_uuid(struct buf *out, struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_addf(out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
                 (unsigned)(unsigned char)s.p[i]);
}

/* Whatever its type, as the manifest has it. */
static void put_stored(struct buf *out, const struct iceberg_value *v)
{
    if (v->kind == ICEBERG_BYTES)
        buf_add_slice(out, v->bytes);
    else if (v->kind == ICEBERG_REAL)
        put_real(out, v->real, false);
    else
        buf_addf(out, "%lld", (long long)v->number);
}

/* Of identity and truncate: values are of the source's type. */
static void put_value(struct buf *out, const struct shape_field *f, const struct iceberg_value *v)
{
    bool number = v->kind == ICEBERG_NUMBER, bytes = v->kind == ICEBERG_BYTES;
    switch ((enum shape_type)f->type) {
    case SHAPE_BOOLEAN:
        if (number) {
            buf_add_str(out, v->number ? "true" : "false");
            return;
        }
        break;
    case SHAPE_DATE:
        if (number) {
            put_date(out, v->number);
            return;
        }
        break;
    case SHAPE_TIME:
        if (number && v->number >= 0) {
            put_time(out, v->number, 1000000, 6);
            return;
        }
        break;
    case SHAPE_TIMESTAMP:
    case SHAPE_TIMESTAMP_LOCAL:
    case SHAPE_TIMESTAMP_NS:
    case SHAPE_TIMESTAMP_LOCAL_NS:
        if (number) {
            put_instant(out, v->number,
                        f->type == SHAPE_TIMESTAMP_NS || f->type == SHAPE_TIMESTAMP_LOCAL_NS,
                        f->type == SHAPE_TIMESTAMP || f->type == SHAPE_TIMESTAMP_NS);
            return;
        }
        break;
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
        if (v->kind == ICEBERG_REAL) {
            put_real(out, v->real, f->type == SHAPE_FLOAT);
            return;
        }
        break;
    case SHAPE_DECIMAL:
        if (bytes) {
            put_decimal(out, v->bytes, f->scale);
            return;
        }
        break;
    case SHAPE_BINARY:
    case SHAPE_FIXED:
        if (bytes) {
            put_base64(out, v->bytes);
            return;
        }
        break;
    case SHAPE_UUID:
        if (bytes && v->bytes.n == UUID_BYTES) {
            put_uuid(out, v->bytes);
            return;
        }
        break;
    case SHAPE_INT8:
    case SHAPE_INT16:
    case SHAPE_INT32:
    case SHAPE_INT64:
    case SHAPE_STRING:
    case SHAPE_VARIANT:
    case SHAPE_UNKNOWN:
    case SHAPE_STORED:
    case SHAPE_GEOMETRY:
    case SHAPE_GEOGRAPHY:
        break;
    }
    put_stored(out, v);
}

void iceberg_partition_text(const struct iceberg_partition_column *c, const struct iceberg_value *v,
                            struct buf *out)
{
    bool counted = v->kind == ICEBERG_NUMBER && v->number >= -DAYS_MAX && v->number <= DAYS_MAX;
    if (v->kind == ICEBERG_NULL) {
        buf_add_str(out, "null");
        return;
    }
    switch (c->transform) {
    case ICEBERG_IDENTITY:
    case ICEBERG_TRUNCATE:
        put_value(out, &c->source, v);
        return;
    case ICEBERG_YEAR:
        if (counted) {
            buf_addf(out, "%04lld", (long long)(EPOCH_YEAR + v->number));
            return;
        }
        break;
    case ICEBERG_MONTH:
        if (counted) {
            int64_t years = floor_div(v->number, 12);
            buf_addf(out, "%04lld-%02d", (long long)(EPOCH_YEAR + years),
                     (int)(v->number - 12 * years) + 1);
            return;
        }
        break;
    case ICEBERG_DAY:
        if (counted) {
            put_date(out, v->number);
            return;
        }
        break;
    case ICEBERG_HOUR:
        if (counted) {
            int64_t days = floor_div(v->number, DAY_HOURS);
            put_date(out, days);
            buf_addf(out, "-%02d", (int)(v->number - DAY_HOURS * days));
            return;
        }
        break;
    case ICEBERG_BUCKET:
    case ICEBERG_VOID:
    case ICEBERG_OTHER:
        break;
    }
    put_stored(out, v);
}
