/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns that a table has at a version, in the terms of no table format: what a file has to
 * present. Made by a driver of the table's schema, read by the transformer (present.h).
 *
 *   fields    0 the root (a struct without a name), then the tree in preorder; a subtree is a run
 *   struct    its fields; matched by id or name, in the order in which they are presented
 *   list      one child, the element       matched by their places, whatever a file calls them
 *   map       two children, key and value
 *
 *   struct shape_builder b;
 *   shape_builder_init(&b, SHAPE_BY_NAME);
 *   shape_add(&b, &(struct shape_field){.name = ..., .kind = SHAPE_LEAF, .type = SHAPE_INT64,
 * ...}); shape_add(&b, &(struct shape_field){.name = ..., .kind = SHAPE_STRUCT});   is open now
 *   shape_add(&b, ...);                                                       its fields
 *   shape_end(&b);                                                            of that struct
 *   rc = shape_finish(&b, &shape, err);   the errors of all that went before; the builder is empty
 *
 * Partition columns are in paths, not here. A shape is immutable, lies in one arena and is shared
 * by reference; any thread.
 *
 * A view of a table is a shape, too: without the fields that it hides, with masks on others, and
 * confined (see there), so that nothing else of a file is left in what is presented.
 */
#ifndef LAKE_FORMAT_SHAPE_H
#define LAKE_FORMAT_SHAPE_H

#include "base/arena.h"

/* Structs, lists and maps in one another: each takes up to two levels of a Parquet schema. */
#define SHAPE_DEPTH_MAX 100
#define SHAPE_NO_ID (-1)

enum shape_kind {
    SHAPE_LEAF,
    SHAPE_STRUCT,
    SHAPE_LIST,
    SHAPE_MAP,
};

/* Of a leaf. Tables' words for them differ; the values are these. */
enum shape_type {
    SHAPE_BOOLEAN,
    SHAPE_INT8,
    SHAPE_INT16,
    SHAPE_INT32,
    SHAPE_INT64,
    SHAPE_FLOAT,
    SHAPE_DOUBLE,
    SHAPE_DECIMAL, /* precision, scale */
    SHAPE_STRING,
    SHAPE_BINARY,
    SHAPE_FIXED, /* length: so many bytes each */
    SHAPE_UUID,
    SHAPE_DATE,
    SHAPE_TIME,            /* of day, microseconds, no zone */
    SHAPE_TIMESTAMP,       /* an instant (Delta: timestamp), microseconds */
    SHAPE_TIMESTAMP_LOCAL, /* without zone (Delta: timestamp_ntz), microseconds */
    SHAPE_TIMESTAMP_NS,    /* an instant, nanoseconds */
    SHAPE_TIMESTAMP_LOCAL_NS,
    SHAPE_VARIANT, /* one leaf here, a group in files */
    SHAPE_UNKNOWN, /* void: never has a value, stored in no file */
    SHAPE_STORED,  /* whatever a file has there, groups too; nothing where it has none */
    /* WKB. length 1: in another system of coordinates, or with other edges, than the defaults. */
    SHAPE_GEOMETRY,
    SHAPE_GEOGRAPHY,
};

/* How fields are found in a file. The numbers are in hashes: they never change. */
enum shape_match {
    SHAPE_BY_NAME,
    SHAPE_BY_ID,       /* in files which have ids; in others by name */
    SHAPE_BY_MAPPING,  /* in files which have ids; in others by `names` alone */
    SHAPE_BY_ID_ALONE, /* others are refused */
};

/*
 * What values become (Iceberg REST catalog: read-restrictions). Types stay, nulls stay nulls unless
 * it says otherwise. The numbers are in hashes: they never change.
 */
enum shape_mask {
    SHAPE_MASK_NONE,
    SHAPE_MASK_NULL,     /* replace-with-null; whole structs, lists and maps, too */
    SHAPE_MASK_FIXED,    /* mask-to-fixed-value: the same for every value, and for null */
    SHAPE_MASK_ALPHANUM, /* mask-alphanum */
    SHAPE_MASK_FIRST_4,  /* show-first-4 */
    SHAPE_MASK_LAST_4,
    SHAPE_MASK_YEAR, /* truncate-to-year */
    SHAPE_MASK_MONTH,
    SHAPE_MASK_SHA256,       /* sha-256-global */
    SHAPE_MASK_SHA256_LOCAL, /* sha-256-query-local: with the shape's salt before the value */
};

