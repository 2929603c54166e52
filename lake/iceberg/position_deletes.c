/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/position_deletes.h"

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/vec.h"
#include "cache/store/store.h"
#include "lake/format/avro.h"
#include "lake/format/parquet.h"

/* "Reserved Field IDs". */
#define FILE_PATH_ID 2147483546
#define POS_ID 2147483545

/* The deletes of one data file. */
struct target {
    struct slice place;
    struct roaring *rows; /* those that came in order, while the file was the current one */
    VEC(uint64_t) late;   /* others */
};

struct iceberg_positions {
    struct arena arena; /* targets and their places */
    struct map targets; /* by place */
    size_t bytes;
};

/* A file on its way. */
struct reading {
    struct iceberg_positions *out;
    const struct iceberg_root *root;
    struct slice only;
    struct buf path, place;       /* of the last record, and what it means */
    struct target *current;       /* of that, where it is wanted; whose rows go into: */
    struct roaring_builder *open; /* NULL: rows of it are late ones now */
    uint64_t last;                /* row in it */
};

static int no_room(struct err *err)
{
    return err_set(err, ENOMEM, "position deletes: out of memory");
}

void iceberg_positions_free(struct iceberg_positions *p)
{
    const struct map_entry *e;
    if (!p)
        return;
    for (size_t at = 0; (e = map_next(&p->targets, &at));) {
        struct target *t = e->value;
        roaring_free(t->rows);
        vec_done(&t->late);
    }
    map_done(&p->targets);
    arena_done(&p->arena);
    free(p);
}

const struct roaring *iceberg_positions_find(const struct iceberg_positions *p, struct slice place)
{
    const struct target *t = map_find(&p->targets, place);
    return t ? t->rows : NULL;
}

size_t iceberg_positions_bytes(const struct iceberg_positions *p)
{
    return p->bytes;
}

void iceberg_positions_place(const struct iceberg_root *root, struct slice path, struct buf *out)
{
    AUTO(buf) struct buf key = {0};
    struct store *store = NULL;
    buf_init(&key, KEY_BYTES_MAX);
    if (iceberg_path_locate(root, path, &store, &key, NULL) < 0) {
        buf_addf(out, "other %.*s", SLICE_FMT(path)); /* compared as it is written */
        return;
    }
    buf_addf(out, "%s ", store && store->home ? store->home : "");
    buf_add_slice(out, buf_slice(&key));
}

/* Takes room of what is kept; never given back: it is a bound. */
static int take(struct iceberg_positions *p, size_t bytes, struct err *err)
{
    p->bytes += bytes;
    if (p->bytes > ICEBERG_POSITIONS_BYTES_MAX)
        return err_set(err, EOVERFLOW, "position deletes of more than %zu bytes",
                       ICEBERG_POSITIONS_BYTES_MAX);
    return 0;
}

/* Targets */

/* Rows that came in order are all there. */
static int close_current(struct reading *r, struct err *err)
{
    AUTO(roaring_builder) struct roaring_builder *open = STEAL(r->open);
    if (!open)
        return 0;
    int rc = roaring_builder_end(open, &r->current->rows, err);
    return rc < 0 ? rc : take(r->out, roaring_bytes(r->current->rows), err);
}

static int new_target(struct reading *r, struct err *err)
{
    struct iceberg_positions *p = r->out;
    struct target *t = arena_calloc(&p->arena, 1, sizeof *t);
    if (t)
        t->place = arena_slice(&p->arena, buf_slice(&r->place));
    if (!t || !t->place.p)
        return arena_failed(&p->arena, "position deletes", err);
    t->late.max = ICEBERG_POSITIONS_BYTES_MAX / sizeof *t->late.at;
    int rc = take(p, sizeof *t + t->place.n + 2 * sizeof(struct map_entry), err);
    if (rc < 0)
        return rc;
    if (map_put(&p->targets, t->place, t) < 0)
        return no_room(err);
    r->open = roaring_builder_new(err);
    r->current = t;
    return r->open ? 0 : -ENOMEM;
}

static int change_target(struct reading *r, struct slice path, struct err *err)
{
    int rc = close_current(r, err);
    if (rc < 0)
        return rc;
    r->last = 0;
    r->current = NULL;
    buf_reset(&r->path);
    buf_reset(&r->place);
    buf_add_slice(&r->path, path);
    iceberg_positions_place(r->root, path, &r->place);
    if (buf_check(&r->path, err) < 0 || buf_check(&r->place, err) < 0)
        return -err->code;
    if (r->only.n && !slice_eq(buf_slice(&r->place), r->only))
        return 0;
    r->current = map_find(&r->out->targets, buf_slice(&r->place));
    return r->current ? 0 : new_target(r, err);
}

static int add_late(struct reading *r, uint64_t row, struct err *err)
{
    int rc = take(r->out, sizeof row, err);
    if (rc < 0)
        return rc;
    rc = vec_push(&r->current->late, row);
    return rc < 0 ? no_room(err) : 0;
}

/* One record. */
static int add(struct reading *r, struct slice path, int64_t pos, struct err *err)
{
    if (pos < 0)
        return err_set(err, EIO, "a position delete of row %lld", (long long)pos);
    uint64_t row = (uint64_t)pos;
    int rc = 0;
    if (!slice_eq(buf_slice(&r->path), path))
        rc = change_target(r, path, err);
    if (rc < 0 || !r->current)
        return rc;
    if (!r->open || row < r->last)
        return add_late(r, row, err);
    r->last = row;
    return roaring_builder_add(r->open, row, 1, err);
}

