/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/present_types.h"

#define UUID_BYTES 16
/* Digits that physical integers hold (LogicalTypes.md, DECIMAL). */
#define INT32_DIGITS 9
#define INT64_DIGITS 18
#define NANO_TO_MICRO_DIGITS 3

static struct parquet_logical annotated(enum parquet_annotation a)
{
    return (struct parquet_logical){.annotation = a};
}

static struct parquet_logical integer(uint8_t bits)
{
    return (struct parquet_logical){.annotation = PARQUET_INTEGER, .bits = bits, .is_signed = true};
}

static struct parquet_logical timestamp(enum parquet_unit unit, bool utc)
{
    return (struct parquet_logical){
        .annotation = PARQUET_TIMESTAMP, .unit = (uint8_t)unit, .utc = utc};
}

static struct present_type new_decimal(const struct shape_field *f)
{
    struct present_type t = {
        .logical = {.annotation = PARQUET_DECIMAL, .precision = f->precision, .scale = f->scale}};
    if (f->precision <= INT32_DIGITS) {
        t.type = PARQUET_INT32;
    } else if (f->precision <= INT64_DIGITS) {
        t.type = PARQUET_INT64;
    } else {
        t.type = PARQUET_FIXED_LEN_BYTE_ARRAY;
        t.length = parquet_decimal_bytes(f->precision);
    }
    return t;
}

struct present_type present_type_new(const struct shape_field *f)
{
    static const struct present_type simple[] = {
        [SHAPE_BOOLEAN] = {.type = PARQUET_BOOLEAN},
        [SHAPE_INT32] = {.type = PARQUET_INT32},
        [SHAPE_INT64] = {.type = PARQUET_INT64},
        [SHAPE_FLOAT] = {.type = PARQUET_FLOAT},
        [SHAPE_DOUBLE] = {.type = PARQUET_DOUBLE},
        [SHAPE_BINARY] = {.type = PARQUET_BYTE_ARRAY},
        [SHAPE_STRING] = {.type = PARQUET_BYTE_ARRAY, .logical = {.annotation = PARQUET_STRING}},
        [SHAPE_DATE] = {.type = PARQUET_INT32, .logical = {.annotation = PARQUET_DATE}},
        [SHAPE_UNKNOWN] = {.type = PARQUET_INT32, .logical = {.annotation = PARQUET_UNKNOWN}},
        [SHAPE_GEOMETRY] = {.type = PARQUET_BYTE_ARRAY,
                            .logical = {.annotation = PARQUET_GEOMETRY}},
        [SHAPE_GEOGRAPHY] = {.type = PARQUET_BYTE_ARRAY,
                             .logical = {.annotation = PARQUET_GEOGRAPHY}},
        [SHAPE_TIME] = {.type = PARQUET_INT64,
                        .logical = {.annotation = PARQUET_TIME, .unit = PARQUET_MICROS}},
    };
    switch ((enum shape_type)f->type) {
    case SHAPE_INT8:
        return (struct present_type){.type = PARQUET_INT32, .logical = integer(8)};
    case SHAPE_INT16:
        return (struct present_type){.type = PARQUET_INT32, .logical = integer(16)};
    case SHAPE_DECIMAL:
        return new_decimal(f);
    case SHAPE_FIXED:
        return (struct present_type){.type = PARQUET_FIXED_LEN_BYTE_ARRAY, .length = f->length};
    case SHAPE_UUID:
        return (struct present_type){.type = PARQUET_FIXED_LEN_BYTE_ARRAY,
                                     .length = UUID_BYTES,
                                     .logical = annotated(PARQUET_UUID)};
    case SHAPE_TIMESTAMP:
    case SHAPE_TIMESTAMP_LOCAL:
        return (struct present_type){.type = PARQUET_INT64,
                                     .logical =
                                         timestamp(PARQUET_MICROS, f->type == SHAPE_TIMESTAMP)};
    case SHAPE_TIMESTAMP_NS:
    case SHAPE_TIMESTAMP_LOCAL_NS:
        return (struct present_type){.type = PARQUET_INT64,
                                     .logical =
                                         timestamp(PARQUET_NANOS, f->type == SHAPE_TIMESTAMP_NS)};
    case SHAPE_BOOLEAN:
    case SHAPE_INT32:
    case SHAPE_INT64:
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
    case SHAPE_STRING:
    case SHAPE_BINARY:
    case SHAPE_DATE:
    case SHAPE_TIME:
    case SHAPE_UNKNOWN:
    case SHAPE_VARIANT:
    case SHAPE_STORED:
    case SHAPE_GEOMETRY:
    case SHAPE_GEOGRAPHY:
        break;
    }
    return simple[f->type < ARRAY_SIZE(simple) ? f->type : 0];
}

/* Matching */

