/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done with the bytes of one record, as a straight list of steps: values that are wanted
 * are taken, others passed over (Avro 1.11, "Binary Encoding").
 *
 *   {long, string, union(null, bytes), array of {int, long}}      the second one wanted
 *
 *   0 PASS_VARINT   1 TAKE_BYTES 0   2 OPTIONAL, null: 4   3 PASS_BYTES   4 ITEMS, until 7
 *   5   PASS_VARINT   6   PASS_VARINT   7 (the end)
 *
 * Types of no bytes make no step, so that steps are bounded by the bytes that they use. Pure.
 */
#ifndef LAKE_FORMAT_AVRO_PROGRAM_H
#define LAKE_FORMAT_AVRO_PROGRAM_H

#include "lake/format/avro_schema.h"

struct avro_step {
    uint8_t what;   /* enum avro_what (avro_program.c) */
    bool flag;      /* OPTIONAL: null is the second branch; ITEMS: one behind the other */
    uint32_t value; /* where it is taken to; AVRO_PASSED */
    uint32_t n;     /* bytes, symbols, branches, the least bytes of an item */
    uint32_t go;    /* the step that follows: after null, after items, of a branch */
};

#define AVRO_PASSED UINT32_MAX

struct avro_program {
    VEC(struct avro_step) steps;
    uint32_t record_end;  /* of the record's steps; those of items come behind */
    uint64_t least_bytes; /* that a record takes */
    /* By value: the program of one item of it, as it is taken; 0: it is no array or map. */
    struct avro_item_program {
        uint32_t from, to;
        uint64_t least_bytes;
    } * items;
};

/* Compiles; `values`: how many are wanted, as node.value numbers them from 1. */
int avro_program_make(struct avro_program *p, const struct avro_schema *s, size_t values,
                      struct err *err);
void avro_program_done(struct avro_program *p);

/* Runs steps [from, to) over the bytes. False: damaged. What is not there is left as it was. */
bool avro_program_run(const struct avro_program *p, uint32_t from, uint32_t to, struct bytes *in,
                      struct avro_value *values);

#endif
