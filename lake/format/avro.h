/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader of Avro object container files, by the schema of their writer: pure, bounded, record by
 * record. Iceberg's manifest lists, manifests, and delete files in Avro.
 *
 * Avro 1.11 specification, "Schema Declaration", "Data Serialization and Deserialization" and
 * "Object Container Files"; Iceberg specification, appendix A, "Avro" (field ids, maps as arrays).
 *
 *   file     "Obj\1" metadata sync   block block ...
 *   block    records:long bytes:long (compressed records) sync
 *
 *   avro_open -> avro_choose ... -> avro_next -> avro_value of each slot, avro_items of arrays
 *
 * The schema is compiled into a straight program that puts chosen fields into slots and passes over
 * the others; arrays and maps whose writer tells their bytes are passed over at once. Held are a
 * window of the file (a block, where that is larger) and one decompressed block.
 *
 * Errors: -EIO damaged (says where), -EOPNOTSUPP a codec or a schema that is not supported (with
 * the reason), -EOVERFLOW over a limit, -ENOMEM; the source's. Not thread-safe: one reader, one
 * thread.
 */
#ifndef LAKE_FORMAT_AVRO_H
#define LAKE_FORMAT_AVRO_H

#include "base/bytes.h"
#include "base/cleanup.h"
#include "lake/format/source.h"

struct avro;

/* Reads header and schema. The source must outlive the reader. NULL: err tells. */
struct avro *avro_open(const struct source *source, struct err *err);
/* The same of a file that is in memory; the bytes must outlive the reader, and are not copied. */
struct avro *avro_open_bytes(struct slice file, struct err *err);
void avro_close(struct avro *a);
DEFINE_AUTO(avro, struct avro *, avro_close)

/* A value of the file's metadata ("partition-spec-id"); p is NULL where there is none. With the
 * reader. */
struct slice avro_metadata(const struct avro *a, const char *key);

/* Some field of the schema has an Iceberg field id. */
bool avro_has_ids(const struct avro *a);

enum avro_type {
    AVRO_NULL,
    AVRO_BOOLEAN,
    AVRO_INT,
    AVRO_LONG,
    AVRO_FLOAT,
    AVRO_DOUBLE,
    AVRO_BYTES,
    AVRO_STRING,
    AVRO_FIXED,
    AVRO_ENUM,
    AVRO_RECORD,
    AVRO_ARRAY,
    AVRO_MAP,
    AVRO_UNION, /* of more than null and one other type, or of null alone */
};

enum avro_logical {
    AVRO_NO_LOGICAL, /* or one that is not known */
    AVRO_DECIMAL,    /* bytes or fixed: two's complement, big-endian */
    AVRO_UUID,
    AVRO_DATE,
    AVRO_TIME_MILLIS,
    AVRO_TIME_MICROS,
    AVRO_TIMESTAMP_MILLIS,
    AVRO_TIMESTAMP_MICROS,
    AVRO_TIMESTAMP_NANOS,
    AVRO_LOGICAL_MAP, /* an array of records of key and value */
};

/* A field as the schema has it. The name is valid with the reader. */
struct avro_field {
    int32_t id; /* -1: it has none */
    struct slice name;
    enum avro_type type; /* of a union of null and another type, that one */
    bool optional;       /* it is such a union */
    enum avro_logical logical;
    uint32_t size;             /* bytes of a FIXED */
    uint32_t precision, scale; /* of AVRO_DECIMAL */
    bool adjust_to_utc;        /* of a timestamp: "adjust-to-utc", true where it is not there */
};

/* The slot that stands for the whole record. */
#define AVRO_ROOT (-1)

struct avro_want {
    int32_t id;       /* an Iceberg field id of a field that is in no array or map */
    const char *path; /* "data_file.file_path": counts where the schema has no ids at all */
    /* The schema must say this one, an INT for a LONG, or one of BYTES, STRING and FIXED for
     * another of them; AVRO_NULL: any type. */
    enum avro_type type;
    bool required; /* it is damage where the schema lacks it */
};

/*
 * Chooses a field: gives its slot, 0 for the first call, one more for each further one. Of a field
 * that the schema lacks no record has a value. -EIO another type, or lacking though required;
 * -EOPNOTSUPP a union that is none of null and one type. Before the first avro_next only.
 */
int avro_choose(struct avro *a, const struct avro_want *want, struct err *err);

/* The fields of the record that a slot (or AVRO_ROOT) stands for: a partition tuple's. 0: the
 * schema lacks it, or it is no record. */
size_t avro_fields(const struct avro *a, int slot);
void avro_field(const struct avro *a, int slot, size_t i, struct avro_field *out);
/* Chooses one of these: as avro_choose. */
int avro_choose_field(struct avro *a, int slot, size_t i, struct err *err);

/* Moves on to the next record: 1 there is one, 0 the end, or -errno (and the same one from then
 * on). */
int avro_next(struct avro *a, struct err *err);

/* A value of the current record. A RECORD, ARRAY or MAP has only `present` for the caller. */
struct avro_value {
    bool present;       /* and not null */
    int64_t number;     /* BOOLEAN, INT, LONG, ENUM (the symbol's number) */
    double real;        /* FLOAT, DOUBLE */
    struct slice bytes; /* BYTES, STRING, FIXED; until the next avro_next */
};

/* Of a slot, until the next avro_next. Never NULL. */
const struct avro_value *avro_value(const struct avro *a, int slot);

/* Convenience: the number, or `otherwise` where there is none. */
static inline int64_t avro_number(const struct avro *a, int slot, int64_t otherwise)
{
    const struct avro_value *v = avro_value(a, slot);
    return v->present ? v->number : otherwise;
}

/* The values of one item that are given. */
#define AVRO_ITEM_VALUES 2

/*
 * The items of a chosen ARRAY or MAP in the current record. Of an array of records the first
 * AVRO_ITEM_VALUES fields are given (key and value of Iceberg's maps), of a map key and value, of
 * any other array one value; what is nested deeper has only `present`.
 *
 *   struct avro_items items;
 *   avro_items(a, slot, &items);
 *   while ((rc = avro_items_next(&items, err)) > 0)
 *       ... items.value[0].number
 */
struct avro_items {
    const struct avro *avro;
    const struct avro_item_program *program; /* NULL: there are no more */
    struct bytes in;
    uint64_t left; /* items of the block that we are in */
    struct avro_value value[AVRO_ITEM_VALUES];
};

void avro_items(const struct avro *a, int slot, struct avro_items *out);
/* 1, 0 at the end (or where the array is null), or -errno. */
int avro_items_next(struct avro_items *items, struct err *err);

#endif
