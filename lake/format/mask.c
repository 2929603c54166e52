/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/mask.h"

#include "base/digests.h"
#include "base/limits.h"
#include "base/text.h"
#include "lake/format/parquet_schema.h"

/* Characters that are shown. */
#define SHOWN 4
#define HEX_BYTES (2 * (size_t)SHA256_BYTES)
/* Values that are hashed at once. */
#define HASHES ((size_t)64)
#define DAY_NANOSECONDS INT64_C(86400000000000)
#define DAY_MICROSECONDS INT64_C(86400000000)
#define DAY_MILLISECONDS INT64_C(86400000)
/* Days from the epoch of INT96 (Julian day 0) to 1970-01-01. */
#define JULIAN_EPOCH 2440588
#define INT96_BYTES 12
/* 1582-10-15, the first day of the Gregorian calendar. */
#define GREGORIAN_DAY INT64_C(-141427)
/* Days from the first of March to the first of January. */
#define MARCH_TO_JANUARY 306
/* 999999999 of every integer; the last day that ISO 8601 writes with four digits of a year, and the
 * last one of a whole year that nanoseconds in 64 bits reach. */
#define FIXED_NUMBER 999999999
#define FIXED_TEXT "XXXXXXXX"
#define FIXED_DAY INT64_C(2932896)
#define FIXED_DAY_NANOSECONDS INT64_C(106650)

static bool is_text(const struct mask_rule *r)
{
    return r->of == SHAPE_STRING && r->type == PARQUET_BYTE_ARRAY;
}

static bool is_hashed(const struct mask_rule *r)
{
    return is_text(r) || (r->of == SHAPE_BINARY && r->type == PARQUET_BYTE_ARRAY) ||
           (r->of == SHAPE_INT32 && r->type == PARQUET_INT32) ||
           (r->of == SHAPE_INT64 && r->type == PARQUET_INT64);
}

/* Units of a day, of numbers of INT64. */
static int64_t day_units(uint8_t unit)
{
    return unit == PARQUET_MILLIS   ? DAY_MILLISECONDS
           : unit == PARQUET_MICROS ? DAY_MICROSECONDS
           : unit == PARQUET_NANOS  ? DAY_NANOSECONDS
                                    : 0;
}

static bool is_dated(const struct mask_rule *r)
{
    switch (r->of) {
    case SHAPE_DATE:
        return r->type == PARQUET_INT32;
    case SHAPE_TIMESTAMP:
    case SHAPE_TIMESTAMP_LOCAL:
    case SHAPE_TIMESTAMP_NS:
    case SHAPE_TIMESTAMP_LOCAL_NS:
        return r->type == PARQUET_INT96 || (r->type == PARQUET_INT64 && day_units(r->unit));
    default:
        return false;
    }
}

static bool is_known(const struct mask_rule *r)
{
    switch ((enum shape_mask)r->how) {
    case SHAPE_MASK_ALPHANUM:
    case SHAPE_MASK_FIRST_4:
    case SHAPE_MASK_LAST_4:
        return is_text(r);
    case SHAPE_MASK_YEAR:
    case SHAPE_MASK_MONTH:
        return is_dated(r);
    case SHAPE_MASK_SHA256:
        return is_hashed(r);
    case SHAPE_MASK_SHA256_LOCAL:
        return is_hashed(r) && r->salt;
    case SHAPE_MASK_NONE:
    case SHAPE_MASK_NULL:
    case SHAPE_MASK_FIXED:
        break;
    }
    return false;
}

int mask_init(struct mask *m, const struct mask_rule *rule, struct err *err)
{
    if (!is_known(rule)) {
        const char *name = shape_mask_name(rule->how);
        return err_set(err, EOPNOTSUPP, "the mask %s of values that are stored as type %u",
                       name ? name : "(unknown)", rule->type);
    }
    *m = (struct mask){.rule = *rule};
    buf_init(&m->bytes, PAGE_BYTES_MAX + PARQUET_BATCH * HEX_BYTES);
    return 0;
}

void mask_done(struct mask *m)
{
    buf_done(&m->bytes);
}

/* Text */

static char masked(char c)
{
    if (c >= '0' && c <= '9')
        return 'n';
    return c == '(' || c == ')' || c == ',' || c == '.' || c == '-' || c == '@' ? c : 'x';
}

/* Bytes of the character at the start of s, which is not empty; *good: it is one. */
static size_t character(struct slice s, bool *good)
{
    size_t n = (unsigned char)s.p[0] < 0x80 ? 1 : utf8_length(s);
    *good = n > 0;
    return n ? n : 1;
}

static size_t count_characters(struct slice s)
{
    size_t n = 0;
    bool good;
    while (s.n) {
        s = slice_from(s, character(s, &good));
        n++;
    }
    return n;
}