/* Bits of a signed integer; 0: it is something else. */
static unsigned integer_bits(const struct parquet_node *node, const struct parquet_logical *l)
{
    bool is_integer = node->type == PARQUET_INT32 || node->type == PARQUET_INT64;
    if (!is_integer)
        return 0;
    if (l->annotation == PARQUET_INTEGER)
        return l->is_signed ? l->bits : 0;
    if (l->annotation != PARQUET_NONE)
        return 0;
    return node->type == PARQUET_INT32 ? 32 : 64;
}

static bool convert(struct present_type *out, struct present_type to, enum present_conversion how)
{
    *out = to;
    out->how = how;
    out->relabelled = true;
    return true;
}

static bool relabel(struct present_type *out, struct parquet_logical l)
{
    out->logical = l;
    out->relabelled = true;
    return true;
}

static bool match_integer(const struct shape_field *f, const struct parquet_node *node,
                          const struct parquet_logical *l, struct present_type *out)
{
    static const uint8_t wanted[] = {
        [SHAPE_INT8] = 8, [SHAPE_INT16] = 16, [SHAPE_INT32] = 32, [SHAPE_INT64] = 64};
    unsigned bits = integer_bits(node, l);
    if (bits == 0)
        return false;
    if (wanted[f->type] == 64)
        return node->type == PARQUET_INT64 || convert(out, present_type_new(f), PRESENT_INT_TO_INT);
    if (node->type != PARQUET_INT32)
        return false;
    if (bits == wanted[f->type] || l->annotation == PARQUET_NONE) /* some writers never annotate */
        return true;
    return bits < wanted[f->type] && relabel(out, present_type_new(f).logical);
}

/* Digits that a node's type holds whatever it says. */
static unsigned digits_of(const struct parquet_node *node)
{
    switch (node->type) {
    case PARQUET_INT32:
        return INT32_DIGITS;
    case PARQUET_INT64:
        return INT64_DIGITS;
    case PARQUET_FIXED_LEN_BYTE_ARRAY:
        return parquet_decimal_digits(node->type_length);
    default:
        return UINT32_MAX;
    }
}

static bool match_decimal(const struct shape_field *f, const struct parquet_node *node,
                          const struct parquet_logical *l, struct present_type *out)
{
    struct present_type to = present_type_new(f);
    if (integer_bits(node, l)) {
        to.digits = f->scale;
        return convert(out, to, PRESENT_RESCALE);
    }
    if (l->annotation != PARQUET_DECIMAL || l->scale < 0 || l->precision < l->scale)
        return false;
    if (l->scale > f->scale || l->precision - l->scale > f->precision - f->scale)
        return false;
    if (l->scale == f->scale && l->precision == f->precision)
        return true;
    if (l->scale == f->scale && digits_of(node) >= f->precision)
        return relabel(out, to.logical);
    to.digits = (uint8_t)(f->scale - l->scale);
    return convert(out, to, PRESENT_RESCALE);
}

static bool match_bytes(const struct shape_field *f, const struct parquet_node *node,
                        const struct parquet_logical *l, struct present_type *out)
{
    int a = l->annotation;
    if (a == PARQUET_DECIMAL || a == PARQUET_INTERVAL || a == PARQUET_FLOAT16)
        return false;
    if (node->type == PARQUET_FIXED_LEN_BYTE_ARRAY)
        return f->type == SHAPE_BINARY;
    if (node->type != PARQUET_BYTE_ARRAY)
        return false;
    bool is_text = a == PARQUET_STRING || a == PARQUET_ENUM || a == PARQUET_JSON;
    if (f->type == SHAPE_STRING)
        return is_text || (a == PARQUET_NONE && relabel(out, annotated(PARQUET_STRING)));
    return !is_text || relabel(out, annotated(PARQUET_NONE));
}

static bool match_fixed(const struct shape_field *f, const struct parquet_node *node,
                        const struct parquet_logical *l, struct present_type *out)
{
    uint32_t length = f->type == SHAPE_UUID ? UUID_BYTES : f->length;
    if (node->type != PARQUET_FIXED_LEN_BYTE_ARRAY || node->type_length != length)
        return false;
    if (f->type == SHAPE_FIXED)
        return l->annotation == PARQUET_NONE;
    return l->annotation == PARQUET_UUID ||
           (l->annotation == PARQUET_NONE && relabel(out, annotated(PARQUET_UUID)));
}

