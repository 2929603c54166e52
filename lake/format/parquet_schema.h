/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the values of a Parquet node mean: LogicalType and the older ConvertedType of a
 * SchemaElement (LogicalTypes.md), read as one and written as both.
 *
 * Pure; no state.
 */
#ifndef LAKE_FORMAT_PARQUET_SCHEMA_H
#define LAKE_FORMAT_PARQUET_SCHEMA_H

#include "lake/format/parquet_footer.h"
#include "lake/format/thrift_write.h"

/* parquet.thrift: fields of union LogicalType. */
enum parquet_annotation {
    PARQUET_NONE = 0,
    PARQUET_STRING = 1,
    PARQUET_MAP = 2,
    PARQUET_LIST = 3,
    PARQUET_ENUM = 4,
    PARQUET_DECIMAL = 5,
    PARQUET_DATE = 6,
    PARQUET_TIME = 7,
    PARQUET_TIMESTAMP = 8,
    PARQUET_INTERVAL = 9, /* ConvertedType only */
    PARQUET_INTEGER = 10,
    PARQUET_UNKNOWN = 11,
    PARQUET_JSON = 12,
    PARQUET_BSON = 13,
    PARQUET_UUID = 14,
    PARQUET_FLOAT16 = 15,
    PARQUET_VARIANT = 16,
    PARQUET_GEOMETRY = 17,
    PARQUET_GEOGRAPHY = 18,
};

/* parquet.thrift: fields of union TimeUnit. */
enum parquet_unit {
    PARQUET_MILLIS = 1,
    PARQUET_MICROS = 2,
    PARQUET_NANOS = 3,
};

struct parquet_logical {
    int annotation;           /* enum parquet_annotation, or a number that is not known */
    int32_t precision, scale; /* DECIMAL */
    uint8_t bits;             /* INTEGER: 8, 16, 32, 64 */
    uint8_t unit;             /* TIME, TIMESTAMP: enum parquet_unit */
    bool is_signed;           /* INTEGER */
    bool utc;                 /* TIME, TIMESTAMP: isAdjustedToUTC */
};

/* What a SchemaElement says beside struct parquet_node. */
struct parquet_element {
    struct parquet_logical logical; /* of both annotations */
    struct slice raw;               /* the LogicalType as Thrift bytes; empty: there is none */
    int32_t converted;              /* ConvertedType, or -1 */
    int32_t scale, precision;       /* -1: absent */
    int32_t id;                     /* field id, where it has one */
    bool has_id;
    bool ours; /* `logical` is written, though raw is empty */
};

/* Reads one SchemaElement; names, types and children are struct parquet_node's matter. */
void parquet_element_read(struct thrift *t, struct parquet_element *e);

/* Puts fields 6, 7, 8 and 10 of a SchemaElement with the id (field 9, where has_id) between them.
 */
void parquet_element_put(struct thrift_out *t, const struct parquet_element *e);

/* An element of our own; without an id. */
struct parquet_element parquet_element_of(struct parquet_logical logical);

/* Appends the type in a person's words: `DECIMAL(9,2)`, `INT32`, `STRING`, `a group`. */
void parquet_type_name(const struct parquet_node *node, const struct parquet_logical *l,
                       struct buf *out);

/* Decimal digits that n bytes of two's complement hold (18 for 8), and bytes for so many digits. */
unsigned parquet_decimal_digits(unsigned bytes);
unsigned parquet_decimal_bytes(unsigned digits);

#endif
