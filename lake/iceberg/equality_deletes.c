/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/equality_deletes.h"

#include "base/limits.h"
#include "lake/format/avro.h"
#include "lake/format/parquet_convert.h"
#include "lake/iceberg/schema.h"

#define MICROSECOND 1000
#define MILLISECOND 1000000
#define DAY INT64_C(86400000000000)
#define UUID_BYTES 16
/* Behind a Parquet footer: its length and the magic. */
#define TRAILER_BYTES 8
#define MAGIC "PAR1"

/* Columns */

struct columns {
    const int32_t *ids;
    size_t ids_n;
    bool found[EQUALITY_COLUMNS_MAX];
    size_t found_n;
    struct shape_builder *builder;
    struct err *err;
};

/* Which of the ids it is, of those that are looked for still; -1: none. */
static ptrdiff_t wanted(const struct columns *c, int32_t id)
{
    for (size_t i = 0; i < c->ids_n; i++)
        if (c->ids[i] == id && !c->found[i])
            return (ptrdiff_t)i;
    return -1;
}

static bool has_wanted(const struct columns *c, const struct shape *s, uint32_t field)
{
    for (uint32_t i = field; i < s->fields[field].end; i++)
        if (s->fields[i].kind == SHAPE_LEAF && wanted(c, s->fields[i].id) >= 0)
            return true;
    return false;
}

/* The fields below a struct on the way to those that are wanted. */
static void add_fields(struct columns *c, const struct shape *s, uint32_t parent)
{
    for (uint32_t i = parent + 1; i < s->fields[parent].end; i = s->fields[i].end) {
        const struct shape_field *f = &s->fields[i];
        if (!has_wanted(c, s, i))
            continue;
        shape_add(c->builder, f);
        if (f->kind == SHAPE_LEAF) {
            c->found[wanted(c, f->id)] = true;
            c->found_n++;
            continue;
        }
        add_fields(c, s, i);
        shape_end(c->builder);
    }
}

/* What a schema has of them that newer ones have not. */
static int add_schema(struct columns *c, struct slice json, struct slice mapping)
{
    AUTO(shape) struct shape *s = NULL;
    int rc = iceberg_schema_shape(json, mapping, &s, c->err);
    if (rc < 0)
        return rc;
    add_fields(c, s, 0);
    return 0;
}

static int add_schemas(struct columns *c, const struct iceberg_metadata *m, struct slice mapping)
{
    int rc = 0;
    for (size_t i = m->schemas_n; rc == 0 && i-- > 0 && c->found_n < c->ids_n;)
        rc = add_schema(c, m->schemas[i].json, mapping);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < c->ids_n; i++)
        if (!c->found[i])
            return err_set(c->err, EOPNOTSUPP,
                           "equality deletes by the field %d, which no schema has as a column of "
                           "values",
                           c->ids[i]);
    return 0;
}

int iceberg_equality_columns(const struct iceberg_metadata *m, const int32_t *ids, size_t ids_n,
                             struct shape **out, struct err *err)
{
    AUTO(shape_builder) struct shape_builder builder = {0};
    AUTO(shape) struct shape *s = NULL;
    struct columns c = {.ids = ids, .ids_n = ids_n, .builder = &builder, .err = err};
    struct slice mapping = iceberg_metadata_property(m, "schema.name-mapping.default");
    if (ids_n == 0)
        return err_set(err, EIO, "equality deletes by no column");
    if (ids_n > EQUALITY_COLUMNS_MAX)
        return err_set(err, EOPNOTSUPP, "equality deletes by %zu columns, at most %zu are compared",
                       ids_n, EQUALITY_COLUMNS_MAX);
    enum shape_match match = mapping.n ? SHAPE_BY_MAPPING : SHAPE_BY_ID_ALONE;
    shape_builder_init(&builder, match);
    int rc = add_schemas(&c, m, mapping);
    if (rc == 0)
        rc = shape_finish(&builder, &s, err);
    if (rc == 0)
        rc = equality_check(s, err);
    if (rc == 0)
        *out = STEAL(s);
    return rc;
}

/* Parquet */

