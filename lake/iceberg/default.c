/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/default.h"

#include <math.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "lake/format/filter_literal.h"
#include "lake/format/present_types.h"

#define DAY_MICROSECONDS INT64_C(86400000000)
#define DAY_NANOSECONDS (1000 * DAY_MICROSECONDS)
#define UUID_BYTES 16
#define INT128_BYTES 16

static int refuse(const struct shape_field *f, int code, const char *what, struct err *err)
{
    AUTO(buf) struct buf type = {0};
    buf_init(&type, KIB);
    present_type_name(f, &type);
    return err_set(err, code, "a value of the type %s %s", type.data ? type.data : "", what);
}

/* Little-endian, as PLAIN has it. */
static void put_le(struct buf *out, uint64_t v, unsigned bytes)
{
    while (bytes--) {
        buf_add_char(out, (char)v);
        v >>= 8;
    }
}

/* False: it has more digits than the type. */
static bool put_decimal(const struct shape_field *f, __int128 v, struct buf *out)
{
    struct present_type t = present_type_new(f);
    unsigned __int128 most = 1, size = (unsigned __int128)(v < 0 ? -v : v);
    for (unsigned i = 0; i < f->precision; i++)
        most *= 10;
    if (size >= most)
        return false;
    if (t.type == PARQUET_FIXED_LEN_BYTE_ARRAY)
        for (unsigned i = t.length; i--;)
            buf_add_char(out, (char)(v >> (8 * (i < INT128_BYTES ? i : INT128_BYTES - 1))));
    else
        put_le(out, (uint64_t)v, t.type == PARQUET_INT32 ? 4 : 8);
    return true;
}

static void put_real(const struct shape_field *f, double v, struct buf *out)
{
    float half = (float)v;
    if (f->type == SHAPE_FLOAT)
        buf_add(out, &half, sizeof half);
    else
        buf_add(out, &v, sizeof v);
}

/* JSON */

static bool put_text_decimal(const struct shape_field *f, struct slice text, struct buf *out)
{
    struct filter_number n;
    bool exact = false;
    if (!filter_number_parse(text, &n))
        return false;
    __int128 v = filter_number_floor(&n, f->scale, &exact);
    return exact && put_decimal(f, v, out);
}

static bool put_instant(const struct shape_field *f, struct slice text, struct buf *out)
{
    bool ns = f->type == SHAPE_TIMESTAMP_NS || f->type == SHAPE_TIMESTAMP_LOCAL_NS;
    bool utc = f->type == SHAPE_TIMESTAMP || f->type == SHAPE_TIMESTAMP_NS, zoned;
    __int128 v;
    if (!filter_instant_parse(text, &zoned, &v) || zoned != utc)
        return false;
    if (!ns && v % 1000 != 0)
        return false;
    v = ns ? v : v / 1000;
    if (v < INT64_MIN || v > INT64_MAX)
        return false;
    put_le(out, (uint64_t)v, 8);
    return true;
}

static bool put_time(struct slice text, struct buf *out)
{
    AUTO(buf) struct buf instant = {0};
    bool zoned;
    __int128 v;
    buf_init(&instant, KIB);
    buf_add_str(&instant, "1970-01-01T");
    buf_add_slice(&instant, text);
    if (instant.failed || !filter_instant_parse(buf_slice(&instant), &zoned, &v) || zoned ||
        v % 1000 != 0 || v < 0 || v >= DAY_NANOSECONDS)
        return false;
    put_le(out, (uint64_t)(v / 1000), 8);
    return true;
}

static bool put_date(struct slice text, struct buf *out)
{
    __int128 days;
    if (!filter_date_parse(text, &days))
        return false;
    put_le(out, (uint64_t)days, 4);
    return true;
}

static bool put_uuid(struct slice text, struct buf *out)
{
    uint8_t uuid[UUID_BYTES];
    if (!filter_uuid_parse(text, uuid))
        return false;
    buf_add(out, uuid, sizeof uuid);
    return true;
}

/* Of types that are strings in JSON. */
static bool put_text(const struct shape_field *f, struct slice text, struct buf *out)
{
    size_t before = out->len;
    switch ((enum shape_type)f->type) {
    case SHAPE_STRING:
        buf_add_slice(out, text);
        return true;
    case SHAPE_DECIMAL:
        return put_text_decimal(f, text, out);
    case SHAPE_BINARY:
        return text_unhex_add(out, text);
    case SHAPE_FIXED:
        return text_unhex_add(out, text) && out->len - before == f->length;
    case SHAPE_UUID:
        return put_uuid(text, out);
    case SHAPE_DATE:
        return put_date(text, out);
    case SHAPE_TIME:
        return put_time(text, out);
    case SHAPE_TIMESTAMP:
    case SHAPE_TIMESTAMP_LOCAL:
    case SHAPE_TIMESTAMP_NS:
    case SHAPE_TIMESTAMP_LOCAL_NS:
        return put_instant(f, text, out);
    case SHAPE_BOOLEAN:
    case SHAPE_INT8:
    case SHAPE_INT16:
    case SHAPE_INT32:
    case SHAPE_INT64:
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
    case SHAPE_VARIANT:
    case SHAPE_UNKNOWN:
    case SHAPE_STORED:
    case SHAPE_GEOMETRY:
    case SHAPE_GEOGRAPHY:
        break;
    }
    return false;
}