#define SHAPE_SALT_BYTES 32

struct shape_field {
    struct slice name;     /* as it is presented; of elements, keys and values not looked at */
    struct slice stored;   /* what files call it; empty: the same */
    int32_t id;            /* of the field, to be matched and written; SHAPE_NO_ID: it has none */
    uint8_t kind, type;    /* enum shape_kind; enum shape_type, of leaves */
    uint8_t mask;          /* enum shape_mask; one that fits (shape_mask_fits) */
    bool nullable;         /* rows may have no value */
    uint8_t precision;     /* of a decimal: 1 to 38 */
    uint8_t scale;         /* 0 to precision */
    uint32_t length;       /* of SHAPE_FIXED */
    bool has_constant;     /* files without the column have a value in every row; else null: */
    struct slice constant; /* of a leaf in Parquet's PLAIN encoding (booleans a byte, strings
                            * bare); a struct is there, with what its fields have */
    const struct slice *names; /* of SHAPE_BY_MAPPING: what files without ids may call it */
    uint32_t names_n;          /* 0: it is in none of them */
    uint32_t end; /* of the subtree: the index after its last field; the builder sets it */
};

struct shape {
    _Atomic unsigned refs;
    struct arena arena; /* everything below */
    uint8_t match;      /* enum shape_match; a field without an id is found by name */
    /*
     * No byte of a file that is not presented is left in what is: no dictionary's word that only
     * rows have which are gone, no statistics, metadata or gaps of more than is shown. Set where a
     * view hides, masks or filters anything; where a field has a mask, it is set in any case.
     */
    bool confined;
    uint8_t salt[SHAPE_SALT_BYTES]; /* of SHAPE_MASK_SHA256_LOCAL */
    struct shape_field *fields;     /* [0]: the root */
    size_t fields_n;
    /* Of all of it, the salt only where a mask takes it: the same in every process and release. */
    uint64_t hash;
};

struct shape *shape_ref(struct shape *s);
void shape_unref(struct shape *s);
DEFINE_AUTO(shape, struct shape *, shape_unref)

/* Of SHAPE_BY_MAPPING: files without ids may call the field so. */
bool shape_is_mapped(const struct shape_field *f, struct slice name);

/* Whether a field of that kind and type can be masked so (its own mask is not looked at). */
bool shape_mask_fits(const struct shape_field *f, enum shape_mask mask);
/* `truncate-to-year` as a mask; SHAPE_MASK_NONE: there is no mask of that name. */
enum shape_mask shape_mask_parse(struct slice name);
/* The name; of SHAPE_MASK_NONE NULL. */
const char *shape_mask_name(enum shape_mask mask);

/*
 * How much larger than the rule of sizes says a file of so many bytes must be presented: hashes of
 * strings take 64 bytes each, however short the strings were. 0 where nothing is hashed so.
 */
uint64_t shape_mask_room(const struct shape *s, uint64_t object_bytes);

struct shape_builder {
    struct shape *shape;
    size_t capacity;
    uint32_t open[SHAPE_DEPTH_MAX + 1]; /* fields that shape_end will end, the root first */
    size_t open_n;
    struct err err; /* the first failure */
};

void shape_builder_init(struct shape_builder *b, enum shape_match match);
void shape_builder_done(struct shape_builder *b);
DEFINE_AUTO_DONE(shape_builder, struct shape_builder, shape_builder_done)

/* Appends a field, whose bytes are copied. Anything but a leaf is open until its shape_end. */
void shape_add(struct shape_builder *b, const struct shape_field *field);
void shape_end(struct shape_builder *b);

/* The shape is confined. salt: SHAPE_SALT_BYTES, or NULL where no mask takes one. */
void shape_confine(struct shape_builder *b, const uint8_t *salt);

/*
 * One reference to the shape. -EINVAL where a list has not one child, a map not two, a struct none,
 * or a field contradicts itself (says which); -EOPNOTSUPP where a mask does not fit its column
 * (says which, and the type); -EOVERFLOW over PARQUET_NODES_MAX fields,
 * SHAPE_DEPTH_MAX, or SHAPE_MEMORY_MAX; -ENOMEM.
 */
int shape_finish(struct shape_builder *b, struct shape **out, struct err *err);

#endif