/* Characters from `from` to `to` - 1 stay. There is room for as many bytes as s has. */
static size_t mask_text(struct slice s, size_t from, size_t to, char *out)
{
    const char *start = out;
    for (size_t i = 0; s.n; i++) {
        bool good;
        size_t n = character(s, &good);
        if (good && i >= from && i < to) {
            memcpy(out, s.p, n);
            out += n;
        } else {
            *out++ = good ? masked(s.p[0]) : 'x';
        }
        s = slice_from(s, n);
    }
    return (size_t)(out - start);
}

static void mask_texts(struct mask *m, union parquet_value *values, size_t n, char *to)
{
    for (size_t i = 0; i < n; i++) {
        struct slice s = values[i].bytes;
        size_t from = 0, end = 0;
        if (m->rule.how == SHAPE_MASK_FIRST_4) {
            end = SHOWN;
        } else if (m->rule.how == SHAPE_MASK_LAST_4) {
            end = count_characters(s);
            from = end > SHOWN ? end - SHOWN : 0;
        }
        values[i].bytes = slice_make(to, mask_text(s, from, end, to));
        to += values[i].bytes.n;
    }
}

/* Dates (the algorithms of civil calendars: years begin in March, 400 of them have 146097 days) */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days since 1970-01-01 of the first day of the year or month in which the day is. */
static int64_t first_day(int64_t day, bool month)
{
    int64_t z = day + 719468; /* since 0000-03-01 */
    int64_t era = floor_div(z, 146097);
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t from_march = (5 * doy + 2) / 153;
    if (month)
        return day - (doy - (153 * from_march + 2) / 5);
    /* January and February belong to the year of the March before. */
    int64_t year = yoe - (from_march < 10);
    int64_t days = 365 * year + floor_div(year, 4) - floor_div(year, 100) + floor_div(year, 400);
    return era * 146097 + days + MARCH_TO_JANUARY - 719468;
}

static bool mask_day(const struct mask *m, int64_t day, int64_t *first)
{
    *first = first_day(day, m->rule.how == SHAPE_MASK_MONTH);
    return !m->rule.hybrid || *first >= GREGORIAN_DAY;
}

static bool mask_number(const struct mask *m, int64_t *number)
{
    if (m->rule.type == PARQUET_INT32)
        return mask_day(m, *number, number) && *number >= INT32_MIN;
    int64_t units = day_units(m->rule.unit), first;
    return units && mask_day(m, floor_div(*number, units), &first) &&
           !__builtin_mul_overflow(first, units, number);
}

/* INT96: nanoseconds of the day, and the Julian day. */
static bool mask_int96(const struct mask *m, struct slice from, char *to)
{
    int64_t nanoseconds;
    int32_t julian;
    memcpy(&nanoseconds, from.p, sizeof nanoseconds);
    memcpy(&julian, from.p + sizeof nanoseconds, sizeof julian);
    int64_t day = (int64_t)julian - JULIAN_EPOCH + floor_div(nanoseconds, DAY_NANOSECONDS);
    int64_t first;
    bool good = mask_day(m, day, &first);
    first += JULIAN_EPOCH;
    memset(to, 0, sizeof nanoseconds);
    julian = (int32_t)first;
    memcpy(to + sizeof nanoseconds, &julian, sizeof julian);
    return good && julian == first;
}

static int mask_dates(struct mask *m, union parquet_value *values, size_t n, char *to,
                      struct err *err)
{
    bool fits = true;
    for (size_t i = 0; i < n; i++)
        if (m->rule.type != PARQUET_INT96) {
            fits &= mask_number(m, &values[i].number);
        } else {
            fits &= values[i].bytes.n == INT96_BYTES && mask_int96(m, values[i].bytes, to);
            values[i].bytes = slice_make(to, INT96_BYTES);
            to += INT96_BYTES;
        }
    return fits ? 0
                : err_set(err, EOPNOTSUPP,
                          "the first instant of a value's %s is beyond its type, or of the "
                          "Julian calendar",
                          m->rule.how == SHAPE_MASK_MONTH ? "month" : "year");
}

/* Hashes */

/* The bytes of a value that are hashed; `number` has those of one. */
static struct slice hashed_bytes(const struct mask *m, const union parquet_value *v,
                                 uint8_t number[sizeof(int64_t)])
{
    if (m->rule.type == PARQUET_BYTE_ARRAY)
        return v->bytes;
    memcpy(number, &v->number, sizeof v->number); /* the lower bytes of INT32 come first */
    return slice_make(number, m->rule.type == PARQUET_INT32 ? sizeof(int32_t) : sizeof(int64_t));
}

