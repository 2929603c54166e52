/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/checkpoint.h"

#include "lake/delta/object.h"
#include "lake/format/parquet.h"

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
    LEAVES
};

static const struct {
    const char *path, *flat; /* flat: of lists whose repeated field is the element itself */
    enum delta_checkpoint_part part;
    bool number;
} leaves[LEAVES] = {
    [ADD_PATH] = {"add.path", NULL, DELTA_CHECKPOINT_FILES, false},
    [ADD_SIZE] = {"add.size", NULL, DELTA_CHECKPOINT_FILES, true},
    [ADD_TIME] = {"add.modificationTime", NULL, DELTA_CHECKPOINT_FILES, true},
    [ADD_KEYS] = {"add.partitionValues.*.key", NULL, DELTA_CHECKPOINT_FILES, false},
    [ADD_VALUES] = {"add.partitionValues.*.value", NULL, DELTA_CHECKPOINT_FILES, false},
    [DV_STORAGE] = {"add.deletionVector.storageType", NULL, DELTA_CHECKPOINT_FILES, false},
    [DV_PATH] = {"add.deletionVector.pathOrInlineDv", NULL, DELTA_CHECKPOINT_FILES, false},
    [DV_OFFSET] = {"add.deletionVector.offset", NULL, DELTA_CHECKPOINT_FILES, true},
    [META_ID] = {"metaData.id", NULL, DELTA_CHECKPOINT_STATE, false},
    [META_PROVIDER] = {"metaData.format.provider", NULL, DELTA_CHECKPOINT_STATE, false},
    [META_SCHEMA] = {"metaData.schemaString", NULL, DELTA_CHECKPOINT_STATE, false},
    [META_COLUMNS] = {"metaData.partitionColumns.*.*", "metaData.partitionColumns.*",
                      DELTA_CHECKPOINT_STATE, false},
    [META_KEYS] = {"metaData.configuration.*.key", NULL, DELTA_CHECKPOINT_STATE, false},
    [META_VALUES] = {"metaData.configuration.*.value", NULL, DELTA_CHECKPOINT_STATE, false},
    [PROTOCOL_READER] = {"protocol.minReaderVersion", NULL, DELTA_CHECKPOINT_STATE, true},
    [PROTOCOL_WRITER] = {"protocol.minWriterVersion", NULL, DELTA_CHECKPOINT_STATE, true},
    [PROTOCOL_READER_FEATURES] = {"protocol.readerFeatures.*.*", "protocol.readerFeatures.*",
                                  DELTA_CHECKPOINT_STATE, false},
    [PROTOCOL_WRITER_FEATURES] = {"protocol.writerFeatures.*.*", "protocol.writerFeatures.*",
                                  DELTA_CHECKPOINT_STATE, false},
    [SIDECAR_PATH] = {"sidecar.path", NULL, DELTA_CHECKPOINT_STATE, false},
};

/* One file of a checkpoint on the way through. */
struct scan {
    struct parquet *parquet;
    int handles[LEAVES]; /* -1: not in this file, or not asked for */
    struct arena arena;  /* of the current row */
};

static int choose(struct scan *s, enum leaf leaf, struct err *err)
{
    struct parquet_leaf type;
    s->handles[leaf] = -1;
    int handle = parquet_choose(s->parquet, leaves[leaf].path, err);
    if (handle == -ENOENT && leaves[leaf].flat)
        handle = parquet_choose(s->parquet, leaves[leaf].flat, err);
    if (handle == -ENOENT)
        return 0;
    if (handle < 0)
        return handle;
    parquet_leaf(s->parquet, handle, &type);
    bool number = type.type == PARQUET_INT32 || type.type == PARQUET_INT64;
    if (leaves[leaf].number ? !number : type.type != PARQUET_BYTE_ARRAY)
        return err_set(err, EIO, "%s has an unexpected type", leaves[leaf].path);
    s->handles[leaf] = handle;
    return 0;
}

/* The value of a leaf that is not repeated, or NULL. */
static const struct parquet_cell *cell(const struct scan *s, enum leaf leaf)
{
    size_t n = 0;
    if (s->handles[leaf] < 0)
        return NULL;
    const struct parquet_cell *cells = parquet_cells(s->parquet, s->handles[leaf], &n);
    return n && cells[0].present ? &cells[0] : NULL;
}

static struct slice cell_text(const struct scan *s, enum leaf leaf)
{
    const struct parquet_cell *c = cell(s, leaf);
    return c ? c->bytes : SLICE_NONE;
}

static int get_list(struct scan *s, enum leaf leaf, struct delta_list *out, bool *there,
                    struct err *err)
{
    size_t n = 0;
    *out = (struct delta_list){0};
    if (s->handles[leaf] < 0)
        return 0;
    const struct parquet_cell *cells = parquet_cells(s->parquet, s->handles[leaf], &n);
    /* Of a list that is null only the outermost optional groups are defined: metaData itself. */
    *there = n && (cells[0].present || cells[0].definition > 1);
    if (n > CELLS_MAX)
        return err_set(err, EOVERFLOW, "%zu items in %s", n, leaves[leaf].path);
    if (n == 0 || !cells[0].present)
        return 0;
    out->at = arena_calloc(&s->arena, n, sizeof out->at[0]);
    if (!out->at)
        return err_set(err, ENOMEM, "out of memory for a row of a checkpoint");
    for (size_t i = 0; i < n; i++)
        if (cells[i].present)
            out->at[out->n++] = cells[i].bytes;
    return 0;
}

