/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/avro_present.h"

#include "base/limits.h"
#include "lake/format/avro_schema.h"
#include "lake/format/shape.h"

#define UUID_BYTES 16

bool avro_is(struct slice head)
{
    return slice_starts(head, SLICE_LIT("Obj\1"));
}

static int differs(const struct shape_field *f, const char *what, struct err *err)
{
    return err_set(err, EOPNOTSUPP,
                   "an Avro file, which is only shown as it is stored: the column \"%.*s\" %s",
                   (int)(f->name.n < 200 ? f->name.n : 200), f->name.p, what);
}

static bool is_long(const struct avro_node *n, enum avro_logical logical)
{
    return n->type == AVRO_LONG && n->logical == logical;
}

static bool type_fits(const struct shape_field *f, const struct avro_node *n)
{
    switch ((enum shape_type)f->type) {
    case SHAPE_BOOLEAN:
        return n->type == AVRO_BOOLEAN;
    case SHAPE_INT32:
        return n->type == AVRO_INT && n->logical == AVRO_NO_LOGICAL;
    case SHAPE_INT64:
        return is_long(n, AVRO_NO_LOGICAL);
    case SHAPE_FLOAT:
        return n->type == AVRO_FLOAT;
    case SHAPE_DOUBLE:
        return n->type == AVRO_DOUBLE;
    case SHAPE_DECIMAL:
        return n->logical == AVRO_DECIMAL && n->precision == f->precision && n->scale == f->scale;
    case SHAPE_STRING:
        return n->type == AVRO_STRING && n->logical == AVRO_NO_LOGICAL;
    case SHAPE_BINARY:
        return n->type == AVRO_BYTES && n->logical == AVRO_NO_LOGICAL;
    case SHAPE_FIXED:
        return n->type == AVRO_FIXED && n->logical == AVRO_NO_LOGICAL && n->size == f->length;
    case SHAPE_UUID:
        return n->type == AVRO_FIXED && n->logical == AVRO_UUID && n->size == UUID_BYTES;
    case SHAPE_DATE:
        return n->type == AVRO_INT && n->logical == AVRO_DATE;
    case SHAPE_TIME:
        return is_long(n, AVRO_TIME_MICROS);
    case SHAPE_TIMESTAMP:
    case SHAPE_TIMESTAMP_LOCAL:
        return is_long(n, AVRO_TIMESTAMP_MICROS) &&
               n->adjust_to_utc == (f->type == SHAPE_TIMESTAMP);
    case SHAPE_TIMESTAMP_NS:
    case SHAPE_TIMESTAMP_LOCAL_NS:
        return is_long(n, AVRO_TIMESTAMP_NANOS) &&
               n->adjust_to_utc == (f->type == SHAPE_TIMESTAMP_NS);
    case SHAPE_INT8:
    case SHAPE_INT16:
    case SHAPE_VARIANT:
    case SHAPE_UNKNOWN:
    case SHAPE_STORED:
    case SHAPE_GEOMETRY:
    case SHAPE_GEOGRAPHY:
        break;
    }
    return false;
}

/* What is compared. */
struct comparing {
    const struct avro_schema *schema;
    const struct shape *shape;
    struct err *err;
};

static int compare(const struct comparing *c, uint32_t field, uint32_t at);

static int compare_name(const struct comparing *c, const struct shape_field *f,
                        const struct avro_node *n)
{
    if (!slice_eq(n->name, f->name))
        return differs(f, "has another name or place there", c->err);
    if (c->schema->has_ids
            ? n->id != f->id
            : c->shape->match == SHAPE_BY_ID_ALONE ||
                  (c->shape->match == SHAPE_BY_MAPPING && !shape_is_mapped(f, n->name)))
        return differs(f, "is another one there", c->err);
    return 0;
}

/* The fields of a record, or of one that is the item of a map: `named` are those that have names.
 */
static int compare_children(const struct comparing *c, uint32_t field, uint32_t first, bool named)
{
    const struct shape_field *fields = c->shape->fields;
    uint32_t at = first;
    for (uint32_t i = field + 1; i < fields[field].end; i = fields[i].end) {
        if (!at)
            return differs(&fields[i], "is not in it", c->err);
        int rc = named ? compare_name(c, &fields[i], &c->schema->nodes.at[at]) : 0;
        if (rc == 0)
            rc = compare(c, i, at);
        if (rc < 0)
            return rc;
        at = c->schema->nodes.at[at].next;
    }
    return at ? differs(&fields[field], "has more fields there", c->err) : 0;
}

/* A map of texts, or an array of records of key and value. */
static int compare_map(const struct comparing *c, uint32_t field, const struct avro_node *n)
{
    const struct shape_field *fields = c->shape->fields;
    const struct shape_field *key = &fields[field + 1];
    if (n->type == AVRO_ARRAY && n->logical == AVRO_LOGICAL_MAP && n->first &&
        c->schema->nodes.at[n->first].type == AVRO_RECORD)
        return compare_children(c, field, c->schema->nodes.at[n->first].first, false);
    if (n->type != AVRO_MAP || key->kind != SHAPE_LEAF || key->type != SHAPE_STRING || !n->first)
        return differs(&fields[field], "has another type there", c->err);
    return compare(c, key->end, n->first);
}

static int compare(const struct comparing *c, uint32_t field, uint32_t at)
{
    const struct shape_field *f = &c->shape->fields[field];
    const struct avro_node *n = &c->schema->nodes.at[at];
    switch ((enum shape_kind)f->kind) {
    case SHAPE_LEAF:
        return type_fits(f, n) ? 0 : differs(f, "has another type there", c->err);
    case SHAPE_STRUCT:
        if (n->type == AVRO_RECORD)
            return compare_children(c, field, n->first, true);
        break;
    case SHAPE_LIST:
        if (n->type == AVRO_ARRAY && n->logical != AVRO_LOGICAL_MAP)
            return compare_children(c, field, n->first, false);
        break;
    case SHAPE_MAP:
        return compare_map(c, field, n);
    }
    return differs(f, "has another type there", c->err);
}

int avro_presents(struct slice head, const struct shape *shape, struct err *err)
{
    AUTO(avro) struct avro *a = avro_open_bytes(head, err);
    AUTO(arena) struct arena arena = {0};
    struct avro_schema schema = {.has_ids = false};
    struct comparing c = {&schema, shape, err};
    if (!a)
        return -err->code;
    arena_init(&arena, AVRO_MEMORY_MAX);
    int rc = avro_schema_parse(&schema, &arena, avro_metadata(a, "avro.schema"), err);
    if (rc == 0)
        rc = compare(&c, 0, 0);
    avro_schema_done(&schema);
    return rc;
}
