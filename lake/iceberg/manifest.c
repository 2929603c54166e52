/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/manifest.h"

#include <strings.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "base/vec.h"
#include "lake/format/avro.h"

/* "Reserved Field IDs": file_path of position delete files. */
#define DELETE_PATH_ID 2147483546

/* Slots of the fields that are read, in their order in `wants`; those of the partition tuple
 * follow. */
enum slot {
    SLOT_STATUS,
    SLOT_SNAPSHOT,
    SLOT_SEQUENCE,
    SLOT_CONTENT,
    SLOT_PATH,
    SLOT_FORMAT,
    SLOT_PARTITION,
    SLOT_ROWS,
    SLOT_SIZE,
    SLOT_KEY,
    SLOT_COLUMNS,
    SLOTS_OF_DATA, /* the rest is read of delete files alone */
    SLOT_IDS = SLOTS_OF_DATA,
    SLOT_REFERENCED,
    SLOT_OFFSET,
    SLOT_LENGTH,
    SLOT_LOWER,
    SLOT_UPPER,
    SLOTS_OF_DELETES,
};

static const struct avro_want wants[] = {
    [SLOT_STATUS] = {0, "status", AVRO_LONG, true},
    [SLOT_SNAPSHOT] = {1, "snapshot_id", AVRO_LONG, false},
    [SLOT_SEQUENCE] = {3, "sequence_number", AVRO_LONG, false},
    [SLOT_CONTENT] = {134, "data_file.content", AVRO_LONG, false},
    [SLOT_PATH] = {100, "data_file.file_path", AVRO_STRING, true},
    [SLOT_FORMAT] = {101, "data_file.file_format", AVRO_STRING, true},
    [SLOT_PARTITION] = {102, "data_file.partition", AVRO_RECORD, false},
    [SLOT_ROWS] = {103, "data_file.record_count", AVRO_LONG, true},
    [SLOT_SIZE] = {104, "data_file.file_size_in_bytes", AVRO_LONG, true},
    [SLOT_KEY] = {131, "data_file.key_metadata", AVRO_BYTES, false},
    [SLOT_COLUMNS] = {108, "data_file.column_sizes", AVRO_NULL, false},
    [SLOT_IDS] = {135, "data_file.equality_ids", AVRO_NULL, false},
    [SLOT_REFERENCED] = {143, "data_file.referenced_data_file", AVRO_STRING, false},
    [SLOT_OFFSET] = {144, "data_file.content_offset", AVRO_LONG, false},
    [SLOT_LENGTH] = {145, "data_file.content_size_in_bytes", AVRO_LONG, false},
    [SLOT_LOWER] = {125, "data_file.lower_bounds", AVRO_NULL, false},
    [SLOT_UPPER] = {128, "data_file.upper_bounds", AVRO_NULL, false},
};

/* Distinct things by their bytes, numbered from 0 on. */
struct number {
    struct slice key;
    uint32_t number;
};
struct numbers {
    struct map map; /* values: struct number */
    const struct number *last;
};

typedef VEC(int32_t) id_list;

struct reading {
    struct avro *avro;
    const struct iceberg_manifest_sink *sink;
    bool deletes;
    struct arena arena;
    struct numbers tuples, columns;
    struct iceberg_tuple_value *tuple; /* of the current entry */
    size_t tuple_n;
    int tuple_slot; /* of its first value */
    id_list ids, keys;
    struct buf key;
};

static void reading_done(struct reading *r)
{
    map_done(&r->tuples.map);
    map_done(&r->columns.map);
    arena_done(&r->arena);
    free(r->tuple);
    vec_done(&r->ids);
    vec_done(&r->keys);
    buf_done(&r->key);
}
DEFINE_AUTO_DONE(reading, struct reading, reading_done)

/* Opening ------------------------------------------------------------------------------------- */

static int choose_tuple(struct reading *r, struct err *err)
{
    size_t n = avro_fields(r->avro, SLOT_PARTITION);
    r->tuple = calloc(n ? n : 1, sizeof r->tuple[0]);
    if (!r->tuple)
        return err_set(err, ENOMEM, "out of memory for %zu partition fields", n);
    r->tuple_n = n;
    for (size_t i = 0; i < n; i++) {
        struct avro_field field;
        avro_field(r->avro, SLOT_PARTITION, i, &field);
        r->tuple[i] = (struct iceberg_tuple_value){.field_id = field.id, .name = field.name};
        int slot = avro_choose_field(r->avro, SLOT_PARTITION, i, err);
        if (slot < 0)
            return slot;
        r->tuple_slot = i ? r->tuple_slot : slot;
        if (field.type >= AVRO_RECORD)
            return err_set(err, EIO, "partition field '%.*s' is no single value",
                           SLICE_FMT(field.name));
    }
    return 0;
}

