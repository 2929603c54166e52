/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/checkpoint_rows.h"

#include "lake/format/parquet.h"
#include "lake/object_reader.h"

/* Items of one list or map in a row. */
#define CELLS_MAX 100000
/* What one row is made into. */
#define ROW_BYTES_MAX (2 * SCHEMA_BYTES_MAX)

enum leaf {
    ADD_PATH,
    ADD_SIZE,
    ADD_TIME,
    ADD_KEYS,
    ADD_VALUES,
    DV_STORAGE,
    DV_PATH,
    DV_SIZE,
    DV_CARDINALITY,
    DV_OFFSET,
    META_ID,
    META_PROVIDER,
    META_SCHEMA,
    META_COLUMNS,
    META_KEYS,
    META_VALUES,
    PROTOCOL_READER,
    PROTOCOL_WRITER,
    PROTOCOL_READER_FEATURES,
    PROTOCOL_WRITER_FEATURES,
    SIDECAR_PATH,
    SIDECAR_SIZE,
    LEAVES
};

static const struct {
    const char *path, *flat; /* flat: of lists whose repeated field is the element itself */
    const char *within;      /* what a checkpoint may lack as a whole; NULL: it must be there */
    enum delta_checkpoint_part part;
    bool number, repeats;
} leaves[LEAVES] = {
    [ADD_PATH] = {"add.path", NULL, NULL, DELTA_CHECKPOINT_FILES, false, false},
    [ADD_SIZE] = {"add.size", NULL, NULL, DELTA_CHECKPOINT_FILES, true, false},
    [ADD_TIME] = {"add.modificationTime", NULL, NULL, DELTA_CHECKPOINT_FILES, true, false},
    [ADD_KEYS] = {"add.partitionValues.*.key", NULL, NULL, DELTA_CHECKPOINT_FILES, false, true},
    [ADD_VALUES] = {"add.partitionValues.*.value", NULL, NULL, DELTA_CHECKPOINT_FILES, false, true},
    [DV_STORAGE] = {"add.deletionVector.storageType", NULL, "add.deletionVector",
                    DELTA_CHECKPOINT_FILES, false, false},
    [DV_PATH] = {"add.deletionVector.pathOrInlineDv", NULL, "add.deletionVector",
                 DELTA_CHECKPOINT_FILES, false, false},
    [DV_SIZE] = {"add.deletionVector.sizeInBytes", NULL, "add.deletionVector.sizeInBytes",
                 DELTA_CHECKPOINT_FILES, true, false},
    [DV_CARDINALITY] = {"add.deletionVector.cardinality", NULL, "add.deletionVector.cardinality",
                        DELTA_CHECKPOINT_FILES, true, false},
    [DV_OFFSET] = {"add.deletionVector.offset", NULL, "add.deletionVector.offset",
                   DELTA_CHECKPOINT_FILES, true, false},
    [META_ID] = {"metaData.id", NULL, "metaData", DELTA_CHECKPOINT_STATE, false, false},
    [META_PROVIDER] = {"metaData.format.provider", NULL, "metaData.format", DELTA_CHECKPOINT_STATE,
                       false, false},
    [META_SCHEMA] = {"metaData.schemaString", NULL, "metaData.schemaString", DELTA_CHECKPOINT_STATE,
                     false, false},
    [META_COLUMNS] = {"metaData.partitionColumns.*.*", "metaData.partitionColumns.*", "metaData",
                      DELTA_CHECKPOINT_STATE, false, true},
    [META_KEYS] = {"metaData.configuration.*.key", NULL, "metaData.configuration",
                   DELTA_CHECKPOINT_STATE, false, true},
    [META_VALUES] = {"metaData.configuration.*.value", NULL, "metaData.configuration",
                     DELTA_CHECKPOINT_STATE, false, true},
    [PROTOCOL_READER] = {"protocol.minReaderVersion", NULL, "protocol", DELTA_CHECKPOINT_STATE,
                         true, false},
    [PROTOCOL_WRITER] = {"protocol.minWriterVersion", NULL, "protocol", DELTA_CHECKPOINT_STATE,
                         true, false},
    [PROTOCOL_READER_FEATURES] = {"protocol.readerFeatures.*.*", "protocol.readerFeatures.*",
                                  "protocol.readerFeatures", DELTA_CHECKPOINT_STATE, false, true},
    [PROTOCOL_WRITER_FEATURES] = {"protocol.writerFeatures.*.*", "protocol.writerFeatures.*",
                                  "protocol.writerFeatures", DELTA_CHECKPOINT_STATE, false, true},
    [SIDECAR_PATH] = {"sidecar.path", NULL, "sidecar", DELTA_CHECKPOINT_FILES, false, false},
    [SIDECAR_SIZE] = {"sidecar.sizeInBytes", NULL, "sidecar", DELTA_CHECKPOINT_FILES, true, false},
};

