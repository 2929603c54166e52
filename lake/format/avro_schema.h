/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema of an Avro file as a tree in which each name stands for what it means (Avro 1.11,
 * "Schema Declaration"; Iceberg specification, appendix A, "Avro").
 *
 * A union of null and one other type is that type, and `optional`. A type that is used by its name
 * is there once for each use, so that each use can be read or passed over by itself; one that
 * contains itself is not supported. Pure.
 */
#ifndef LAKE_FORMAT_AVRO_SCHEMA_H
#define LAKE_FORMAT_AVRO_SCHEMA_H

#include "base/arena.h"
#include "base/vec.h"
#include "lake/format/avro.h"

#define AVRO_NO_ID (-1)

struct avro_node {
    struct slice name;    /* as a field, or empty */
    int32_t id;           /* as a field, or AVRO_NO_ID */
    uint32_t first, next; /* of its children, and of those beside it; 0: none */
    uint32_t children;    /* fields, branches, or the one item */
    uint32_t size;        /* bytes of a FIXED, symbols of an ENUM */
    uint32_t precision, scale;
    enum avro_type type;
    enum avro_logical logical;
    bool optional, null_second; /* null may stand in its place, as the union's second branch */
    bool repeated;              /* in an array, a map, or a union: not to be chosen */
    bool adjust_to_utc;
    uint32_t value; /* 1 + that of those chosen, 0: it is not wanted (lake/format/avro.c) */
};

/* In order of the text, the root first. */
struct avro_schema {
    VEC(struct avro_node) nodes;
    bool has_ids;
};

/* The schema of a text, which must live as long: names point into it, or into the arena. Errors as
 * avro.h; after one the schema is still to be done. */
int avro_schema_parse(struct avro_schema *s, struct arena *arena, struct slice text,
                      struct err *err);
void avro_schema_done(struct avro_schema *s);

#endif