static int compare_rows(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Rows that came out of order, to the others. */
static int join_late(struct iceberg_positions *p, struct target *t, struct err *err)
{
    AUTO(roaring_builder) struct roaring_builder *b = NULL;
    AUTO(roaring) struct roaring *late = NULL;
    AUTO(roaring) struct roaring *rows = NULL;
    if (t->late.n == 0)
        return 0;
    rows = STEAL(t->rows);
    b = roaring_builder_new(err);
    if (!b)
        return -ENOMEM;
    qsort(t->late.at, t->late.n, sizeof *t->late.at, compare_rows);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < t->late.n; i++)
        rc = roaring_builder_add(b, t->late.at[i], 1, err);
    vec_done(&t->late);
    if (rc == 0)
        rc = roaring_builder_end(b, &late, err);
    if (rc == 0 && rows)
        rc = roaring_union(rows, late, &t->rows, err);
    else if (rc == 0)
        t->rows = STEAL(late);
    return rc < 0 ? rc : take(p, roaring_bytes(t->rows), err);
}

static int finish(struct reading *r, struct err *err)
{
    const struct map_entry *e;
    int rc = close_current(r, err);
    for (size_t at = 0; rc == 0 && (e = map_next(&r->out->targets, &at));)
        rc = join_late(r->out, e->value, err);
    return rc;
}

/* Formats */

/* `row` below it is not read. */
static int choose(struct parquet *p, const char *name, enum parquet_type type, struct err *err)
{
    struct parquet_leaf leaf;
    int handle = parquet_choose(p, name, err);
    if (handle == -ENOENT)
        return err_set(err, EIO, "a position delete file without %s", name);
    if (handle < 0)
        return handle;
    parquet_leaf(p, handle, &leaf);
    if (leaf.type != type || leaf.max_repetition)
        return err_set(err, EIO, "%s of a position delete file has another type", name);
    return handle;
}

static int read_parquet(struct reading *r, const struct source *source, struct err *err)
{
    AUTO(parquet) struct parquet *p = parquet_open(source, err);
    size_t n;
    int rc, path, pos;
    if (!p)
        return -err->code;
    path = choose(p, "file_path", PARQUET_BYTE_ARRAY, err);
    pos = path < 0 ? path : choose(p, "pos", PARQUET_INT64, err);
    if (pos < 0)
        return pos;
    while ((rc = parquet_next_row(p, err)) > 0) {
        const struct parquet_cell *file = parquet_cells(p, path, &n);
        const struct parquet_cell *row = parquet_cells(p, pos, &n);
        if (file->present && row->present)
            rc = add(r, file->bytes, row->number, err);
        if (rc < 0)
            break;
    }
    return rc;
}

static int read_avro(struct reading *r, const struct source *source, struct err *err)
{
    static const struct avro_want wants[] = {
        {.id = FILE_PATH_ID, .path = "file_path", .type = AVRO_STRING, .required = true},
        {.id = POS_ID, .path = "pos", .type = AVRO_LONG, .required = true},
    };
    int slots[ARRAY_SIZE(wants)];
    AUTO(avro) struct avro *a = avro_open(source, err);
    int rc;
    if (!a)
        return -err->code;
    for (size_t i = 0; i < ARRAY_SIZE(wants); i++) {
        slots[i] = avro_choose(a, &wants[i], err);
        if (slots[i] < 0)
            return slots[i];
    }
    while ((rc = avro_next(a, err)) > 0) {
        const struct avro_value *file = avro_value(a, slots[0]), *row = avro_value(a, slots[1]);
        if (file->present && row->present)
            rc = add(r, file->bytes, row->number, err);
        if (rc < 0)
            break;
    }
    return rc;
}

static int read_records(struct reading *r, const struct source *source, enum iceberg_format format,
                        struct err *err)
{
    switch (format) {
    case ICEBERG_PARQUET:
        return read_parquet(r, source, err);
    case ICEBERG_AVRO:
        return read_avro(r, source, err);
    case ICEBERG_ORC:
        return err_set(err, EOPNOTSUPP, "delete files in ORC are not read");
    case ICEBERG_PUFFIN:
        break;
    }
    return err_set(err, EIO, "position deletes in a Puffin file");
}

static void reading_done(struct reading *r)
{
    roaring_builder_free(r->open);
    buf_done(&r->path);
    buf_done(&r->place);
}
DEFINE_AUTO_DONE(reading, struct reading, reading_done)

int iceberg_positions_read(const struct source *source, enum iceberg_format format,
                           const struct iceberg_root *root, struct slice only,
                           struct iceberg_positions **out, struct err *err)
{
    AUTO(iceberg_positions) struct iceberg_positions *p = calloc(1, sizeof *p);
    AUTO(reading) struct reading r = {.out = p, .root = root, .only = only};
    buf_init(&r.path, ACTION_BYTES_MAX);
    buf_init(&r.place, 2 * ACTION_BYTES_MAX);
    if (!p)
        return no_room(err);
    arena_init(&p->arena, ICEBERG_POSITIONS_BYTES_MAX);
    map_init(&p->targets, ICEBERG_POSITIONS_BYTES_MAX / sizeof(struct target));
    int rc = read_records(&r, source, format, err);
    if (rc == 0)
        rc = finish(&r, err);
    if (rc == 0)
        *out = STEAL(p);
    return rc;
}