/* The file's unit stays: its values are told truthfully by it. */
static bool match_timestamp(const struct shape_field *f, const struct parquet_node *node,
                            const struct parquet_logical *l, struct present_type *out)
{
    bool utc = f->type == SHAPE_TIMESTAMP || f->type == SHAPE_TIMESTAMP_NS;
    if (node->type == PARQUET_INT96)
        return true;
    if (l->annotation == PARQUET_DATE && f->type == SHAPE_TIMESTAMP_LOCAL)
        return convert(out, present_type_new(f), PRESENT_DATE_TO_TIMESTAMP);
    if (l->annotation != PARQUET_TIMESTAMP || l->unit == 0)
        return false;
    return l->utc == utc || relabel(out, timestamp(l->unit, utc));
}

static bool match_double(const struct shape_field *f, const struct parquet_node *node,
                         const struct parquet_logical *l, struct present_type *out)
{
    if (node->type == PARQUET_FLOAT)
        return convert(out, present_type_new(f), PRESENT_FLOAT_TO_DOUBLE);
    if (node->type == PARQUET_INT32 && integer_bits(node, l))
        return convert(out, present_type_new(f), PRESENT_INT_TO_DOUBLE);
    return node->type == PARQUET_DOUBLE;
}

/* The file's own coordinate system and edges stay: nobody compares them with the table's. */
static bool match_shape(const struct shape_field *f, const struct parquet_node *node,
                        const struct parquet_logical *l)
{
    int own = f->type == SHAPE_GEOMETRY ? PARQUET_GEOMETRY : PARQUET_GEOGRAPHY;
    return node->type == PARQUET_BYTE_ARRAY &&
           (l->annotation == own || l->annotation == PARQUET_NONE);
}

void present_type_plain(const struct shape_field *f, struct present_type *type)
{
    bool ns = f->type == SHAPE_TIMESTAMP_NS || f->type == SHAPE_TIMESTAMP_LOCAL_NS;
    if (type->type != PARQUET_INT96)
        return;
    (void)convert(type, present_type_new(f), PRESENT_INT96_TO_TIMESTAMP);
    type->digits = ns ? 0 : NANO_TO_MICRO_DIGITS;
}

bool present_type_match(const struct shape_field *f, const struct parquet_node *node,
                        const struct parquet_logical *l, struct present_type *out)
{
    *out = (struct present_type){
        .type = node->type, .length = node->type_length, .logical = *l, .how = PRESENT_COPY};
    switch ((enum shape_type)f->type) {
    case SHAPE_BOOLEAN:
        return node->type == PARQUET_BOOLEAN;
    case SHAPE_INT8:
    case SHAPE_INT16:
    case SHAPE_INT32:
    case SHAPE_INT64:
        return match_integer(f, node, l, out);
    case SHAPE_FLOAT:
        return node->type == PARQUET_FLOAT;
    case SHAPE_DOUBLE:
        return match_double(f, node, l, out);
    case SHAPE_DECIMAL:
        return match_decimal(f, node, l, out);
    case SHAPE_STRING:
    case SHAPE_BINARY:
        return match_bytes(f, node, l, out);
    case SHAPE_FIXED:
    case SHAPE_UUID:
        return match_fixed(f, node, l, out);
    case SHAPE_DATE:
        return node->type == PARQUET_INT32 && l->annotation == PARQUET_DATE;
    case SHAPE_TIME:
        return l->annotation == PARQUET_TIME;
    case SHAPE_TIMESTAMP:
    case SHAPE_TIMESTAMP_LOCAL:
    case SHAPE_TIMESTAMP_NS:
    case SHAPE_TIMESTAMP_LOCAL_NS:
        return match_timestamp(f, node, l, out);
    case SHAPE_UNKNOWN:
        return l->annotation == PARQUET_UNKNOWN;
    case SHAPE_GEOMETRY:
    case SHAPE_GEOGRAPHY:
        return match_shape(f, node, l);
    case SHAPE_STORED:
        return true;
    case SHAPE_VARIANT:
        break;
    }
    return false;
}

void present_type_name(const struct shape_field *f, struct buf *out)
{
    static const char *const kinds[] = {"", "struct", "list", "map"};
    static const char *const types[] = {
        "boolean",      "int8",
        "int16",        "int32",
        "int64",        "float",
        "double",       "decimal",
        "string",       "binary",
        "fixed",        "uuid",
        "date",         "time",
        "timestamp",    "timestamp without zone",
        "timestamp_ns", "timestamp_ns without zone",
        "variant",      "unknown",
        "as stored",    "geometry",
        "geography",
    };
    _Static_assert(ARRAY_SIZE(types) == SHAPE_GEOGRAPHY + 1, "every type has a name");
    if (f->kind != SHAPE_LEAF)
        buf_add_str(out, kinds[f->kind]);
    else if (f->type == SHAPE_DECIMAL)
        buf_addf(out, "decimal(%u,%u)", f->precision, f->scale);
    else if (f->type == SHAPE_FIXED)
        buf_addf(out, "fixed(%u)", f->length);
    else
        buf_add_str(out, types[f->type]);
}