static int choose(struct reading *r, struct err *err)
{
    size_t n = r->deletes ? SLOTS_OF_DELETES : SLOTS_OF_DATA;
    for (size_t i = 0; i < n; i++) {
        int rc = avro_choose(r->avro, &wants[i], err);
        if (rc < 0)
            return rc;
    }
    return choose_tuple(r, err);
}

static int read_head(const struct avro *a, struct iceberg_manifest_head *head, struct err *err)
{
    struct slice spec = avro_metadata(a, "partition-spec-id");
    uint64_t id;
    head->spec_id = ICEBERG_NONE;
    head->deletes = head->deletes || slice_is(avro_metadata(a, "content"), "deletes");
    if (!spec.p)
        return 0;
    if (!text_parse_u64(spec, INT32_MAX, &id))
        return err_set(err, EIO, "partition-spec-id is '%.*s'", (int)(spec.n < 40 ? spec.n : 40),
                       spec.p);
    head->spec_id = (int32_t)id;
    return 0;
}

/* Entries ------------------------------------------------------------------------------------- */

/* The number of what r->key has the bytes of; *added: it is a new one. */
static int number_of(struct reading *r, struct numbers *numbers, uint32_t *out, bool *added,
                     struct err *err)
{
    int rc = buf_check(&r->key, err);
    struct slice key = buf_slice(&r->key);
    *added = false;
    if (rc < 0)
        return rc;
    if (!numbers->last || !slice_eq(key, numbers->last->key)) {
        struct number *n = map_find(&numbers->map, key);
        *added = !n;
        if (!n) {
            n = arena_calloc(&r->arena, 1, sizeof *n);
            if (n)
                n->key = arena_slice(&r->arena, key);
            if (!n || !n->key.p)
                return arena_failed(&r->arena, "a manifest's partitions", err);
            n->number = (uint32_t)numbers->map.count;
            rc = map_put(&numbers->map, n->key, n);
            if (rc < 0)
                return err_set(err, -rc, "a manifest with more than %zu partitions",
                               numbers->map.count);
        }
        numbers->last = n;
    }
    *out = numbers->last->number;
    return 0;
}

static struct iceberg_value value_of(const struct avro_field *field, const struct avro_value *v)
{
    struct iceberg_value value = {.kind = ICEBERG_NULL};
    if (!v->present)
        return value;
    switch (field->type) {
    case AVRO_BOOLEAN:
    case AVRO_INT:
    case AVRO_LONG:
    case AVRO_ENUM:
        value.kind = ICEBERG_NUMBER;
        value.number = v->number;
        break;
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        value.kind = ICEBERG_REAL;
        value.real = v->real;
        break;
    case AVRO_BYTES:
    case AVRO_STRING:
    case AVRO_FIXED:
        value.kind = ICEBERG_BYTES;
        value.bytes = v->bytes;
        break;
    case AVRO_NULL:
    case AVRO_RECORD:
    case AVRO_ARRAY:
    case AVRO_MAP:
    case AVRO_UNION:
        break;
    }
    return value;
}

static int take_tuple(struct reading *r, struct iceberg_entry *f, struct err *err)
{
    bool added;
    buf_reset(&r->key);
    for (size_t i = 0; i < r->tuple_n; i++) {
        struct avro_field field;
        struct iceberg_value *v = &r->tuple[i].value;
        avro_field(r->avro, SLOT_PARTITION, i, &field);
        *v = value_of(&field, avro_value(r->avro, r->tuple_slot + (int)i));
        buf_add_char(&r->key, (char)v->kind);
        buf_add_le64(&r->key, v->kind == ICEBERG_BYTES ? v->bytes.n : (uint64_t)v->number);
        buf_add(&r->key, &v->real, sizeof v->real);
        buf_add_slice(&r->key, v->bytes);
    }
    int rc = number_of(r, &r->tuples, &f->tuple, &added, err);
    return rc < 0 || !added ? rc : r->sink->tuple(r->sink->arg, r->tuple, r->tuple_n, err);
}