/* One file of a checkpoint on the way through. */
struct scan {
    struct parquet *parquet;
    int handles[LEAVES];   /* -1: not in this file, or not asked for */
    unsigned item[LEAVES]; /* item_definition of what repeats */
    struct arena arena;    /* of the current row */
    const struct delta_sink *sink;
    bool stopped; /* by the sink */
};

static int damaged(enum leaf leaf, const char *why, struct err *err)
{
    return err_set(err, EIO, "%s %s", leaves[leaf].path, why);
}

/* A column is not there: may it be missing, or is it there in another shape? */
static int choose_none(struct scan *s, enum leaf leaf, struct err *err)
{
    const char *within = leaves[leaf].within;
    if (!within)
        return damaged(leaf, "is missing", err);
    if (parquet_has_group(s->parquet, within))
        return damaged(leaf, "is missing", err);
    int rc = parquet_choose(s->parquet, within, err);
    if (rc >= 0)
        return damaged(leaf, "is missing: the column has an unexpected type", err);
    return rc == -ENOENT ? 0 : rc;
}

static int choose(struct scan *s, enum leaf leaf, struct err *err)
{
    struct parquet_leaf type;
    int handle = parquet_choose(s->parquet, leaves[leaf].path, err);
    if (handle == -ENOENT && leaves[leaf].flat)
        handle = parquet_choose(s->parquet, leaves[leaf].flat, err);
    if (handle == -ENOENT)
        return choose_none(s, leaf, err);
    if (handle < 0)
        return handle;
    parquet_leaf(s->parquet, handle, &type);
    bool number = type.type == PARQUET_INT32 || type.type == PARQUET_INT64;
    if ((leaves[leaf].number ? !number : type.type != PARQUET_BYTE_ARRAY) ||
        type.max_repetition != leaves[leaf].repeats)
        return damaged(leaf, "has an unexpected type", err);
    s->handles[leaf] = handle;
    s->item[leaf] = type.item_definition;
    return 0;
}

/* The row has something below the column that these leaves are of. */
static bool row_has(const struct scan *s, enum leaf first, enum leaf last)
{
    for (enum leaf leaf = first; leaf <= last; leaf++) {
        size_t n = 0;
        if (s->handles[leaf] < 0)
            continue;
        const struct parquet_cell *cells = parquet_cells(s->parquet, s->handles[leaf], &n);
        if (cells[0].definition > 0 || cells[0].present)
            return true;
    }
    return false;
}

/* The value of a leaf that is not repeated, or NULL. */
static const struct parquet_cell *cell(const struct scan *s, enum leaf leaf)
{
    size_t n = 0;
    if (s->handles[leaf] < 0)
        return NULL;
    const struct parquet_cell *cells = parquet_cells(s->parquet, s->handles[leaf], &n);
    return cells[0].present ? &cells[0] : NULL;
}

static struct slice cell_text(const struct scan *s, enum leaf leaf)
{
    const struct parquet_cell *c = cell(s, leaf);
    return c ? c->bytes : SLICE_NONE;
}

static int need_text(struct scan *s, enum leaf leaf, struct slice *out, struct err *err)
{
    const struct parquet_cell *c = cell(s, leaf);
    if (!c)
        return damaged(leaf, "is null", err);
    *out = c->bytes;
    return 0;
}

static int need_number(struct scan *s, enum leaf leaf, int64_t *out, struct err *err)
{
    const struct parquet_cell *c = cell(s, leaf);
    if (!c)
        return damaged(leaf, "is null", err);
    *out = c->number;
    return 0;
}

