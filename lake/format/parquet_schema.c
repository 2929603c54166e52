/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/parquet_schema.h"

/* parquet.thrift: enum ConvertedType, as what it means now. */
static const struct parquet_logical converted_types[] = {
    {.annotation = PARQUET_STRING},
    {.annotation = PARQUET_MAP},
    {.annotation = PARQUET_MAP}, /* MAP_KEY_VALUE, which some writers put on the map itself */
    {.annotation = PARQUET_LIST},
    {.annotation = PARQUET_ENUM},
    {.annotation = PARQUET_DECIMAL},
    {.annotation = PARQUET_DATE},
    {.annotation = PARQUET_TIME, .unit = PARQUET_MILLIS, .utc = true},
    {.annotation = PARQUET_TIME, .unit = PARQUET_MICROS, .utc = true},
    {.annotation = PARQUET_TIMESTAMP, .unit = PARQUET_MILLIS, .utc = true},
    {.annotation = PARQUET_TIMESTAMP, .unit = PARQUET_MICROS, .utc = true},
    {.annotation = PARQUET_INTEGER, .bits = 8},
    {.annotation = PARQUET_INTEGER, .bits = 16},
    {.annotation = PARQUET_INTEGER, .bits = 32},
    {.annotation = PARQUET_INTEGER, .bits = 64},
    {.annotation = PARQUET_INTEGER, .bits = 8, .is_signed = true},
    {.annotation = PARQUET_INTEGER, .bits = 16, .is_signed = true},
    {.annotation = PARQUET_INTEGER, .bits = 32, .is_signed = true},
    {.annotation = PARQUET_INTEGER, .bits = 64, .is_signed = true},
    {.annotation = PARQUET_JSON},
    {.annotation = PARQUET_BSON},
    {.annotation = PARQUET_INTERVAL},
};

#define MAP_KEY_VALUE 2

/* The ConvertedType that means the same, or -1. */
static int32_t converted_of(const struct parquet_logical *l)
{
    for (size_t i = 0; i < ARRAY_SIZE(converted_types); i++) {
        const struct parquet_logical *c = &converted_types[i];
        if (i != MAP_KEY_VALUE && c->annotation == l->annotation && c->bits == l->bits &&
            c->unit == l->unit && c->is_signed == l->is_signed && c->utc == l->utc)
            return (int32_t)i;
    }
    return -1;
}

/* Reading */

static uint8_t read_unit(struct thrift *t, const struct thrift_field *f)
{
    uint8_t unit = 0;
    struct thrift_field u = THRIFT_STRUCT;
    if (!thrift_struct(t, f))
        return 0;
    while (thrift_next(t, &u)) {
        unit = u.id >= PARQUET_MILLIS && u.id <= PARQUET_NANOS ? (uint8_t)u.id : 0;
        thrift_skip(t, &u);
    }
    return unit;
}

/* One member of the union: DecimalType, TimeType, TimestampType, IntType; others are empty here. */
static void read_member(struct thrift *t, struct parquet_logical *l)
{
    struct thrift_field f = THRIFT_STRUCT;
    while (thrift_next(t, &f))
        switch (l->annotation << 4 | (f.id & 15)) {
        case PARQUET_DECIMAL << 4 | 1:
            l->scale = thrift_i32(t, &f);
            break;
        case PARQUET_DECIMAL << 4 | 2:
            l->precision = thrift_i32(t, &f);
            break;
        case PARQUET_TIME << 4 | 1:
        case PARQUET_TIMESTAMP << 4 | 1:
            l->utc = thrift_bool(t, &f);
            break;
        case PARQUET_TIME << 4 | 2:
        case PARQUET_TIMESTAMP << 4 | 2:
            l->unit = read_unit(t, &f);
            break;
        case PARQUET_INTEGER << 4 | 1:
            l->bits = (uint8_t)thrift_i32(t, &f);
            break;
        case PARQUET_INTEGER << 4 | 2:
            l->is_signed = thrift_bool(t, &f);
            break;
        default:
            thrift_skip(t, &f);
        }
}

static struct parquet_logical read_logical(struct thrift *t, const struct thrift_field *field)
{
    struct parquet_logical l = {0};
    struct thrift_field f = THRIFT_STRUCT;
    if (!thrift_struct(t, field))
        return l;
    while (thrift_next(t, &f)) {
        l = (struct parquet_logical){.annotation = f.id};
        if (thrift_struct(t, &f))
            read_member(t, &l);
    }
    return l;
}

void parquet_element_read(struct thrift *t, struct parquet_element *e)
{
    *e = (struct parquet_element){.converted = -1, .scale = -1, .precision = -1};
    struct thrift_field f = THRIFT_STRUCT;
    while (thrift_next(t, &f))
        switch (f.id) {
        case 6:
            e->converted = thrift_i32(t, &f);
            break;
        case 7:
            e->scale = thrift_i32(t, &f);
            break;
        case 8:
            e->precision = thrift_i32(t, &f);
            break;
        case 9:
            e->id = thrift_i32(t, &f);
            e->has_id = true;
            break;
        case 10: {
            const uint8_t *start = t->in.p;
            e->logical = read_logical(t, &f);
            e->raw = slice_make(start, (size_t)(t->in.p - start));
            break;
        }
        default:
            thrift_skip(t, &f);
        }
    if (e->logical.annotation != PARQUET_NONE || e->converted < 0 ||
        (size_t)e->converted >= ARRAY_SIZE(converted_types))
        return;
    e->logical = converted_types[e->converted];
    if (e->logical.annotation == PARQUET_DECIMAL) {
        e->logical.precision = e->precision;
        e->logical.scale = e->scale < 0 ? 0 : e->scale;
    }
}