static int by_id(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Numbers, or the keys of a map, ascending. */
static int take_ids(struct reading *r, int slot, id_list *out, struct err *err)
{
    struct avro_items items;
    bool ascending = true;
    int rc;
    out->n = 0;
    if (!avro_value(r->avro, slot)->present)
        return 0;
    avro_items(r->avro, slot, &items);
    while ((rc = avro_items_next(&items, err)) > 0) {
        int64_t id = items.value[0].number;
        if (!items.value[0].present || id < 0 || id > INT32_MAX)
            return err_set(err, EIO, "a column has the id %lld", (long long)id);
        ascending = ascending && (!out->n || out->at[out->n - 1] < id);
        rc = vec_push(out, (int32_t)id);
        if (rc < 0)
            return err_set(err, -rc, "a file of more than %zu columns", out->n);
    }
    if (rc == 0 && !ascending)
        qsort(out->at, out->n, sizeof out->at[0], by_id);
    return rc;
}

static int take_columns(struct reading *r, struct iceberg_entry *f, struct err *err)
{
    bool added;
    int rc = take_ids(r, SLOT_COLUMNS, &r->keys, err);
    if (rc < 0)
        return rc;
    buf_reset(&r->key);
    buf_add(&r->key, r->keys.at, r->keys.n * sizeof r->keys.at[0]);
    rc = number_of(r, &r->columns, &f->columns, &added, err);
    if (rc < 0 || !added)
        return rc;
    struct iceberg_columns columns = {r->keys.at, r->keys.n};
    return r->sink->columns(r->sink->arg, &columns, err);
}

/* The bound of the paths in a position delete file. */
static int take_bound(const struct reading *r, int slot, struct slice *out, struct err *err)
{
    struct avro_items items;
    int rc;
    if (!avro_value(r->avro, slot)->present)
        return 0;
    avro_items(r->avro, slot, &items);
    while ((rc = avro_items_next(&items, err)) > 0)
        if (items.value[0].number == DELETE_PATH_ID && items.value[1].present)
            *out = items.value[1].bytes;
    return rc;
}

static int take_deletes(struct reading *r, struct iceberg_entry *f, struct err *err)
{
    const struct avro *a = r->avro;
    int rc = take_ids(r, SLOT_IDS, &r->ids, err);
    if (rc == 0)
        rc = take_bound(r, SLOT_LOWER, &f->lower, err);
    if (rc == 0)
        rc = take_bound(r, SLOT_UPPER, &f->upper, err);
    if (rc < 0)
        return rc;
    f->ids = r->ids.at;
    f->ids_n = r->ids.n;
    f->referenced = avro_value(a, SLOT_REFERENCED)->bytes;
    if (!avro_value(a, SLOT_REFERENCED)->present)
        f->referenced = SLICE_NONE;
    f->offset = avro_number(a, SLOT_OFFSET, ICEBERG_NONE);
    f->length = avro_number(a, SLOT_LENGTH, ICEBERG_NONE);
    if (f->content == ICEBERG_EQUALITY && !f->ids_n)
        return err_set(err, EIO, "an equality delete file names no columns");
    if (f->format != ICEBERG_PUFFIN) {
        f->offset = f->length = ICEBERG_NONE;
        return 0;
    }
    if (f->content != ICEBERG_POSITIONS || !f->referenced.n || f->offset < 0 || f->length <= 0 ||
        f->length > INT64_MAX - f->offset)
        return err_set(err, EIO, "a deletion vector of '%.*s' at %lld with %lld bytes",
                       SLICE_FMT(f->referenced), (long long)f->offset, (long long)f->length);
    return 0;
}

static int take_format(struct slice name, enum iceberg_format *out, struct err *err)
{
    static const char *const names[] = {
        [ICEBERG_PARQUET] = "parquet",
        [ICEBERG_ORC] = "orc",
        [ICEBERG_AVRO] = "avro",
        [ICEBERG_PUFFIN] = "puffin",
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (name.n == strlen(names[i]) && strncasecmp(name.p, names[i], name.n) == 0) {
            *out = (enum iceberg_format)i;
            return 0;
        }
    return err_set(err, EOPNOTSUPP, "a file of the format '%.*s'", (int)(name.n < 40 ? name.n : 40),
                   name.p);
}

static int take_values(struct reading *r, struct iceberg_entry *f, struct err *err)
{
    const struct avro *a = r->avro;
    int64_t status = avro_number(a, SLOT_STATUS, -1), content = avro_number(a, SLOT_CONTENT, 0);
    int64_t size = avro_number(a, SLOT_SIZE, -1), rows = avro_number(a, SLOT_ROWS, -1);
    const struct avro_value *path = avro_value(a, SLOT_PATH), *key = avro_value(a, SLOT_KEY);
    if (!path->present || path->bytes.n == 0 || path->bytes.n > ACTION_BYTES_MAX ||
        memchr(path->bytes.p, 0, path->bytes.n))
        return err_set(err, EIO, "a file has no path, or an impossible one");
    if (status < 0 || status > ICEBERG_DELETED || content < 0 || content > ICEBERG_EQUALITY ||
        (content != ICEBERG_DATA) != r->deletes || size < 0 || rows < 0)
        return err_set(err, EIO, "status %lld, content %lld%s, %lld bytes, %lld rows",
                       (long long)status, (long long)content,
                       r->deletes ? " among delete files" : "", (long long)size, (long long)rows);
    *f = (struct iceberg_entry){
        .status = (enum iceberg_status)status,
        .content = (enum iceberg_content)content,
        .snapshot = avro_number(a, SLOT_SNAPSHOT, ICEBERG_NONE),
        .sequence = avro_number(a, SLOT_SEQUENCE, ICEBERG_NONE),
        .path = path->bytes,
        .size = (uint64_t)size,
        .rows = (uint64_t)rows,
        .encrypted = key->present && key->bytes.n,
        .offset = ICEBERG_NONE,
        .length = ICEBERG_NONE,
    };
    int rc = take_format(avro_value(a, SLOT_FORMAT)->bytes, &f->format, err);
    if (rc == 0 && f->format == ICEBERG_PUFFIN && !r->deletes)
        rc = err_set(err, EIO, "a data file of the format 'puffin'");
    return rc;
}

static int take_entry(struct reading *r, struct err *err)
{
    struct iceberg_entry f = {.path = SLICE_NONE};
    int rc = take_values(r, &f, err);
    if (rc == 0)
        rc = take_tuple(r, &f, err);
    if (rc == 0)
        rc = take_columns(r, &f, err);
    if (rc == 0 && r->deletes)
        rc = take_deletes(r, &f, err);
    if (rc < 0 && f.path.n)
        return err_wrap(err, "'%.*s'", (int)(f.path.n < 300 ? f.path.n : 300), f.path.p);
    return rc < 0 ? rc : r->sink->file(r->sink->arg, &f, err);
}

int iceberg_manifest_read(const struct source *source, const struct iceberg_manifest_sink *sink,
                          struct iceberg_manifest_head *head, struct err *err)
{
    AUTO(avro) struct avro *a = avro_open(source, err);
    AUTO(reading) struct reading r = {.avro = a, .sink = sink};
    if (!a)
        return -err->code;
    arena_init(&r.arena, ICEBERG_MANIFEST_MEMORY_MAX);
    map_init(&r.tuples.map, ICEBERG_TUPLES_MAX);
    map_init(&r.columns.map, ICEBERG_TUPLES_MAX);
    buf_init(&r.key, ICEBERG_MANIFEST_MEMORY_MAX);
    r.ids.max = r.keys.max = PARQUET_NODES_MAX;
    int rc = read_head(a, head, err);
    r.deletes = head->deletes;
    if (rc == 0)
        rc = choose(&r, err);
    while (rc == 0 && (rc = avro_next(a, err)) > 0)
        rc = take_entry(&r, err);
    return rc;
}

int iceberg_entry_inherit(struct iceberg_entry *file, const struct iceberg_manifest *manifest,
                          struct err *err)
{
    if (file->snapshot == ICEBERG_NONE)
        file->snapshot = manifest->snapshot;
    if (file->sequence == ICEBERG_NONE &&
        (file->status == ICEBERG_ADDED || manifest->sequence == 0))
        file->sequence = manifest->sequence;
    if (file->sequence != ICEBERG_NONE || file->status == ICEBERG_DELETED)
        return 0;
    return err_set(err, EIO, "'%.*s' has no sequence number, and was not added with its manifest",
                   (int)(file->path.n < 300 ? file->path.n : 300), file->path.p);
}
