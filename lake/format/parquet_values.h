/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of one leaf, page after page, in whatever encoding each page has.
 *
 *   init -> [dictionary] -> start (a page) -> get, get, ... -> start (the next page) ... -> done
 *
 * The pages' bytes are borrowed. Nothing is allocated in proportion to a count that the input
 * merely claims. Pure; one decoder, one thread.
 */
#ifndef LAKE_FORMAT_PARQUET_VALUES_H
#define LAKE_FORMAT_PARQUET_VALUES_H

#include "base/arena.h"
#include "base/buf.h"
#include "lake/format/parquet.h"
#include "lake/format/parquet_encoding.h"

/* parquet.thrift: enum Encoding. */
enum parquet_encoding {
    PARQUET_PLAIN = 0,
    PARQUET_PLAIN_DICTIONARY = 2,
    PARQUET_RLE = 3,
    PARQUET_BIT_PACKED = 4, /* of old levels; not supported */
    PARQUET_DELTA_BINARY_PACKED = 5,
    PARQUET_DELTA_LENGTH_BYTE_ARRAY = 6,
    PARQUET_DELTA_BYTE_ARRAY = 7,
    PARQUET_RLE_DICTIONARY = 8,
    PARQUET_BYTE_STREAM_SPLIT = 9,
};

/* Bytes of a value of fixed size; 0: BYTE_ARRAY, BOOLEAN. type_length: of FIXED_LEN_BYTE_ARRAY. */
uint32_t parquet_type_bytes(enum parquet_type type, uint32_t type_length);
/* Whether values of that type are read (and written) in an encoding; any number may be passed. */
bool parquet_encoding_fits(unsigned encoding, enum parquet_type type);

/* The most values of one parquet_values_get. */
#define PARQUET_BATCH 1024

union parquet_value {
    int64_t number;     /* BOOLEAN, INT32, INT64 */
    double real;        /* FLOAT, DOUBLE */
    struct slice bytes; /* the others */
};

/* How long the bytes of values stay. */
enum parquet_lifetime {
    PARQUET_UNTIL_NEXT_GET,
    PARQUET_WITH_PAGE,
    PARQUET_WITH_DICTIONARY,
};

struct parquet_values {
    enum parquet_type type;
    uint32_t length; /* bytes of a value; 0: BYTE_ARRAY, BOOLEAN */
    enum parquet_encoding encoding;
    struct slice data;
    size_t at;       /* values given of this page, where the encoding has fixed places */
    struct bytes in; /* PLAIN, and the characters of the delta encodings */
    struct parquet_hybrid hybrid;
    struct parquet_delta delta, prefixes;
    const union parquet_value *dictionary;
    size_t dictionary_n;
    struct arena batch; /* what the page does not hold as one run of bytes */
    struct buf last;    /* DELTA_BYTE_ARRAY: the value before */
};

void parquet_values_init(struct parquet_values *v, enum parquet_type type, uint32_t type_length);
void parquet_values_done(struct parquet_values *v);
DEFINE_AUTO_DONE(parquet_values, struct parquet_values, parquet_values_done)

/* The dictionary that later pages refer to; borrowed. */
void parquet_values_dictionary(struct parquet_values *v, const union parquet_value *values,
                               size_t n);

/*
 * Starts a page. -EIO damaged, -EOPNOTSUPP an encoding (any number may be passed) that is not known
 * or not one for this type.
 */
int parquet_values_start(struct parquet_values *v, unsigned encoding, struct slice data,
                         struct err *err);

/* How many values to get at once: fewer where they may grow far beyond what the page has. */
size_t parquet_values_batch(const struct parquet_values *v);

enum parquet_lifetime parquet_values_lifetime(const struct parquet_values *v);

/*
 * The next n (at most PARQUET_BATCH) values of the page. -EIO where it has fewer or is damaged,
 * -EOVERFLOW where their bytes take more than PARQUET_ROW_BYTES_MAX.
 */
int parquet_values_get(struct parquet_values *v, union parquet_value *out, size_t n,
                       struct err *err);

/* Of a PLAIN page of values of fixed length: the next n as they lie there. NULL: it has fewer. */
const uint8_t *parquet_values_plain(struct parquet_values *v, size_t n);

#endif