/* Returns behind what was written at `to`. */
static char *put_hash(const struct mask *m, const uint8_t sum[SHA256_BYTES], char *to,
                      union parquet_value *v)
{
    int32_t half;
    if (m->rule.type == PARQUET_INT32) {
        memcpy(&half, sum, sizeof half);
        v->number = half;
        return to;
    }
    if (m->rule.type == PARQUET_INT64) {
        memcpy(&v->number, sum, sizeof v->number);
        return to;
    }
    size_t n = is_text(&m->rule) ? HEX_BYTES : SHA256_BYTES;
    if (is_text(&m->rule))
        sha256_digits(sum, to);
    else
        memcpy(to, sum, n);
    v->bytes = slice_make(to, n);
    return to + n;
}

static void mask_hashes(struct mask *m, union parquet_value *values, size_t n, char *to)
{
    struct slice salt = m->rule.how == SHAPE_MASK_SHA256_LOCAL
                            ? slice_make(m->rule.salt, SHAPE_SALT_BYTES)
                            : SLICE_NONE;
    uint8_t numbers[HASHES][sizeof(int64_t)], sums[HASHES][SHA256_BYTES];
    struct slice bytes[HASHES];
    for (size_t done = 0; done < n; done += HASHES) {
        size_t some = n - done < HASHES ? n - done : HASHES;
        for (size_t i = 0; i < some; i++)
            bytes[i] = hashed_bytes(m, &values[done + i], numbers[i]);
        sha256_each(salt, bytes, some, sums);
        for (size_t i = 0; i < some; i++)
            to = put_hash(m, sums[i], to, &values[done + i]);
    }
}

/* Batches */

/* Bytes that n masked values take at most. */
static size_t room(const struct mask *m, const union parquet_value *values, size_t n)
{
    size_t size = 0;
    if (m->rule.type == PARQUET_INT96)
        return n * INT96_BYTES;
    if (m->rule.type != PARQUET_BYTE_ARRAY)
        return 0;
    if (mask_is_hash(m->rule.how))
        return n * HEX_BYTES;
    for (size_t i = 0; i < n; i++)
        size += values[i].bytes.n;
    return size;
}

int mask_batch(struct mask *m, union parquet_value *values, size_t n, struct err *err)
{
    size_t size = room(m, values, n);
    buf_reset(&m->bytes);
    char *to = buf_reserve(&m->bytes, size + 1);
    if (!to)
        return buf_check(&m->bytes, err);
    switch ((enum shape_mask)m->rule.how) {
    case SHAPE_MASK_ALPHANUM:
    case SHAPE_MASK_FIRST_4:
    case SHAPE_MASK_LAST_4:
        mask_texts(m, values, n, to);
        break;
    case SHAPE_MASK_YEAR:
    case SHAPE_MASK_MONTH:
        return mask_dates(m, values, n, to, err);
    case SHAPE_MASK_SHA256:
    case SHAPE_MASK_SHA256_LOCAL:
        mask_hashes(m, values, n, to);
        break;
    case SHAPE_MASK_NONE:
    case SHAPE_MASK_NULL:
    case SHAPE_MASK_FIXED:
        break;
    }
    return 0;
}

/* The fixed value */

static void add_number(struct buf *out, int64_t number, size_t bytes)
{
    buf_add(out, &number, bytes);
}

void mask_fixed_value(const struct shape_field *f, uint32_t bytes, struct buf *out)
{
    switch ((enum shape_type)f->type) {
    case SHAPE_INT32:
        add_number(out, FIXED_NUMBER, sizeof(int32_t));
        return;
    case SHAPE_INT64:
        add_number(out, FIXED_NUMBER, sizeof(int64_t));
        return;
    case SHAPE_STRING:
        buf_add_str(out, FIXED_TEXT);
        return;
    case SHAPE_BINARY:
        return;
    case SHAPE_DATE:
        add_number(out, FIXED_DAY, sizeof(int32_t));
        return;
    case SHAPE_TIMESTAMP:
    case SHAPE_TIMESTAMP_LOCAL:
        add_number(out, FIXED_DAY * DAY_MICROSECONDS, sizeof(int64_t));
        return;
    case SHAPE_TIMESTAMP_NS:
    case SHAPE_TIMESTAMP_LOCAL_NS:
        add_number(out, FIXED_DAY_NANOSECONDS * DAY_NANOSECONDS, sizeof(int64_t));
        return;
    case SHAPE_BOOLEAN: /* false, 0, midnight, zeros */
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
    case SHAPE_DECIMAL:
    case SHAPE_FIXED:
    case SHAPE_UUID:
    case SHAPE_TIME:
        while (bytes--)
            buf_add_char(out, 0);
        return;
    case SHAPE_INT8:
    case SHAPE_INT16:
    case SHAPE_VARIANT:
    case SHAPE_UNKNOWN:
    case SHAPE_STORED:
    case SHAPE_GEOMETRY:
    case SHAPE_GEOGRAPHY:
        break;
    }
}