static bool put_number(const struct shape_field *f, struct slice json, struct buf *out)
{
    struct filter_number n;
    struct json j;
    int64_t v;
    json_init(&j, json);
    if (f->type == SHAPE_FLOAT || f->type == SHAPE_DOUBLE) {
        unsigned bits = f->type == SHAPE_FLOAT ? 32 : 64;
        if (!filter_number_parse(json, &n))
            return false;
        double nearest = filter_number_nearest(&n, bits);
        put_real(f, nearest, out);
        return isfinite(nearest);
    }
    if (!json_int64(&j, &v) || (f->type == SHAPE_INT32 && (v < INT32_MIN || v > INT32_MAX)))
        return false;
    put_le(out, (uint64_t)v, f->type == SHAPE_INT32 ? 4 : 8);
    return f->type == SHAPE_INT32 || f->type == SHAPE_INT64;
}

int iceberg_default_read(const struct shape_field *f, struct slice json, struct buf *out,
                         struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    struct json j;
    struct slice text;
    bool truth, ok = false;
    if (f->kind != SHAPE_LEAF || f->type == SHAPE_VARIANT || f->type >= SHAPE_UNKNOWN)
        return refuse(f, EOPNOTSUPP, "is no default", err);
    buf_init(&scratch, SCHEMA_BYTES_MAX);
    json_init(&j, json);
    switch (json_peek(&j)) {
    case JSON_BOOL:
        ok = f->type == SHAPE_BOOLEAN && json_bool(&j, &truth);
        if (ok)
            buf_add_char(out, truth);
        break;
    case JSON_NUMBER:
        ok = json_skip(&j, &text) && put_number(f, text, out);
        break;
    case JSON_STRING:
        ok = json_string(&j, &scratch, &text) && put_text(f, text, out);
        break;
    case JSON_NONE:
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    if (buf_check(&scratch, err) < 0 || buf_check(out, err) < 0)
        return -err->code;
    return ok ? 0 : refuse(f, EIO, "is what the default is not", err);
}

/* Binary */

static int64_t little_endian(struct slice v)
{
    uint64_t n = 0;
    for (size_t i = v.n; i--;)
        n = n << 8 | (unsigned char)v.p[i];
    return v.n == 4 ? (int32_t)n : (int64_t)n;
}

static bool put_binary_decimal(const struct shape_field *f, struct slice v, struct buf *out)
{
    unsigned __int128 n = v.n && (signed char)v.p[0] < 0 ? ~(unsigned __int128)0 : 0;
    if (v.n == 0 || v.n > INT128_BYTES)
        return false;
    for (size_t i = 0; i < v.n; i++)
        n = n << 8 | (unsigned char)v.p[i];
    return put_decimal(f, (__int128)n, out);
}

/* Days of a column that became one of instants. */
static int put_days(const struct shape_field *f, int64_t days, struct buf *out, struct err *err)
{
    bool ns = f->type == SHAPE_TIMESTAMP_LOCAL_NS;
    int64_t v;
    if (__builtin_mul_overflow(days, ns ? DAY_NANOSECONDS : DAY_MICROSECONDS, &v))
        return refuse(f, EOPNOTSUPP, "does not hold a date of before", err);
    put_le(out, (uint64_t)v, 8);
    return 0;
}

static bool put_binary_real(const struct shape_field *f, struct slice v, struct buf *out)
{
    float half;
    double whole;
    if (v.n == sizeof half) {
        memcpy(&half, v.p, sizeof half);
        put_real(f, (double)half, out);
        return true;
    }
    if (v.n != sizeof whole)
        return false;
    memcpy(&whole, v.p, sizeof whole);
    put_real(f, whole, out);
    return true;
}

static bool put_binary(const struct shape_field *f, struct slice v, struct buf *out)
{
    switch ((enum shape_type)f->type) {
    case SHAPE_BOOLEAN:
        buf_add_char(out, v.n == 1 && v.p[0] != 0);
        return v.n == 1;
    case SHAPE_INT32:
    case SHAPE_DATE:
        put_le(out, (uint64_t)little_endian(v), 4);
        return v.n == 4 || (v.n == 8 && little_endian(v) == (int32_t)little_endian(v));
    case SHAPE_INT64:
        put_le(out, (uint64_t)little_endian(v), 8);
        return v.n == 4 || v.n == 8;
    case SHAPE_TIME:
    case SHAPE_TIMESTAMP:
    case SHAPE_TIMESTAMP_LOCAL:
    case SHAPE_TIMESTAMP_NS:
    case SHAPE_TIMESTAMP_LOCAL_NS:
        buf_add_slice(out, v);
        return v.n == 8;
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
        return put_binary_real(f, v, out);
    case SHAPE_DECIMAL:
        return put_binary_decimal(f, v, out);
    case SHAPE_STRING:
    case SHAPE_BINARY:
        buf_add_slice(out, v);
        return true;
    case SHAPE_FIXED:
    case SHAPE_UUID:
        buf_add_slice(out, v);
        return v.n == (f->type == SHAPE_UUID ? UUID_BYTES : f->length);
    case SHAPE_INT8:
    case SHAPE_INT16:
    case SHAPE_VARIANT:
    case SHAPE_UNKNOWN:
    case SHAPE_STORED:
    case SHAPE_GEOMETRY:
    case SHAPE_GEOGRAPHY:
        break;
    }
    return false;
}

int iceberg_default_binary(const struct shape_field *f, struct slice value, struct buf *out,
                           struct err *err)
{
    bool local = f->type == SHAPE_TIMESTAMP_LOCAL || f->type == SHAPE_TIMESTAMP_LOCAL_NS;
    int rc = 0;
    if (f->kind != SHAPE_LEAF)
        return refuse(f, EIO, "is no single one", err);
    if (local && value.n == 4)
        rc = put_days(f, little_endian(value), out, err);
    else if (!put_binary(f, value, out))
        rc = refuse(f, EIO, "is what the partition's is not", err);
    return rc < 0 ? rc : buf_check(out, err);
}