static int read_parquet(const struct source *source, const struct shape *columns,
                        struct equality_set **out, struct err *err)
{
    char tail[TRAILER_BYTES];
    uint32_t n = 0;
    if (source->size_bytes < sizeof tail + sizeof MAGIC)
        return err_set(err, EIO, "%llu bytes are no Parquet file",
                       (unsigned long long)source->size_bytes);
    int rc = source->read(source->arg, source->size_bytes - sizeof tail, tail, sizeof tail, err);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < 4; i++)
        n |= (uint32_t)(unsigned char)tail[i] << (8 * i);
    if (memcmp(tail + 4, "PARE", 4) == 0)
        return err_set(err, EOPNOTSUPP, "its footer is encrypted");
    if (memcmp(tail + 4, MAGIC, 4) != 0 || n > source->size_bytes - sizeof tail)
        return err_set(err, EIO, "it does not end as Parquet files do");
    if (n > FOOTER_BYTES_MAX)
        return err_set(err, EOVERFLOW, "a footer of %u bytes, at most %zu are read", n,
                       FOOTER_BYTES_MAX);
    AUTO_FREE char *footer = malloc(n ? n : 1);
    if (!footer)
        return err_set(err, ENOMEM, "a delete file: out of memory");
    rc = source->read(source->arg, source->size_bytes - sizeof tail - n, footer, n, err);
    return rc < 0 ? rc : equality_read(columns, slice_make(footer, n), source, out, err);
}

/* Avro */

struct avro_column {
    const struct shape_field *field;
    int64_t factor; /* of numbers: to the unit in which they are compared */
    int slot;
    bool bytes, decimal;
};

/* The slot of a field by its id, at any depth of records; -ENOENT: there is none. */
static int find_slot(struct avro *a, int parent, int32_t id, struct avro_field *f, struct err *err)
{
    size_t n = avro_fields(a, parent);
    for (size_t i = 0; i < n; i++) {
        struct avro_field field;
        avro_field(a, parent, i, &field);
        if (field.id != id && field.type != AVRO_RECORD)
            continue;
        int slot = avro_choose_field(a, parent, i, err);
        if (slot >= 0 && field.id != id)
            slot = find_slot(a, slot, id, &field, err);
        if (slot == -ENOENT)
            continue;
        *f = field;
        return slot;
    }
    return -ENOENT;
}

/* Nanoseconds of one; 0: it is no such value. */
static int64_t instant_factor(const struct avro_field *f, bool local)
{
    if (f->type == AVRO_INT && f->logical == AVRO_DATE)
        return local ? DAY : 0;
    if (f->type != AVRO_LONG)
        return 0;
    return f->logical == AVRO_TIMESTAMP_MILLIS   ? MILLISECOND
           : f->logical == AVRO_TIMESTAMP_MICROS ? MICROSECOND
                                                 : f->logical == AVRO_TIMESTAMP_NANOS;
}

static int64_t time_factor(const struct avro_field *f)
{
    return f->type == AVRO_INT && f->logical == AVRO_TIME_MILLIS    ? MILLISECOND
           : f->type == AVRO_LONG && f->logical == AVRO_TIME_MICROS ? MICROSECOND
                                                                    : 0;
}

static int64_t number_factor(const struct shape_field *f, const struct avro_field *a)
{
    bool integer = (a->type == AVRO_INT || a->type == AVRO_LONG) && a->logical == AVRO_NO_LOGICAL;
    switch ((enum shape_type)f->type) {
    case SHAPE_BOOLEAN:
        return a->type == AVRO_BOOLEAN;
    case SHAPE_INT8:
    case SHAPE_INT16:
    case SHAPE_INT32:
    case SHAPE_INT64:
        return integer;
    case SHAPE_DATE:
        return a->type == AVRO_INT && a->logical == AVRO_DATE;
    case SHAPE_TIME:
        return time_factor(a);
    case SHAPE_TIMESTAMP:
    case SHAPE_TIMESTAMP_NS:
        return instant_factor(a, false);
    case SHAPE_TIMESTAMP_LOCAL:
    case SHAPE_TIMESTAMP_LOCAL_NS:
        return instant_factor(a, true);
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
    case SHAPE_DECIMAL:
    case SHAPE_STRING:
    case SHAPE_BINARY:
    case SHAPE_FIXED:
    case SHAPE_UUID:
    case SHAPE_VARIANT:
    case SHAPE_UNKNOWN:
    case SHAPE_STORED:
    case SHAPE_GEOMETRY:
    case SHAPE_GEOGRAPHY:
        break;
    }
    return 0;
}