/* Writing */

static void put_time(struct thrift_out *t, const struct parquet_logical *l)
{
    thrift_put_bool(t, 1, l->utc);
    thrift_put_struct(t, 2);
    thrift_put_struct(t, l->unit);
    thrift_put_end(t);
    thrift_put_end(t);
}

static void put_logical(struct thrift_out *t, const struct parquet_logical *l)
{
    thrift_put_struct(t, 10);
    thrift_put_struct(t, l->annotation);
    if (l->annotation == PARQUET_DECIMAL) {
        thrift_put_int(t, 1, THRIFT_I32, l->scale);
        thrift_put_int(t, 2, THRIFT_I32, l->precision);
    } else if (l->annotation == PARQUET_TIME || l->annotation == PARQUET_TIMESTAMP) {
        put_time(t, l);
    } else if (l->annotation == PARQUET_INTEGER) {
        thrift_put_byte(t, 1, (int8_t)l->bits);
        thrift_put_bool(t, 2, l->is_signed);
    } else if (l->annotation == PARQUET_VARIANT) {
        thrift_put_byte(t, 1, 1); /* specification_version, which some readers insist on */
    }
    thrift_put_end(t);
    thrift_put_end(t);
}

void parquet_element_put(struct thrift_out *t, const struct parquet_element *e)
{
    if (e->converted >= 0)
        thrift_put_int(t, 6, THRIFT_I32, e->converted);
    if (e->scale >= 0)
        thrift_put_int(t, 7, THRIFT_I32, e->scale);
    if (e->precision >= 0)
        thrift_put_int(t, 8, THRIFT_I32, e->precision);
    if (e->has_id)
        thrift_put_int(t, 9, THRIFT_I32, e->id);
    if (e->raw.n)
        thrift_put_raw(t, 10, THRIFT_STRUCT_TYPE, e->raw);
    else if (e->ours && e->logical.annotation != PARQUET_NONE)
        put_logical(t, &e->logical);
}

struct parquet_element parquet_element_of(struct parquet_logical logical)
{
    bool decimal = logical.annotation == PARQUET_DECIMAL;
    return (struct parquet_element){
        .logical = logical,
        .converted = converted_of(&logical),
        .precision = decimal ? logical.precision : -1,
        .scale = decimal ? logical.scale : -1,
        .ours = true,
    };
}

/* Words */

static const char *const physical_names[] = {
    "BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY",
};

static const char *const annotation_names[] = {
    [PARQUET_STRING] = "STRING",     [PARQUET_MAP] = "MAP",
    [PARQUET_LIST] = "LIST",         [PARQUET_ENUM] = "ENUM",
    [PARQUET_DATE] = "DATE",         [PARQUET_INTERVAL] = "INTERVAL",
    [PARQUET_JSON] = "JSON",         [PARQUET_BSON] = "BSON",
    [PARQUET_UUID] = "UUID",         [PARQUET_UNKNOWN] = "NULL",
    [PARQUET_FLOAT16] = "FLOAT16",   [PARQUET_VARIANT] = "VARIANT",
    [PARQUET_GEOMETRY] = "GEOMETRY", [PARQUET_GEOGRAPHY] = "GEOGRAPHY",
};

static const char *const unit_names[] = {"?", "MILLIS", "MICROS", "NANOS"};

void parquet_type_name(const struct parquet_node *node, const struct parquet_logical *l,
                       struct buf *out)
{
    int a = l->annotation;
    const char *name =
        a > 0 && (size_t)a < ARRAY_SIZE(annotation_names) ? annotation_names[a] : NULL;
    if (name)
        buf_add_str(out, name);
    else if (a == PARQUET_DECIMAL)
        buf_addf(out, "DECIMAL(%d,%d)", l->precision, l->scale);
    else if (a == PARQUET_TIME || a == PARQUET_TIMESTAMP)
        buf_addf(out, "%s(%s, %s)", a == PARQUET_TIME ? "TIME" : "TIMESTAMP", unit_names[l->unit],
                 l->utc ? "UTC" : "local");
    else if (a == PARQUET_INTEGER)
        buf_addf(out, "%sINT(%u)", l->is_signed ? "" : "U", l->bits);
    else if (a != PARQUET_NONE)
        buf_addf(out, "logical type %d", a);
    else if (node->leaf == PARQUET_NO_LEAF)
        buf_add_str(out, "a group");
    else
        buf_add_str(out, physical_names[node->type]);
}

/* The most digits d with 10^d - 1 <= 2^(8 bytes - 1) - 1; log10(2) is near 0.30103. */
unsigned parquet_decimal_digits(unsigned bytes)
{
    return bytes == 0 ? 0 : (unsigned)(((uint64_t)bytes * 8 - 1) * 30103 / 100000);
}

unsigned parquet_decimal_bytes(unsigned digits)
{
    unsigned bytes = 1;
    while (parquet_decimal_digits(bytes) < digits)
        bytes++;
    return bytes;
}
