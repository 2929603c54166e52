/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other direction of parquet_encoding.h and parquet_values.h: values of one page, batch after
 * batch, into the bytes of an encoding (Encodings.md of format 2.11).
 *
 *   hybrid    runs and bit-packed groups: levels, dictionary indices, booleans
 *   delta     DELTA_BINARY_PACKED: integers, lengths of strings, shared prefixes
 *   encoder   values of one leaf: init -> start (a page) -> put, put, ... -> end -> start ... ->
 * done
 *
 * Pure; one writer, one thread. Failures of memory stick in the buffers and are told at the end.
 */
#ifndef LAKE_FORMAT_PARQUET_ENCODE_H
#define LAKE_FORMAT_PARQUET_ENCODE_H

#include "lake/format/parquet_values.h"

#define PARQUET_GROUP 8

struct parquet_hybrid_writer {
    struct buf *out;
    unsigned width;   /* bits of a value, at most 32 */
    uint64_t repeats; /* of `value`, since the last group; from 8 on they are a run */
    uint32_t value;
    uint32_t group[PARQUET_GROUP];
    unsigned group_n;
    unsigned groups; /* of the bit-packed run that is open */
    size_t head;     /* where its head is in `out` */
};

/* Appends to `out`. Every value must fit into `width` bits. */
void parquet_hybrid_write(struct parquet_hybrid_writer *w, struct buf *out, unsigned width);
void parquet_hybrid_put(struct parquet_hybrid_writer *w, const uint32_t *values, size_t n);
void parquet_hybrid_end(struct parquet_hybrid_writer *w);

#define PARQUET_DELTA_BLOCK 128

struct parquet_delta_writer {
    struct buf blocks;
    bool narrow; /* of 32 bits, where differences wrap */
    uint64_t n;
    int64_t first, last;
    int64_t deltas[PARQUET_DELTA_BLOCK];
    unsigned deltas_n;
};

struct parquet_encoder {
    enum parquet_type type;
    uint32_t length; /* bytes of a value; 0: BYTE_ARRAY, BOOLEAN */
    enum parquet_encoding encoding;
    size_t n;
    struct buf bytes; /* plain values, runs, characters: by encoding */
    struct buf last;  /* DELTA_BYTE_ARRAY: the value before */
    struct parquet_hybrid_writer hybrid;
    struct parquet_delta_writer delta, prefixes;
};

void parquet_encoder_init(struct parquet_encoder *e, enum parquet_type type, uint32_t type_length);
void parquet_encoder_done(struct parquet_encoder *e);
DEFINE_AUTO_DONE(parquet_encoder, struct parquet_encoder, parquet_encoder_done)

/*
 * Starts a page. With a dictionary encoding, what is put are indices of `width` bits by
 * parquet_encoder_indices; else values. -EOPNOTSUPP: not an encoding of this type.
 */
int parquet_encoder_start(struct parquet_encoder *e, unsigned encoding, unsigned width,
                          struct err *err);
void parquet_encoder_put(struct parquet_encoder *e, const union parquet_value *values, size_t n);
/* PLAIN, of a fixed length: those that are kept of n values which lie one after the other. */
void parquet_encoder_select(struct parquet_encoder *e, const uint8_t *plain, const bool *kept,
                            size_t n);
void parquet_encoder_indices(struct parquet_encoder *e, const uint32_t *indices, size_t n);
/* Appends the page's values. -EOVERFLOW where they are larger than a page may be, -ENOMEM. */
int parquet_encoder_end(struct parquet_encoder *e, struct buf *out, struct err *err);

#endif