/* The cells of a list: *n is 0 where it is empty or, with *there false, null. */
static int items(struct scan *s, enum leaf leaf, const struct parquet_cell **cells, size_t *n,
                 bool *there, struct err *err)
{
    *n = 0;
    *there = false;
    if (s->handles[leaf] < 0)
        return 0;
    *cells = parquet_cells(s->parquet, s->handles[leaf], n);
    if (*n > CELLS_MAX)
        return damaged(leaf, "has too many items", err);
    *there = (*cells)[0].definition + 1 >= s->item[leaf];
    if ((*cells)[0].definition < s->item[leaf])
        *n = 0;
    return 0;
}

static int get_list(struct scan *s, enum leaf leaf, struct delta_list *out, bool *there,
                    struct err *err)
{
    const struct parquet_cell *cells;
    size_t n;
    *out = (struct delta_list){0};
    int rc = items(s, leaf, &cells, &n, there, err);
    if (rc < 0 || n == 0)
        return rc;
    out->at = arena_calloc(&s->arena, n, sizeof out->at[0]);
    if (!out->at)
        return arena_failed(&s->arena, "a row", err);
    for (size_t i = 0; i < n; i++) {
        if (!cells[i].present)
            return damaged(leaf, "has an item that is null", err);
        out->at[out->n++] = cells[i].bytes;
    }
    return 0;
}

static int get_map(struct scan *s, enum leaf keys, enum leaf values, struct delta_map *out,
                   bool *there, struct err *err)
{
    const struct parquet_cell *k, *v;
    size_t n, n_values;
    bool values_there;
    *out = (struct delta_map){0};
    int rc = items(s, keys, &k, &n, there, err);
    if (rc == 0)
        rc = items(s, values, &v, &n_values, &values_there, err);
    if (rc < 0)
        return rc;
    if (n != n_values || *there != values_there)
        return damaged(keys, "has not as many items as its values", err);
    if (n == 0)
        return 0;
    out->at = arena_calloc(&s->arena, n, sizeof out->at[0]);
    if (!out->at)
        return arena_failed(&s->arena, "a row", err);
    for (size_t i = 0; i < n; i++) {
        if (!k[i].present)
            return damaged(keys, "is null", err);
        out->at[i] = (struct delta_pair){k[i].bytes, v[i].bytes, !v[i].present};
    }
    out->n = n;
    return 0;
}

static int get_dv(struct scan *s, struct delta_dv *out, struct err *err)
{
    const struct parquet_cell *offset = cell(s, DV_OFFSET), *size = cell(s, DV_SIZE);
    const struct parquet_cell *cardinality = cell(s, DV_CARDINALITY);
    *out = (struct delta_dv){.storage = cell_text(s, DV_STORAGE),
                             .path = cell_text(s, DV_PATH),
                             .offset = offset ? offset->number : 0,
                             .size = size ? size->number : 0,
                             .cardinality = cardinality ? cardinality->number : 0,
                             .has_offset = offset != NULL,
                             .has_size = size != NULL,
                             .has_cardinality = cardinality != NULL};
    if (out->storage.n == 0 && (out->path.n || offset))
        return damaged(DV_STORAGE, "is missing", err);
    if (out->storage.n && out->path.n == 0)
        return damaged(DV_PATH, "is missing", err);
    return 0;
}

static int get_add(struct scan *s, struct delta_action *out, struct err *err)
{
    struct delta_file *file = &out->file;
    bool there = false;
    *file = (struct delta_file){0};
    out->kind = DELTA_ADD;
    int rc = need_text(s, ADD_PATH, &file->path, err);
    if (rc == 0)
        rc = need_number(s, ADD_SIZE, &file->size, err);
    if (rc == 0)
        rc = need_number(s, ADD_TIME, &file->modification_time, err);
    if (rc == 0)
        rc = get_dv(s, &file->dv, err);
    if (rc == 0)
        rc = get_map(s, ADD_KEYS, ADD_VALUES, &file->partition_values, &there, err);
    if (rc < 0)
        return rc;
    if (file->path.n == 0)
        return damaged(ADD_PATH, "is empty", err);
    if (file->size < 0)
        return damaged(ADD_SIZE, "is negative", err);
    return there ? 0 : damaged(ADD_KEYS, "is missing: the map is null", err);
}

