/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/parquet_convert.h"

#include <assert.h>

#include "base/limits.h"

#define DAY_MICROSECONDS INT64_C(86400000000)
#define DAY_NANOSECONDS INT64_C(86400000000000)
/* 1970-01-01 as INT96 counts days. */
#define JULIAN_EPOCH 2440588
#define INT96_BYTES 12
/* Ten to the power of it is the largest that 128 bits hold. */
#define DIGITS_MAX 38

static bool is_unscaled(enum parquet_type type)
{
    return type == PARQUET_INT32 || type == PARQUET_INT64 || type == PARQUET_BYTE_ARRAY ||
           type == PARQUET_FIXED_LEN_BYTE_ARRAY;
}

static bool is_known(const struct parquet_convert *c, unsigned digits)
{
    switch (c->how) {
    case PRESENT_COPY:
        return c->from == c->to;
    case PRESENT_MASKED:
        return c->from == c->to ||
               (c->from == PARQUET_FIXED_LEN_BYTE_ARRAY && c->to == PARQUET_BYTE_ARRAY);
    case PRESENT_INT_TO_INT:
    case PRESENT_DATE_TO_TIMESTAMP:
        return c->from == PARQUET_INT32 && c->to == PARQUET_INT64;
    case PRESENT_INT96_TO_TIMESTAMP:
        return c->from == PARQUET_INT96 && c->to == PARQUET_INT64 && digits <= DIGITS_MAX;
    case PRESENT_INT_TO_DOUBLE:
        return c->from == PARQUET_INT32 && c->to == PARQUET_DOUBLE;
    case PRESENT_FLOAT_TO_DOUBLE:
        return c->from == PARQUET_FLOAT && c->to == PARQUET_DOUBLE;
    case PRESENT_RESCALE:
        return is_unscaled(c->from) && is_unscaled(c->to) && c->to != PARQUET_BYTE_ARRAY &&
               digits <= DIGITS_MAX;
    case PRESENT_NULLS:
    case PRESENT_CONSTANT:
        break;
    }
    return false;
}

int parquet_convert_init(struct parquet_convert *c, const struct present_leaf *leaf,
                         const struct parquet_node *from, const struct parquet_node *to,
                         struct err *err)
{
    struct parquet_convert new = {.how = leaf->how,
                                  .from = from->type,
                                  .to = to->type,
                                  .to_length = to->type_length,
                                  .factor = 1};
    if (!is_known(&new, leaf->digits))
        return err_set(err, EOPNOTSUPP, "conversion %u of type %u to %u is not supported",
                       leaf->how, from->type, to->type);
    for (unsigned i = 0; i < leaf->digits; i++)
        new.factor *= 10;
    new.masks = leaf->mask.how != SHAPE_MASK_NONE;
    int rc = new.masks ? mask_init(&new.mask, &leaf->mask, err) : 0;
    if (rc < 0)
        return rc;
    if (leaf->how == PRESENT_RESCALE && to->type == PARQUET_FIXED_LEN_BYTE_ARRAY) {
        if (to->type_length > PARQUET_ROW_BYTES_MAX / PARQUET_BATCH)
            return err_set(err, EOVERFLOW, "decimals of %u bytes", to->type_length);
        new.bytes = malloc((size_t)PARQUET_BATCH * to->type_length + 1);
        if (!new.bytes)
            return err_set(err, ENOMEM, "out of memory");
    }
    *c = new;
    return 0;
}

void parquet_convert_done(struct parquet_convert *c)
{
    free(c->bytes);
    c->bytes = NULL;
    if (c->masks)
        mask_done(&c->mask);
    c->masks = false;
}

bool parquet_unscaled(struct slice s, __int128 *out)
{
    unsigned __int128 v = s.n && (s.p[0] & 0x80) ? ~(unsigned __int128)0 : 0;
    uint8_t sign = (uint8_t)v;
    while (s.n > sizeof v && (uint8_t)s.p[0] == sign)
        s = slice_from(s, 1);
    if (s.n > sizeof v)
        return false;
    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | (uint8_t)s.p[i];
    *out = (__int128)v;
    return ((uint8_t)(v >> 120) ^ sign) < 0x80;
}

/* The same into n bytes. */
static bool write_unscaled(__int128 v, uint8_t *to, size_t n)
{
    for (size_t i = n; i-- > 0;) {
        to[i] = (uint8_t)v;
        v >>= 8;
    }
    /* What is left is the sign, and the first byte says the same. */
    return n > 0 && v == (to[0] & 0x80 ? -1 : 0);
}

static bool rescale(const struct parquet_convert *c, union parquet_value *value, uint8_t *bytes)
{
    __int128 v;
    if (c->from == PARQUET_INT32 || c->from == PARQUET_INT64)
        v = value->number;
    else if (!parquet_unscaled(value->bytes, &v))
        return false;
    if (__builtin_mul_overflow(v, c->factor, &v))
        return false;
    if (c->to == PARQUET_FIXED_LEN_BYTE_ARRAY) {
        value->bytes = slice_make(bytes, c->to_length);
        return write_unscaled(v, bytes, c->to_length);
    }
    value->number = (int64_t)v;
    return c->to == PARQUET_INT64 ? v == (int64_t)v : v == (int32_t)v;
}

bool parquet_int96(struct slice s, __int128 *out)
{
    int64_t ns;
    int32_t day;
    if (s.n != INT96_BYTES)
        return false;
    memcpy(&ns, s.p, sizeof ns);
    memcpy(&day, s.p + sizeof ns, sizeof day);
    *out = (__int128)((int64_t)day - JULIAN_EPOCH) * DAY_NANOSECONDS + ns;
    return true;
}

/* Towards the past: what is cut off is after what is left. */
static bool cut_instant(const struct parquet_convert *c, union parquet_value *value)
{
    __int128 ns;
    if (!parquet_int96(value->bytes, &ns))
        return false;
    ns = ns / c->factor - (ns % c->factor < 0);
    value->number = (int64_t)ns;
    return value->number == ns;
}

int parquet_convert_batch(struct parquet_convert *c, union parquet_value *values, size_t n,
                          struct err *err)
{
    assert(n <= PARQUET_BATCH);
    bool fits = true;
    switch (c->how) {
    case PRESENT_INT_TO_DOUBLE:
        for (size_t i = 0; i < n; i++)
            values[i].real = (double)values[i].number;
        break;
    case PRESENT_DATE_TO_TIMESTAMP:
        for (size_t i = 0; i < n; i++)
            fits &= !__builtin_mul_overflow(values[i].number, DAY_MICROSECONDS, &values[i].number);
        break;
    case PRESENT_INT96_TO_TIMESTAMP:
        for (size_t i = 0; i < n; i++)
            fits &= cut_instant(c, &values[i]);
        break;
    case PRESENT_RESCALE:
        for (size_t i = 0; i < n; i++)
            fits &= rescale(c, &values[i], c->bytes ? c->bytes + i * c->to_length : NULL);
        break;
    case PRESENT_COPY:
    case PRESENT_MASKED:
    case PRESENT_INT_TO_INT: /* both are held in 64 bits */
    case PRESENT_FLOAT_TO_DOUBLE:
    case PRESENT_NULLS:
    case PRESENT_CONSTANT:
        break;
    }
    if (!fits)
        return err_set(err, EOPNOTSUPP, "a value is beyond its column's new type");
    return c->masks ? mask_batch(&c->mask, values, n, err) : 0;
}
