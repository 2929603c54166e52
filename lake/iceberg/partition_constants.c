/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tuple says of columns that its file may lack, as text in an entry's extra:
 *
 *   5=01000000,7=4555,9        column 5 is 1, 7 is "EU", 9 is null
 *
 * Values are in hex: little-endian numbers of 4 or 8 bytes, doubles, bytes as they are.
 */
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "lake/iceberg/default.h"
#include "lake/iceberg/partition.h"

static void put_number(struct buf *out, const struct shape_field *f, int64_t v)
{
    size_t bytes = f->type == SHAPE_BOOLEAN                          ? 1
                   : f->type == SHAPE_INT32 || f->type == SHAPE_DATE ? 4
                                                                     : 8;
    uint8_t le[sizeof v];
    for (size_t i = 0; i < sizeof le; i++)
        le[i] = (uint8_t)((uint64_t)v >> (8 * i));
    text_hex(out, le, bytes);
}

static void put_value(struct buf *out, const struct shape_field *f, const struct iceberg_value *v)
{
    if (v->kind == ICEBERG_NUMBER)
        put_number(out, f, v->number);
    else if (v->kind == ICEBERG_REAL)
        text_hex(out, &v->real, sizeof v->real);
    else
        text_hex(out, v->bytes.p, v->bytes.n);
}

void iceberg_partition_constants(const struct iceberg_partition *p,
                                 const struct iceberg_value *values, struct buf *out)
{
    bool first = true;
    for (size_t i = 0; i < p->n; i++) {
        const struct iceberg_partition_column *c = &p->at[i];
        if (c->transform != ICEBERG_IDENTITY || c->source_id == SHAPE_NO_ID)
            continue;
        buf_addf(out, first ? "%d" : ",%d", c->source_id);
        first = false;
        if (values[i].kind == ICEBERG_NULL)
            continue;
        buf_add_char(out, '=');
        put_value(out, &c->source, &values[i]);
    }
}

/* Reading */

struct constant {
    int32_t id;
    struct slice value; /* in hex; without a pointer: null */
};

struct constants {
    struct constant *at;
    struct map by_id;
};

static void constants_done(struct constants *c)
{
    map_done(&c->by_id);
    free(c->at);
}
DEFINE_AUTO_DONE(constants, struct constants, constants_done)

static struct slice next_item(struct slice *rest)
{
    ptrdiff_t comma = slice_find(*rest, ',');
    struct slice item = slice_make(rest->p, comma < 0 ? rest->n : (size_t)comma);
    *rest = slice_from(*rest, comma < 0 ? rest->n : item.n + 1);
    return item;
}

static int parse(struct constants *c, struct slice text, struct err *err)
{
    size_t n = 1;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == ',';
    map_init(&c->by_id, PARQUET_NODES_MAX);
    c->at = calloc(n, sizeof *c->at);
    if (!c->at)
        return err_set(err, ENOMEM, "out of memory");
    for (struct constant *to = c->at; text.n; to++) {
        struct slice item = next_item(&text);
        ptrdiff_t equals = slice_find(item, '=');
        uint64_t id;
        if (!text_parse_u64(slice_make(item.p, equals < 0 ? item.n : (size_t)equals), INT32_MAX,
                            &id))
            return err_set(err, EIO, "partition constants without an id");
        to->id = (int32_t)id;
        to->value = equals < 0 ? SLICE_NONE : slice_from(item, (size_t)equals + 1);
        struct slice key = slice_make(&to->id, sizeof to->id);
        if (!map_find(&c->by_id, key) && map_put(&c->by_id, key, to) < 0)
            return err_set(err, ENOMEM, "out of memory");
    }
    return 0;
}

static int unhex(struct slice text, struct buf *out, struct err *err)
{
    buf_reset(out);
    if (!text_unhex_add(out, text))
        return err_set(err, EIO, "partition constants that are not in hex");
    return buf_check(out, err);
}

/* Partitions come before a name mapping and before defaults ("Column Projection"). */
static int set_constant(struct shape_field *f, const struct constant *c, struct buf *value,
                        struct err *err)
{
    AUTO(buf) struct buf bytes = {0};
    f->names = NULL;
    f->names_n = 0;
    f->has_constant = c->value.p != NULL;
    f->constant = SLICE_NONE;
    if (!f->has_constant)
        return 0;
    buf_init(&bytes, ACTION_BYTES_MAX);
    buf_reset(value);
    int rc = unhex(c->value, &bytes, err);
    if (rc == 0)
        rc = iceberg_default_binary(f, buf_slice(&bytes), value, err);
    f->constant = buf_slice(value);
    return rc < 0 ? err_wrap(err, "column \"%.*s\"", (int)(f->name.n < 100 ? f->name.n : 100),
                             f->name.p)
                  : 0;
}

static int copy_fields(const struct shape *shape, const struct constants *c,
                       struct shape_builder *b, struct err *err)
{
    AUTO(buf) struct buf value = {0};
    uint32_t ends[SHAPE_DEPTH_MAX + 1], open = 0;
    int rc = 0;
    buf_init(&value, ACTION_BYTES_MAX);
    for (uint32_t i = 1; rc == 0 && i < shape->fields_n; i++) {
        struct shape_field f = shape->fields[i];
        const struct constant *of = map_find(&c->by_id, slice_make(&f.id, sizeof f.id));
        for (; open && ends[open - 1] <= i; open--)
            shape_end(b);
        if (of && f.kind == SHAPE_LEAF && f.type != SHAPE_STORED)
            rc = set_constant(&f, of, &value, err);
        shape_add(b, &f);
        if (f.kind != SHAPE_LEAF)
            ends[open++] = f.end;
    }
    for (; open; open--)
        shape_end(b);
    return rc;
}

int iceberg_partition_own_shape(struct slice text, struct shape *shape, struct shape **out,
                                struct err *err)
{
    AUTO(constants) struct constants c = {NULL};
    AUTO(shape_builder) struct shape_builder b = {NULL};
    if (text.n == 0) {
        *out = shape_ref(shape);
        return 0;
    }
    shape_builder_init(&b, shape->match);
    if (shape->confined)
        shape_confine(&b, shape->salt);
    int rc = parse(&c, text, err);
    if (rc == 0)
        rc = copy_fields(shape, &c, &b, err);
    return rc < 0 ? rc : shape_finish(&b, out, err);
}