static int get_metadata(struct scan *s, struct delta_action *out, struct err *err)
{
    struct delta_metadata *m = &out->metadata;
    bool columns = false, configuration;
    /* Spark writes no schemaString where a table has no schema yet. */
    *m = (struct delta_metadata){.provider = cell_text(s, META_PROVIDER),
                                 .schema = cell_text(s, META_SCHEMA)};
    out->kind = DELTA_METADATA;
    int rc = need_text(s, META_ID, &m->id, err);
    if (rc == 0)
        rc = get_list(s, META_COLUMNS, &m->partition_columns, &columns, err);
    if (rc == 0)
        rc = get_map(s, META_KEYS, META_VALUES, &m->configuration, &configuration, err);
    if (rc < 0)
        return rc;
    return columns ? 0 : damaged(META_COLUMNS, "is null", err);
}

static int get_protocol(struct scan *s, struct delta_action *out, struct err *err)
{
    struct delta_protocol *p = &out->protocol;
    *p = (struct delta_protocol){0};
    out->kind = DELTA_PROTOCOL;
    int rc = need_number(s, PROTOCOL_READER, &p->reader, err);
    if (rc == 0)
        rc = need_number(s, PROTOCOL_WRITER, &p->writer, err);
    if (rc == 0)
        rc = get_list(s, PROTOCOL_READER_FEATURES, &p->reader_features, &p->has_reader_features,
                      err);
    return rc < 0 ? rc
                  : get_list(s, PROTOCOL_WRITER_FEATURES, &p->writer_features,
                             &p->has_writer_features, err);
}

static int get_sidecar(struct scan *s, struct delta_action *out, struct err *err)
{
    out->kind = DELTA_SIDECAR;
    int rc = need_text(s, SIDECAR_PATH, &out->sidecar.path, err);
    if (rc == 0)
        rc = need_number(s, SIDECAR_SIZE, &out->sidecar.size, err);
    if (rc < 0)
        return rc;
    return out->sidecar.size < 0 ? damaged(SIDECAR_SIZE, "is negative", err) : 0;
}

/* The action of the current row; DELTA_OTHER where it is none that is asked for. */
static int get_action(struct scan *s, struct delta_action *out, struct err *err)
{
    bool metadata = row_has(s, META_ID, META_VALUES);
    bool protocol = row_has(s, PROTOCOL_READER, PROTOCOL_WRITER_FEATURES);
    bool sidecar = row_has(s, SIDECAR_PATH, SIDECAR_SIZE);
    bool add = row_has(s, ADD_PATH, DV_OFFSET);
    out->kind = DELTA_OTHER;
    if (metadata + protocol + sidecar + add > 1)
        return err_set(err, EIO, "two of add, metaData, protocol and sidecar in one row");
    if (add)
        return get_add(s, out, err);
    if (metadata)
        return get_metadata(s, out, err);
    if (protocol)
        return get_protocol(s, out, err);
    return sidecar ? get_sidecar(s, out, err) : 0;
}

static int scan_rows(struct scan *s, enum delta_checkpoint_part part, struct err *err)
{
    struct delta_action action;
    int rc = 0;
    for (enum leaf leaf = 0; leaf < LEAVES; leaf++) {
        s->handles[leaf] = -1;
        rc = leaves[leaf].part == part ? choose(s, leaf, err) : 0;
        if (rc < 0)
            return rc;
    }
    while ((rc = parquet_next_row(s->parquet, err)) > 0) {
        arena_reset(&s->arena);
        rc = get_action(s, &action, err);
        if (rc < 0)
            return rc;
        if (action.kind != DELTA_OTHER)
            rc = s->sink->emit(s->sink->arg, &action, err);
        s->stopped = rc != 0;
        if (s->stopped)
            return rc;
    }
    return rc;
}

int delta_rows_refuse(const char *key, bool tried, struct err *err)
{
    if (tried && (err->code == EIO || err->code == EOVERFLOW))
        err->code = EBADMSG;
    return err_wrap(err, "%s", key);
}

int delta_rows_read(struct object_reader *object, enum delta_checkpoint_part part,
                    const struct delta_sink *sink, struct err *err)
{
    struct source source = {object->size, object_reader_read, object, object->window_bytes};
    AUTO(parquet) struct parquet *parquet = parquet_open(&source, err);
    if (!parquet)
        return delta_rows_refuse(object->key, !object->failed, err);
    struct scan scan = {.parquet = parquet, .sink = sink};
    arena_init(&scan.arena, ROW_BYTES_MAX);
    int rc = scan_rows(&scan, part, err);
    arena_done(&scan.arena);
    return rc < 0 ? delta_rows_refuse(object->key, !object->failed && !scan.stopped, err) : rc;
}