static bool bytes_fit(const struct shape_field *f, const struct avro_field *a)
{
    if (f->type == SHAPE_STRING)
        return a->type == AVRO_STRING;
    if (f->type == SHAPE_BINARY)
        return a->type == AVRO_BYTES || a->type == AVRO_FIXED;
    return a->type == AVRO_FIXED && a->size == (f->type == SHAPE_UUID ? UUID_BYTES : f->length);
}

static int bind_avro(struct avro *a, const struct shape_field *f, struct avro_column *out,
                     struct err *err)
{
    struct avro_field field = {0};
    *out = (struct avro_column){.field = f, .slot = find_slot(a, AVRO_ROOT, f->id, &field, err)};
    if (out->slot == -ENOENT && f->type == SHAPE_UNKNOWN)
        return 0;
    if (out->slot == -ENOENT)
        return err_set(err, EIO, "it has no column \"%.*s\", by which it deletes",
                       (int)(f->name.n < 200 ? f->name.n : 200), f->name.p);
    if (out->slot < 0)
        return out->slot;
    out->bytes = column_class_of(f->type) == COLUMN_BYTES;
    out->decimal = f->type == SHAPE_DECIMAL;
    out->factor = number_factor(f, &field);
    bool fits = out->bytes     ? bytes_fit(f, &field)
                : out->decimal ? field.logical == AVRO_DECIMAL && field.scale == f->scale
                               : out->factor || f->type == SHAPE_UNKNOWN;
    if (!fits)
        return err_set(err, EOPNOTSUPP,
                       "the column \"%.*s\" of an equality delete file has another type",
                       (int)(f->name.n < 200 ? f->name.n : 200), f->name.p);
    return 0;
}

static int take_value(const struct avro *a, const struct avro_column *c, struct column_value *out,
                      struct err *err)
{
    *out = (struct column_value){.null = true};
    const struct avro_value *v = c->slot < 0 ? NULL : avro_value(a, c->slot);
    if (!v || !v->present)
        return 0;
    out->null = false;
    out->bytes = v->bytes;
    out->number = (__int128)v->number * c->factor;
    if (c->decimal && !parquet_unscaled(v->bytes, &out->number))
        return err_set(err, EOPNOTSUPP, "a decimal of more than 38 digits");
    return 0;
}

static int add_records(struct avro *a, const struct avro_column *columns, size_t n,
                       struct equality_builder *b, struct err *err)
{
    struct column_value values[EQUALITY_COLUMNS_MAX];
    int rc;
    while ((rc = avro_next(a, err)) > 0) {
        for (size_t i = 0; i < n && rc > 0; i++)
            if (take_value(a, &columns[i], &values[i], err) < 0)
                rc = -err->code;
        if (rc > 0)
            rc = equality_builder_add(b, values, err);
        if (rc < 0)
            break;
    }
    return rc;
}

static int read_avro(const struct source *source, const struct shape *columns,
                     struct equality_set **out, struct err *err)
{
    struct avro_column found[EQUALITY_COLUMNS_MAX];
    AUTO(equality_builder) struct equality_builder *b = NULL;
    AUTO(avro) struct avro *a = avro_open(source, err);
    size_t n = 0;
    int rc = a ? 0 : -err->code;
    if (rc == 0 && !avro_has_ids(a))
        rc = err_set(err, EOPNOTSUPP, "a delete file in Avro without field ids");
    for (size_t i = 1; rc == 0 && i < columns->fields_n; i++)
        if (columns->fields[i].kind == SHAPE_LEAF)
            rc = bind_avro(a, &columns->fields[i], &found[n++], err);
    if (rc < 0)
        return rc;
    b = equality_builder_new(columns, err);
    if (!b)
        return -ENOMEM;
    rc = add_records(a, found, n, b, err);
    return rc < 0 ? rc : equality_builder_end(b, out, err);
}

int iceberg_equality_read(const struct source *source, enum iceberg_format format,
                          const struct shape *columns, struct equality_set **out, struct err *err)
{
    switch (format) {
    case ICEBERG_PARQUET:
        return read_parquet(source, columns, out, err);
    case ICEBERG_AVRO:
        return read_avro(source, columns, out, err);
    case ICEBERG_ORC:
        return err_set(err, EOPNOTSUPP, "delete files in ORC are not read");
    case ICEBERG_PUFFIN:
        break;
    }
    return err_set(err, EIO, "equality deletes in a Puffin file");
}