static int get_map(struct scan *s, enum leaf keys, enum leaf values, struct delta_map *out,
                   struct err *err)
{
    size_t n = 0, n_values = 0;
    *out = (struct delta_map){0};
    if (s->handles[keys] < 0 || s->handles[values] < 0)
        return 0;
    const struct parquet_cell *k = parquet_cells(s->parquet, s->handles[keys], &n);
    const struct parquet_cell *v = parquet_cells(s->parquet, s->handles[values], &n_values);
    if (n != n_values || n > CELLS_MAX)
        return err_set(err, EIO, "%s: %zu keys and %zu values", leaves[keys].path, n, n_values);
    if (n == 0 || !k[0].present)
        return 0;
    out->at = arena_calloc(&s->arena, n, sizeof out->at[0]);
    if (!out->at)
        return err_set(err, ENOMEM, "out of memory for a row of a checkpoint");
    for (size_t i = 0; i < n; i++)
        out->at[i] = (struct delta_pair){k[i].bytes, v[i].bytes, !v[i].present};
    out->n = n;
    return 0;
}

static int get_add(struct scan *s, struct delta_action *out, struct err *err)
{
    const struct parquet_cell *size = cell(s, ADD_SIZE), *time = cell(s, ADD_TIME);
    const struct parquet_cell *offset = cell(s, DV_OFFSET);
    struct delta_file *file = &out->file;
    *file = (struct delta_file){.path = cell_text(s, ADD_PATH),
                                .size = size ? size->number : -1,
                                .modification_time = time ? time->number : 0,
                                .dv = {.storage = cell_text(s, DV_STORAGE),
                                       .path = cell_text(s, DV_PATH),
                                       .offset = offset ? offset->number : 0,
                                       .has_offset = offset != NULL}};
    if (file->path.n == 0 || file->size < 0)
        return err_set(err, EIO, "a file without a path, or without a size");
    out->kind = DELTA_ADD;
    return get_map(s, ADD_KEYS, ADD_VALUES, &file->partition_values, err);
}

static int get_metadata(struct scan *s, struct delta_action *out, struct err *err)
{
    struct delta_metadata *m = &out->metadata;
    bool there;
    *m = (struct delta_metadata){.id = cell_text(s, META_ID),
                                 .schema = cell_text(s, META_SCHEMA),
                                 .provider = cell_text(s, META_PROVIDER)};
    out->kind = DELTA_METADATA;
    int rc = get_list(s, META_COLUMNS, &m->partition_columns, &there, err);
    return rc < 0 ? rc : get_map(s, META_KEYS, META_VALUES, &m->configuration, err);
}

static int get_protocol(struct scan *s, struct delta_action *out, struct err *err)
{
    struct delta_protocol *p = &out->protocol;
    const struct parquet_cell *writer = cell(s, PROTOCOL_WRITER);
    *p = (struct delta_protocol){.reader = cell(s, PROTOCOL_READER)->number,
                                 .writer = writer ? writer->number : 0};
    out->kind = DELTA_PROTOCOL;
    int rc =
        get_list(s, PROTOCOL_READER_FEATURES, &p->reader_features, &p->has_reader_features, err);
    return rc < 0 ? rc
                  : get_list(s, PROTOCOL_WRITER_FEATURES, &p->writer_features,
                             &p->has_writer_features, err);
}

/* The action of the current row; DELTA_OTHER where it is none that is asked for. */
static int get_action(struct scan *s, struct delta_action *out, struct err *err)
{
    out->kind = DELTA_OTHER;
    if (cell(s, ADD_PATH))
        return get_add(s, out, err);
    if (cell(s, META_ID) || cell(s, META_SCHEMA) || cell(s, META_PROVIDER))
        return get_metadata(s, out, err);
    if (cell(s, PROTOCOL_READER))
        return get_protocol(s, out, err);
    if (cell(s, SIDECAR_PATH))
        return err_set(err, EOPNOTSUPP, "v2Checkpoint: files in sidecars are not supported yet");
    return 0;
}

static int scan_rows(struct scan *s, enum delta_checkpoint_part part, const struct delta_sink *sink,
                     struct err *err)
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
        if (rc == 0 && action.kind != DELTA_OTHER)
            rc = sink->emit(sink->arg, &action, err);
        if (rc != 0)
            return rc;
    }
    return rc;
}

static int scan_file(struct store *store, const char *key, uint64_t size,
                     enum delta_checkpoint_part part, const struct delta_sink *sink,
                     struct err *err)
{
    AUTO(delta_object) struct delta_object object;
    delta_object_init(&object, store, key, size);
    struct parquet_source source = {size, delta_object_read, &object};
    AUTO(parquet) struct parquet *parquet = parquet_open(&source, err);
    if (!parquet)
        return err_wrap(err, "%s", key);
    struct scan scan = {.parquet = parquet};
    arena_init(&scan.arena, ROW_BYTES_MAX);
    int rc = scan_rows(&scan, part, sink, err);
    arena_done(&scan.arena);
    return rc < 0 ? err_wrap(err, "%s", key) : rc;
}

int delta_checkpoint_read(struct store *store, const char *prefix,
                          const struct delta_log_file *file, enum delta_checkpoint_part part,
                          const struct delta_sink *sink, struct err *err)
{
    AUTO(buf) struct buf key = {0};
    uint32_t files = file->name.parts ? file->name.parts : 1;
    buf_init(&key, KEY_BYTES_MAX);
    for (uint32_t i = 0; i < files; i++) {
        delta_log_key(&key, prefix, &file[i].name);
        int rc = buf_check(&key, err);
        if (rc == 0)
            rc = scan_file(store, key.data, file[i].size, part, sink, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}
